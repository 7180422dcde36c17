import type { JobView } from "../../inbox/background-jobs.ts";
import type { JobJson } from "./job-shapes.ts";

export function jobJson({ dryRun, startedAt, endedAt, atLeast, groups, failures, ...job }: JobView): JobJson {
  return {
    ...job,
    dry_run: dryRun,
    started_at: startedAt,
    ended_at: endedAt,
    ...(atLeast === true ? { at_least: true } : {}),
    groups: groups.map(({ wouldRun, noHandler, alreadyDone, ...group }) => ({
      ...group,
      would_run: wouldRun,
      no_handler: noHandler,
      already_done: alreadyDone,
    })),
    failures: failures.map(({ eventId, ...failure }) => ({ ...failure, event_id: eventId })),
  };
}

/** Reads what {@link jobJson} has written. */
export function jobOf(json: JobJson): JobView {
  const { dry_run: dryRun, started_at: startedAt, ended_at: endedAt, at_least: atLeast } = json;
  const { groups, failures, ...job } = json;
  const view = {
    ...job,
    dryRun,
    startedAt,
    endedAt,
    atLeast,
    groups: groups.map(
      ({ would_run: wouldRun, no_handler: noHandler, already_done: alreadyDone, ...group }) =>
        Object.assign(group, { wouldRun, noHandler, alreadyDone }),
    ),
    failures: failures.map(({ event_id: eventId, ...failure }) => Object.assign(failure, { eventId })),
  };
  return view as JobView;
}
