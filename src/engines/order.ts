import type { HookonceError } from "../errors.ts";

/** What `newest_wins` decides about a run. */

/** The newest event of a key that was applied. */
export interface Newest {
  readonly version: string;
  readonly eventId: string;
}

/** A run that is to be judged. */
export interface PlacedRun {
  readonly eventId: string;
  /** Somebody has asked for this event by its id. */
  readonly isNamed: boolean;
}

/** Whether an event may run, before anything is written. */
export type Verdict =
  /** If the run commits, the event is the newest one of its key. */
  | "newest"
  /** Why it does not run, in words. */
  | { readonly stale: string }
  | { readonly fail: HookonceError };
