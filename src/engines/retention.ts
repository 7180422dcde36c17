import { HookonceError } from "../errors.ts";
import type { MaybePromise } from "./outbox.ts";

/** What retention removes, a step at a time. Ids, types, times, outcomes and results always stay. */

/** How long one step works, in milliseconds. One payload of 60 MiB may take longer. */
export const RETENTION_STEP_MS = 4;

/**
 * One step of retention. Each is whole by itself, so it may be interrupted at any moment. `after` is the position
 * that the previous step has reached; 0 is the beginning.
 */
export type RetentionStep =
  /**
   * Payloads that were received before a time, in the order stored. An unhandled event becomes `discarded`. Those of
   * open failures, of held events and of unsent messages stay.
   */
  | { readonly remove: "payloads"; readonly before: number; readonly after: number }
  /** The oldest payloads of a source, of at least so many bytes. Those of owed events stay. */
  | {
      readonly remove: "payloads of";
      readonly source: string;
      readonly bytes: number;
      readonly after: number;
    }
  /** The bodies of settled failures that were delivered last before a time. */
  | { readonly remove: "failure bodies"; readonly before: number; readonly after: number }
  /**
   * Messages that were delivered or discarded before a time, and dead ones that were given up before another. Null:
   * none.
   */
  | {
      readonly remove: "messages";
      readonly before: number | null;
      readonly deadBefore: number | null;
      readonly after: number;
    }
  /** Returns free pages to the disk. */
  | { readonly remove: "free pages"; readonly keepBytes: number; readonly after: number }
  /** Goes on counting the stored bytes of each source. */
  | { readonly remove: "nothing"; readonly after: number };

export interface RetentionJob {
  readonly kind: "retention";
  readonly step: RetentionStep;
  /** Unix milliseconds. */
  readonly at: number;
}

/** What a step has done. */
export interface Retained {
  /** How many payloads, messages or pages were removed. */
  readonly removed: number;
  /** How many bytes of payloads. */
  readonly bytes: number;
  /** How many unhandled events were discarded. */
  readonly discarded: number;
  /** The position that it has reached. */
  readonly position: number;
  /** Whether nothing follows that could be removed now. */
  readonly isEnd: boolean;
}

/** How many unhandled events retention has discarded so far. */
export interface DiscardedByRetention {
  readonly count: number;
  /** Unix milliseconds; null if there are none. */
  readonly lastAt: number | null;
}

/** How full the database is, in bytes. */
export interface Space {
  /** Without the free pages. If it is counted: what is counted of payloads and their headers so far. */
  readonly usedBytes: number;
  /** Whether the engine cannot tell what removed rows have left free, and counts what is stored. */
  readonly isCounted: boolean;
  /** What is free inside the file, and is used again. */
  readonly freeBytes: number;
  /** Whether free pages can be returned to the disk. */
  readonly canShrink: boolean;
}

export function payloadRemoved(eventId: string): HookonceError {
  return new HookonceError(
    "payload_removed",
    `The payload of the event "${eventId}" was removed by retention or by forget. Its id, type, time and outcome are kept.`,
  );
}

export interface RetentionReader {
  space(): MaybePromise<Space>;
  discardedByRetention(): MaybePromise<DiscardedByRetention>;
  /** How many bytes of payloads each source has stored, as far as they are counted, the most first. */
  storedBytes(): MaybePromise<readonly { readonly source: string; readonly bytes: number }[]>;
  /** Whether the payload of an event is stored. */
  hasPayload(source: string, eventId: string): MaybePromise<boolean>;
}
