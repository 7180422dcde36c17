import type { Headers } from "../event.ts";

export type { Forward } from "../providers/forward.ts";

/** What an engine stores of messages, and how it is read. */

export const MESSAGE_STATES = [
  "waiting",
  "sending",
  "interrupted",
  "delivered",
  "dead",
  "discarded",
] as const;

export type MessageState = (typeof MESSAGE_STATES)[number];

/**
 * The longest time that a message waits for its next attempt, in milliseconds. A time that lies further ahead was
 * set while the clock was wrong.
 */
export const LONGEST_WAIT_MS = 86_400_000;

/** An id that hookonce has given a message. Ids of other systems that begin with `msg_` are shorter. */
export const isMessageId = (id: string): boolean => /^msg_[a-z2-7]{52}$/.test(id);

/** A message whose time has come. */
export interface DueMessage {
  /** Its row, in the order written. */
  readonly row: number;
  /** Unix milliseconds: since when it is due. */
  readonly nextAt: number;
}

/** Everything that is needed to send a message once. */
export interface StoredMessage {
  readonly row: number;
  readonly id: string;
  readonly destination: string;
  /** Empty if another process enqueued it. */
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  /** Unix milliseconds: of the event's first receipt, or when it was enqueued. */
  readonly receivedAt: number;
  readonly state: MessageState;
  /** How often it was sent: in all, and since `since`. */
  readonly attempts: number;
  readonly tries: number;
  /** Unix milliseconds: when it was written, or sent again by somebody. */
  readonly since: number;
  /** What was enqueued. Null if the event itself is sent. */
  readonly enqueued: { readonly headers: Headers; readonly body: Uint8Array } | null;
  /** The delivery that brought its event. Null if nothing is stored of it any more, or if it was enqueued. */
  readonly delivery: {
    readonly headers: Headers;
    readonly body: Uint8Array;
    /** Whether the body is the event's own part of a batch, as JSON. */
    readonly element: boolean;
  } | null;
}

export interface ClaimOptions {
  /** Unix milliseconds. */
  readonly now: number;
  readonly destination: string;
  /** How many messages of the destination all processes together send at once. Undefined: any number. */
  readonly most: number | undefined;
}

/** The process that runs a command, so that it can be ended after a crash. */
export interface CommandRun {
  readonly pid: number;
  /** When the process started, as the system counts it. Null if the system does not say. */
  readonly startedAt: string | null;
  /** Null if the system does not say. */
  readonly bootId: string | null;
}

/** A message whose command was running when hookonce ended. */
export interface CutCommand {
  readonly row: number;
  readonly id: string;
  readonly destination: string;
  readonly attempts: number;
  /** Null if hookonce ended before it was recorded. */
  readonly run: CommandRun | null;
}

/** Which messages a list shows. */
export interface MessageFilter {
  readonly destination?: string | undefined;
  readonly state?: MessageState | undefined;
  readonly source?: string | undefined;
  readonly eventId?: string | undefined;
  /** As in a filter of events: exact, or with `*` at its end. */
  readonly type?: string | undefined;
  /** Unix milliseconds, of when it was written; `since` is included, `until` is not. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** A message in a list. */
export interface ListedMessage {
  readonly row: number;
  readonly id: string;
  readonly destination: string;
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly state: MessageState;
  readonly attempts: number;
  readonly createdAt: number;
  /** When it is sent next; null if it is settled. */
  readonly nextAt: number | null;
  readonly settledAt: number | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  /** Why it was discarded. */
  readonly reason: string | null;
}

export interface KeptAttempt {
  /** Counts the attempts of the message from 1. */
  readonly number: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly ms: number;
  /** The HTTP status or the exit code. */
  readonly status: number | null;
  readonly error: string | null;
  /** The first 4 kB of the answer, or the last 4 kB of the output. */
  readonly answer: string;
}

export interface MessageDetail extends ListedMessage {
  /** The latest ten, the oldest first. */
  readonly kept: readonly KeptAttempt[];
  readonly enqueued: StoredMessage["enqueued"];
}

/** How much a destination has. */
export interface DestinationDepth {
  readonly destination: string;
  readonly state: MessageState;
  readonly count: number;
  /** Whether there may be more. */
  readonly capped: boolean;
  /** When the oldest of those that were counted was written, in Unix milliseconds. */
  readonly oldestAt: number;
}

export interface PausedDestination {
  readonly destination: string;
  readonly reason: string | null;
  /** Unix milliseconds. */
  readonly since: number;
}

export type MaybePromise<T> = T | Promise<T>;

export interface OutboxReader {
  /**
   * Messages of a destination that are to be sent by now, the longest due first, and those whose time is more than
   * {@link LONGEST_WAIT_MS} ahead. Resolves once their events are
   * durable: after a power cut, a receiver would otherwise know of an event that hookonce does not.
   */
  dueMessages(destination: string, now: number, limit: number): MaybePromise<readonly DueMessage[]>;
  /** When the next message of a destination is to be sent; null if none waits. */
  nextDue(destination: string): MaybePromise<number | null>;
  /** How large the body of a message is. It reads no body. 0 if nothing is stored of it. */
  messageBytes(row: number): MaybePromise<number>;
  /** Undefined if it does not exist any more. */
  message(row: number): MaybePromise<StoredMessage | undefined>;
  /**
   * The same of a message that is due, for this process to send it. Until its result is recorded, no other process gets
   * it. Undefined if another one has it, "busy" if all processes together send enough to its destination.
   */
  claim(row: number, how: ClaimOptions): MaybePromise<StoredMessage | "busy" | undefined>;
  /** Gives back a message that was not sent. */
  release(row: number): MaybePromise<void>;
  /** Whether another process has inserted rows into the view `hookonce_outbox`. */
  hasEnqueued(): MaybePromise<boolean>;
  /** Messages that were being sent by a command when hookonce ended. */
  cutCommands(): MaybePromise<readonly CutCommand[]>;
  /** The newest first. A page looks at a limited number of rows, so it may hold fewer than `limit`. */
  messages(
    filter: MessageFilter,
    before: number | undefined,
    limit: number,
  ): MaybePromise<{ readonly items: readonly ListedMessage[]; readonly next: number | undefined }>;
  /** The same in the order written: those after one row, up to another. */
  messagesWritten(
    filter: MessageFilter,
    range: { readonly after: number; readonly until: number },
    limit: number,
  ): MaybePromise<{ readonly items: readonly ListedMessage[]; readonly next: number | undefined }>;
  /** These rows, the newest first. */
  listed(rows: readonly number[]): MaybePromise<readonly ListedMessage[]>;
  /** The row of the message that was written last; 0 if there is none. */
  lastMessage(): MaybePromise<number>;
  /** One for each destination that has this message: an id is unique within a destination. */
  messageDetails(id: string): MaybePromise<readonly MessageDetail[]>;
  /** The messages of an event, the oldest first; at most `limit`. */
  messagesOf(source: string, eventId: string, limit: number): MaybePromise<readonly MessageDetail[]>;
  /** How many messages are waiting, being sent, dead and discarded: at most `cap` of each. */
  depths(cap: number): MaybePromise<readonly DestinationDepth[]>;
  paused(): MaybePromise<readonly PausedDestination[]>;
}
