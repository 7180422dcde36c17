/** How the API shows messages and destinations. Times are Unix milliseconds. This file has only types, as shapes.ts. */

export type MessageState = "waiting" | "sending" | "interrupted" | "delivered" | "dead" | "discarded";

export interface MessageJson {
  readonly id: string;
  readonly destination: string;
  /** Empty if another process enqueued it. */
  readonly source: string;
  readonly event_id: string;
  readonly type: string;
  readonly state: MessageState;
  /** How often it was sent. */
  readonly attempts: number;
  readonly created_at: number;
  /** When it is sent next; null if it is settled or being sent. */
  readonly next_at: number | null;
  /** The HTTP status or the exit code of the last attempt; null if it had none. */
  readonly last_status: number | null;
  readonly last_error: string | null;
}

export interface MessageDetail extends MessageJson {
  /** When it was delivered, given up or discarded. */
  readonly settled_at: number | null;
  /** Why it was discarded. */
  readonly reason: string | null;
  /** Of its destination; null if that is not in the config any more. */
  readonly kind: "url" | "command" | null;
  /** The latest ten attempts, the oldest first. */
  readonly timeline: readonly AttemptJson[];
}

export interface AttemptJson {
  /** Counts the attempts of the message from 1. */
  readonly number: number;
  readonly at: number;
  readonly ms: number;
  /** The HTTP status or the exit code; null if there was none. */
  readonly status: number | null;
  readonly error: string | null;
  /** The first 4 kB of the answer, or the last 4 kB of a command's output. */
  readonly answer: string;
}

export interface DestinationJson {
  readonly name: string;
  /** Null if it is not in the config any more. */
  readonly kind: "url" | "command" | null;
  /** The host of the URL, or the command; null if it is not in the config any more. */
  readonly target: string | null;
  /** `failing`: it has failed so often that it gets one message at a time. */
  readonly state: "open" | "paused" | "failing";
  /** Why it is paused, and since when. */
  readonly reason: string | null;
  readonly paused_since: number | null;
  readonly waiting: CappedCount;
  readonly sending: CappedCount;
  readonly dead: CappedCount;
  /** When the oldest message that waits was written; null if none waits. */
  readonly oldest_at: number | null;
  /** Delivered in the last 60 seconds. */
  readonly last_minute: CappedCount;
  readonly last_delivered_at: number | null;
  /** The last attempt that failed. */
  readonly last_failure: FailedAttempt | null;
}

/** At most 10,000 are counted, and of the last minute 500. */
export interface CappedCount {
  readonly count: number;
  /** Whether there may be more. */
  readonly capped: boolean;
}

export interface FailedAttempt {
  readonly at: number;
  readonly status: number | null;
  readonly error: string;
}
