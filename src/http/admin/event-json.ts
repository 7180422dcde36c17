import type { EventSource } from "../../engines/engine.ts";
import { whyForgotten } from "../../engines/forget.ts";
import type {
  EventDetail as StoredEvent,
  FailureGroup as StoredGroup,
  KeptBody,
  ListedEvent,
  ListedFailure,
  StackedFailure,
} from "../../engines/reader.ts";
import { hasTooManyParts } from "./json-size.ts";
import type {
  EventDetail,
  EventJson,
  FailureDetail,
  FailureGroup,
  FailureJson,
  MessageDetail,
  StoredJson,
} from "./shapes.ts";

/** What is stored, as the API answers it. */

export function eventJson(event: ListedEvent): EventJson {
  return {
    source: event.source,
    event_id: event.eventId,
    type: event.type,
    outcome: event.outcome,
    received_at: event.receivedAt,
    last_delivery_at: event.lastDeliveryAt,
    deliveries: event.deliveries,
    handler: event.handler,
    rows_changed: event.rowsChanged,
    duration_us: event.durationUs,
  };
}

/** The first line of a stack that is in the inbox folder, as `handlers/stripe/invoice.paid.ts:12`. */
function placeIn(stack: string | null | undefined): string | null {
  return /^\s*at .*?\b(handlers\/[\w./-]+:\d+)/m.exec(stack ?? "")?.[1] ?? null;
}

type Whole = Pick<StackedFailure, "error" | "stack">;

/** The beginning of a message, as lists have it. SQLite ends it at the first NUL. */
function beginOf(listed: string, whole: Whole | undefined): string {
  if (whole?.error.includes("\0") !== true) return listed;
  return Array.from(whole.error.slice(0, 2 * SHOWN))
    .slice(0, SHOWN)
    .join("");
}

/** How many characters of a message a list has. */
const SHOWN = 500;

/** @param whole undefined if it was settled meanwhile */
export function failureJson(failure: ListedFailure, whole: Whole | undefined): FailureJson {
  return {
    source: failure.source,
    event_id: failure.eventId,
    type: failure.type,
    handler: failure.handler,
    code: failure.code,
    error: beginOf(failure.error, whole),
    at: placeIn(whole?.stack),
    attempts: failure.attempts,
    first_at: failure.firstAt,
    last_at: failure.lastAt,
  };
}

/** @param whole its latest failure */
export function groupJson(group: StoredGroup, whole: Whole | undefined): FailureGroup {
  return {
    source: group.source,
    handler: group.handler,
    code: group.code,
    error: beginOf(group.error, whole),
    at: placeIn(whole?.stack),
    count: group.count,
    types: group.types,
    first_at: group.firstAt,
    last_at: group.lastAt,
    latest_event_id: group.latestEventId,
  };
}

/**
 * Everything that is stored of an event, as JSON text. A payload is in it as it was sent, so no number is
 * rounded: an id may have twenty digits.
 *
 * @param source undefined if it is not in the config any more: then the body can only be read as JSON
 * @param typePlace where the config says that the type is, in words
 * @param messages what is sent on because of it
 */
export function detailText(
  event: StoredEvent,
  source: Pick<EventSource, "payloadOf"> | undefined,
  typePlace: string | null,
  messages: readonly MessageDetail[],
): string {
  const payloads: string[] = [];
  // Nothing that was stored before can contain it.
  const mark = crypto.randomUUID();
  const detail = detailJson(event, { typePlace, messages }, (stored) => {
    const payload = payloadIn(stored, event.eventId, source);
    return payload === null ? null : `${mark}${payloads.push(payload) - 1}`;
  });
  return JSON.stringify(detail).replaceAll(
    new RegExp(`"${mark}(\\d)"`, "g"),
    (_, index: string) => payloads[Number(index)] ?? "null",
  );
}

function detailJson(
  event: StoredEvent,
  { typePlace, messages }: { readonly typePlace: string | null; readonly messages: readonly MessageDetail[] },
  payloadOf: (stored: KeptBody) => string | null,
): EventDetail {
  const { stored, changed, failure, timeline, changedBodies, earlier, reply, replays, reason } = event;
  const forgotten = stored === null ? whyForgotten(reason) : null;
  return {
    ...eventJson(event),
    payload: stored === null ? null : payloadOf(stored),
    headers: stored?.headers ?? {},
    type_missing_at: event.type === "" ? typePlace : null,
    bytes: stored?.body.byteLength ?? null,
    payload_removed: event.isRemoved,
    forgotten,
    values_redacted: event.redacted,
    timeline: timeline.map(({ at, number, outcome, changedBody }) => ({
      at,
      number,
      outcome,
      changed_body: changedBody,
    })),
    messages,
    settled: event.settled,
    failure: failure === null ? null : failureDetail(failure),
    changed: changed === null ? null : storedJson(changed, payloadOf(changed)),
    changed_bodies: changedBodies,
    earlier: earlier.map(({ receivedAt, deliveries }) => ({ received_at: receivedAt, deliveries })),
    reply,
    replays,
    reason: forgotten === null ? reason : null,
    same_as: event.sameAs,
  };
}

function failureDetail(failure: NonNullable<StoredEvent["failure"]>): FailureDetail {
  return {
    ...failureJson(failure, undefined),
    at: placeIn(failure.stack),
    stack: failure.stack,
    next_at: failure.nextAt,
    accepted_at: failure.acceptedAt,
  };
}

function storedJson(body: KeptBody, payload: string | null): StoredJson {
  return {
    received_at: body.receivedAt,
    payload,
    headers: body.headers,
    bytes: body.body.byteLength,
  };
}

/** A larger payload is not shown, because a browser cannot show it either. In bytes. */
const MAX_SHOWN = 4 * 1024 * 1024;

/** @returns JSON text in one line; null if there is none, or too much */
export function payloadIn(
  stored: KeptBody,
  eventId: string,
  source: Pick<EventSource, "payloadOf"> | undefined,
): string | null {
  if (stored.body.byteLength > MAX_SHOWN || hasTooManyParts(stored.body)) return null;
  const text =
    stored.element || source === undefined
      ? new TextDecoder().decode(stored.body)
      : source.payloadOf(stored, eventId)?.json;
  if (typeof text !== "string" || !isJson(text)) return null;
  // A string in JSON contains no line break, so each is between two values.
  return text.replaceAll(/[\r\n]\s*/g, "");
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
