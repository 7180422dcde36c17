import type { Entry } from "../engines/records.ts";
import { messageOf } from "../errors.ts";
import type { OutboxLog } from "./log.ts";

/** Writes entries in one transaction. Resolves once they are durable. */
export type WriteEntries = (entries: readonly Entry[]) => Promise<void>;

/**
 * Writes the results of attempts, many in a transaction. A result that cannot be written now, for example because
 * the disk is full, is kept and written later: a message whose result is lost would be sent again.
 */
export interface Recorder {
  /** Resolves once the entry is durable. Never rejects; never resolves if a stop gives it up. */
  record(entry: Entry): Promise<void>;
  /** Forgets entries that could not be written yet. */
  drop(isDropped: (entry: Entry) => boolean): void;
  /**
   * Resolves when all is written, or after this time.
   *
   * @returns how many entries are given up
   */
  end(withinMs: number): Promise<number>;
}

/** How many entries are written at a time. A delivery waits for them: 256 take 5 ms. */
const MOST = 256;

/** How long to wait after a refusal, in milliseconds. */
const AFTER_REFUSAL_MS = 1000;

interface Pending {
  readonly entry: Entry;
  readonly resolve: () => void;
}

export function createRecorder(
  write: WriteEntries,
  log: OutboxLog,
  afterRefusalMs = AFTER_REFUSAL_MS,
): Recorder {
  let pending: Pending[] = [];
  /** Those that are being written. */
  let writing: readonly Pending[] = [];
  const dropped = new WeakSet<Entry>();
  /** After a refusal, entries are written one by one, so that a bad entry does not hold up the others. */
  let most = MOST;
  let isRunning = false;
  let ended = false;
  let wakeUp: (() => void) | undefined;
  let idle: PromiseWithResolvers<void> | undefined;

  async function writeAll(): Promise<void> {
    if (isRunning) return;
    isRunning = true;
    while (pending.length > 0) {
      if (ended) break;
      const batch = pending.slice(0, most);
      pending = pending.slice(batch.length);
      writing = batch;
      try {
        await write(batch.map(({ entry }) => entry));
        for (const { resolve } of batch) resolve();
        most = Math.min(most * 2, MOST);
      } catch (error) {
        const kept = batch.filter(({ entry }) => !dropped.has(entry));
        pending = kept.length === 1 ? [...pending, ...kept] : [...kept, ...pending];
        if (most === MOST)
          log.warn(
            { cause: messageOf(error) },
            "results of attempts could not be recorded, and are kept in memory until they can",
          );
        most = 1;
        writing = [];
        await pause();
      }
    }
    writing = [];
    isRunning = false;
    idle?.resolve();
  }

  function pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, afterRefusalMs);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return {
    record(entry) {
      const { promise, resolve } = Promise.withResolvers<void>();
      pending.push({ entry, resolve });
      void writeAll();
      return promise;
    },
    drop(isDropped) {
      for (const { entry } of [...writing, ...pending]) if (isDropped(entry)) dropped.add(entry);
      pending = pending.filter(({ entry }) => !dropped.has(entry));
    },
    async end(withinMs) {
      if (isRunning) {
        idle = Promise.withResolvers<void>();
        // Try once more: there may be room by now.
        wakeUp?.();
        const timer = setTimeout(() => {
          ended = true;
          wakeUp?.();
          idle?.resolve();
        }, withinMs);
        await idle.promise;
        clearTimeout(timer);
      }
      ended = true;
      return pending.length + writing.length;
    },
  };
}
