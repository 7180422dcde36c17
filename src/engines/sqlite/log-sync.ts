import type { Database } from "bun:sqlite";
import { fsync, fsyncSync, realpathSync } from "node:fs";
import { HookonceError, messageOf } from "../../errors.ts";
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
  /** Runs the fsync in this thread: faster if there is nothing else to do meanwhile. */
  readonly now: () => void;
}

/**
 * Takes the fsync of the write-ahead log out of COMMIT. With `synchronous=FULL` COMMIT blocks the whole
 * process until the disk answers: 0.7 to 1 ms per batch, a fifth of all time. With this, the writer waits for
 * the fsync before it answers a delivery, and meanwhile the next deliveries are read, verified and committed.
 * Nothing else changes: SQLite still syncs the log before each checkpoint and when it restarts the log.
 *
 * The fsync uses SQLite's own descriptor. Opening and closing one of its files separately could drop SQLite's
 * locks.
 *
 * @returns undefined if COMMIT stays durable by itself: the descriptor cannot be found for certain (no
 * /proc), or `synchronous` is not FULL
 */
export function takeOverLogSync(connection: Database): LogSync | undefined {
  if (readPragma(connection, "synchronous") !== FULL) return undefined;
  const descriptor = findLog(connection);
  if (descriptor === undefined) return undefined;
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

function findLog(connection: Database): number | undefined {
  // SQLite opens the log with the first transaction.
  connection.query("select 1 from sqlite_schema").values();
  const found = descriptorsOf(`${realpathSync(connection.filename)}-wal`);
  // If several are open, one may belong to another connection. It would work only until that connection is
  // closed.
  return found.length === 1 ? found[0] : undefined;
}

function failed(cause: unknown): HookonceError {
  return new HookonceError(
    "storage_failed",
    `Cannot sync the write-ahead log: ${messageOf(cause)}. Check the disk; the next start recovers the log.`,
    {
      cause,
    },
  );
}
