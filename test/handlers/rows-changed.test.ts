import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testInbox, type LogLine, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";

const MIGRATION = `${TABLES}
create table log (what text) strict;
create trigger log_things after insert on things begin insert into log values ('a'), ('b'); end;
create table parents (n integer primary key) strict;
create table children (parent integer references parents (n) on delete cascade) strict;
insert into parents values (1);
insert into children values (1), (1), (1);
create table balances (who text primary key, cents integer not null) strict;
create view accounts as select who, cents from balances;
create trigger accounts_insert instead of insert on accounts begin
  insert into balances values (new.who, new.cents) on conflict do update set cents = cents + excluded.cents;
end;
create trigger accounts_update instead of update on accounts begin
  update balances set cents = new.cents where who = old.who;
  insert into log values (old.who);
end;
create trigger accounts_delete instead of delete on accounts begin select 1; end;
create view all_accounts as select * from accounts;
create trigger all_accounts_insert instead of insert on all_accounts begin
  insert into accounts values (new.who, new.cents);
end;
create table unique_names (name text primary key) strict;
create trigger unique_names_log before insert on unique_names begin insert into log values (new.name); end;
insert into unique_names values ('ada');
`;

/**
 * They run once each, in this order, on the tables of MIGRATION. Each sees the changes of those before it.
 */
const scenarios: { name: string; language: "sql" | "ts"; text: string; rows: number }[] = [
  {
    name: "insert",
    language: "sql",
    text: "insert into effects values ('x', 'a'), ('x', 'b'), ('x', 'c')",
    rows: 3,
  },
  {
    name: "insert of no rows",
    language: "sql",
    text: "insert into effects select 'x', 'y' where false",
    rows: 0,
  },
  {
    name: "update that matches no row",
    language: "sql",
    text: "update things set note = 'x' where n = 404",
    rows: 0,
  },
  {
    name: "update to the same value",
    language: "sql",
    text: "update things set note = note where n <= 2",
    rows: 2,
  },
  { name: "delete", language: "sql", text: "delete from effects where note = 'c'", rows: 1 },
  { name: "select", language: "sql", text: "select * from things", rows: 0 },
  {
    name: "select after an insert",
    language: "sql",
    text: "insert into effects values ('x', 'd'); select 1; values (2);",
    rows: 1,
  },
  {
    name: "several statements",
    language: "sql",
    text: "insert into effects values ('x', 'e'); update effects set note = 'f' where note = 'e'; delete from effects where note = 'f';",
    rows: 3,
  },
  {
    name: "insert with returning",
    language: "sql",
    text: "insert into effects values ('x', 'g'), ('x', 'h') returning note",
    rows: 2,
  },
  {
    name: "with and insert",
    language: "sql",
    text: "with two as (select 'i' as n union all select 'j') insert into effects select 'x', n from two",
    rows: 2,
  },
  { name: "with and select", language: "sql", text: "with two as (select 1) select * from two", rows: 0 },
  {
    name: "upsert that inserts",
    language: "sql",
    text: "insert into parents values (2) on conflict do nothing",
    rows: 1,
  },
  {
    name: "upsert that does nothing",
    language: "sql",
    text: "insert into parents values (2) on conflict do nothing",
    rows: 0,
  },
  {
    name: "upsert that updates",
    language: "sql",
    text: "insert into things values (1, 'x') on conflict (n) do update set note = excluded.note",
    rows: 1,
  },
  {
    name: "replace of an existing row",
    language: "sql",
    text: "replace into parents values (2)",
    rows: 1,
  },
  {
    name: "a trigger's rows are not counted",
    language: "sql",
    text: "insert into things values (10, 'ten')",
    rows: 1,
  },
  {
    name: "a trigger's rows are not counted, with returning",
    language: "sql",
    text: "insert into things values (11, 'eleven') returning n",
    rows: 1,
  },
  {
    name: "an insert into a view counts what its INSTEAD OF trigger changes",
    language: "sql",
    text: "insert into accounts values ('ada', 5), ('bob', 7)",
    rows: 2,
  },
  {
    name: "an update of a view counts what its trigger changes, in every table",
    language: "sql",
    text: "update accounts set cents = 9 where who = 'ada'",
    rows: 2,
  },
  {
    name: "an update of a view that matches no row",
    language: "sql",
    text: "update accounts set cents = 9 where who = 'nobody'",
    rows: 0,
  },
  {
    name: "a delete from a view whose trigger changes nothing",
    language: "sql",
    text: "delete from accounts where who = 'ada'",
    rows: 0,
  },
  {
    name: "an insert into a view of a view, after a WITH",
    language: "sql",
    text: "with one as (select 'cyd' as who) insert into all_accounts select who, 1 from one",
    rows: 1,
  },
  {
    name: "a view and a table in one handler",
    language: "sql",
    text: "insert into effects values ('x', 'v'); insert into accounts values ('ada', 1); select * from accounts;",
    rows: 2,
  },
  {
    name: "an insert that is ignored, although a BEFORE trigger has written",
    language: "sql",
    text: "insert or ignore into unique_names values ('ada')",
    rows: 0,
  },

  {
    name: "a view, run",
    language: "ts",
    text: "if (db.run(sql`insert into accounts values ('ada', 5)`).changes !== 1) throw new Error('not 1');",
    rows: 1,
  },
  {
    name: "a view, with returning",
    language: "ts",
    text: "db.all(sql`insert into accounts values ('ada', 5), ('dan', 5) returning who`);",
    rows: 2,
  },
  {
    name: "a view, undone by a savepoint",
    language: "ts",
    text: "try { db.transaction((tx) => { tx.run(sql`insert into accounts values ('ada', 5)`); throw new Error('no'); }); } catch {}",
    rows: 0,
  },
  {
    name: "run",
    language: "ts",
    text: "db.run(sql`insert into effects values ('x', 'a'), ('x', 'b')`);",
    rows: 2,
  },
  {
    name: "drizzle's insert",
    language: "ts",
    text: "db.insert(effects).values([{ eventId: 'x', note: 'a' }, { eventId: 'x', note: 'b' }]).run();",
    rows: 2,
  },
  {
    name: "drizzle's update",
    language: "ts",
    text: "db.update(things).set({ note: 'z' }).where(eq(things.n, 2)).run();",
    rows: 1,
  },
  {
    name: "drizzle's update that matches no row",
    language: "ts",
    text: "db.update(things).set({ note: 'z' }).where(eq(things.n, 404)).run();",
    rows: 0,
  },
  {
    name: "drizzle's delete",
    language: "ts",
    text: "db.delete(effects).where(eq(effects.note, 'b')).run();",
    rows: 3,
  },
  {
    name: "drizzle's upsert",
    language: "ts",
    text: "db.insert(things).values({ n: 2, note: 'q' }).onConflictDoUpdate({ target: things.n, set: { note: 'q' } }).run();",
    rows: 1,
  },
  { name: "drizzle's select", language: "ts", text: "db.select().from(things).all();", rows: 0 },
  {
    name: "returning, all",
    language: "ts",
    text: "db.insert(effects).values([{ eventId: 'x', note: 'k' }, { eventId: 'x', note: 'l' }]).returning().all();",
    rows: 2,
  },
  {
    name: "returning, get",
    language: "ts",
    text: "db.insert(effects).values([{ eventId: 'x', note: 'm' }, { eventId: 'x', note: 'n' }]).returning().get();",
    rows: 2,
  },
  {
    name: "returning, values",
    language: "ts",
    text: "db.values(sql`update effects set note = 'o' where note in ('m', 'n') returning note`);",
    rows: 2,
  },
  {
    name: "returning without rows, after another statement",
    language: "ts",
    text: "db.run(sql`insert into effects values ('x', 'p')`); db.all(sql`update effects set note = 'x' where note = 'nobody' returning note`);",
    rows: 1,
  },
  {
    name: "reads between writes",
    language: "ts",
    text: "db.run(sql`insert into effects values ('x', 'q')`); db.all(sql`select * from effects`); db.all(sql`with a as (select 1) select * from a`); db.run(sql`delete from effects where note = 'q'`);",
    rows: 2,
  },
  {
    name: "a trigger's rows are not counted",
    language: "ts",
    text: "db.insert(things).values({ n: 20, note: 'x' }).run();",
    rows: 1,
  },
  {
    name: "a trigger's rows are not counted, with returning",
    language: "ts",
    text: "db.insert(things).values({ n: 21, note: 'x' }).returning().all();",
    rows: 1,
  },
  {
    name: "rows deleted by a foreign key are not counted, with returning",
    language: "ts",
    text: "db.all(sql`delete from parents where n = 1 returning n`);",
    rows: 1,
  },
  {
    name: "the client, run",
    language: "ts",
    text: "db.$client.run('insert into effects values (?, ?)', 'x', 'r');",
    rows: 1,
  },
  {
    name: "the client, prepared",
    language: "ts",
    text: "const add = db.$client.prepare('insert into effects values (?, ?)'); add.run('x', 's'); add.all('x', 't'); add.run('x', 'u');",
    rows: 3,
  },
  {
    name: "drizzle's prepared insert",
    language: "ts",
    text: "const add = db.insert(effects).values({ eventId: 'x', note: sql.placeholder('note') }).prepare(); add.run({ note: 'v' }); add.run({ note: 'w' });",
    rows: 2,
  },
  {
    name: "a statement whose error is caught",
    language: "ts",
    text: "db.run(sql`insert into effects values ('x', 'y')`); try { db.run(sql`insert into things values (500, 'x'), (1, 'again')`); } catch {}",
    rows: 1,
  },
  {
    name: "a query that is built and never run",
    language: "ts",
    text: "db.insert(effects).values({ eventId: 'x', note: 'never' });",
    rows: 0,
  },
  { name: "nothing", language: "ts", text: "", rows: 0 },
];

const keyOf = (index: number): string => `case_${index}`;

const handlers = Object.fromEntries(
  scenarios.map(({ language, text }, index) => [
    `${keyOf(index)}.${language}`,
    language === "sql" ? text : ts(text),
  ]),
);

const filesFor = (...sources: string[]): Record<string, string> => ({
  "migrations/0001.sql": MIGRATION,
  ...Object.fromEntries(
    sources.flatMap((source) =>
      Object.entries(handlers).map(([name, text]) => [`handlers/${source}/${name}`, text]),
    ),
  ),
});

const zeroWarnings = (log: readonly LogLine[]): LogLine[] =>
  log.filter(({ msg }) => msg.startsWith("the handler changed no rows"));

describe("the number of rows a handler changed is stored with its event", () => {
  let inbox: TestInbox;
  beforeAll(async () => {
    inbox = await testInbox({ files: filesFor("default") });
  });
  afterAll(() => inbox[Symbol.asyncDispose]());

  test.each(scenarios.map((row, index) => [`${row.language}: ${row.name}`, row, index] as const))(
    "%s",
    async (_, { rows, language }, index) => {
      const before = zeroWarnings(inbox.log).length;
      for (const id of [`evt_${index}`, `evt_${index}`])
        await inbox.deliver({ event_id: id, type: keyOf(index) });
      expect(
        inbox.rows(
          "select outcome, rows_changed, deliveries from hookonce_events left join hookonce_results on event = id where event_id = ?",
          `evt_${index}`,
        ),
      ).toEqual([{ outcome: "processed", rows_changed: rows, deliveries: 2 }]);
      // If no row changed, a warning names the file.
      const warned = zeroWarnings(inbox.log).slice(before);
      expect(warned.map(({ handler, level }) => [handler, level])).toEqual(
        rows === 0 ? [[`handlers/default/${keyOf(index)}.${language}`, 40]] : [],
      );
    },
  );

  test("the warning is logged once per handler, not per event", async () => {
    const nothing = keyOf(scenarios.length - 1);
    const before = zeroWarnings(inbox.log).length;
    for (const n of [1, 2, 3]) await inbox.deliver({ event_id: `more_${n}`, type: nothing });
    expect(zeroWarnings(inbox.log)).toHaveLength(before);
  });

  test("the delivery's log line has the number, too", async () => {
    const line = inbox.log.find(({ event, outcome }) => event === "evt_0" && outcome === "processed");
    expect(line).toMatchObject({ rows: 3, handler: "handlers/default/case_0.sql" });
  });
});

describe("require_change = true", () => {
  test("makes an event fail if its handler changes no row", async () => {
    await using inbox = await testInbox({
      config: '[sources.default]\nprovider = "unsigned"\ntype = "body:$.type"\nrequire_change = true\n',
      files: filesFor("default"),
    });
    for (const [index, { rows, name }] of scenarios.entries()) {
      const id = `evt_${index}`;
      const { status, body } = await inbox.deliver({ event_id: id, type: keyOf(index) });
      expect([name, status, body.status]).toEqual([
        name,
        ...(rows === 0 ? [500, "failed"] : [200, "processed"]),
      ]);
      expect(inbox.rows("select code from hookonce_failures where event_id = ?", id)).toEqual(
        rows === 0 ? [{ code: "no_rows_changed" }] : [],
      );
    }
    const built = scenarios.findIndex(({ name }) => name === "a query that is built and never run");
    expect(inbox.value("select error from hookonce_failures where event_id = ?", `evt_${built}`)).toBe(
      `handlers/default/${keyOf(built)}.ts changed no rows, and source "default" has require_change = true.`,
    );
    expect(zeroWarnings(inbox.log)).toEqual([]);
  });

  test("does not apply to an event without a handler", async () => {
    await using inbox = await testInbox({
      config: '[sources.default]\nprovider = "unsigned"\ntype = "body:$.type"\nrequire_change = true\n',
    });
    expect((await inbox.deliver({ event_id: "evt_1", type: "t" })).body.status).toBe("unhandled");
  });

  test("a retry applies an update that matched no row before, once the row exists", async () => {
    await using inbox = await testInbox({
      config: '[sources.default]\nprovider = "unsigned"\ntype = "body:$.type"\nrequire_change = true\n',
      files: {
        "migrations/0001.sql": "create table customers (id text primary key, cents integer not null) strict;",
        "handlers/default/paid.sql":
          "update customers set cents = cents + (:payload ->> '$.cents') where id = :payload ->> '$.customer';",
      },
    });
    const paid = { event_id: "evt_1", type: "paid", customer: "ada", cents: 5 };
    expect((await inbox.deliver(paid)).status).toBe(500);
    inbox.rows("insert into customers values ('ada', 0)");
    expect((await inbox.deliver(paid)).status).toBe(200);
    expect((await inbox.deliver(paid)).body.status).toBe("duplicate");
    expect(inbox.value("select cents from customers")).toBe(5);
  });
});
