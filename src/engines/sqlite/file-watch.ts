import type { Database } from "bun:sqlite";
import { fstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { HookonceError, withCode } from "../../errors.ts";
import { watchContent, type ContentWatch } from "./content-watch.ts";
import { descriptorsOf, OPEN_FILES } from "./descriptors.ts";
import { watchIndexLock } from "./index-lock.ts";

/** Checks whether the files that SQLite has open are still at their paths, and contain what it wrote. */
export interface FileWatch {
  /**
   * Takes about 25 µs for each batch of deliveries. Call it after the sync and before the answer. A file that
   * is in place then contains what is answered.
   *
   * @throws HookonceError `database_moved`, which names every file that is gone, replaced or overwritten;
   *   `database_unlocked`. The process must end.
   */
  check(): void;
  /**
   * Takes 2 µs. Call it before a commit, which may restart the log: then the database cannot be compared with it
   * any more.
   *
   * @throws HookonceError `database_moved`, which names every file that was overwritten
   */
  checkContents(): void;
  /**
   * Takes 3 µs. Call it when code of the user has run.
   *
   * @throws HookonceError `database_unlocked`: it has dropped SQLite's locks. The process must end.
   */
  checkLock(): void;
  /**
   * Returns the error that `check` throws, or else the given one. Without its files, SQLite reports only a
   * disk I/O error.
   */
  explain(error: unknown): unknown;
  /** From now on the files are closed, and may be gone. */
  end(): void;
}

interface WatchedFile {
  readonly name: string;
  /** As configured, so that a symbolic link that leads to another file is noticed. */
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
}

/**
 * `empty`: replaced by an empty file, as SQLite makes one if a connection is opened after its log is gone.
 */
type State = "in place" | "gone" | "empty" | "replaced";

/**
 * SQLite continues to write to files that were removed, moved or replaced, without an error. Everything in
 * them is lost when the process ends. Another process can also delete the log: a handler that opens and
 * closes the database file itself drops SQLite's locks, so the next process that closes the database believes
 * that it is the last one
 * (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
 *
 * @param connection the writer's, in WAL mode
 */
export function watchFiles(connection: Database): FileWatch {
  // On Windows, open files cannot be removed or moved.
  if (process.platform === "win32")
    return {
      check: () => {},
      checkContents: () => {},
      checkLock: () => {},
      explain: (error) => error,
      end: () => {},
    };
  // SQLite opens the log in the first transaction.
  connection.query("select 1 from sqlite_schema").values();
  const realPath = realpathSync(connection.filename);
  const database = watched("database", connection.filename);
  const log = watched("write-ahead log", `${realPath}-wal`);
  // Without the index of the log, other processes create a new one, and both write to the same places.
  const index = watched("index of the write-ahead log", `${realPath}-shm`);
  const [descriptor] = descriptorsOf(realPath);
  const [ofLog] = descriptorsOf(log.path);
  const [ofIndex] = descriptorsOf(index.path);
  // Without /proc, only the paths are checked.
  const content =
    descriptor === undefined || ofLog === undefined || ofIndex === undefined
      ? undefined
      : watchContent({ database: descriptor, log: ofLog, index: ofIndex });
  const lock = ofIndex === undefined ? undefined : watchIndexLock(ofIndex);
  let failed: HookonceError | undefined;
  let ended = false;

  function look(): HookonceError | undefined {
    return lookAtPaths() ?? lookAtLock() ?? lookAtContents("look");
  }

  function lookAtPaths(): HookonceError | undefined {
    const problems = [database, log, index].flatMap((file) => {
      const state = stateOf(file);
      const what = state !== "empty" ? state : file === log ? "gone" : "replaced";
      return what === "in place" ? [] : [`the ${file.name} ${file.path} is ${what}`];
    });
    if (problems.length === 0) return undefined;
    const saved = saveLog(connection, { realPath, descriptor, database, log, index });
    return moved(
      `files of the database were removed, moved or replaced: ${problems.join("; ")}`,
      saved
        ? "All events answered so far are in the database file that was open."
        : "Events answered recently may be only in the files that were open.",
    );
  }

  function lookAtLock(): HookonceError | undefined {
    if (lock === undefined || lock.isHeld()) return undefined;
    return new HookonceError(
      "database_unlocked",
      `A handler, or code that it uses, opened and closed ${index.path}. That dropped SQLite's locks, so another process could damage the database. Change the handler so that it does not read the files of the database. To copy the database, run hookonce backup.`,
    );
  }

  function lookAtContents(how: keyof ContentWatch): HookonceError | undefined {
    const problems = unexpected(how);
    if (problems.length === 0) return undefined;
    return moved(
      `another program wrote to files of the database: ${problems.join("; ")}`,
      "Events answered recently may be lost.",
    );
  }

  function unexpected(how: keyof ContentWatch): string[] {
    try {
      const named = { database, log };
      return (content?.[how]() ?? []).map((which) => {
        const { name, path } = named[which];
        return `the ${name} ${path} was truncated or overwritten`;
      });
    } catch (error) {
      return [`they can no longer be read (${withCode(error)})`];
    }
  }

  return {
    check() {
      failed ??= look();
      if (failed !== undefined) throw failed;
    },
    checkContents() {
      failed ??= lookAtContents("lookIfWritten");
      if (failed !== undefined) throw failed;
    },
    checkLock() {
      failed ??= lookAtLock();
      if (failed !== undefined) throw failed;
    },
    explain: (error) => (ended ? error : ((failed ??= look()) ?? error)),
    end() {
      ended = true;
      lock?.close();
    },
  };
}

function moved(what: string, kept: string): HookonceError {
  return new HookonceError(
    "database_moved",
    `While hookonce served, ${what}. ${kept} Stop hookonce before you touch them.`,
  );
}

function watched(name: string, path: string): WatchedFile {
  const { dev, ino } = statSync(path, { bigint: true });
  return { name, path, device: dev, inode: ino };
}

function stateOf({ path, device, inode }: WatchedFile, at = path): State {
  try {
    const found = statSync(at, { bigint: true, throwIfNoEntry: false });
    if (found === undefined) return "gone";
    if (found.ino === inode && found.dev === device) return "in place";
    return found.size === 0n ? "empty" : "replaced";
  } catch {
    return "gone"; // for example, its folder can no longer be entered
  }
}

interface OpenFiles {
  readonly realPath: string;
  /** Undefined without /proc. */
  readonly descriptor: number | undefined;
  readonly database: WatchedFile;
  readonly log: WatchedFile;
  readonly index: WatchedFile;
}

/**
 * How often to try while a pass of the checkpoint thread is under way, and how long to wait between tries.
 */
const TRIES = 20;
const BETWEEN_TRIES_MS = 50;

/**
 * Moves what is in the open log into the open database file and empties the log. If only the log was removed,
 * the database then contains everything that was answered. If the database was moved, the moved file contains
 * it. If the database was deleted or replaced, the log beside its path is left empty, so it cannot get into
 * the next database at that path.
 *
 * @returns whether all committed data is in files that still have a name
 */
function saveLog(connection: Database, files: OpenFiles): boolean {
  const { realPath, descriptor, database, log } = files;
  if (stateOf(database, realPath) === "in place" && stateOf(log) === "in place") return true;
  try {
    const open = descriptor === undefined ? undefined : fstatSync(descriptor, { bigint: true });
    const deleted = open?.ino === database.inode && open.nlink === 0n;
    if (!deleted && isInUse(files)) return false;
    connection.run("pragma synchronous = full");
    return moveAll(connection) && !deleted;
  } catch {
    // The reported error already says what happened to the files.
    return false;
  }
}

/**
 * Whether another process may have opened the database with another log or another index. Its pages must not
 * be overwritten.
 */
function isInUse({ realPath, descriptor, database, log, index }: OpenFiles): boolean {
  const inPlace = stateOf(database, realPath) === "in place";
  const path = inPlace ? realPath : descriptor === undefined ? undefined : pathOf(descriptor);
  if (path === undefined) return true;
  if (stateOf(log, `${path}-wal`) === "replaced") return true;
  const state = stateOf(index, `${path}-shm`);
  // In place without an index: a process that closed the database has deleted it, and others may have written
  // since.
  return state === "replaced" || (inPlace && state === "gone");
}

/** Linux keeps this link up to date when the file is moved. */
function pathOf(descriptor: number): string {
  return readlinkSync(`${OPEN_FILES}/${descriptor}`);
}

function moveAll(connection: Database): boolean {
  // Rows of [busy, pages in the log, pages moved]. A reader keeps the log from being emptied, not from being
  // moved.
  for (let tried = 0; tried < TRIES; tried++) {
    if (tried > 0) Bun.sleepSync(BETWEEN_TRIES_MS);
    const [row] = connection.query("pragma wal_checkpoint(truncate)").values() as [number, number, number][];
    if (row !== undefined && (row[0] === 0 || row[1] === row[2])) return true;
  }
  return false;
}
