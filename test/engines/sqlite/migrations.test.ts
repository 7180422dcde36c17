import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { HookonceError } from "../../../src/errors.ts";
import {
  migrate,
  ownSet,
  pendingMigrations,
  problemsOf,
  userSet,
  type MigrationSet,
} from "../../../src/engines/sqlite/migrations.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import { refusalOf, refusedStart, testInbox, type TestInbox } from "../../support/test-inbox.ts";
import type { Migration } from "../../../src/engines/store.ts";

const NOW = 1_790_000_000_000;

const migration = (name: string, sql: string): Migration => ({ name, sql, file: `migrations/${name}` });

/** The names of a database's objects, without those of hookonce and SQLite. */
function objectsOf(db: Database): unknown[] {
  return db
    .prepare(
      "select name from sqlite_schema where name not like 'hookonce_%' and name not like 'sqlite_%' order by name",
    )
    .values()
    .flat();
}

const digest = (sql: string): string => new Bun.CryptoHasher("sha256").update(sql).digest("hex");

/** The files beside the database, without those of SQLite and the lock. */
const copiesIn = (inbox: TestInbox): string[] =>
  readdirSync(join(inbox.folder, "data")).filter(
    (name) => !/^hookonce\.db(?:-wal|-shm|\.lock.*)?$/.test(name),
  );

describe("a set of migrations", () => {
  const first = migration("0001_a.sql", "create table a (n integer) strict;");
  const second = migration("0002_b.sql", "create table b (n integer) strict;\ninsert into a values (2);");
  const third = migration("0003_c.sql", "insert into a values (3);");

  test("is applied once, in order, and records the digest and time of each migration", () => {
    using db = new Database(":memory:");
    expect(migrate(db, userSet([first, second]), NOW)).toEqual([first, second]);
    expect(migrate(db, userSet([first, second]), NOW + 1)).toEqual([]);
    expect(migrate(db, userSet([first, second, third]), NOW + 2)).toEqual([third]);
    expect(db.prepare("select n from a order by rowid").values()).toEqual([[2], [3]]);
    expect(db.prepare("select * from hookonce_user_migrations order by name").values()).toEqual([
      ["0001_a.sql", digest(first.sql), NOW],
      ["0002_b.sql", digest(second.sql), NOW],
      ["0003_c.sql", digest(third.sql), NOW + 2],
    ]);
  });

  test("creates no journal table if the set is empty", () => {
    using db = new Database(":memory:");
    expect(migrate(db, userSet([]), NOW)).toEqual([]);
    expect(db.prepare("select count(*) from sqlite_schema").values()).toEqual([[0]]);
  });

  const scenarios: {
    name: string;
    before: Migration[];
    set: (migrations: Migration[]) => MigrationSet;
    after: Migration[];
    code: string;
    message: string;
  }[] = [
    {
      name: "an edited migration",
      before: [first, second],
      set: userSet,
      after: [first, migration(second.name, `${second.sql} -- better`), third],
      code: "migration_edited",
      message: "migrations/0002_b.sql was changed after it was applied. Restore it",
    },
    {
      name: "a new migration that sorts before an applied one",
      before: [first, third],
      set: userSet,
      after: [first, second, third],
      code: "migration_out_of_order",
      message: "migrations/0002_b.sql comes before 0003_c.sql, which is already applied",
    },
    {
      name: "an applied user migration whose file is missing",
      before: [first, second],
      set: userSet,
      after: [first, third],
      code: "migration_missing",
      message: "migrations/0002_b.sql was applied to this database, but the file is missing",
    },
    {
      name: "a renamed user migration",
      before: [first],
      set: userSet,
      after: [migration("0001_other.sql", first.sql)],
      code: "migration_missing",
      message: "migrations/0001_a.sql was applied to this database, but the file is missing",
    },
    {
      name: "an applied migration of a newer hookonce",
      before: [first, second],
      set: ownSet,
      after: [first],
      code: "database_newer",
      message: "The database was made by a newer hookonce (it has 0002_b.sql)",
    },
    {
      name: "an edited migration of hookonce",
      before: [first],
      set: ownSet,
      after: [migration(first.name, "create table a (n text) strict;")],
      code: "migration_edited",
      message: "The database was made by another build of hookonce (its 0001_a.sql is different)",
    },
  ];

  test.each(scenarios.map((row) => [row.name, row] as const))(
    "is refused because of %s, and nothing is applied",
    async (_, { before, set, after, code, message }) => {
      using db = new Database(":memory:");
      migrate(db, set(before), NOW);
      const objects = objectsOf(db);
      for (const work of [pendingMigrations, (d: Database, s: MigrationSet) => migrate(d, s, NOW)]) {
        const error = await refusalOf(() => work(db, set(after)));
        expect(error.code).toBe(code as HookonceError["code"]);
        expect(error.message).toStartWith(message);
      }
      expect(objectsOf(db)).toEqual(objects);
      expect(db.inTransaction).toBe(false);
    },
  );

  test("is refused with all problems at once", async () => {
    using db = new Database(":memory:");
    migrate(db, userSet([first, third]), NOW);
    const edited = migration(third.name, `${third.sql} -- better`);
    const error = await refusalOf(() => migrate(db, userSet([second, edited]), NOW));
    expect(error.code).toBe("migration_missing");
    expect(error.problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^migrations\/0001_a\.sql was applied to this database, but the file is missing/),
      expect.stringMatching(/^migrations\/0003_c\.sql was changed after it was applied/),
      expect.stringMatching(/^migrations\/0002_b\.sql comes before 0003_c\.sql/),
    ]);
  });

  test("the user's migrations and hookonce's are ordered independently", () => {
    using db = new Database(":memory:");
    migrate(db, ownSet([second, third].map(({ name }) => migration(name, "select 1;"))), NOW);
    expect(migrate(db, userSet([first]), NOW)).toEqual([first]);
  });
});

describe("a migration that fails", () => {
  const good = migration("0001.sql", "create table good (n integer primary key) strict;");
  const never = migration("0003.sql", "create table never (n integer) strict;");

  const scenarios: { name: string; sql: string; line: number | undefined; message: RegExp }[] = [
    {
      name: "at its third statement",
      sql: "create table half (n integer) strict;\ninsert into half values (1);\n\ninsert into nowhere values (1);\ncreate table more (n integer) strict;",
      line: 4,
      message: /no such table: nowhere/,
    },
    {
      name: "with a syntax error",
      sql: "create table half (n integer) strict;\n\n\ncreate tabel x;",
      line: 4,
      message: /syntax error/,
    },
    {
      name: "with EXPLAIN PRAGMA, which SQLite acts on when it prepares it",
      sql: "create table half (n integer) strict;\nexplain pragma journal_mode = delete;",
      line: 2,
      message: /EXPLAIN is not allowed in a migration/,
    },
    {
      name: "with a TEMP table that has the name of one of hookonce's",
      sql: "create table half (n integer) strict;\ncreate temp table Hookonce_Events (id integer);",
      line: 2,
      message: /may only read the hookonce_… tables/,
    },
    {
      name: "with a TEMP table that is left",
      sql: "create temp table a (n);\ncreate temp table b (n);\ncreate table half (n integer);\ndrop table a;",
      line: 2,
      message: /the TEMP object b would be gone after the next start\. Drop it at the end of the file/,
    },
    {
      name: "with a constraint",
      sql: "insert into good values (1);\ninsert into good values (1);",
      line: 2,
      message: /UNIQUE/,
    },
    {
      name: "with a constraint that is checked at the commit",
      sql: "create table half (n integer references good (n) deferrable initially deferred) strict;\ninsert into half values (7);",
      line: undefined,
      message: /FOREIGN KEY/,
    },
    {
      name: "with a statement that rolls the whole transaction back",
      sql: "insert into good values (1);\ninsert or rollback into good values (1);\ncreate table half (n integer) strict;",
      line: 2,
      message: /UNIQUE/,
    },
    {
      name: "with a ROLLBACK that is hidden after a comment",
      sql: "create table half (n integer) strict;\n/* x */ ;rollback;\ncreate table half2 (n integer) strict;",
      line: 2,
      message: /ROLLBACK is not allowed in a migration\. Use only ALTER, /,
    },
  ];

  test.each(scenarios.map((row) => [row.name, row] as const))("%s", async (_, { sql, line, message }) => {
    using db = new Database(":memory:");
    db.run("pragma foreign_keys = on");
    const error = await refusalOf(() => migrate(db, userSet([good, migration("0002.sql", sql), never]), NOW));
    expect(error.code).toBe("migration_failed");
    expect(error.message).toStartWith(`migrations/0002.sql${line === undefined ? "" : `:${line}`}: `);
    expect(error.message).toMatch(message);
    expect(error.problems).toHaveLength(1);
    expect(error.problems[0]).toMatchObject({ file: "migrations/0002.sql", line });
    // Earlier migrations stay applied, this one and later ones are not, and a corrected one can be applied.
    expect(objectsOf(db)).toEqual(["good"]);
    expect(db.prepare("select count(*) from good").values()).toEqual([[0]]);
    expect(db.prepare("select name from hookonce_user_migrations").values()).toEqual([["0001.sql"]]);
    expect(db.inTransaction).toBe(false);
    const mended = migration("0002.sql", "create table half (n integer) strict;");
    expect(migrate(db, userSet([good, mended, never]), NOW)).toEqual([mended, never]);
  });

  test.each([
    ["begin;"],
    ["BEGIN IMMEDIATE;"],
    [";commit;"],
    ["/* x */ commit;"],
    ["end transaction;"],
    ["rollback;"],
    ["savepoint a;"],
    ["release a;"],
    ["attach 'x.db' as x;"],
    ["detach x;"],
    ["vacuum;"],
    ["vacuum into 'x.db';"],
    ["pragma foreign_keys = off;"],
    ["explain pragma foreign_keys = off;"],
    ["explain query plan select 1;"],
    ["pragma(user_version);"],
    ["creat table b (n);"],
  ])("%s is refused", (statement) => {
    const word = /[a-z]+/i.exec(statement.replace(/\/\*.*?\*\//, ""))?.[0]?.toUpperCase() ?? "";
    expect(problemsOf(migration("0001.sql", `create table a (n);\n${statement}\nselect 1;`))).toEqual([
      {
        file: "migrations/0001.sql",
        line: 2,
        message: `${word} is not allowed in a migration. Use only ALTER, ANALYZE, CREATE, DELETE, DROP, INSERT, REINDEX, REPLACE, SELECT, UPDATE, VALUES, WITH: hookonce runs each file in one transaction.`,
      },
    ]);
  });

  test.each([
    [
      "(select 1);",
      "a statement without a keyword at its beginning is not allowed in a migration. Use only ",
    ],
    ["1;", "a statement without a keyword at its beginning is not allowed in a migration. Use only "],
    ["delete from a \0 where n = 1;", "the statement contains a NUL character. Remove it"],
  ])("%j is refused", (statement, message) => {
    const problems = problemsOf(migration("0001.sql", `create table a (n);\n${statement}`));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ file: "migrations/0001.sql", line: 2 });
    expect(problems[0]?.message).toStartWith(message);
  });

  test.each([
    ["alter table a add column m;"],
    ["analyze;"],
    ["drop table a;"],
    ["reindex;"],
    ["replace into a values (1);"],
    ["values (1);"],
    ["with x as (select 1) insert into a select * from x;"],
    ["create temp table b as select * from a; update a set n = (select count(*) from b); drop table b;"],
  ])("%s is allowed", (statement) => {
    using db = new Database(":memory:");
    const one = migration("0001.sql", `create table a (n);\n${statement}`);
    expect(problemsOf(one)).toEqual([]);
    expect(migrate(db, userSet([one]), NOW)).toEqual([one]);
  });

  test("BEGIN and END of a trigger are allowed", () => {
    const trigger = "create trigger t after insert on a begin select 1; end;";
    expect(problemsOf(migration("0001.sql", `create table a (n);\n${trigger}`))).toEqual([]);
  });
});

describe("an inbox's migrations", () => {
  test("are the .sql files of the folder, applied in the text order of their names", async () => {
    await using inbox = await testInbox({
      files: {
        "migrations/0001_first.sql": "create table log (s text) strict; insert into log values ('0001');",
        "migrations/0010.sql": "insert into log values ('0010');",
        "migrations/0002.sql": "insert into log values ('0002');",
        "migrations/1.sql": "insert into log values ('1');",
        "migrations/README.md": "no SQL at all",
        "migrations/0002.sql.bak": "no SQL either",
        "migrations/.0003.sql.swp": "nor this",
        "migrations/.0004.sql": "nor this",
      },
    });
    expect(inbox.rows("select s from log order by rowid").map(({ s }) => s as string)).toEqual([
      "0001",
      "0002",
      "0010",
      "1",
    ]);
  });

  test("a new database is created without a copy, and copied before a later migration", async () => {
    let now = NOW;
    await using inbox = await testInbox({
      clock: () => now,
      files: {
        "migrations/0001.sql": "create table t (n integer) strict;",
        "handlers/default/_any.sql": "insert into t (n) values (1);",
      },
    });
    expect(copiesIn(inbox)).toEqual([]);
    await inbox.deliver({ event_id: "evt_1", type: "t" });
    await inbox.restart();
    expect(copiesIn(inbox)).toEqual([]);

    now += 1000;
    await inbox.restart({
      files: { "migrations/0002 more.sql": "alter table t add column m integer;\nupdate t set m = 2;" },
    });
    const copies = copiesIn(inbox);
    expect(copies).toEqual(["hookonce.db.before-0002_more-2026-09-21T14-13-21-000Z"]);
    using copy = new Database(join(inbox.folder, "data", copies[0] as string), { readonly: true });
    // The copy is complete and from before the migration.
    expect(copy.prepare("select n from t").values()).toEqual([[1]]);
    expect(copy.prepare("select name from pragma_table_info('t')").values()).toEqual([["n"]]);
    expect(copy.prepare("select event_id from hookonce_events").values()).toEqual([["evt_1"]]);
    expect(copy.prepare("pragma integrity_check").values()).toEqual([["ok"]]);
    expect(inbox.rows("select n, m from t")).toEqual([{ n: 1, m: 2 }]);
    expect(inbox.log.some(({ msg }) => msg === "copied the database before migrating it")).toBe(true);
    // The copy holds every payload, so only the owner may read the folder.
    expect(statSync(join(inbox.folder, "data")).mode & 0o077).toBe(0);
  });

  test("an existing copy is not overwritten, and the start is refused", async () => {
    await using inbox = await testInbox({ clock: () => NOW });
    const name = "hookonce.db.before-0001-2026-09-21T14-13-20-000Z";
    inbox.write({ [`data/${name}`]: "somebody's" });
    const files = { "migrations/0001.sql": "create table t (n integer) strict;" };
    expect((await refusalOf(() => inbox.restart({ files }))).message).toContain(
      "exists already. Move it away",
    );
    expect(readFileSync(join(inbox.folder, "data", name), "utf8")).toBe("somebody's");
    rmSync(join(inbox.folder, "data", name));
    await inbox.restart();
    expect(inbox.rows("select name from sqlite_schema where name = 't'")).toHaveLength(1);
  });

  test("a failing migration refuses the start before any table or copy is made", async () => {
    await using inbox = await testInbox({
      files: { "migrations/0001.sql": "create table t (n integer) strict;" },
    });
    const broken = "create table half (n integer) strict;\ninsert into nowhere values (1);";
    const refused = await refusalOf(() => inbox.restart({ files: { "migrations/0002.sql": broken } }));
    expect(refused.problems).toEqual([
      {
        file: "migrations/0002.sql",
        line: 2,
        message: "the migration fails, so none of it is applied: no such table: nowhere",
      },
    ]);
    expect(inbox.rows("select name from sqlite_schema where name = 'half'")).toEqual([]);
    expect(copiesIn(inbox)).toEqual([]);

    inbox.write({ "migrations/0002.sql": "create table half (n integer) strict;" });
    await inbox.restart();
    expect(inbox.rows("select name from hookonce_user_migrations order by name")).toEqual([
      { name: "0001.sql" },
      { name: "0002.sql" },
    ]);
  });

  test("a migration that fails on the rows of the real database is rolled back, and earlier ones stay applied", async () => {
    await using inbox = await testInbox({
      files: {
        "migrations/0001.sql": "create table t (n integer) strict;",
        "handlers/default/_any.sql": "insert into t values (1);",
      },
    });
    await inbox.deliver({ event_id: "evt_1", type: "t" });
    await inbox.deliver({ event_id: "evt_2", type: "t" });
    const files = {
      "migrations/0002.sql": "create table more (n integer) strict;",
      "migrations/0003.sql": "create table half (n integer) strict;\ncreate unique index u on t (n);",
      "migrations/0004.sql": "create table never (n integer) strict;",
    };
    const refused = await refusalOf(() => inbox.restart({ files }));
    expect(refused.code).toBe("migration_failed");
    expect(refused.message).toStartWith(
      "migrations/0003.sql:2: the migration fails, so none of it is applied: UNIQUE constraint failed",
    );
    // The copy from before the first migration is the only one: starts that migrate nothing leave none.
    for (let attempt = 0; attempt < 2; attempt++)
      expect((await refusalOf(() => inbox.restart())).code).toBe("migration_failed");
    expect(inbox.rows("select name from sqlite_schema where name in ('more', 'half', 'u', 'never')")).toEqual(
      [{ name: "more" }],
    );
    expect(inbox.value("select count(*) from hookonce_events")).toBe(2);
    expect(copiesIn(inbox)).toHaveLength(1);
    inbox.write({ "migrations/0003.sql": "create table half (n integer) strict;" });
    await inbox.restart();
  });

  test("a migration whose rows violate a constraint at the commit is named and rolled back", async () => {
    await using inbox = await testInbox({
      files: {
        "migrations/0001.sql":
          "create table t (n integer primary key) strict; create table u (n integer) strict;",
        "handlers/default/_any.sql": "insert into u values (7);",
      },
    });
    await inbox.deliver({ event_id: "evt_1", type: "t" });
    const files = {
      "migrations/0002.sql": `create table half (n integer references t (n) deferrable initially deferred) strict;
insert into half select n from u;`,
    };
    const { code, problems } = await refusalOf(() => inbox.restart({ files }));
    expect(code).toBe("migration_failed");
    expect(problems).toEqual([
      {
        file: "migrations/0002.sql",
        line: undefined,
        message: "the migration fails, so none of it is applied: FOREIGN KEY constraint failed",
      },
    ]);
    expect(inbox.rows("select name from sqlite_schema where name = 'half'")).toEqual([]);
    expect(copiesIn(inbox)).toEqual([]);
  });

  test("a database that a newer hookonce has migrated is refused", async () => {
    await using inbox = await testInbox();
    inbox.rows("insert into hookonce_migrations values ('9999_future.sql', 'x', 1)");
    expect((await refusalOf(() => inbox.restart())).problems[0]?.message).toContain(
      "made by a newer hookonce (it has 9999_future.sql)",
    );
    inbox.rows("delete from hookonce_migrations where name like '9999%'");
    await inbox.restart();
  });

  test("cannot create a table that hookonce creates at the first start", async () => {
    const error = await refusedStart({
      files: { "migrations/0001.sql": "create table hookonce_events (n integer);" },
    });
    expect(error.problems[0]).toMatchObject({ file: "migrations/0001.sql", line: 1 });
    expect(error.problems[0]?.message).toContain("already exists");
  });
});

describe("hookonce's own migrations", () => {
  const folder = join(import.meta.dir, "../../../drizzle");

  test("are exactly the files that drizzle-kit generated", () => {
    const journal = JSON.parse(readFileSync(join(folder, "meta/_journal.json"), "utf8")) as {
      entries: { tag: string }[];
    };
    const files = readdirSync(folder).filter((name) => name.endsWith(".sql"));
    expect(ownMigrations.map(({ name }) => name)).toEqual(files.sort());
    expect(ownMigrations.map(({ name }) => name)).toEqual(journal.entries.map(({ tag }) => `${tag}.sql`));
    for (const { name, sql } of ownMigrations) expect(sql).toBe(readFileSync(join(folder, name), "utf8"));
  });

  test("create only objects named hookonce_…", () => {
    using db = new Database(":memory:");
    migrate(db, ownSet(ownMigrations), NOW);
    expect(objectsOf(db)).toEqual([]);
    const tables = db
      .prepare("select name from sqlite_schema where type = 'table' and name like 'hookonce\\_%' escape '\\'")
      .values()
      .flat();
    expect(tables).toContain("hookonce_events");
    expect(tables).toContain("hookonce_failures");
    for (const { sql } of ownMigrations) expect(problemsOf({ name: "own", sql })).toEqual([]);
  });

  test("keep failures of a batch readable: an older version stored the event's own part of it, unmarked", () => {
    using db = new Database(":memory:");
    migrate(db, ownSet(ownMigrations.slice(0, 2)), NOW);
    db.run(`insert into hookonce_sources values
      ('batch', 'unsigned', '{"batch":["body:$[*]"],"eventId":"body:$.id"}', 0), ('plain', 'unsigned', '"body:$.id"', 0)`);
    for (const source of ["batch", "plain"])
      db.run(
        `insert into hookonce_failures (source, event_id, type, code, error, attempts, first_at, last_at, first_headers, first_body, last_headers, last_body)
        values (?, 'evt_1', '', 'handler_error', '', 3, 1, 2, '{}', x'7b7d', '{}', x'7b7d')`,
        [source],
      );
    migrate(db, ownSet(ownMigrations), NOW);
    expect(
      db.prepare("select source, element, deliveries from hookonce_failures order by source").values(),
    ).toEqual([
      ["batch", 1, 3],
      ["plain", 0, 3],
    ]);
  });

  test("take from events the ids of bodies that are gone or belong to another event", () => {
    using db = new Database(":memory:");
    migrate(db, ownSet(ownMigrations.slice(0, 19)), NOW);
    for (const id of [1, 4, 9])
      db.run("insert into hookonce_bodies (id, received_at, headers, bytes) values (?, 1, '{}', x'61')", [
        id,
      ]);
    // A batch, whose body is there; one whose body is gone; an own part of a batch that has the id of an event whose
    // body is gone; and two own parts with one id, one of which was forgotten.
    db.run(`insert into hookonce_results (event, body, element, reason) values
      (1, 1, 0, null), (2, 1, 0, null), (3, 99, 0, null), (4, 4, 0, null), (5, 4, 1, 'forgotten: its own'),
      (6, 9, 1, 'forgotten: asked to'), (7, 9, 1, null), (8, 0, 0, 'a test'), (10, 10, 0, null)`);
    migrate(db, ownSet(ownMigrations), NOW);
    expect(db.prepare("select event, body from hookonce_results order by event").values()).toEqual([
      [1, 1],
      [2, 1],
      [3, 0],
      [4, 0],
      [5, 4],
      [6, 0],
      [7, 9],
      [8, 0],
      [10, 10],
    ]);
  });
});
