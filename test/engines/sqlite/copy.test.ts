import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyDatabase } from "../../../src/engines/sqlite/copy.ts";
import { examineDatabase } from "../../../src/engines/sqlite/examine.ts";
import { scratch } from "../../cli/support/hookonce.ts";

/** A database as an application may have it, with its own settings and a table without an integer key. */
function application(folder: string): Database {
  const database = new Database(join(folder, "app.db"), { strict: true });
  database.run("pragma page_size = 8192");
  database.run("pragma journal_mode = wal");
  database.run("pragma user_version = 7");
  database.run("pragma application_id = 77");
  database.run("create table notes (text text)");
  database.run("create virtual table found using fts5 (text, content = notes)");
  database.run("create table pairs (a integer, b integer, check (a = b))");
  for (let n = 0; n < 50; n++) database.query("insert into notes values (?)").run(`note ${n}`);
  database.run("insert into found (rowid, text) select rowid, text from notes");
  database.run("delete from notes where rowid % 3 = 0");
  return database;
}

test("a copy has every table with its row ids, and what was only in the log", async () => {
  using folder = scratch();
  using database = application(folder.path);
  const path = join(folder.path, "copy");
  await copyDatabase(database.filename, path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  using copy = new Database(path, { readonly: true });
  for (const sql of [
    "select rowid, text from notes order by rowid",
    "select rowid from found where found match 'note' order by rowid",
    "select type, name, sql from sqlite_schema order by name",
    "pragma page_size",
    "pragma user_version",
    "pragma application_id",
  ])
    expect([sql, copy.query(sql).values()]).toEqual([sql, database.query(sql).values()]);
  expect(copy.query("pragma integrity_check").values()).toEqual([["ok"]]);
});

test("a copy is of one moment while another process writes", async () => {
  using folder = scratch();
  using database = application(folder.path);
  database.run("create table filler (b blob)");
  for (let n = 0; n < 20; n++) database.run("insert into filler values (zeroblob(1048576))");
  const insert = database.query("insert into pairs values (?1, ?1), (?1, ?1)");
  const path = join(folder.path, "copy");
  const steps: number[] = [];
  const running = new AbortController();
  const copying = copyDatabase(database.filename, path, {
    onProgress: (done) => steps.push(done),
  }).finally(() => running.abort());
  let written = 0;
  while (!running.signal.aborted) {
    insert.run(written++);
    await Bun.sleep(0);
  }
  await copying;
  using copy = new Database(path, { readonly: true });
  const [rows, keys, last] = copy
    .query("select count(*), count(distinct a), max(a) from pairs")
    .values()[0] as number[];
  expect(rows).toBe(2 * (keys as number));
  expect(keys === 0 ? -1 : last).toBe((keys as number) - 1);
  expect(keys).toBeLessThanOrEqual(written);
  expect(steps).toEqual(steps.toSorted((a, b) => a - b));
});

test("nothing is copied to a disk that has too little room for it", async () => {
  using folder = scratch();
  using database = application(folder.path);
  const path = join(folder.path, "copy");
  const copying = copyDatabase(database.filename, path, { room: 1e12 });
  expect(copying).rejects.toMatchObject({ code: "disk_full" });
  await copying.catch(() => {});
  expect(existsSync(path)).toBe(false);
});

test("a copy that is stopped ends at once", async () => {
  using folder = scratch();
  using database = application(folder.path);
  const stop = new AbortController();
  const copying = copyDatabase(database.filename, join(folder.path, "copy"), { signal: stop.signal });
  stop.abort();
  expect(copying).rejects.toMatchObject({ name: "AbortError" });
  await copying.catch(() => {});
});

test("what is not a database is refused", async () => {
  using folder = scratch({ "app.db": "version = 1\n".repeat(100) });
  const copying = copyDatabase(join(folder.path, "app.db"), join(folder.path, "copy"));
  expect(copying).rejects.toMatchObject({ code: "backup_failed" });
  await copying.catch(() => {});
});

test("a database with a damaged index is found, and rows that break a constraint are not", async () => {
  using folder = scratch();
  const path = join(folder.path, "app.db");
  {
    using database = application(folder.path);
    database.run("pragma ignore_check_constraints = on");
    database.run("insert into pairs values (1, 2)");
    database.run("create index by_text on notes (text)");
    database.run("pragma journal_mode = delete");
  }
  expect(examineDatabase(path)).toEqual({ problems: [], events: 0, newestAt: null });
  {
    using database = new Database(path);
    const [root] = database
      .query("select rootpage from sqlite_schema where name = 'by_text'")
      .values()[0] as number[];
    database.close(true);
    const bytes = readFileSync(path);
    bytes.fill(0, ((root as number) - 1) * 8192 + 8000, (root as number) * 8192);
    writeFileSync(path, bytes);
  }
  expect(examineDatabase(path).problems.length).toBeGreaterThan(0);
});
