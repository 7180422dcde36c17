import type { Headers } from "../event.ts";
import type { EventSource, HandlerInput } from "./engine.ts";
import type { RecordedFailure, RecordedOutcome } from "./reader.ts";

/** What the statements of delivery-statements.ts return, by name. */

/**
 * In the table of deliveries, the row with this number is no delivery. It says when a job applied an event that
 * was owed, or closed it.
 */
export const SETTLED = 0;

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

/** The body that an event is run with. */
export interface StoredBody {
  readonly headersJson: string;
  readonly body: Uint8Array;
  /** Whether the body is the event's own part of a batch. */
  readonly element: boolean;
}

/** What is kept of a run that failed. */
export interface FailedRun extends StoredBody {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  /** Unix milliseconds. */
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
  /** How often hookonce itself has run it again, and when it does so next. */
  readonly retries: number;
  readonly nextAt: number | null;
  /** How many of its deliveries were answered 500, and when one was first answered 200. */
  readonly failedAnswers: number;
  readonly acceptedAt: number | null;
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
  const [
    type,
    handlerHash,
    code,
    error,
    deliveries,
    firstAt,
    lastAt,
    headersJson,
    body,
    element,
    retries,
    nextAt,
    failedAnswers,
    acceptedAt,
  ] = row as [
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
    number,
    number | null,
    number,
    number | null,
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
    element: Boolean(element),
    retries,
    nextAt,
    failedAnswers,
    acceptedAt,
  };
}

/** A retry of a failed event keeps the time at which the event was first received. */
export function withReceipt(input: HandlerInput, failure: OpenFailure | undefined): HandlerInput {
  return failure === undefined ? input : { ...input, receivedAt: failure.firstAt };
}

/** What a handler gets of a stored delivery. Undefined if the source finds no event with this id in it any more. */
export function storedInput(
  source: EventSource,
  { eventId, type, receivedAt }: Pick<RecordedEvent, "eventId" | "type" | "receivedAt">,
  { headersJson, body, element }: StoredBody,
): HandlerInput | undefined {
  const headers = JSON.parse(headersJson) as Headers;
  const payload = element
    ? { json: Buffer.from(body).toString() }
    : source.payloadOf({ headers, body }, eventId);
  if (payload === undefined) return undefined;
  return {
    id: eventId,
    type,
    source: source.name,
    receivedAt,
    payloadJson: payload.json,
    headersJson,
    body,
  };
}

/** Where a failure is in the order received: after the event with the id `place`, among those that failed there. */
export interface FailurePlace {
  readonly place: number;
  readonly failure: number;
}

/** A failed event that has not been applied since. */
export interface WaitingFailure extends RecordedFailure, FailurePlace {
  readonly eventId: string;
  readonly type: string;
}

export function waitingFailure(row: unknown[] | undefined): WaitingFailure | undefined {
  if (row === undefined) return undefined;
  const [place, failure, eventId, type, code, handlerHash] = row as [
    number,
    number,
    string,
    string,
    string,
    string | null,
  ];
  return { place, failure, eventId, type, code, handlerHash };
}
