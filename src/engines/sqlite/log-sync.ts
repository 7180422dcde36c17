import type { Database } from "bun:sqlite";
import { fsync, fsyncSync, realpathSync } from "node:fs";
import { HookonceError, withCode } from "../../errors.ts";
import { descriptorsOf } from "./descriptors.ts";
import { readPragma, setPragma } from "./open.ts";

/**
 * Syncs everything committed so far to the disk.
 *
 * @throws HookonceError `storage_failed`: this process can no longer trust the file, because a retried fsync
 * can falsely succeed
 */
export interface LogSync {
  /** Runs the fsync in another thread. */
  readonly beside: () => Promise<void>;
  /** Runs the fsync in this thread. This is faster if there is nothing else to do. */
  readonly now: () => void;
}

/**
 * Takes the fsync of the write-ahead log out of COMMIT. With `synchronous=FULL` COMMIT blocks the whole
 * process until the disk answers: 0.7 to 1 ms per batch, a fifth of the total time. With this, the writer
 * waits for the fsync before it answers a delivery, and meanwhile the next deliveries are read, verified and
 * committed. Nothing else changes: SQLite still syncs the log before each checkpoint and when it restarts the
 * log.
 *
 * The fsync uses SQLite's own descriptor. Opening and closing one of its files separately could drop SQLite's
 * locks.
 *
 * @returns the reason why COMMIT stays durable by itself: the descriptor is not certain (no /proc), or FULL
 *   was not set
 */
export function takeOverLogSync(connection: Database): LogSync | { readonly reason: string } {
  if (readPragma(connection, "synchronous") !== FULL) return { reason: "synchronous is not FULL" };
  const found = findLog(connection);
  // Another connection's descriptor would also work, but only until that connection is closed.
  const [descriptor] = found;
  if (descriptor === undefined || found.length > 1) {
    const count = found.length === 0 ? "no descriptor" : `${found.length} descriptors`;
    return { reason: `${count} of the write-ahead log found in /proc/self/fd, and exactly one is needed` };
  }
  setPragma(connection, "synchronous", NORMAL, "NORMAL");
  return {
    beside: () =>
      new Promise((resolve, reject) => {
        fsync(descriptor, (error) => {
          if (error === null) resolve();
          else reject(failed(error));
        });
      }),
    now() {
      try {
        fsyncSync(descriptor);
      } catch (error) {
        throw failed(error);
      }
    },
  };
}

const NORMAL = 1;
const FULL = 2;

function findLog(connection: Database): number[] {
  // SQLite opens the log with the first transaction.
  connection.query("select 1 from sqlite_schema").values();
  return descriptorsOf(`${realpathSync(connection.filename)}-wal`);
}

function failed(cause: unknown): HookonceError {
  return new HookonceError(
    "storage_failed",
    `Cannot sync the write-ahead log: ${withCode(cause)}. Check the disk. The next start recovers the log.`,
    {
      cause,
    },
  );
}
