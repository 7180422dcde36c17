import { HookonceError, type ErrorCode } from "../errors.ts";
import type { Reply } from "../event.ts";
import type { Result } from "../inbox/incoming.ts";
import type { ReceivedBatch } from "../inbox/receive.ts";
import type { Provider } from "../providers/provider.ts";
import { statuses } from "./statuses.ts";

const JSON_HEADERS = { "content-type": "application/json" };
// A Headers is copied natively, 1 µs sooner than an object is read.
const OK = { headers: new Headers(JSON_HEADERS) };
const FAILED = { status: 500, headers: JSON_HEADERS };

/** In seconds. Soon enough for a full disk or a long write lock to be over, and no provider minds. */
const RETRY_AFTER = "5";

const MESSAGES = {
  processed: "Webhook received and processed",
  duplicate: "Event already processed",
  unhandled: "Webhook received",
  failed: "Internal Server Error",
} as const;

/** As its handler wants it, as its provider wants it, or as it usually is. */
export function answerReceived(received: Result, { answer }: Provider): Response {
  const { outcome, reply } = received;
  if (outcome === "failed") return new Response(outcomeJson(received), FAILED);
  if (reply !== null) return answerReply(reply);
  return answer === undefined ? new Response(outcomeJson(received), OK) : answerReply(replyOf(answer));
}

function outcomeJson({ outcome, eventId }: Result): string {
  return `{"status":"${outcome}","event_id":${JSON.stringify(eventId)},"message":"${MESSAGES[outcome]}"}`;
}

/** 500 when one of them failed, 400 when one could not be identified: the provider's retry finds the others done. */
export function answerBatch({ events }: ReceivedBatch, { answer }: Provider): Response {
  const failed = events.some((event) => !(event instanceof HookonceError) && event.outcome === "failed");
  const unknown = events.some((event) => event instanceof HookonceError);
  if (answer !== undefined && !failed && !unknown) return answerReply(replyOf(answer));
  const each = events.map((event) =>
    event instanceof HookonceError
      ? JSON.stringify({ status: "rejected", error: { code: event.code, message: event.message } })
      : outcomeJson(event),
  );
  return new Response(`{"status":"batch","events":[${each.join(",")}]}`, {
    status: failed ? 500 : unknown ? 400 : 200,
    headers: JSON_HEADERS,
  });
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

/**
 * The code and its message; of anything unknown no more than that it happened.
 *
 * @param empty for a provider that wants no body in a refusal
 */
export function answerError(error: unknown, extra: Record<string, string> = {}, empty = false): Response {
  const known = error instanceof HookonceError ? statuses[error.code] : undefined;
  const [status, code, message] =
    known === undefined
      ? [500, "internal" satisfies ErrorCode, "Internal Server Error"]
      : [known, (error as HookonceError).code, (error as HookonceError).message];
  const headers = { ...JSON_HEADERS, ...(status === 503 ? { "retry-after": RETRY_AFTER } : {}), ...extra };
  return new Response(empty ? null : JSON.stringify({ error: { code, message } }), { status, headers });
}
