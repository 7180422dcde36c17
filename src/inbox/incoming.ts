import type { HandlerInput, LoadedHandler } from "../handlers/handler.ts";
import type { Headers, Outcome } from "../event.ts";
import type { Source } from "../providers/source.ts";

/** A verified and identified event on its way into the database. */
export interface Incoming {
  readonly source: Source;
  readonly handler: LoadedHandler | null;
  readonly input: HandlerInput;
}

/** For another run: what the handler was given by the first it may have changed. */
export function asItCame(event: Incoming): Incoming {
  const { input } = event;
  const payload: unknown = input.payloadJson === null ? null : JSON.parse(input.payloadJson);
  const headers = JSON.parse(input.headersJson) as Headers;
  return { ...event, input: { ...input, payload, headers } };
}

/** What became of it. */
export interface Result {
  readonly outcome: Outcome;
  /** Relative to the inbox folder; null when none was run. */
  readonly handler: string | null;
  readonly rowsChanged: number;
  /** Of the handler, in microseconds. */
  readonly durationUs: number;
  /** Of a duplicate: whether its body differs from the stored one. */
  readonly changedBody: boolean;
  /** Why it failed. */
  readonly error: unknown;
}

export const nothingRun = {
  handler: null,
  rowsChanged: 0,
  durationUs: 0,
  changedBody: false,
  error: null,
} as const;
