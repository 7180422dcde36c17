import { HookonceError } from "../errors.ts";
import type { MaybePromise } from "./outbox.ts";

/** Which sources are paused. A source without a state is open. */

/**
 * While a source has a state, nothing of it runs. `held`: new events are stored and answered 200. `resuming`: the
 * same, and what is held or has failed is run in the order received, until nothing is left. `refusing`: deliveries are
 * answered 503.
 */
export type SourceState = "held" | "refusing" | "resuming";

/** A source that is not open. */
export interface PausedSource {
  readonly name: string;
  readonly state: SourceState;
  /** When this state began, in Unix milliseconds. */
  readonly since: number;
  /** When it resumes by itself, in Unix milliseconds. Null: it does not. */
  readonly until: number | null;
  /** Why it is paused. */
  readonly reason: string | null;
  /** Whether the next failure of a resuming source pauses it again. */
  readonly stopOnFailure: boolean;
  /** How many of its events are held, at most {@link MAX_HELD_COUNTED}. */
  readonly held: number;
  /** Whether there are more. */
  readonly isCapped: boolean;
  /** When the first of them was received, in Unix milliseconds. Null: none is held. */
  readonly oldestAt: number | null;
}

/** The index of held events is counted: 100,000 take 3 ms. */
export const MAX_HELD_COUNTED = 100_000;

/** A source is paused, or goes on. */
export interface SourceEntry {
  readonly entry: "source";
  readonly name: string;
  /** `open`: it becomes `resuming`, or is open at once if nothing is held and nothing has failed. */
  readonly state: "held" | "refusing" | "open";
  /** Unix milliseconds. */
  readonly at: number;
  readonly until: number | null;
  readonly reason: string | null;
  readonly stopOnFailure: boolean;
}

/** hookonce has paused a source by itself. */
export interface PausedByItself {
  readonly source: string;
  readonly reason: string;
}

export interface SourceStateReader {
  /** The sources that are not open, by name. */
  sourceStates(): MaybePromise<readonly PausedSource[]>;
}

/** What the log says when hookonce has paused a source by itself. */
export function heldByItself(source: string): string {
  return `hookonce has paused the source, and holds its events. To let it go on, run: hookonce resume ${source}`;
}

export function sourcePaused(name: string): HookonceError {
  return new HookonceError("source_paused", `The source "${name}" is paused. Try again later.`);
}
