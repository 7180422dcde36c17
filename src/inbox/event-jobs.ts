import type { EventSource, Handlers, Job } from "../engines/engine.ts";
import type { ForgetReader } from "../engines/forget.ts";
import type { RefusedMemory } from "./forget-request.ts";
import type { EventFilter, Reader } from "../engines/reader.ts";
import { HookonceError } from "../errors.ts";
import { isQuarantined, sendsOn } from "./decide.ts";
import { createSample, type TryEvents } from "./dry-run.ts";
import { runPages, runTogether, type JobRun, type Limited } from "./job-pages.ts";
import type { ProgressLog } from "./job-progress.ts";
import {
  isOwed,
  misfitOf,
  isReplayable,
  select,
  type EventJobRequest,
  type JobPosition,
  type Selected,
} from "./job-selection.ts";
import type { Queue } from "./queue.ts";

export interface JobInbox {
  readonly reader: Pick<
    Reader,
    | "owed"
    | "recorded"
    | "followed"
    | "find"
    | "failure"
    | "countKnown"
    | "messagesWritten"
    | "messageDetails"
    | "lastMessage"
    | "sourceStates"
    | keyof ForgetReader
  >;
  readonly queue: Pick<Queue, "write" | "received">;
  readonly sources: ReadonlyMap<string, EventSource>;
  /** Those of the config. */
  readonly destinations: ReadonlySet<string>;
  readonly handlers: () => Handlers;
  /** Runs events and rolls back. Without it, a dry run only counts. */
  readonly tryEvents?: TryEvents | undefined;
  /** See {@link Engine.wipe}. */
  readonly wipe?: (() => Promise<boolean>) | undefined;
  readonly memory?: RefusedMemory | undefined;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

/** The position at which a job begins if it is requested now. */
export async function beginningOf({ reader }: Pick<JobInbox, "reader">): Promise<JobPosition> {
  return { ids: 0, ordered: await reader.followed() };
}

/**
 * Applies, replays or discards events, or sends them to a destination, in the order received. It may be interrupted
 * at any moment and run again: each event has one transaction, which first checks that the event is still in the
 * state that the action is for.
 *
 * @throws HookonceError what `select` refuses; `unknown_source`, `unknown_destination`, `reason_missing`;
 *   what the queue refuses (`disk_full`, `database_locked`, …)
 */
export async function runEventJob(
  inbox: JobInbox,
  request: EventJobRequest,
  run: JobRun<JobPosition>,
): Promise<void> {
  const { action, reason, dryRun, filter } = request;
  if ((action === "replay" || action === "discard") && reason === undefined && !dryRun)
    throw new HookonceError("reason_missing", `${action} needs a reason: add --reason TEXT.`);
  if (action === "resend") refuseUnknownDestination(inbox, request.to);
  const { progress, signal } = run;
  const sample = createSample();
  // A job that runs events learns it from the engine, event by event.
  const paused = new Set(dryRun ? (await inbox.reader.sourceStates()).map(({ name }) => name) : []);
  const left = await runPages(select(inbox, request, run.from), request, run, (events, limited) =>
    runSlice(inbox, request, events, { ...run, sample, paused, limited }),
  );
  if (signal.aborted) return;
  if (left > 0) refuseUnknownSource(inbox, filter, progress);
  const { events } = sample;
  if (events.length > 0 && (action === "apply" || action === "replay") && inbox.tryEvents !== undefined)
    progress.setTried(
      await inbox.tryEvents({ action, events }, (failure) => progress.addFailure(failure), signal),
    );
}

/** @throws HookonceError `unknown_destination` */
export function refuseUnknownDestination({ destinations }: JobInbox, name = ""): void {
  if (destinations.has(name)) return;
  const names = [...destinations];
  const known = names.length === 0 ? "It has no destinations." : `Its destinations are ${names.join(", ")}.`;
  throw new HookonceError(
    "unknown_destination",
    `There is no destination "${name}" in hookonce.toml. ${known}`,
  );
}

/**
 * A source that is no longer in the config may still have owed events. If it has none, its name is a mistake.
 */
function refuseUnknownSource({ sources }: JobInbox, { source }: EventFilter, log: ProgressLog): void {
  if (source === undefined || sources.has(source) || log.progress().groups.length > 0) return;
  throw new HookonceError(
    "unknown_source",
    `There is no source "${source}" in hookonce.toml. Its sources are ${[...sources.keys()].join(", ")}.`,
  );
}

interface SliceRun extends Pick<
  JobRun<JobPosition>,
  "id" | "progress" | "from" | "isResumed" | "onRuns" | "done" | "signal"
> {
  /** Of a dry run, as the paused sources are. */
  readonly sample: ReturnType<typeof createSample>;
  readonly paused: ReadonlySet<string>;
  readonly limited: Limited;
}

/** @returns what is left of the limit */
async function runSlice(
  { queue, sources, handlers, clock }: JobInbox,
  request: EventJobRequest,
  events: readonly Selected[],
  run: SliceRun,
): Promise<number> {
  const { id, from, progress, sample, paused, isResumed = false, done, signal } = run;
  const { counted } = run.limited;
  const { action, dryRun, filter } = request;
  const isNamed = filter.ids !== undefined;
  const needsHandler = action === "apply" || action === "replay";
  let { left } = run.limited;
  const chosen: (() => Promise<void>)[] = [];
  for (const event of events) {
    const key = JSON.stringify([event.source, event.eventId]);
    if (done.has(key) || (left <= 0 && !counted.has(key))) continue;
    const known = sources.get(event.source);
    // Of a source that is no longer in the config, events can only be given up.
    const source = known ?? (action === "discard" ? removedSource(event.source) : undefined);
    const handler = source === undefined ? null : handlers().for(source.handlersOf, event.type);
    const group = progress.groupOf(event, action === "resend" ? null : (handler?.file ?? null));
    const { quarantine } = event;
    const isStuck = action === "apply" && handler !== null && quarantine !== undefined;
    const stuck = isStuck && isQuarantined(quarantine, handler) ? quarantine : undefined;
    const misfit = isNamed ? misfitOf(request, event) : undefined;
    if (misfit !== undefined) progress.leaveOut(group, event, misfit);
    else if (!isFor(request, event)) group.alreadyDone++;
    else if (needsHandler && (event.outcome === "held" || paused.has(event.source))) group.held++;
    else if (source === undefined || (handler === null && needsHandler && !sendsOn(source)))
      group.noHandler++;
    else if (stuck !== undefined && !isNamed) progress.skip(group, event, stuck.code);
    else {
      if (!counted.has(key)) left--;
      if (stuck !== undefined && !isResumed) group.forced++;
      if (dryRun) {
        group.wouldRun++;
        if (handler !== null) sample.add(group, event, handler);
        continue;
      }
      if (Number.isFinite(left)) counted.add(key);
      chosen.push(async () => {
        const about = { source, eventId: event.eventId, at: clock() };
        const job = jobFor(request, about, { job: id, ordered: from.ordered }, isResumed);
        const result = await queue.write(job, signal);
        if (action === "resend") progress.countSent(group, event, result);
        else progress.count(group, event, result);
        done.add(key);
      });
      continue;
    }
    done.add(key);
  }
  await runTogether(chosen, { left, counted }, run);
  return left;
}

/** Whether an event is in the state that the action is for. */
function isFor({ action, reason, evenStale }: EventJobRequest, event: Selected): boolean {
  if (action === "replay") return isReplayable(event, evenStale);
  if (action === "resend") return !isOwed(event);
  return isOwed(event) || (action === "apply" && event.outcome === "discarded" && reason !== undefined);
}

type Replay = Extract<Job, { kind: "replay" }>;
type EventJob = Extract<Job, { kind: "apply" | "replay" | "discard" | "forward" }>;

function jobFor(
  { action, reason = "", filter, evenStale, to = "" }: EventJobRequest,
  event: Pick<EventJob, "source" | "eventId" | "at">,
  replay: Pick<Replay, "job" | "ordered">,
  isResumed: boolean,
): EventJob {
  switch (action) {
    case "apply":
      return filter.ids === undefined
        ? { kind: "apply", ...event }
        : { kind: "apply", ...event, isNamed: !isResumed, ...(reason === "" ? {} : { reason }) };
    case "replay":
      return { kind: "replay", ...event, reason, ...replay, evenStale };
    case "discard":
      return { kind: "discard", ...event, reason };
    case "resend":
      return { kind: "forward", ...event, destination: to, job: replay.job };
  }
}

function removedSource(name: string): EventSource {
  return {
    name,
    handlersOf: name,
    unhandled: "record",
    requireChange: false,
    sameBody: false,
    retryForMs: 0,
    retryWindowMs: 0,
    payloadOf: () => undefined,
    typeOf: () => undefined,
  };
}
