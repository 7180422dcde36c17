import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { HookonceError, messageOf } from "../../errors.ts";
import { canMakeTemporaryFiles } from "./temporary-files.ts";

export interface OpenOptions {
  /** Turn a database that is somebody else's and not in WAL mode into one that is. */
  convertToWal?: boolean;
  /** FULL is what the promise rests on: with WAL and NORMAL a power cut loses answered events. Only a test says otherwise. */
  synchronous?: "FULL" | "NORMAL";
}

export interface OpenedDatabase {
  readonly connection: Database;
  /** Whether nothing was in it yet. In a database it did not create hookonce adds its own objects and nothing else. */
  readonly created: boolean;
}

/**
 * Opens the writer's connection and makes sure of every setting that durability rests on: each is set, read back, and the start
 * refused when SQLite did not take it.
 *
 * @throws HookonceError `database_unusable`, `not_in_wal_mode`
 */
export function openDatabase(path: string, options: OpenOptions = {}): OpenedDatabase {
  let connection: Database;
  let created: boolean;
  try {
    // Payloads are nobody else's to read.
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    connection = new Database(path, { create: true, strict: true });
    // The writer never sleeps inside SQLite: that would block JavaScript, and /healthz with it.
    connection.run("pragma busy_timeout = 0");
    created = isEmpty(connection);
    if (created) {
      // There is nothing yet that a journal on the disk could bring back, and it would take five fsyncs.
      connection.run("pragma journal_mode = memory");
      // Cannot be switched on later without a VACUUM.
      connection.run("pragma auto_vacuum = incremental");
    }
    ensureWal(connection, path, created || options.convertToWal === true);
    applyPragmas(connection, options.synchronous ?? "FULL");
  } catch (error) {
    if (error instanceof HookonceError) throw error;
    throw new HookonceError("database_unusable", `Cannot open the database ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return { connection, created };
}

/**
 * For the tables of a new database: its commits do not each wait for the disk. The first one after them syncs them all, and cut short
 * before that it is a database whose migrations have come only so far.
 */
export function withoutSyncs<Result>(connection: Database, work: () => Result): Result {
  const synchronous = readPragma(connection, "synchronous") as number;
  setPragma(connection, "synchronous", 1, "NORMAL");
  try {
    return work();
  } finally {
    setPragma(connection, "synchronous", synchronous);
  }
}

/**
 * A second connection in the same process, which moves the log into the database while the writer writes on (checkpoint-worker.ts).
 *
 * @param path of a database that {@link openDatabase} has opened
 */
export function openForCheckpoints(path: string): Database {
  const connection = new Database(path, { readwrite: true, create: false, strict: true });
  connection.run("pragma busy_timeout = 0");
  applyPragmas(connection, "FULL");
  return connection;
}

/**
 * Whether there is no database yet. A first start that was cut short leaves a file with nothing in it but the auto_vacuum that was set
 * first; one that somebody else has prepared has an owner, though it may have no table yet.
 */
export function isEmpty(connection: Database): boolean {
  if (connection.query("select 1 from sqlite_schema limit 1").values().length > 0) return false;
  if (readPragma(connection, "page_count") === 0) return true;
  return (
    readPragma(connection, "auto_vacuum") === 2 &&
    readPragma(connection, "application_id") === 0 &&
    readPragma(connection, "user_version") === 0
  );
}

function ensureWal(connection: Database, path: string, convert: boolean): void {
  if (readPragma(connection, "journal_mode") === "wal") return;
  if (!convert) {
    throw new HookonceError(
      "not_in_wal_mode",
      `${path} exists and is not in WAL mode. hookonce does not change a database that it did not create: set convert_to_wal = true, or run: sqlite3 ${path} "pragma journal_mode=wal"`,
    );
  }
  setPragma(connection, "journal_mode", "wal");
}

function applyPragmas(connection: Database, synchronous: "FULL" | "NORMAL"): void {
  setPragma(connection, "synchronous", synchronous === "FULL" ? 2 : 1, synchronous);
  if (process.platform === "darwin") {
    // There fsync does not reach the platter without these.
    setPragma(connection, "fullfsync", 1);
    setPragma(connection, "checkpoint_fullfsync", 1);
  }
  setPragma(connection, "foreign_keys", 1);
  // SQLite keeps the errors of its own checkpoints to itself; ours (checkpoint.ts) are heard.
  setPragma(connection, "wal_autocheckpoint", 0);
  setPragma(connection, "journal_size_limit", 64 * 1024 * 1024);
  // DEFAULT, because with MEMORY an event's savepoint keeps the pages that it changes in pieces of 1 kB instead of one of 64: 3 µs of
  // 16 an event. What is larger than that then goes to a file.
  setPragma(connection, "temp_store", canMakeTemporaryFiles() ? 0 : 2);
  // 8 MiB: 64 MiB made it 130 MB resident and no faster, and the thread that moves the log (checkpoint.ts) takes 8 as well.
  setPragma(connection, "cache_size", -8192);
  setPragma(connection, "mmap_size", 0);
  setPragma(connection, "trusted_schema", 0);
}

/** @throws HookonceError `database_unusable` when SQLite did not take it */
export function setPragma(
  connection: Database,
  name: string,
  expected: string | number,
  value: string | number = expected,
): void {
  connection.run(`pragma ${name} = ${value}`);
  const got = readPragma(connection, name);
  // A build without mmap answers mmap_size with no row at all, which is what we want of it.
  if (got !== expected && !(name === "mmap_size" && got === undefined)) {
    throw new HookonceError(
      "database_unusable",
      `SQLite did not take pragma ${name} = ${value}: it says ${String(got)}`,
    );
  }
}

export function readPragma(connection: Database, name: string): unknown {
  const row = connection.query(`pragma ${name}`).values()[0];
  return row?.[0];
}
