import type { KeptAttempt, ListedMessage, MessageDetail as StoredMessage } from "../../engines/outbox.ts";
import type { OutboxView } from "../../outbox/view.ts";
import type { AdminInbox } from "./inbox.ts";
import type { AttemptJson, MessageDetail, MessageJson } from "./message-shapes.ts";

/** What is stored of messages, as the API answers it. */

/** @param live what a running `serve` sends now. Only a command's message is stored as `sending` */
export function messageJson(message: ListedMessage, live: Pick<OutboxView, "isSending"> | null): MessageJson {
  const { id, destination, source, eventId, type, attempts, createdAt, lastStatus, lastError } = message;
  const isSending = message.nextAt !== null && live?.isSending(message.row) === true;
  return {
    id,
    destination,
    source,
    event_id: eventId,
    type,
    state: isSending ? "sending" : message.state,
    attempts,
    created_at: createdAt,
    next_at: isSending ? null : message.nextAt,
    last_status: lastStatus,
    last_error: lastError,
  };
}

export function messageDetailJson(
  message: StoredMessage,
  { outbox, destinations }: Pick<AdminInbox, "outbox" | "destinations">,
): MessageDetail {
  return {
    ...messageJson(message, outbox),
    kind: destinations.find(({ name }) => name === message.destination)?.kind ?? null,
    settled_at: message.settledAt,
    reason: message.reason,
    timeline: message.kept.map(attemptJson),
  };
}

function attemptJson({ number, at, ms, status, error, answer }: KeptAttempt): AttemptJson {
  return { number, at, ms, status, error, answer };
}
