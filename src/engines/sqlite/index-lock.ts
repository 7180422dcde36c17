import { closeSync, openSync, readSync } from "node:fs";

/** Checks whether this process still has SQLite's lock on the index of the log (`-shm`). */
export interface IndexLock {
  /** Takes 3 µs. */
  isHeld(): boolean;
  close(): void;
}

/**
 * The byte that every process locks which has the index mapped: https://sqlite.org/walformat.html#locks calls
 * it the dead-man switch. A process that gets it exclusively truncates the index.
 */
const LOCKED_BYTE = 128;

/** The kernel shows locks on bytes that follow each other as one, as in `POSIX ADVISORY READ 7 fe:00:9 127 128`. */
const READ_LOCKS = / READ .* (\d+) (\d+)$/gm;

/** Large enough for all locks that one process can have on the index. */
const BYTES = 4096;

/**
 * If any code of this process opens the file and closes it, the kernel drops all locks that the process has on
 * it (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
 * The next process that opens the database truncates the index, and both write to the same places of the log.
 *
 * @param descriptor SQLite's own, of a connection that has read from the database
 * @returns undefined if the system does not show the lock
 */
export function watchIndexLock(descriptor: number): IndexLock | undefined {
  let info: number;
  try {
    info = openSync(`/proc/self/fdinfo/${descriptor}`, "r");
  } catch {
    return undefined;
  }
  const bytes = Buffer.alloc(BYTES);
  const lock: IndexLock = {
    isHeld() {
      const text = bytes.toString("latin1", 0, readSync(info, bytes, 0, BYTES, 0));
      return [...text.matchAll(READ_LOCKS)].some(
        ([, first, last]) => Number(first) <= LOCKED_BYTE && LOCKED_BYTE <= Number(last),
      );
    },
    close: () => closeSync(info),
  };
  if (lock.isHeld()) return lock;
  lock.close();
  return undefined;
}
