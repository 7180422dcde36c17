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
  /** How many are being written. */
  let writing = 0;
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
      writing = batch.length;
      try {
        await write(batch.map(({ entry }) => entry));
        for (const { resolve } of batch) resolve();
        most = Math.min(most * 2, MOST);
      } catch (error) {
        pending = batch.length === 1 ? [...pending, ...batch] : [...batch, ...pending];
        if (most === MOST)
          log.warn(
            { cause: messageOf(error) },
            "results of attempts could not be recorded, and are kept in memory until they can",
          );
        most = 1;
        writing = 0;
        await pause();
      }
    }
    writing = 0;
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
      return pending.length + writing;
    },
  };
}
