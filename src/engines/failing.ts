import type { MaybePromise } from "./outbox.ts";

/** A handler with open failures of a source. */
export interface FailingHandler {
  readonly source: string;
  /** Relative to the inbox folder; null if none ran. */
  readonly handler: string | null;
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
  /** The first 500 characters of the latest message. */
  readonly error: string;
}

export interface FailingHandlers {
  /** The one with the most failures first. */
  readonly handlers: readonly FailingHandler[];
  /** Whether there are more failures than were counted. */
  readonly capped: boolean;
}

export interface FailingReader {
  /** Counts the newest `cap` open failures by their handlers, a slice at a time. */
  failingHandlers(cap: number): MaybePromise<FailingHandlers>;
}
