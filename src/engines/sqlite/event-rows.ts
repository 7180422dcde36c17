import type { RecordedOutcome } from "../engine.ts";

/** What the statements of delivery-statements.ts return, by name. */

/** An event that is recorded already. */
export interface RecordedEvent {
  readonly id: number;
  readonly eventId: string;
  readonly type: string;
  readonly outcome: RecordedOutcome;
  readonly deliveries: number;
  /** Unix milliseconds, of the first delivery. */
  readonly receivedAt: number;
}

/** An event whose handler failed, and which has not been applied since. */
export interface OpenFailure {
  readonly type: string;
  /** Which version of the handler failed; null if none ran. */
  readonly handlerHash: string | null;
  readonly code: string;
  readonly error: string;
  readonly deliveries: number;
  /** Unix milliseconds, of the first and the latest delivery. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** The latest verified body and its headers, as JSON. */
  readonly headersJson: string;
  readonly body: Uint8Array;
  /** Whether the body is the event's own part of a batch. */
  readonly element: boolean;
}

export function recorded(row: unknown[] | undefined): RecordedEvent | undefined {
  if (row === undefined) return undefined;
  const [id, eventId, type, outcome, deliveries, receivedAt] = row as [
    number,
    string,
    string,
    RecordedOutcome,
    number,
    number,
  ];
  return { id, eventId, type, outcome, deliveries, receivedAt };
}

export function openFailure(row: unknown[] | undefined): OpenFailure | undefined {
  if (row === undefined) return undefined;
  const [type, handlerHash, code, error, deliveries, firstAt, lastAt, headersJson, body, element] = row as [
    string,
    string | null,
    string,
    string,
    number,
    number,
    number,
    string,
    Uint8Array,
    number,
  ];
  return {
    type,
    handlerHash,
    code,
    error,
    deliveries,
    firstAt,
    lastAt,
    headersJson,
    body,
    element: element === 1,
  };
}
