import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { refusalOf, refusedStart, testInbox, type TestInbox } from "../../support/test-inbox.ts";

/** An application with its own database. */
interface App extends Disposable {
  readonly path: string;
  readonly folder: string;
  open(): Database;
}

function app(options: { wal: boolean; empty?: boolean }): App {
  const folder = temporaryFolder("app", 100);
  const path = join(folder, "app.db");
  using db = new Database(path);
  if (options.wal) db.run("pragma journal_mode = wal");
  db.run("pragma user_version = 42");
  db.run("pragma application_id = 1234567");
  if (options.empty !== true) {
    db.run("create table customers (id text primary key, cents integer not null default 0)");
    db.run("create index customers_by_cents on customers (cents)");
    db.run("insert into customers values ('ada', 100), ('bob', 200)");
  }
  return {
    path,
    folder,
    open: () => new Database(path),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const SOURCE = '[sources.default]\nprovider = "unsigned"\ntype = "body:$.type"\n';

const HANDLER = {
  "handlers/default/_any.sql":
    "update customers set cents = cents + (:payload ->> '$.cents') where id = :payload ->> '$.customer';",
};

/** Thirty events of this size make a checkpoint due. */
const FILLER = "x".repeat(500_000);

function inboxOn({ path }: App, more = ""): Promise<TestInbox> {
  return testInbox({ config: `database = "${path}"\n${more}${SOURCE}`, files: HANDLER });
}

/**
 * The settings and objects that belong to the application. SQLite makes the table sqlite_sequence for row ids that are
 * never used again: those of messages. The rows in it that are not hookonce's belong to the application.
 */
function ownOf(db: Database): Record<string, unknown> {
  const pragma = (name: string): unknown => db.prepare(`pragma ${name}`).values()[0]?.[0];
  return {
    user_version: pragma("user_version"),
    application_id: pragma("application_id"),
    auto_vacuum: pragma("auto_vacuum"),
    page_size: pragma("page_size"),
    encoding: pragma("encoding"),
    journal_mode: pragma("journal_mode"),
    objects: db
      .prepare(
        `select type, name, sql from sqlite_schema
         where name not like '%hookonce\\_%' escape '\\' and name <> 'sqlite_sequence' order by name`,
      )
      .values(),
    sequences: sequencesIn(db),
  };
}

function sequencesIn(db: Database): unknown[] {
  const made = db.prepare("select 1 from sqlite_schema where name = 'sqlite_sequence'").values();
  if (made.length === 0) return [];
  return db
    .prepare("select name, seq from sqlite_sequence where name not like 'hookonce\\_%' escape '\\'")
    .values();
}

describe("in a database that hookonce did not create", () => {
  test("hookonce adds its own objects and changes nothing else, over many events and restarts", async () => {
    using host = app({ wal: true });
    using before = host.open();
    const own = ownOf(before);
    {
      await using inbox = await inboxOn(host);
      for (let n = 0; n < 30; n++) {
        await inbox.deliver({
          event_id: `evt_${n}`,
          type: "paid",
          customer: "ada",
          cents: 1,
          filler: FILLER,
        });
      }
      expect(
        (await inbox.deliver({ event_id: "evt_1", type: "paid", customer: "ada", cents: 1 })).body.status,
      ).toBe("duplicate");
      await inbox.restart();
      await inbox.deliver({ event_id: "evt_last", type: "paid", customer: "bob", cents: 1 });
    }
    using after = host.open();
    expect(ownOf(after)).toEqual(own);
    expect(own).toMatchObject({
      user_version: 42,
      application_id: 1234567,
      auto_vacuum: 0,
      journal_mode: "wal",
    });
    expect(after.prepare("select * from customers order by id").values()).toEqual([
      ["ada", 130],
      ["bob", 201],
    ]);
    expect(
      after.prepare("select name from sqlite_schema where name like 'sqlite\\_stat%' escape '\\'").values(),
    ).toEqual([]);
    expect(after.prepare("pragma integrity_check").values()).toEqual([["ok"]]);
  });

  test("the application can write while hookonce serves, and both see each other's writes", async () => {
    using host = app({ wal: true });
    await using inbox = await inboxOn(host);
    using db = host.open();
    db.run("pragma busy_timeout = 5000");
    db.run("insert into customers values ('eve', 5)");
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const answer = await inbox.deliver({ event_id: `evt_${n}`, type: "paid", customer: "eve", cents: 1 });
        db.run("update customers set cents = cents + 1000 where id = 'bob'");
        return answer.status;
      }),
    );
    expect(answers.every((status) => status === 200)).toBe(true);
    expect(db.prepare("select id, cents from customers order by id").values()).toEqual([
      ["ada", 100],
      ["bob", 40_200],
      ["eve", 45],
    ]);
  });

  test("a migration by the application fails only the handlers that it affects", async () => {
    using host = app({ wal: true });
    await using inbox = await inboxOn(host);
    using db = host.open();
    db.run("alter table customers add column note text");
    const paid = { type: "paid", customer: "ada", cents: 7 };
    expect((await inbox.deliver({ event_id: "evt_1", ...paid })).status).toBe(200);
    // A migration that affects the handler makes it fail. Once it is reverted, the retry is processed.
    db.run("alter table customers rename column cents to pence");
    expect((await inbox.deliver({ event_id: "evt_2", ...paid })).status).toBe(500);
    expect(db.prepare("select error from hookonce_failures").values()).toEqual([["no such column: cents"]]);
    db.run("alter table customers rename column pence to cents");
    expect((await inbox.deliver({ event_id: "evt_2", ...paid })).status).toBe(200);
    expect(db.prepare("select cents from customers where id = 'ada'").values()).toEqual([[114]]);
  });

  test("the database is copied before hookonce creates its tables", async () => {
    using host = app({ wal: true });
    {
      await using _ = await inboxOn(host);
    }
    const copy = readdirSync(host.folder).find((name) => name.startsWith("app.db.before-"));
    expect(copy).toMatch(/^app\.db\.before-0000_inbox-\d{4}-\d\d-\d\dT[\d-]+Z$/);
    using db = new Database(join(host.folder, copy as string), { readonly: true });
    expect(db.prepare("select name from sqlite_schema where name like 'hookonce%'").values()).toEqual([]);
    expect(db.prepare("select count(*) from customers").values()).toEqual([[2]]);
  });

  test("hookonce changes no setting of a database that an application prepared without tables", async () => {
    using host = app({ wal: true, empty: true });
    {
      await using inbox = await testInbox({ config: `database = "${host.path}"\n${SOURCE}` });
      for (let n = 0; n < 30; n++) await inbox.deliver({ event_id: `evt_${n}`, type: "t" });
    }
    using db = host.open();
    expect(ownOf(db)).toMatchObject({
      user_version: 42,
      application_id: 1234567,
      auto_vacuum: 0,
      objects: [],
    });
  });
});

describe("a database that is not in WAL mode", () => {
  test("is refused with the remedy and stays unchanged", async () => {
    using host = app({ wal: false });
    const error = await refusedStart({ config: `database = "${host.path}"\n${SOURCE}`, files: HANDLER });
    expect(error.problems.map(({ message }) => message)).toEqual([
      `The database ${host.path} is in delete mode, and hookonce needs WAL mode. To let it convert the database, set convert_to_wal = true.`,
    ]);
    expect(readdirSync(host.folder).filter((name) => !name.includes(".lock"))).toEqual(["app.db"]);
    using db = host.open();
    expect(ownOf(db)["journal_mode"]).toBe("delete");
    expect(db.prepare("select name from sqlite_schema where name like 'hookonce%'").values()).toEqual([]);
  });

  test("is also refused by openDatabase", async () => {
    using host = app({ wal: false });
    const error = await refusalOf(() => openDatabase(host.path));
    expect(error.code).toBe("not_in_wal_mode");
    expect(error.message).toContain("Set convert_to_wal = true, or run: sqlite3 ");
    using db = host.open();
    expect(ownOf(db)["journal_mode"]).toBe("delete");
  });

  test("is converted with convert_to_wal = true, and nothing else changes", async () => {
    using host = app({ wal: false });
    using before = host.open();
    const own = ownOf(before);
    before.close();
    {
      await using inbox = await inboxOn(host, "convert_to_wal = true\n");
      expect(
        (await inbox.deliver({ event_id: "evt_1", type: "paid", customer: "ada", cents: 1 })).status,
      ).toBe(200);
    }
    using after = host.open();
    expect(ownOf(after)).toEqual({ ...own, journal_mode: "wal" });
    // The database is in WAL mode now, so convert_to_wal is no longer needed.
    await using _ = await inboxOn(host);
  });
});

test("a database that hookonce created is marked as its own and can free pages", async () => {
  await using inbox = await testInbox();
  await inbox.deliver({ event_id: "evt_1", type: "t" });
  await inbox.close();
  using db = new Database(inbox.databasePath);
  expect(db.prepare("pragma auto_vacuum").values()).toEqual([[2]]);
  expect(db.prepare("select value from hookonce_meta where key = 'created_by'").values()).toEqual([
    ["hookonce"],
  ]);
});
