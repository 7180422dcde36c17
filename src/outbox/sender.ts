import type { Headers } from "../event.ts";

/** A message, as one attempt sends it. */
export interface OutgoingMessage {
  /** The same at each attempt. */
  readonly id: string;
  /** Counts from 1. */
  readonly attempt: number;
  /** `event`: a delivery is sent on. `enqueued`: a handler or the application made it. */
  readonly kind: "event" | "enqueued";
  /** Empty if another process enqueued it. */
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  /** Unix milliseconds: of the event's first receipt, or when it was enqueued. */
  readonly receivedAt: number;
  /** Lower-case names; secrets are replaced by REDACTED. */
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The payload as JSON text, for `{body:…}`; null if it has none. */
  readonly payloadJson: string | null;
}

/** What became of one attempt. */
export interface AttemptResult {
  /**
   * `gone`: the receiver wants no more (410). `hopeless`: no later attempt can succeed. `interrupted`: hookonce
   * is stopping.
   */
  readonly verdict: "delivered" | "failed" | "gone" | "hopeless" | "interrupted";
  /** The HTTP status or the exit code; null if there is none. */
  readonly status: number | null;
  readonly error: string | null;
  /** From Retry-After, in milliseconds from now. */
  readonly retryAfterMs: number | null;
  /** The first 4 kB of the answer, or the last 4 kB of the output. */
  readonly answer: string;
  readonly ms: number;
}

export interface Sender {
  /** Makes one attempt. Never rejects. */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<AttemptResult>;
}
