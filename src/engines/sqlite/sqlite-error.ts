import { SQLiteError } from "bun:sqlite";
import { HookonceError, messageOf, type ErrorCode } from "../../errors.ts";

// Primary result codes, https://sqlite.org/rescode.html
const BUSY = 5;
const LOCKED = 6;
const NOMEM = 7;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;
// SQLite could not enlarge the -shm file: the disk is full, which says nothing against the database.
const IOERR_SHMSIZE = 4874;
const READONLY_DBMOVED = 1032;
// A virtual table (FTS5) says so of its own shadow tables, and of an integrity-check that a handler asked for.
const CORRUPT_VTAB = 267;

/** What an error of SQLite's means for whoever is about to answer a delivery. */
export type Trouble =
  /** The statement was wrong or broke a rule of the schema: the handler's fault. */
  | "statement"
  /** Another connection has the write lock. */
  | "busy"
  | "full"
  | "memory"
  /** The file can no longer be trusted in this process (a retried fsync can falsely succeed): exit, recover on restart. */
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

/** The refusal to answer with, for trouble that is nobody's event's fault. */
export function unavailable(trouble: Exclude<Trouble, "statement">, cause: unknown): HookonceError {
  switch (trouble) {
    case "busy":
      return new HookonceError(
        "database_locked",
        "Another process holds the database's write lock; try again.",
        { cause },
      );
    case "full":
      return new HookonceError(
        "disk_full",
        "The disk is full: nothing was recorded; free some room and the retry goes through.",
        {
          cause,
        },
      );
    case "memory":
      return new HookonceError(
        "out_of_memory",
        "SQLite ran out of memory: nothing was recorded; try again.",
        { cause },
      );
    case "fatal":
      return new HookonceError("storage_failed", `The database cannot be written: ${messageOf(cause)}`, {
        cause,
      });
  }
}

/**
 * Does what a start does with the database at `path`. What SQLite then says of the database becomes the start's refusal.
 *
 * @throws HookonceError `database_locked`, `disk_full`, `out_of_memory`, `database_unusable`, and what `work` throws
 */
export function refusingStart<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof SQLiteError)) throw cause;
    const [code, message] = whyRefused(cause, path);
    throw new HookonceError(code, message, { cause });
  }
}

function whyRefused(error: SQLiteError, path: string): [ErrorCode, string] {
  switch (troubleOf(error)) {
    case "busy":
      return [
        "database_locked",
        `Another process holds the write lock of ${path}: end its transaction, then start again.`,
      ];
    case "full":
      return ["disk_full", `The disk with ${path} is full: free some room, then start again.`];
    case "memory":
      return ["out_of_memory", `SQLite ran out of memory over ${path}: start again.`];
    case "fatal":
    case "statement":
      return [
        "database_unusable",
        `The database ${path} cannot be used: ${error.message}. Whoever runs hookonce must be able to write the file and the folder it is in.`,
      ];
  }
}
