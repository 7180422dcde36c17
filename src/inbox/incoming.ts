import type { HandlerInput, LoadedHandler } from "../handlers/handler.ts";
import type { Outcome, Reply } from "../event.ts";
import type { Source } from "../providers/source.ts";

/** A verified and identified event on its way into the database. */
export interface Incoming {
  readonly source: Source;
  readonly handler: LoadedHandler | null;
  readonly input: HandlerInput;
  /** Set for an event of a batch: what it shares with the others. */
  readonly shared: SharedDelivery | undefined;
}

/** The delivery behind the events of a batch. Its bytes are stored once, with the first of them that is. */
export interface SharedDelivery {
  /** Where they are stored, as far as the open transaction knows. */
  row: number | undefined;
  /** The same as of the last commit: what a rollback goes back to. */
  committedRow: number | undefined;
}

/** What became of an event. */
export interface Result {
  readonly eventId: string;
  readonly type: string;
  readonly outcome: Outcome;
  /** Unhandled, and nothing of it is kept: `unhandled = "ignore"`. */
  readonly ignored?: true;
  /** Relative to the inbox folder; null when none was run. */
  readonly handler: string | null;
  readonly rowsChanged: number;
  /** Of the handler, in microseconds. */
  readonly durationUs: number;
  /** Of a duplicate: whether its body differs from the stored one. */
  readonly changedBody: boolean;
  /** Why it failed. */
  readonly error: unknown;
  /** What its handler wants to be answered. */
  readonly reply: Reply | null;
}

export const nothingRun = {
  handler: null,
  rowsChanged: 0,
  durationUs: 0,
  changedBody: false,
  error: null,
  reply: null,
} as const;
