import type { Database } from "bun:sqlite";
import { fsync, fsyncSync, realpathSync } from "node:fs";
import { HookonceError, messageOf } from "../../errors.ts";
import { descriptorsOf } from "./descriptors.ts";
import { readPragma, setPragma } from "./open.ts";

/**
 * Puts on the disk all that has been committed by now.
 *
 * @throws HookonceError `storage_failed`: the file can no longer be trusted in this process (a retried fsync can falsely succeed)
 */
export interface LogSync {
  /** In a thread. */
  readonly beside: () => Promise<void>;
  /** Here and now: sooner, when there is nothing else to do meanwhile. */
  readonly now: () => void;
}

/**
 * With `synchronous=FULL` COMMIT waits for the disk, and the whole process with it: 0.7 to 1 ms a batch, a fifth of all time. This takes
 * that fsync of the write-ahead log out of COMMIT, for the writer to wait for before it answers anybody, while the next deliveries are
 * read, verified and committed. Nothing else changes: SQLite syncs the log itself before each checkpoint and when it starts it anew.
 *
 * It is SQLite's own descriptor that is synced. Opening one of its files beside it, and closing that, could drop its locks.
 *
 * @returns undefined where COMMIT stays durable by itself: the descriptor cannot be told for certain (no /proc), or FULL was not set
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
  // SQLite opens it with the first transaction.
  connection.query("select 1 from sqlite_schema").values();
  const found = descriptorsOf(`${realpathSync(connection.filename)}-wal`);
  // Another connection's would do as well, but only until that is closed.
  return found.length === 1 ? found[0] : undefined;
}

function failed(cause: unknown): HookonceError {
  return new HookonceError("storage_failed", `The write-ahead log cannot be synced: ${messageOf(cause)}`, {
    cause,
  });
}
