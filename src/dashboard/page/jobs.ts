import type { ApiFilter } from "./query.ts";

/** Which events a job is about. */
export type JobTarget =
  | { readonly ids: readonly string[]; readonly source?: string }
  | { readonly filter: ApiFilter };

/** What the dialog is asked to do. */
export interface Act {
  readonly action: "apply" | "replay" | "discard";
  readonly title: string;
  readonly target: JobTarget;
  /** Where the result is shown. */
  readonly resultPath: string;
}

/** A job as the API shows it. */
export interface JobJson {
  readonly id: string;
  readonly action: string;
  readonly state: "running" | "done" | "stopped" | "failed";
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly groups: readonly JobGroup[];
  readonly failures: readonly JobFailure[];
  readonly tried: TriedEvents | null;
}

/** What a dry run tried and rolled back. */
export interface TriedEvents {
  readonly events: number;
  readonly failed: number;
  readonly tables: readonly {
    readonly table: string;
    readonly inserted: number;
    readonly updated: number;
    readonly deleted: number;
  }[];
  readonly why: string | null;
}

export interface JobGroup {
  readonly source: string;
  readonly type: string;
  readonly outcome: string;
  readonly handler: string | null;
  readonly wouldRun: number;
  readonly processed: number;
  readonly failed: number;
  readonly discarded: number;
  readonly stale: number;
  readonly quarantined: number;
  readonly noHandler: number;
  readonly alreadyDone: number;
  readonly unfit: number;
}

export interface JobFailure {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly code: string;
  readonly error: string;
}

/** The sums over all groups. */
export function totalsOf({ groups }: Pick<JobJson, "groups">): Record<Counted, number> {
  const sum = (key: Counted): number => groups.reduce((all, group) => all + group[key], 0);
  return {
    wouldRun: sum("wouldRun"),
    processed: sum("processed"),
    failed: sum("failed"),
    discarded: sum("discarded"),
    stale: sum("stale"),
    quarantined: sum("quarantined"),
    noHandler: sum("noHandler"),
    alreadyDone: sum("alreadyDone"),
    unfit: sum("unfit"),
  };
}

type Counted =
  | "wouldRun"
  | "processed"
  | "failed"
  | "discarded"
  | "stale"
  | "quarantined"
  | "noHandler"
  | "alreadyDone"
  | "unfit";
