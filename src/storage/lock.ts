import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { HookonceError, messageOf } from "../errors.ts";
import { troubleOf } from "./sqlite-error.ts";

export interface ServeLock {
  release(): void;
}

interface LockOptions {
  /** How long a second one waits for the first to end, in milliseconds: a restart overlaps for a moment. */
  waitMs?: number;
  onWait?: (holder: string) => void;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
}

/**
 * One `serve` per database. The lock is a write transaction that stays open on a small SQLite file beside the database: the kernel
 * frees it however the process ends, and unlike an exclusive one it lets the next process read who has it.
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
      lock.close();
      throw new HookonceError("shutting_down", "The start was ended while it waited for another hookonce.");
    }
    const holder = holderOf(lock);
    if (performance.now() >= deadline) {
      lock.close();
      throw new HookonceError(
        "database_in_use",
        `${databasePath} is served by another hookonce (${holder}). One serve per database: stop that one, or give this one a database of its own.`,
      );
    }
    if (!told) options.onWait?.(holder);
    told = true;
    await Bun.sleep(50);
  }
  held.add(lock);
  return {
    release() {
      held.delete(lock);
      lock.run("rollback");
      lock.close();
    },
  };
}

/** Two names of one database are one database. */
function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}

/** Bun closes a database that nothing refers to any more, and the lock would be gone with it. */
const held = new Set<Database>();

function openLockFile(path: string): Database {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const lock = new Database(path, { create: true, strict: true });
    lock.run("pragma busy_timeout = 0");
    // Even this file must outlive a power cut whole: a torn one would be refused at every start.
    lock.run("pragma synchronous = full");
    return lock;
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, error: unknown): HookonceError {
  return new HookonceError(
    "database_unusable",
    `Cannot lock the database with ${path}: ${messageOf(error)}`,
    {
      cause: error,
    },
  );
}

function tryLock(lock: Database): boolean {
  try {
    lock.run("begin immediate");
    lock.run(
      "create table if not exists holder (id integer primary key check (id = 1), pid integer, host text, since text)",
    );
    lock
      .prepare("insert or replace into holder values (1, ?, ?, ?)")
      .run(process.pid, hostname(), new Date().toISOString());
    lock.run("commit");
    // Somebody may slip in here; then this fails, their name is in the file, and we wait.
    lock.run("begin immediate");
    return true;
  } catch (error) {
    if (lock.inTransaction) lock.run("rollback");
    if (troubleOf(error) !== "busy") throw unusable(lock.filename, error);
    return false;
  }
}

function holderOf(lock: Database): string {
  try {
    const row = lock.prepare("select pid, host, since from holder").values()[0];
    return row === undefined
      ? "unknown"
      : `process ${String(row[0])} on ${String(row[1])} since ${String(row[2])}`;
  } catch {
    // Busy for the moment in which the holder writes its name.
    return "unknown";
  }
}
