import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openScratch } from "../app/store.ts";
import { fileAt, type DatabaseLocation } from "../config/location.ts";
import { usableSettings } from "../config/usable-settings.ts";

/** The empty database of a test, of the kind that the inbox folder has. */
export interface TestDatabase {
  readonly location: DatabaseLocation;
  prepare(work: (db: Database) => unknown): Promise<void>;
  /**
   * What a test asks it with. On PostgreSQL it is a query in a template literal
   * (templates/postgres-types.macro.ts).
   */
  open(): Database;
  remove(): Promise<void>;
}

/** @throws HookonceError `config_invalid`, `database_unreachable` */
export async function createTestDatabase(folder: string): Promise<TestDatabase> {
  const temporary = mkdtempSync(join(tmpdir(), "hookonce-test-"));
  const removeFolder = (): void => rmSync(temporary, { recursive: true, force: true });
  const { database } = usableSettings(folder);
  if (database?.kind !== "postgres") return inFile(join(temporary, "hookonce.db"), removeFolder);
  try {
    const { location, db, drop } = await openScratch(database, join(temporary, "hookonce"));
    const query = db as unknown as Database;
    return {
      location,
      prepare: async (work) => void (await work(query)),
      open: () => query,
      async remove() {
        removeFolder();
        await drop();
      },
    };
  } catch (error) {
    removeFolder();
    throw error;
  }
}

function inFile(path: string, removeFolder: () => void): TestDatabase {
  let opened: Database | undefined;
  return {
    location: fileAt(path),
    prepare(work) {
      using empty = new Database(path, { strict: true });
      empty.run("pragma journal_mode = wal");
      work(empty);
      return Promise.resolve();
    },
    open() {
      opened = new Database(path, { strict: true });
      opened.run("pragma busy_timeout = 5000");
      opened.run("pragma foreign_keys = on");
      return opened;
    },
    remove() {
      // This also finalizes the statements, or the files would stay open until garbage collection.
      opened?.close();
      removeFolder();
      return Promise.resolve();
    },
  };
}
