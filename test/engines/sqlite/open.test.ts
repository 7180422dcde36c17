import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { refusalOf, testInbox } from "../../support/test-inbox.ts";

interface Scratch extends Disposable {
  readonly path: string;
}

function scratch(): Scratch {
  const path = temporaryFolder("open");
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function pragma(db: Database, name: string): unknown {
  return db.prepare(`pragma ${name}`).values()[0]?.[0];
}

describe("the writer's connection", () => {
  test("has every setting that durability depends on", () => {
    using folder = scratch();
    const { connection, created } = openDatabase(join(folder.path, "data/hookonce.db"));
    using _ = connection;
    expect(created).toBe(true);
    expect(pragma(connection, "journal_mode")).toBe("wal");
    expect(pragma(connection, "synchronous")).toBe(2); // FULL
    expect(pragma(connection, "foreign_keys")).toBe(1);
    expect(pragma(connection, "busy_timeout")).toBe(0);
    expect(pragma(connection, "journal_size_limit")).toBe(64 * 1024 * 1024);
    expect(pragma(connection, "temp_store")).toBe(0); // DEFAULT
    expect(pragma(connection, "cache_size")).toBe(-8192);
    expect(pragma(connection, "mmap_size") ?? 0).toBe(0);
    expect(pragma(connection, "secure_delete")).toBe(1);
    expect(pragma(connection, "trusted_schema")).toBe(0);
    expect(pragma(connection, "auto_vacuum")).toBe(2); // INCREMENTAL
    if (process.platform === "darwin") {
      expect(pragma(connection, "fullfsync")).toBe(1);
      expect(pragma(connection, "checkpoint_fullfsync")).toBe(1);
    }
  });

  test("has the same settings when it opens an existing database", () => {
    using folder = scratch();
    const path = join(folder.path, "hookonce.db");
    const first = openDatabase(path);
    first.connection.run("create table t (n integer)");
    first.connection.close();
    const { connection, created } = openDatabase(path);
    using _ = connection;
    expect(created).toBe(false);
    expect(pragma(connection, "synchronous")).toBe(2);
    expect(pragma(connection, "foreign_keys")).toBe(1);
    expect(pragma(connection, "auto_vacuum")).toBe(2);
  });

  test("enforces foreign keys and rejects missing parameters", () => {
    using folder = scratch();
    const { connection } = openDatabase(join(folder.path, "hookonce.db"));
    using _ = connection;
    connection.run("create table a (n integer primary key); ");
    connection.run("create table b (n integer not null references a (n))");
    expect(() => connection.run("insert into b values (1)")).toThrow("FOREIGN KEY");
    expect(() => connection.prepare("select :a").values({ b: 1 })).toThrow();
  });

  test("creates the data folder so that only its owner can read it", () => {
    using folder = scratch();
    openDatabase(join(folder.path, "new/data/hookonce.db")).connection.close();
    expect(statSync(join(folder.path, "new/data")).mode & 0o777).toBe(0o700);
  });

  test.each([
    [
      "an in-memory database, which has no WAL",
      () => ":memory:",
      /did not accept pragma journal_mode = wal and answered memory/,
    ],
    [
      "a file that is not a database",
      (folder: string) => {
        writeFileSync(
          join(folder, "x.db"),
          "this is a letter to somebody, and long enough to be read as a header".repeat(20),
        );
        return join(folder, "x.db");
      },
      /x\.db is not a SQLite database: file is not a database \(SQLITE_NOTADB\)\. .* put a backup in its place/,
    ],
    [
      "a folder",
      (folder: string) => {
        mkdirSync(join(folder, "x.db"));
        return join(folder, "x.db");
      },
      /^Cannot open the database .*x\.db: unable to open database file \(SQLITE_CANTOPEN(?:_ISDIR)?\)\. Set database to /,
    ],
    [
      "a file below a file",
      (folder: string) => {
        writeFileSync(join(folder, "data"), "");
        return join(folder, "data/x.db");
      },
      /^Cannot open the database .*data\/x\.db: /,
    ],
  ] as const)("is refused for %s", async (_, make, message) => {
    using folder = scratch();
    const path = make(folder.path);
    const error = await refusalOf(() => openDatabase(path));
    expect(error.code).toBe("database_unusable");
    expect(error.message).toMatch(message);
  });

  test("leaves no lock and no file when it is refused", async () => {
    using folder = scratch();
    const path = join(folder.path, "app.db");
    const app = new Database(path);
    app.run("create table t (n integer)");
    await refusalOf(() => openDatabase(path));
    // This exclusive lock succeeds only if no other connection has the database open.
    app.run("pragma locking_mode = exclusive");
    app.run("begin exclusive");
    app.run("insert into t values (1)");
    app.run("commit");
    app.close();
    expect(readdirSync(folder.path)).toEqual(["app.db"]);
  });
});

test("closing moves everything from the write-ahead log into the database", async () => {
  await using inbox = await testInbox();
  for (let n = 0; n < 20; n++) await inbox.deliver({ event_id: `evt_${n}`, type: "t" });
  expect(statSync(`${inbox.databasePath}-wal`).size).toBeGreaterThan(0);
  await inbox.close();
  expect(existsSync(`${inbox.databasePath}-wal`) ? statSync(`${inbox.databasePath}-wal`).size : 0).toBe(0);
  using db = new Database(inbox.databasePath, { readonly: true });
  expect(db.prepare("select count(*) from hookonce_events").values()).toEqual([[20]]);
  expect(db.prepare("pragma integrity_check").values()).toEqual([["ok"]]);
});
