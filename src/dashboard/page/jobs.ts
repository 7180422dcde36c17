import type { JobGroupJson, JobJson } from "../../http/admin/job-shapes.ts";
import type { ApiFilter, MessageFilter } from "./query.ts";

/** Which events or messages a job is about. */
export type JobTarget =
  | { readonly ids: readonly string[]; readonly source?: string; readonly destination?: string }
  | { readonly filter: ApiFilter | MessageFilter };

/** What the dialog is asked to do. */
export interface Act {
  readonly action: "apply" | "replay" | "discard" | "resend";
  /** What it is about. By default, events. */
  readonly noun?: "message";
  readonly title: string;
  readonly target: JobTarget;
  /** The destination to which `resend` sends events. */
  readonly to?: string;
  /** A discarded event is only applied with a reason. */
  readonly needsReason?: boolean;
  /** Where the result is shown. */
  readonly resultPath: string;
}

/** The sums over all groups. */
export function totalsOf({ groups }: Pick<JobJson, "groups">) {
  const sum = (key: Counted): number => groups.reduce((all, group) => all + group[key], 0);
  return {
    wouldRun: sum("would_run"),
    processed: sum("processed"),
    failed: sum("failed"),
    discarded: sum("discarded"),
    resent: sum("resent"),
    stale: sum("stale"),
    quarantined: sum("quarantined"),
    held: sum("held"),
    noHandler: sum("no_handler"),
    alreadyDone: sum("already_done"),
    unfit: sum("unfit"),
    forced: sum("forced"),
    forgotten: sum("forgotten"),
    left: sum("left"),
  };
}

type Counted = Exclude<keyof JobGroupJson, "destination" | "source" | "type" | "outcome" | "handler">;
