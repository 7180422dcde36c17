import type { Database } from "bun:sqlite";
import { closeSync, fsyncSync, openSync, readSync, realpathSync, writeSync } from "node:fs";

/** How long a reader or a writer in another process may delay the move, in milliseconds. */
const WAIT_MS = 1000;

const PIECE = 1024 * 1024;

/**
 * Makes sure that everything in the log is on the disk, before the first delivery is answered. Data of an
 * earlier process may be only in the kernel's memory: after a failed fsync, Linux treats the pages as clean,
 * and a later fsync succeeds without them. A power cut then breaks the log at that place, and everything
 * behind it is lost.
 *
 * So the log is moved into the database, which SQLite syncs, and restarted. If a reader in another process
 * holds back a part of it, the log is written again in place, and synced.
 *
 * @returns whether the log is empty now
 * @throws SQLiteError, NodeJS.ErrnoException
 */
export function moveLog(connection: Database): boolean {
  const [timeout] = connection.query("pragma busy_timeout").values()[0] as [number];
  connection.run(`pragma busy_timeout = ${WAIT_MS}`);
  const [busy] = connection.query("pragma wal_checkpoint(truncate)").values()[0] as [number];
  connection.run(`pragma busy_timeout = ${timeout}`);
  if (busy === 0) return true;
  // No other process can write to the log during this transaction.
  connection.run("begin immediate");
  try {
    writeAgain(`${realpathSync(connection.filename)}-wal`);
  } finally {
    connection.run("rollback");
  }
  return false;
}

/** SQLite has no lock on the log, so its file may be opened and closed here. */
function writeAgain(path: string): void {
  const descriptor = openSync(path, "r+");
  try {
    const piece = Buffer.allocUnsafe(PIECE);
    for (let position = 0; ;) {
      const length = readSync(descriptor, piece, 0, PIECE, position);
      if (length === 0) break;
      for (let done = 0; done < length;)
        done += writeSync(descriptor, piece, done, length - done, position + done);
      position += length;
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
