import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { HookonceError, withCode } from "../../errors.ts";
import type { LockOptions, ServeLock } from "../store.ts";
import { lockFile, type FileLock } from "./file-lock.ts";
import { holderOf, lockFileOf, tellHolder, wantedFileOf } from "./lock-text.ts";
import { refuseLostDatabase } from "./lost-database.ts";
import { makePrivateFile, writePrivateFile } from "./private-file.ts";
import { realPath } from "./real-path.ts";
import { isDamage, refusalOf, troubleOf } from "./sqlite-error.ts";

/**
 * Allows one `serve` per database. Two locks are held for its whole life, and the kernel releases both
 * however the process ends:
 *
 * - an empty write transaction on a SQLite file beside the database. It works on every system;
 * - a lock on the database file itself (file-lock.ts). It works through every name and path of the file.
 *
 * The holder is named in a text file beside the lock file. A table in the lock file would have to survive
 * power cuts, because a damaged lock file would make every later start fail: four fsyncs of at least 0.5 ms
 * each, for a text that is only shown to the user.
 *
 * Makes the database file if it does not exist. The release removes a file to which nothing was written.
 *
 * @throws HookonceError `database_in_use`, `shutting_down`, `disk_full`, `database_unusable`,
 *   `database_missing`
 */
export async function lockDatabase(
  databasePath: string,
  options: LockOptions = {},
  about: Locked = DATABASE,
): Promise<ServeLock> {
  const database = realPath(databasePath);
  const path = lockFileOf(database);
  const lock = openLockFile(path);
  try {
    const named = { database, named: databasePath };
    const file = await untilLocked(() => tryLock(lock, database, about), named, options, about);
    held.add(lock);
    rmSync(wantedFileOf(database), { force: true });
    tellHolder(database, options.forCommand === true);
    return {
      isWanted: () => existsSync(wantedFileOf(database)),
      release() {
        file.release();
        held.delete(lock);
        lock.run("rollback");
        lock.close(true);
      },
    };
  } catch (error) {
    lock.close(true);
    throw error;
  }
}

/** What the file is whose use is locked. */
export interface Locked {
  /** Called under the first lock. @throws HookonceError why it must not be made */
  readonly refuse: (path: string) => void;
  readonly inUse: (named: string, holder: string) => string;
}

const DATABASE: Locked = {
  refuse: refuseLostDatabase,
  inUse: (named, holder) =>
    `The database ${named} is in use by another hookonce (${holder}). Stop that process, or set database to another file.`,
};

async function untilLocked(
  attempt: () => FileLock | undefined,
  { database, named }: { readonly database: string; readonly named: string },
  { onWait, signal, waitMs = 10_000 }: LockOptions,
  { inUse }: Locked,
): Promise<FileLock> {
  const deadline = performance.now() + waitMs;
  for (let told = false; ; told = true) {
    const locked = attempt();
    if (locked !== undefined) return locked;
    if (signal?.aborted === true) {
      throw new HookonceError(
        "shutting_down",
        "The start was cancelled while it waited for another hookonce to release the database.",
      );
    }
    const holder = holderOf(database);
    if (performance.now() >= deadline) {
      throw new HookonceError("database_in_use", inUse(named, holder));
    }
    if (!told) {
      onWait?.(holder);
      markWanted(database);
    }
    await Bun.sleep(50);
  }
}

function markWanted(database: string): void {
  try {
    writePrivateFile(wantedFileOf(database), "");
  } catch {
    // For example, the disk is full. Then the holder does not learn that this process waits.
  }
}

/**
 * Keeps the locks reachable: Bun closes a database when it is garbage-collected, which would release the
 * lock.
 */
const held = new Set<Database>();

function openLockFile(path: string): Database {
  return refusing(path, () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    makePrivateFile(path);
    const lock = new Database(path, { create: true, strict: true });
    lock.run("pragma busy_timeout = 0");
    return lock;
  });
}

/** @returns undefined if another process holds one of the two locks */
function tryLock(lock: Database, database: string, { refuse }: Locked): FileLock | undefined {
  if (!refusing(lock.filename, () => tryBegin(lock))) return undefined;
  try {
    // Before the second lock makes the file.
    refuse(database);
    const file = refusing(database, () => lockFile(database));
    if (file === undefined) lock.run("rollback");
    return file;
  } catch (error) {
    lock.run("rollback");
    throw error;
  }
}

function tryBegin(lock: Database): boolean {
  try {
    lock.run("begin immediate");
    return true;
  } catch (error) {
    if (troubleOf(error) === "busy") return false;
    if (!isDamage(error)) throw error;
    const message = `The lock file ${lock.filename} is damaged: ${withCode(error)}. Make sure that no hookonce uses the database, delete the file, and start again. It contains nothing.`;
    throw new HookonceError("database_unusable", message, { cause: error });
  }
}

/** @throws HookonceError `disk_full`, `database_unusable` instead of what `work` throws */
function refusing<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof HookonceError) throw cause;
    throw refusalOf(
      cause,
      path,
      `Cannot lock the database with ${path}: ${withCode(cause)}. The user that runs hookonce must be able to write this file and its folder.`,
    );
  }
}
