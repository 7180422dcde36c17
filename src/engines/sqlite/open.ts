import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { HookonceError, withCode } from "../../errors.ts";
import { refusalOf } from "./sqlite-error.ts";
import { canMakeTemporaryFiles } from "./temporary-files.ts";

export interface OpenOptions {
  /** Allows converting a database that hookonce did not create to WAL mode. */
  convertToWal?: boolean;
  /**
   * The promise depends on FULL: with WAL and NORMAL a power cut loses answered events. Only a test sets
   * NORMAL.
   */
  synchronous?: "FULL" | "NORMAL";
}

export interface OpenedDatabase {
  readonly connection: Database;
  /**
   * Whether the database was empty. If it was not, hookonce adds its own objects to it and changes nothing
   * else.
   */
  readonly created: boolean;
  /** Whether it was put back into WAL mode: it is a copy of a database that hookonce has served. */
  readonly restored: boolean;
}

/**
 * Opens the writer's connection and sets every pragma that durability depends on. Each is read back, and the
 * start is refused if SQLite did not accept it.
 *
 * @throws HookonceError `database_unusable`, `not_in_wal_mode`, `database_locked`, `disk_full`
 */
export function openDatabase(path: string, options: OpenOptions = {}): OpenedDatabase {
  let connection: Database | undefined;
  try {
    // Only the owner may read payloads.
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    connection = new Database(path, { create: true, strict: true });
    return { connection, ...prepare(connection, path, options) };
  } catch (error) {
    connection?.close(true);
    if (error instanceof HookonceError) throw error;
    throw refusalOf(
      error,
      path,
      `Cannot open the database ${path}: ${withCode(error)}. Set database to a SQLite file that hookonce can write.`,
    );
  }
}

function prepare(
  connection: Database,
  path: string,
  { convertToWal = false, synchronous = "FULL" }: OpenOptions,
): Pick<OpenedDatabase, "created" | "restored"> {
  // The writer never waits inside SQLite: that would block JavaScript, including /healthz.
  connection.run("pragma busy_timeout = 0");
  const created = isEmpty(connection);
  const restored = !created && isServed(connection) && readPragma(connection, "journal_mode") !== "wal";
  if (created) {
    // A journal on the disk would take five fsyncs, and an empty database has nothing to restore.
    connection.run("pragma journal_mode = memory");
    // It cannot be switched on later without a VACUUM.
    connection.run("pragma auto_vacuum = incremental");
  }
  ensureWal(connection, path, created || restored || convertToWal);
  applyPragmas(connection, synchronous);
  return { created, restored };
}

/**
 * Whether hookonce has served this database. It was in WAL mode then, so it is put back into WAL mode without
 * asking: VACUUM INTO makes copies that are not.
 */
export function isServed(connection: Database): boolean {
  return tableExists(connection, "hookonce_migrations");
}

/**
 * Runs `work` without a sync at each commit, to create the tables of a new database. The first commit after
 * it syncs all of them. A power cut before that leaves a database with only the first migrations, and the
 * next start applies the rest.
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
 * Opens a second connection in the same process. It moves the log into the database while the writer
 * continues (checkpoint-worker.ts).
 *
 * @param path the path of a database that {@link openDatabase} has opened
 */
export function openForCheckpoints(path: string): Database {
  const connection = new Database(path, { readwrite: true, create: false, strict: true });
  connection.run("pragma busy_timeout = 0");
  applyPragmas(connection, "FULL");
  return connection;
}

/**
 * Whether the file holds no database yet. An interrupted first start leaves a file with only auto_vacuum set,
 * which counts as empty. A file that an application has prepared is not empty, even without a table: its
 * application_id or user_version is set.
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

export function tableExists(connection: Database, name: string): boolean {
  const found = connection
    .query("select 1 from sqlite_schema where type = 'table' and name = ?")
    .values(name);
  return found.length > 0;
}

function ensureWal(connection: Database, path: string, convert: boolean): void {
  if (readPragma(connection, "journal_mode") === "wal") return;
  if (!convert) {
    throw new HookonceError(
      "not_in_wal_mode",
      `The database ${path} is not in WAL mode, and hookonce did not create it. Set convert_to_wal = true, or run: sqlite3 ${path} "pragma journal_mode=wal"`,
    );
  }
  setPragma(connection, "journal_mode", "wal");
}

function applyPragmas(connection: Database, synchronous: "FULL" | "NORMAL"): void {
  setPragma(connection, "synchronous", synchronous === "FULL" ? 2 : 1, synchronous);
  if (process.platform === "darwin") {
    // On macOS, fsync does not flush the disk's own cache without these.
    setPragma(connection, "fullfsync", 1);
    setPragma(connection, "checkpoint_fullfsync", 1);
  }
  setPragma(connection, "foreign_keys", 1);
  // SQLite ignores the errors of its automatic checkpoints. checkpoint.ts runs them and reports errors.
  setPragma(connection, "wal_autocheckpoint", 0);
  setPragma(connection, "journal_size_limit", 64 * 1024 * 1024);
  // DEFAULT saves 3 of 16 µs per event: with MEMORY, SQLite keeps the pages that an event's savepoint changes
  // in chunks of 1 kB, not in one of 64 kB. Beyond 64 kB, DEFAULT uses a temporary file.
  setPragma(connection, "temp_store", canMakeTemporaryFiles() ? 0 : 2);
  // 8 MiB. With 64 MiB the process had 130 MB resident and was no faster. The checkpoint thread's connection
  // takes another 8 MiB.
  setPragma(connection, "cache_size", -8192);
  setPragma(connection, "mmap_size", 0);
  // What is deleted is overwritten with zeros, from the first write on. Switched on later, it leaves what was deleted
  // before in free pages (82,406 copies of one value in a trial). It takes 1.6 % of the events per second.
  setPragma(connection, "secure_delete", 1);
  setPragma(connection, "trusted_schema", 0);
}

/**
 * Sets a pragma and reads it back.
 *
 * @throws HookonceError `database_unusable` if SQLite did not accept the value
 */
export function setPragma(
  connection: Database,
  name: string,
  expected: string | number,
  value: string | number = expected,
): void {
  connection.run(`pragma ${name} = ${value}`);
  const got = readPragma(connection, name);
  // A SQLite built without mmap returns no row for mmap_size. That is fine: mmap is to be off.
  if (got !== expected && !(name === "mmap_size" && got === undefined)) {
    throw new HookonceError(
      "database_unusable",
      `SQLite did not accept pragma ${name} = ${value} and answered ${String(got)}. Set database to a file on a local disk.`,
    );
  }
}

export function readPragma(connection: Database, name: string): unknown {
  const row = connection.query(`pragma ${name}`).values()[0];
  return row?.[0];
}
