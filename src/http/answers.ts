import { HookonceError, type ErrorCode } from "../errors.ts";
import type { Received } from "../inbox/receive.ts";
import { statuses } from "./statuses.ts";

const JSON_HEADERS = { "content-type": "application/json" };
const OK = { headers: JSON_HEADERS };
const FAILED = { status: 500, headers: JSON_HEADERS };

/** In seconds. Soon enough for a full disk or a long write lock to be over, and no provider minds. */
const RETRY_AFTER = "5";

const MESSAGES = {
  processed: "Webhook received and processed",
  duplicate: "Event already processed",
  unhandled: "Webhook received",
  failed: "Internal Server Error",
} as const;

export function answerOutcome({ outcome, eventId }: Pick<Received, "outcome" | "eventId">): Response {
  const body = `{"status":"${outcome}","event_id":${JSON.stringify(eventId)},"message":"${MESSAGES[outcome]}"}`;
  return new Response(body, outcome === "failed" ? FAILED : OK);
}

/** The code and its message; of anything unknown no more than that it happened. */
export function answerError(error: unknown, extra: Record<string, string> = {}): Response {
  const known = error instanceof HookonceError ? statuses[error.code] : undefined;
  const [status, code, message] =
    known === undefined
      ? [500, "internal" satisfies ErrorCode, "Internal Server Error"]
      : [known, (error as HookonceError).code, (error as HookonceError).message];
  const headers = { ...JSON_HEADERS, ...(status === 503 ? { "retry-after": RETRY_AFTER } : {}), ...extra };
  return new Response(JSON.stringify({ error: { code, message } }), { status, headers });
}
