import type { EventSource } from "../../engines/engine.ts";
import type {
  EventDetail as StoredEvent,
  FailureGroup as StoredGroup,
  KeptBody,
  ListedEvent,
  ListedFailure,
} from "../../engines/reader.ts";
import type {
  EventDetail,
  EventJson,
  FailureDetail,
  FailureGroup,
  FailureJson,
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

export function failureJson(failure: ListedFailure): FailureJson {
  return {
    source: failure.source,
    event_id: failure.eventId,
    type: failure.type,
    handler: failure.handler,
    code: failure.code,
    error: failure.error,
    attempts: failure.attempts,
    first_at: failure.firstAt,
    last_at: failure.lastAt,
  };
}

export function groupJson(group: StoredGroup): FailureGroup {
  return {
    source: group.source,
    handler: group.handler,
    code: group.code,
    error: group.error,
    count: group.count,
    types: group.types,
    first_at: group.firstAt,
    last_at: group.lastAt,
    latest_event_id: group.latestEventId,
  };
}

/**
 * @param source undefined if it is not in the config any more: then the body can only be read as JSON
 */
export function detailJson(
  event: StoredEvent,
  source: Pick<EventSource, "payloadOf"> | undefined,
): EventDetail {
  const { stored, changed, failure, timeline, changedBodies, reply, replays, reason } = event;
  return {
    ...eventJson(event),
    payload: stored === null ? null : payloadIn(stored, event.eventId, source),
    headers: stored?.headers ?? {},
    bytes: stored?.body.byteLength ?? null,
    timeline: timeline.map(({ at, number, outcome, changedBody }) => ({
      at,
      number,
      outcome,
      changed_body: changedBody,
    })),
    failure: failure === null ? null : failureDetail(failure),
    changed: changed === null ? null : storedJson(changed, event.eventId, source),
    changed_bodies: changedBodies,
    reply,
    replays,
    reason,
  };
}

function failureDetail(failure: NonNullable<StoredEvent["failure"]>): FailureDetail {
  return { ...failureJson(failure), stack: failure.stack, next_at: failure.nextAt };
}

function storedJson(
  body: KeptBody,
  eventId: string,
  source: Pick<EventSource, "payloadOf"> | undefined,
): StoredJson {
  return {
    received_at: body.receivedAt,
    payload: payloadIn(body, eventId, source),
    headers: body.headers,
    bytes: body.body.byteLength,
  };
}

/** A larger payload is not shown, because a browser cannot show it either. In bytes. */
const MAX_SHOWN = 4 * 1024 * 1024;

function payloadIn(
  stored: KeptBody,
  eventId: string,
  source: Pick<EventSource, "payloadOf"> | undefined,
): unknown {
  if (stored.body.byteLength > MAX_SHOWN) return null;
  const text =
    stored.element || source === undefined
      ? new TextDecoder().decode(stored.body)
      : source.payloadOf(stored, eventId)?.json;
  try {
    return typeof text === "string" ? parseExactly(text) : null;
  } catch {
    return null;
  }
}

/** In UTF-16 units. */
const LARGE = 64 * 1024;

/** JavaScript holds every number of fewer digits exactly. */
const MAY_BE_ROUNDED = /\d{16}/;

/**
 * Keeps numbers as they were written: an id of twenty digits must not be rounded. To ask for the text of each
 * number takes 150 ms per MiB, so in a large payload `1.50` becomes `1.5` if no number may be rounded.
 */
function parseExactly(text: string): unknown {
  if (text.length > LARGE && !MAY_BE_ROUNDED.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source
      ? rawJson(context.source)
      : value,
  );
}

/** TypeScript's library does not declare it yet. */
const rawJson = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON;
