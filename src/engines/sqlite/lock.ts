import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { HookonceError, messageOf } from "../../errors.ts";
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
 * One `serve` per database. The lock is a write transaction that stays open, and empty, on a SQLite file beside the database: the kernel
 * frees it however the process ends. Who has it stands in a text file beside that one. In the lock's own table it would have to be safe
 * from a power cut, which would tear the file and every start after it: four fsyncs, 0.5 ms each and more, for what is only there to be told.
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
      throw new HookonceError("shutting_down", "The start was ended while it waited for another hookonce.");
    }
    const holder = holderOf(path);
    if (performance.now() >= deadline) {
      lock.close(true);
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
  tellHolder(path);
  return {
    release() {
      held.delete(lock);
      lock.run("rollback");
      lock.close(true);
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
    // On a full disk, say: who has the lock has it all the same.
  }
}

function holderOf(lockPath: string): string {
  try {
    return readFileSync(`${lockPath}.txt`, "utf8").trim() || "unknown";
  } catch {
    return "unknown";
  }
}
