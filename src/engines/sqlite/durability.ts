import type { LogSync } from "./log-sync.ts";

/** Reports when committed data is on the disk. */
export interface Durability {
  /**
   * @param events how many were committed just now; 0 if nothing was written
   * @returns a promise that resolves once everything committed so far is on the disk
   */
  after(events: number): Promise<void>;
  /** Resolves when no sync is under way. */
  settled(): Promise<void>;
}

/** COMMIT itself waits for the disk. */
export const durableAtCommit: Durability = {
  after: () => Promise.resolve(),
  settled: () => Promise.resolve(),
};

/**
 * Syncs the write-ahead log after COMMIT, in another thread. Commits that are made while a sync is under way
 * share the next one, because only a sync that begins after a COMMIT makes it durable.
 */
export function createDurability(sync: LogSync): Durability {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  function begin(events: number): Promise<void> {
    // For a single event, a sync in this thread finishes earlier than one in another thread.
    const promise = events === 1 ? new Promise<void>((resolve) => resolve(sync.now())) : sync.beside();
    running = promise;
    const end = (): void => {
      if (running === promise) running = undefined;
    };
    promise.then(end, end);
    return promise;
  }

  return {
    after(events) {
      // What was read may still be on its way to the disk.
      if (events === 0) return next ?? running ?? Promise.resolve();
      if (running === undefined) return begin(events);
      next ??= running.then(() => {
        next = undefined;
        return begin(Number.POSITIVE_INFINITY);
      });
      return next;
    },
    async settled() {
      await (next ?? running)?.catch(() => {});
    },
  };
}
