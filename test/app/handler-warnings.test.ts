import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { check } from "../../src/app/check.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

/** What check says of handlers that a start accepts. */

const CONFIG = `[sources.shop]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.type"\n`;

const TABLES = `
create table credits (event_id text, customer text, cents integer);
create table orders (id integer primary key, customer text, state text, total integer);
create table users (email text primary key, name text) without rowid;
create table guests (id integer primary key, email text not null);
create table gifts (id integer primary key, event_id text not null, cents integer check (cents > 0));
create table notes (id integer primary key, event_id text not null, slug text unique, lang text default 'en', word text);
create unique index notes_lang on notes (lang, word);
`;

/** The warnings and problems, each as `file:line: message`. */
async function said(inbox: TestInbox): Promise<{ warnings: string[]; problems: string[] }> {
  const { warnings, problems } = await check(inbox.folder, { environment: {}, clock: Date.now });
  const lines = (all: typeof warnings) =>
    all
      .filter(({ file }) => file?.startsWith("handlers/") === true)
      .map(({ file, line, message }) => `${file}:${line}: ${message}`);
  return { warnings: lines(warnings), problems: lines(problems) };
}

const inboxWith = (handlers: Record<string, string>) =>
  testInbox({
    config: CONFIG,
    files: {
      "migrations/1.sql": TABLES,
      ...Object.fromEntries(
        Object.entries(handlers).map(([name, sql]) => [`handlers/shop/${name}.sql`, sql]),
      ),
    },
  });

const deliver = async (inbox: TestInbox, id: string, type: string, more: object = {}): Promise<void> => {
  const body = {
    id,
    type,
    data: { object: { customer: "ada" } },
    lines: [{ price: 1 }],
    note: null,
    ...more,
  };
  expect((await inbox.deliver(body, { source: "shop" })).status).toBe(200);
};

const never = (clause: string, table: string, column: string) =>
  `"${clause}" never finds a conflict, because no unique index of ${table} covers the inserted columns, so each run adds a row. Add one in migrations/, such as: create unique index ${table}_${column} on ${table} (${column});`;

/** With 10,001 orders and one credit. */
async function filled(sql: string): Promise<TestInbox> {
  const inbox = await inboxWith({ paid: sql });
  using db = new Database(inbox.databasePath);
  db.run(
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10001) insert into orders select i, 'a', 'b', 1 from n",
  );
  db.run("insert into credits values ('e', 'a', 1)");
  return inbox;
}

const many = "each run reads all rows of orders, which has more than 10,000 rows, and other deliveries wait.";
const index = (...columns: string[]) =>
  `${many} Add an index in migrations/, such as: create index orders_${columns.join("_")} on orders (${columns.join(", ")});`;

describe("a path that no stored event has", () => {
  const paid = `-- :payload ->> '$.comment'
select :payload ->> '$.data.object.custmer', :payload ->> '$.data.customer';
select :payload ->> '$.data.object.customer', :payload ->> '$.note', :payload ->> '$.data.object.custmer',
  :headers ->> 'x-nothing', value ->> 'prise'
from json_each(:payload, '$.lines');
`;

  test("is named with its line, the events, and the nearest path", async () => {
    await using inbox = await inboxWith({ paid });
    await deliver(inbox, "1", "paid");
    await deliver(inbox, "2", "paid");
    await deliver(inbox, "3", "other", { data: { object: { custmer: 1 } } });
    const file = "handlers/shop/paid.sql";
    const events = "is in none of the newest 2 stored events (paid)";
    expect(await said(inbox)).toEqual({
      problems: [],
      warnings: [
        `${file}:2: :payload ->> '$.data.object.custmer' ${events}. Did you mean $.data.object.customer?`,
        `${file}:2: :payload ->> '$.data.customer' ${events}. Did you mean $.data.object.customer?`,
        `${file}:4: :headers ->> 'x-nothing' ${events}`,
        `${file}:4: value ->> 'prise' ${events}. Did you mean $.price?`,
      ],
    });
  });

  test("is not looked for while no event is stored", async () => {
    await using inbox = await inboxWith({ paid });
    await deliver(inbox, "1", "other");
    expect((await said(inbox)).warnings).toEqual([]);
  });

  test("must be missing in every type that the handler runs", async () => {
    await using inbox = await inboxWith({ _any: "select :payload ->> '$.old', :payload ->> '$.olld';" });
    await deliver(inbox, "1", "a", { old: 1 });
    for (let n = 0; n < 30; n++) await deliver(inbox, `b${n}`, "b");
    expect((await said(inbox)).warnings).toEqual([
      "handlers/shop/_any.sql:1: :payload ->> '$.olld' is in none of the newest 11 stored events (b, a). Did you mean $.old?",
    ]);
  });

  test("is found in the events of a failing handler, and of a batch", async () => {
    await using inbox = await testInbox({
      config: `${CONFIG}batch = "body:$[*]"\n`,
      files: { "handlers/shop/paid.sql": "select json(:payload ->> '$.nme'), json('{');" },
    });
    await inbox.deliver([{ id: "1", type: "paid", name: "x" }], { source: "shop" });
    expect((await said(inbox)).warnings).toEqual([
      "handlers/shop/paid.sql:1: :payload ->> '$.nme' is in none of the newest 1 stored event (paid). Did you mean $.name?",
    ]);
  });
});

describe("an insert that finds no conflict", () => {
  test.each([
    ["insert or ignore into credits values (:event_id, 'a', 1)", "insert or ignore", "credits", "event_id"],
    ["INSERT OR REPLACE INTO main.credits (cents) select 1", "insert or replace", "credits", "cents"],
    ['replace into "credits" (customer, event_id) values (1, 2)', "replace", "credits", "event_id"],
    ["insert into credits values (1, 2, 3) on conflict do nothing", "on conflict do", "credits", "event_id"],
    [
      "with x as (select 1) insert or ignore into credits (cents) select * from x",
      "insert or ignore",
      "credits",
      "cents",
    ],
    ["insert or ignore into orders (customer) values (1)", "insert or ignore", "orders", "customer"],
    ["insert into guests (email) values (1) on conflict do nothing", "on conflict do", "guests", "email"],
    ["insert or replace into guests (email) values (1)", "insert or replace", "guests", "email"],
    ["insert or ignore into notes (event_id) values (1)", "insert or ignore", "notes", "event_id"],
    ["insert or ignore into notes (event_id, lang) values (1, 2)", "insert or ignore", "notes", "event_id"],
  ])("%s", async (sql, clause, table, column) => {
    await using inbox = await inboxWith({ paid: `select 1;\n${sql};` });
    expect(await said(inbox)).toEqual({
      problems: [],
      warnings: [`handlers/shop/paid.sql:2: ${never(clause, table, column)}`],
    });
  });

  test.each([
    "insert or ignore into users values ('a', 'b')",
    "insert or ignore into orders values (1, 'a', 'b', 2)",
    "insert or replace into orders (id) values (1)",
    "insert or replace into orders (rowid, total) values (1, 2)",
    "insert or ignore into guests (email) values (:payload ->> '$.email')",
    "insert or ignore into gifts (event_id, cents) values (:event_id, :payload ->> '$.cents')",
    "insert or ignore into notes (event_id, slug) values (:event_id, 'a')",
    "insert or ignore into notes (event_id, word) values (:event_id, 'a')",
    "insert or ignore into notes select 1, :event_id, 'a', 'en', 'b'",
    "insert into credits values (1, 2, 3)",
    "insert into credits values (1, 'insert or ignore into credits', 3) -- or ignore",
    "insert into users values ('a', 'b') on conflict do nothing",
  ])("none: %s", async (sql) => {
    await using inbox = await inboxWith({ paid: sql });
    expect(await said(inbox)).toEqual({ problems: [], warnings: [] });
  });

  test("is refused, with the index to make, if it names columns without a unique index", async () => {
    await using inbox = await inboxWith({});
    await Bun.write(
      `${inbox.folder}/handlers/shop/paid.sql`,
      "select 1;\ninsert into credits (customer, cents) values ('a', 1)\n  on conflict (customer, cents) do update set cents = 2;",
    );
    expect(await said(inbox)).toEqual({
      warnings: [],
      problems: [
        "handlers/shop/paid.sql:2: on conflict (customer, cents): credits has no unique index on exactly these columns, so SQLite cannot find a conflict. Add one in migrations/, such as: create unique index credits_customer_cents on credits (customer, cents);",
      ],
    });
  });
});

describe("a scan of a large table", () => {
  test.each([
    ["update orders set state = 'x' where customer = :payload ->> '$.c'", index("customer")],
    ["delete from orders as o where o.total > 5 and o.state = 'x'", index("state", "total")],
    ["select 1 from credits c join orders o on o.customer = c.customer where c.cents = 1", index("customer")],
    ["select exists (select 1 from orders where 'x' = state limit 1)", index("state")],
    ["select sum(total) from orders", `${many} Add a condition on a column with an index.`],
    [
      "select (select id from orders order by total limit 1) where :payload > 0",
      `${many} Add a condition on a column with an index.`,
    ],
    ["select exists (select count(*) from orders)", `${many} Add a condition on a column with an index.`],
    [
      "select 1 from orders where exists (select 1 from orders)",
      `${many} Add a condition on a column with an index.`,
    ],
    ["update orders set total = total + 1", `${many} Add a condition on a column with an index.`],
  ])("%s", async (sql, message) => {
    await using inbox = await filled(`select 1;\n\n${sql};`);
    expect(await said(inbox)).toEqual({ problems: [], warnings: [`handlers/shop/paid.sql:3: ${message}`] });
  });

  test.each([
    "update orders set state = 'x' where id = 5",
    "select * from orders order by id desc limit 3",
    "insert into credits select 1, 2, 3 where exists (select 1 from orders)",
    "insert into credits select 1, 2, 3 where not exists (select 1 from orders o limit 1) and 1 = :payload ->> '$.id'",
    "insert into credits select 1, (select customer from orders order by id desc limit 1), 3 where :payload ->> '$.id' > 0",
    "update credits set cents = 2 where customer = 'a'",
    "insert into orders (customer) select value from json_each(:payload, '$.id')",
  ])("none: %s", async (sql) => {
    await using inbox = await filled(sql);
    expect((await said(inbox)).warnings).toEqual([]);
  });

  test.each([
    ["update orders set total = 1 where state = 'open' and customer = 'a'", []],
    ["insert into credits select id, customer, 1 from orders where state = 'open'", []],
    // The index has only the open ones.
    ["update orders set total = 1 where customer = 'a'", [`handlers/shop/paid.sql:1: ${index("customer")}`]],
  ])("is not one of a partial index: %s", async (sql, warnings) => {
    await using inbox = await filled(sql);
    await Bun.write(
      `${inbox.folder}/migrations/2.sql`,
      "create unique index orders_open on orders (customer, id) where state = 'open';",
    );
    expect((await said(inbox)).warnings).toEqual(warnings);
  });

  test("is gone with an index, also with one that a pending migration makes", async () => {
    await using inbox = await filled("update orders set state = 'x' where customer = 'a';");
    await Bun.write(`${inbox.folder}/migrations/2.sql`, "create index orders_customer on orders (customer);");
    expect(await said(inbox)).toEqual({ problems: [], warnings: [] });
  });
});
