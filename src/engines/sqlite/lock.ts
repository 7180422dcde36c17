import { Database } from "bun:sqlite";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import { HookonceError, messageOf } from "../../errors.ts";
import { troubleOf } from "./sqlite-error.ts";

export interface ServeLock {
  readonly release: () => void;
  /** Whether another hookonce has begun to wait for this lock. */
  readonly isWanted: () => boolean;
}

interface LockOptions {
  /**
   * How long to wait for the other process to end, in milliseconds: at a restart the two overlap for a
   * moment.
   */
  waitMs?: number;
  onWait?: (holder: string) => void;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
}

/**
 * Allows one `serve` per database. The lock is an empty write transaction that stays open on a SQLite file
 * beside the database. The kernel releases it however the process ends. The holder is named in a text file
 * beside the lock file. A table in the lock file would have to survive power cuts, because a damaged lock
 * file would make every later start fail: four fsyncs of at least 0.5 ms each, for a text that is only shown
 * to the user.
 *
 * @throws HookonceError `database_in_use`, `shutting_down`
 */
export async function lockDatabase(databasePath: string, options: LockOptions = {}): Promise<ServeLock> {
  const path = `${realPath(databasePath)}.lock`;
  const deadline = performance.now() + (options.waitMs ?? 10_000);
  const lock = openLockFile(path);
  let told = false;
  while (!tryLock(lock)) {
    if (options.signal?.aborted === true) {
      lock.close(true);
      throw new HookonceError(
        "shutting_down",
        "The start was cancelled while it waited for another hookonce to release the database.",
      );
    }
    const holder = holderOf(path);
    if (performance.now() >= deadline) {
      lock.close(true);
      throw new HookonceError(
        "database_in_use",
        `The database ${databasePath} is in use by another hookonce (${holder}). Stop that process, or set database to another file.`,
      );
    }
    if (!told) {
      options.onWait?.(holder);
      markWanted(path);
    }
    told = true;
    await Bun.sleep(50);
  }
  held.add(lock);
  rmSync(wantedFile(path), { force: true });
  tellHolder(path);
  return {
    isWanted: () => existsSync(wantedFile(path)),
    release() {
      held.delete(lock);
      lock.run("rollback");
      lock.close(true);
    },
  };
}

/** A command that holds the lock looks for this file, and yields to a `serve` that starts. */
function wantedFile(path: string): string {
  return `${path}.wanted`;
}

function markWanted(path: string): void {
  try {
    writeFileSync(wantedFile(path), "");
  } catch {
    // For example on a full disk. Then the holder is not asked to hurry.
  }
}

/**
 * Resolves links, so that two names of one database share one lock. Before the first start a link may lead to a
 * database that does not exist yet.
 */
function realPath(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const link = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  // A loop of links would never end: let SQLite refuse it.
  return link && !isLoop(path) ? realPath(resolve(dirname(path), readlinkSync(path))) : path;
}

function isLoop(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ELOOP";
  }
}

/**
 * Keeps the locks reachable: Bun closes a database when it is garbage-collected, which would release the
 * lock.
 */
const held = new Set<Database>();

function openLockFile(path: string): Database {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const lock = new Database(path, { create: true, strict: true });
    lock.run("pragma busy_timeout = 0");
    return lock;
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, error: unknown): HookonceError {
  return new HookonceError(
    "database_unusable",
    `Cannot lock the database with ${path}: ${messageOf(error)}. The user that runs hookonce must be able to write this file and its folder.`,
    {
      cause: error,
    },
  );
}

function tryLock(lock: Database): boolean {
  try {
    lock.run("begin immediate");
    return true;
  } catch (error) {
    if (troubleOf(error) !== "busy") throw unusable(lock.filename, error);
    return false;
  }
}

function tellHolder(lockPath: string): void {
  try {
    writeFileSync(
      `${lockPath}.txt`,
      `process ${process.pid} on ${hostname()} since ${new Date().toISOString()}\n`,
    );
  } catch {
    // For example, the disk is full. The lock holds without this file.
  }
}

function holderOf(lockPath: string): string {
  try {
    return readFileSync(`${lockPath}.txt`, "utf8").trim() || "unknown";
  } catch {
    return "unknown";
  }
}
