import type { ChangedRows, ObservedMessage, RunStatement } from "../../engines/trial.ts";
import type { NullPath } from "../../handlers/null-paths.ts";

/** What a try answers. Like shapes.ts, this file has only types. */

/** What a handler did with an event, before all of it was rolled back. */
export interface TriedJson {
  readonly handler: string;
  /** Where the event came from: the database, the samples of its provider, or a given body. */
  readonly from: "stored" | "sample" | "data";
  readonly source: string;
  readonly event_id: string;
  readonly type: string;
  /** Whether the event was applied before, so that what its handler wrote may be there already. */
  readonly applied: boolean;
  /** How many events a given body has. Only the first is run. */
  readonly events_in_body: number;
  /** Why it was not run; null if it was. */
  readonly why: string | null;
  readonly failure: TriedFailureJson | null;
  readonly rows_changed: number;
  readonly duration_us: number;
  /** What the handler returned in place of the usual answer. */
  readonly reply: { readonly status: number; readonly body: string } | null;
  readonly tables: readonly ChangedRows[];
  /** The messages that it would send, at most a hundred. */
  readonly messages: readonly ObservedMessage[];
  readonly statements: readonly RunStatement[];
  readonly null_paths: readonly NullPath[];
  /** What it wrote with `console`. */
  readonly output: readonly { readonly level: string; readonly text: string }[];
}

export interface TriedFailureJson {
  readonly code: string;
  readonly error: string;
  /** As `handlers/stripe/invoice.paid.ts:12`; null if it is not known. */
  readonly at: string | null;
  /** The line there. */
  readonly line: string | null;
}

/** The runs of a try, and what there is to know about the events that were chosen. */
export interface TryJson {
  readonly items: readonly TriedJson[];
  readonly notes: readonly string[];
  /** Why not all of them were run; null if all were. */
  readonly why: string | null;
}
