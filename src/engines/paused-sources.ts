import type { EventSource, Result } from "./engine.ts";
import type { FailurePlace } from "./event-rows.ts";
import type { SourceState } from "./source-states.ts";

/** What an engine keeps in memory of the sources that are paused. */

/** What was run for a resuming source: an event that was held, or one that had failed. */
export type Resumed = "held" | "failed";

export type CountedSource = Pick<EventSource, "name" | "holdAfter">;

export type Counted = Pick<Result, "outcome" | "handler" | "error">;

export interface Paused {
  readonly state: SourceState;
  readonly until: number | null;
  readonly reason: string | null;
  readonly stopOnFailure: boolean;
  /** Up to which failure a resuming source has run. */
  readonly ran: FailurePlace;
}

export const NOTHING_RAN: FailurePlace = { place: -1, failure: 0 };
