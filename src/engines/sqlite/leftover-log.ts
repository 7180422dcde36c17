import { Database, constants } from "bun:sqlite";
import { closeSync, openSync, readSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { descriptorsOf } from "./descriptors.ts";
import { readMark } from "./log-mark.ts";

/**
 * A database that replaced another one, for example a restored backup, may have the other one's write-ahead
 * log beside it, if that one was not closed cleanly. A log does not say to which database it belongs. SQLite
 * would write its pages into the restored database, which would bring back the old events or damage the file.
 */

/**
 * The header of a log. A log with only its header changes nothing.
 * https://sqlite.org/fileformat2.html#walformat
 */
const LOG_HEADER_BYTES = 32;

export function hasEntries(log: string): boolean {
  return (statSync(log, { throwIfNoEntry: false })?.size ?? 0) > LOG_HEADER_BYTES;
}

/** The first bytes of a database file, and the position that shows whether it is in WAL mode. */
const FILE_HEADER = "SQLite format 3\0";
const READ_VERSION = 19;
const WAL = 2;

/**
 * Whether the log beside a database belongs to another one. It does in each of these cases:
 *
 * - The database is empty.
 * - The file is not in WAL mode. SQLite marks the file before it makes a log, and deletes the log before it
 *   removes the mark. Copies by VACUUM INTO are not in WAL mode.
 * - The mark in the file is not one from which the log can continue (log-mark.ts).
 */
export function hasForeignLog(path: string): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return false;
  const realPath = realpathSync(path);
  if (!hasEntries(`${realPath}-wal`)) return false;
  if (size === 0) return true;
  // This process has the log open, so it is in use. Opening and closing the file again would drop SQLite's
  // locks.
  if (descriptorsOf(`${realPath}-wal`).length > 0) return false;
  const header = readHeader(realPath);
  if (header.toString("latin1", 0, FILE_HEADER.length) !== FILE_HEADER) return false;
  return header[READ_VERSION] !== WAL || hasOtherMark(realPath);
}

function readHeader(realPath: string): Buffer {
  const header = Buffer.alloc(100);
  // Closing a descriptor of the file would drop the locks of a connection in this process.
  const [open] = descriptorsOf(realPath);
  const descriptor = open ?? openSync(realPath, "r");
  try {
    readSync(descriptor, header, 0, header.length, 0);
  } finally {
    if (open === undefined) closeSync(descriptor);
  }
  return header;
}

function hasOtherMark(realPath: string): boolean {
  const inFile = markIn(() => openWithoutLog(realPath));
  const withLog = markIn(() => new Database(realPath, { readonly: true }));
  if (inFile === undefined || withLog === undefined) return false;
  if (withLog.needs !== undefined) return withLog.id !== inFile.id || inFile.count < withLog.needs;
  return withLog.id !== inFile.id && withLog.base !== inFile.id;
}

function markIn(open: () => Database): ReturnType<typeof readMark> {
  let connection: Database | undefined;
  try {
    connection = open();
    return readMark(connection);
  } catch {
    return undefined; // no hookonce table yet, or damaged
  } finally {
    connection?.close(true);
  }
}

/** Opens a database for reading, and ignores a log that belongs to another one. */
export function openToRead(path: string): Database {
  return hasForeignLog(path)
    ? openWithoutLog(realpathSync(path))
    : new Database(path, { readonly: true, strict: true });
}

/** `immutable` makes SQLite read the file alone: https://sqlite.org/uri.html#uriimmutable */
function openWithoutLog(realPath: string): Database {
  const uri = `${Bun.pathToFileURL(realPath).href}?immutable=1`;
  return new Database(uri, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI);
}

/**
 * Renames the log of another database. Call it before the database is opened, and under its lock.
 *
 * @param now Unix milliseconds
 * @returns the new path, or undefined if there is no such log
 */
export function setForeignLogAside(path: string, now: number): string | undefined {
  if (!hasForeignLog(path)) return undefined;
  const realPath = realpathSync(path);
  const aside = `${realPath}-wal.left-${new Date(now).toISOString().replaceAll(/[:.]/g, "-")}`;
  renameSync(`${realPath}-wal`, aside);
  rmSync(`${realPath}-shm`, { force: true });
  return aside;
}
