import { SQLiteError } from "bun:sqlite";
import { HookonceError, withCode } from "../../errors.ts";
import { hasLittleSpace } from "./disk-space.ts";

// Primary result codes, https://sqlite.org/rescode.html
const BUSY = 5;
const LOCKED = 6;
const NOMEM = 7;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;
// SQLite could not enlarge the -shm file because the disk is full. The database itself is intact.
const IOERR_SHMSIZE = 4874;
const READONLY_DBMOVED = 1032;
// A virtual table (FTS5) reports this for its own shadow tables, and for an integrity-check that a handler
// ran.
const CORRUPT_VTAB = 267;

/** What a SQLite error means for the answer to a delivery. */
export type Trouble =
  /** The statement is wrong or violates the schema: the handler's fault. */
  | "statement"
  /** Another connection has the write lock. */
  | "busy"
  | "full"
  | "memory"
  /**
   * This process can no longer trust the file, because a retried fsync can falsely succeed. Exit and recover
   * at the next start.
   */
  | "fatal";

export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof SQLiteError)) return "statement";
  if (error.errno === IOERR_SHMSIZE) return "full";
  if (error.errno === READONLY_DBMOVED) return "fatal";
  if (error.errno === CORRUPT_VTAB) return "statement";
  switch (error.errno & 0xff) {
    case BUSY:
    case LOCKED:
      return "busy";
    case NOMEM:
      return "memory";
    case FULL:
      return "full";
    case IOERR:
    case CORRUPT:
    case CANTOPEN:
    case NOTADB:
      return "fatal";
    default:
      return "statement";
  }
}

/**
 * What an error of one of hookonce's own statements means: no handler is at fault. For example, another
 * program has dropped one of hookonce's tables.
 */
export function ownFailure(error: unknown): unknown {
  if (!(error instanceof SQLiteError) || troubleOf(error) !== "statement") return error;
  return new HookonceError(
    "storage_failed",
    "A statement of hookonce itself failed, so nothing was recorded. Has another program changed its tables?",
    { cause: error },
  );
}

export function isOwnFailure(error: unknown): error is HookonceError {
  return error instanceof HookonceError && error.code === "storage_failed";
}

/** The error to answer with if no event is at fault. */
export function unavailable(trouble: Exclude<Trouble, "statement">, cause: unknown): HookonceError {
  switch (trouble) {
    case "busy":
      return new HookonceError(
        "database_locked",
        "Another process holds the database's write lock. Try again later.",
        { cause },
      );
    case "full":
      return new HookonceError(
        "disk_full",
        "The disk is full, so nothing was recorded. Free some space, and the next retry succeeds.",
        {
          cause,
        },
      );
    case "memory":
      return new HookonceError(
        "out_of_memory",
        "SQLite ran out of memory, so nothing was recorded. Try again later.",
        { cause },
      );
    case "fatal":
      return new HookonceError(
        "storage_failed",
        `The database cannot be written: ${withCode(cause)}. Check the disk, then start hookonce again.`,
        {
          cause,
        },
      );
  }
}

/**
 * Runs a step of the start that uses the database at `path`. An error of SQLite or of the file system becomes
 * the error that refuses the start.
 *
 * @throws HookonceError `database_locked`, `disk_full`, `out_of_memory` or `database_unusable`. Other errors
 * of `work` pass through.
 */
export function refusingStart<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof SQLiteError) && !isFullAtStart(cause, path)) throw cause;
    throw refusalOf(
      cause,
      path,
      `The database ${path} cannot be used: ${withCode(cause)}. The user that runs hookonce must be able to write this file and its folder.`,
    );
  }
}

/**
 * The error that refuses a start.
 *
 * @param otherwise the message if the cause is neither a lock nor a lack of room: `database_unusable`
 */
export function refusalOf(cause: unknown, path: string, otherwise: string): HookonceError {
  if (isFullAtStart(cause, path)) {
    const message = `The disk that holds ${path} is full: ${withCode(cause)}. Free some space, then start again.`;
    return new HookonceError("disk_full", message, { cause });
  }
  switch (troubleOf(cause)) {
    case "busy": {
      const message = `Another process holds the write lock of ${path}: ${withCode(cause)}. End its transaction, then start again.`;
      return new HookonceError("database_locked", message, { cause });
    }
    case "memory": {
      const message = `SQLite ran out of memory while using ${path}: ${withCode(cause)}. Free some memory, then start again.`;
      return new HookonceError("out_of_memory", message, { cause });
    }
    case "full":
    case "fatal":
    case "statement":
      return new HookonceError("database_unusable", damage(cause, path) ?? otherwise, { cause });
  }
}

/** Whether the file is no database, or a damaged one. */
export function isDamage(cause: unknown): cause is SQLiteError {
  return cause instanceof SQLiteError && [CORRUPT, NOTADB].includes(cause.errno & 0xff);
}

function damage(cause: unknown, path: string): string | undefined {
  if (!isDamage(cause)) return undefined;
  if ((cause.errno & 0xff) === NOTADB)
    return `${path} is not a SQLite database: ${withCode(cause)}. If hookonce has used it, it is damaged: put a backup in its place. Or set database to another file.`;
  return `The database ${path} is damaged: ${withCode(cause)}. Stop everything that uses it, and move ${path}-wal and ${path}-shm away. If you have just put a backup in its place, that is all, because they belong to the database that was there before. Otherwise put a backup in its place.`;
}

/**
 * Whether a step of a start failed because the disk is full. If SQLite cannot make a file, it reports only
 * that the file cannot be opened.
 *
 * @param path of a file on that disk
 */
function isFullAtStart(error: unknown, path: string): boolean {
  const trouble = troubleOf(error);
  if (trouble !== "statement") return trouble === "full" || (trouble === "fatal" && hasLittleSpace(path));
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === "ENOSPC" || code === "EDQUOT";
}
