import { HookonceError, type ErrorCode } from "../errors.ts";
import type { Reply } from "../event.ts";
import type { Result } from "../engines/engine.ts";
import type { ReceivedBatch } from "../inbox/receive.ts";
import type { Provider } from "../providers/provider.ts";
import type { Source } from "../providers/source.ts";
import { statuses } from "./statuses.ts";

/** Ends each answer in JSON, so that curl leaves the prompt on a line by itself. */
const END = "\n";

const JSON_HEADERS = { "content-type": "application/json" };
// Bun copies a Headers object natively. Reading a plain object takes 1 µs longer.
const OK = { headers: new Headers(JSON_HEADERS) };
const FAILED = { status: 500, headers: JSON_HEADERS };

/** In seconds. A paused source stays paused for minutes. */
const RETRY_AFTER_PAUSE = "60";

/** In seconds. Enough for a full disk or a long write lock to clear, and soon enough for every provider. */
const RETRY_AFTER = "5";

const MESSAGES = {
  processed: "Webhook received and processed",
  duplicate: "Event already processed",
  unhandled: "Webhook received",
  ignored: "Webhook received",
  stale: "Webhook received",
  held: "Webhook received",
  imported: "Event already processed",
  discarded: "Event already processed",
  failed: "Internal Server Error",
} as const;

/**
 * The answer to a delivery of one event: the handler's reply, or `held_reply` if it is held. Or else the preset's own
 * answer, or else JSON with the outcome. A failure is 500 with JSON, unless the engine says that it is accepted.
 */
export function answerReceived(
  received: Result,
  { provider: { answer }, heldReply }: Pick<Source, "provider" | "heldReply">,
): Response {
  const reply = received.outcome === "held" ? heldReply : received.reply;
  if (isRefused(received)) return new Response(outcomeJson(received) + END, FAILED);
  if (reply !== null && reply !== undefined) return answerReply(reply);
  return answer === undefined ? new Response(outcomeJson(received) + END, OK) : answerReply(replyOf(answer));
}

/** Whether the provider is to deliver the event again. */
function isRefused({ outcome, isAccepted = false }: Result): boolean {
  return outcome === "failed" && !isAccepted;
}

function outcomeJson({ outcome, eventId, isAccepted = false }: Result): string {
  const message = isAccepted ? MESSAGES.unhandled : MESSAGES[outcome];
  return `{"status":"${outcome}","event_id":${JSON.stringify(eventId)},"message":"${message}"}`;
}

/**
 * The answer to a delivery of several events: 500 if one of them failed and is not accepted, 400 if one has no id or
 * type that can be read, and otherwise 200. After a 500 or 400 the provider delivers the whole batch again, and the
 * events that were processed are duplicates.
 */
export function answerBatch({ events }: ReceivedBatch, { answer }: Provider): Response {
  const failed = events.some((event) => !(event instanceof HookonceError) && isRefused(event));
  const unknown = events.some((event) => event instanceof HookonceError);
  if (answer !== undefined && !failed && !unknown) return answerReply(replyOf(answer));
  const each = events.map((event) =>
    event instanceof HookonceError
      ? JSON.stringify({ status: "rejected", error: { code: event.code, message: event.message } })
      : outcomeJson(event),
  );
  return new Response(`{"status":"batch","events":[${each.join(",")}]}${END}`, {
    status: failed ? 500 : unknown ? 400 : 200,
    headers: JSON_HEADERS,
  });
}

export function answerJson(body: object): Response {
  return new Response(JSON.stringify(body) + END, OK);
}

export function answerReply({ status, headers, body }: Reply): Response {
  return new Response(body === "" ? null : body, { status, headers });
}

function replyOf({ status, contentType, body }: NonNullable<Provider["answer"]>): Reply {
  return {
    status,
    headers: contentType === undefined ? {} : { "content-type": contentType },
    body: body ?? "",
  };
}

const publicMessage = ({ code, message }: HookonceError): string =>
  code === "database_unreachable"
    ? "The database cannot be used now, so nothing was recorded. The log of hookonce says why. Try again later."
    : message;

/**
 * The answer to an error: its code and message. An error that has no status in {@link statuses} is answered
 * 500 `internal` without any detail, because its message could contain a path or a secret. What a database server
 * says has names of hosts and users in it, so it is only in the log.
 *
 * @param extra more headers for the answer
 * @param empty true if the provider requires refusals to have no body
 */
export function answerError(error: unknown, extra: Record<string, string> = {}, empty = false): Response {
  const known = error instanceof HookonceError ? statuses[error.code] : undefined;
  const [status, code, message] =
    known === undefined
      ? [500, "internal" satisfies ErrorCode, "Internal Server Error"]
      : [known, (error as HookonceError).code, publicMessage(error as HookonceError)];
  const retryAfter = code === "source_paused" ? RETRY_AFTER_PAUSE : RETRY_AFTER;
  const headers = { ...JSON_HEADERS, ...(status === 503 ? { "retry-after": retryAfter } : {}), ...extra };
  return new Response(empty ? null : JSON.stringify({ error: { code, message } }) + END, { status, headers });
}
