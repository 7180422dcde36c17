import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secretNeeds } from "../../src/app/sources.ts";
import { TEMPORARY } from "../../src/app/trial-process.ts";
import { tryHandler, type TryRequest } from "../../src/app/try.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { TriedJson, TryJson } from "../../src/http/admin/try-shapes.ts";
import {
  describeUnless,
  needsLinux,
  onlyInFullRun,
  testUnless,
  testInFullRun as test,
} from "../crash/requirements.ts";
import { fillShop, openShop } from "../dashboard/support/shop.ts";
import { block, readme } from "../support/readme.ts";
import { stripeSignature } from "../support/stripe.ts";
import { testInbox } from "../support/test-inbox.ts";
import { hookonce, run, scratch, serve } from "./support/hookonce.ts";

/** `hookonce try`: what a handler does with an event, of which nothing stays. */

const ts = (body: string, imports = ""): string => `import { handler, reply } from "hookonce";
import { sql } from "drizzle-orm";
${imports}
export default handler(({ event, db }) => {
  ${body}
});
`;

const source = (name: string, more = ""): string =>
  `[sources.${name}]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.type"\n${more}`;

const tables = `create table credits (customer text primary key, cents integer not null);
insert into credits values ('ada', 5), ('bob', 7), ('eve', 9);`;

async function inboxWith(files: Record<string, string>, config = source("default")) {
  return testInbox({ config, files: { "migrations/1.sql": tables, ...files } });
}

type Inbox = Awaited<ReturnType<typeof inboxWith>>;

const tried = (inbox: Inbox, request: TryRequest, maxMs?: number) =>
  tryHandler(loadConfig(inbox.folder, secretNeeds, null), request, { command: hookonce, maxMs });

const body = (payload: unknown): TryRequest["on"] => ({
  from: "data",
  body: Buffer.from(JSON.stringify(payload)).toString("base64"),
});

/** Tries the handler on this payload. */
async function ran(inbox: Inbox, handler: string, payload: unknown = { id: "1" }): Promise<TriedJson> {
  const { items, why } = await tried(inbox, { handler, on: body(payload) });
  expect([items.length, why]).toEqual([1, null]);
  return items[0] as TriedJson;
}

/** Everything in a database. */
function dump(path: string): unknown {
  using database = new Database(path, { readonly: true });
  const names = database
    .query("select name from sqlite_schema where type = 'table' and name <> 'hookonce_rollups' order by name")
    .values()
    .map(([name]) => String(name).replaceAll('"', '""'));
  return [
    database.query("select * from sqlite_schema order by name").values(),
    names.map((name) => [name, database.query(`select * from "${name}"`).values()]),
  ];
}

const copies = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith(TEMPORARY));

const row = (customer: string, cents: number | string) => ({ customer, cents });

/** Without times, and without what is cut for their sake. */
const timeless = (text: string): string =>
  text
    .replaceAll(/\d+(?:\.\d)? [mµ]?s\b/g, "T")
    .replace(/^(line +rows +time) +(statement)$/m, "$1 $2")
    .replace(/^(1 +1 +T) +(insert into).*/m, "$1 $2");

const upsert = `insert into credits values (:payload ->> '$.customer', :payload ->> '$.cents')
on conflict do update set cents = cents + excluded.cents;`;

test("shows the rows of a table before and after, however they were changed", async () => {
  await using inbox = await inboxWith({
    "migrations/2.sql": `create table pairs (a text, b integer, v blob, primary key (a, b)) without rowid;
insert into pairs values ('x', 1, x'00'), ('x', 2, null);
create table "odd "" one" (rowid text, _rowid_ text, oid text, note text);
create table log (n integer primary key, note text);
insert into log values (1, 'same'), (2, 'old');`,
    "handlers/default/_any.sql": `update credits set cents = cents + 1 where customer = 'ada';
delete from credits where customer = 'bob';
insert or replace into credits values ('eve', 1);
insert into credits values ('new', 1);
update credits set cents = 9007199254740993 where customer = 'new';
insert into credits values ('gone', 1);
delete from credits where customer = 'gone';
update pairs set v = x'0102', b = 3 where b = 1;
insert or ignore into pairs values ('x', 2, x'ff');
insert into "odd "" one" values ('a', 'b', 'c', 'd');
update log set note = 'same' where n = 1;
insert into log values (2, 'twice') on conflict do update set note = excluded.note;`,
  });
  const before = dump(inbox.databasePath);
  const { tables: changed, rows_changed: count } = await ran(inbox, "handlers/default/_any.sql");
  expect(changed).toEqual([
    {
      table: "credits",
      inserted: 1,
      updated: 2,
      deleted: 1,
      rows: [
        { change: "updated", before: row("ada", 5), after: row("ada", 6), changed: ["cents"] },
        { change: "deleted", before: row("bob", 7), after: null, changed: ["customer", "cents"] },
        { change: "updated", before: row("eve", 9), after: row("eve", 1), changed: ["cents"] },
        {
          change: "inserted",
          before: null,
          after: row("new", "9007199254740993"),
          changed: ["customer", "cents"],
        },
      ],
    },
    {
      table: "log",
      inserted: 0,
      updated: 1,
      deleted: 0,
      rows: [
        {
          change: "updated",
          before: { n: 2, note: "old" },
          after: { n: 2, note: "twice" },
          changed: ["note"],
        },
      ],
    },
    // Its rows have no name by which they could be told apart.
    { table: 'odd " one', inserted: 1, updated: 0, deleted: 0, rows: [] },
    {
      table: "pairs",
      inserted: 1,
      updated: 0,
      deleted: 1,
      rows: [
        {
          change: "deleted",
          before: { a: "x", b: 1, v: "x'00'" },
          after: null,
          changed: ["a", "b", "v"],
        },
        {
          change: "inserted",
          before: null,
          after: { a: "x", b: 3, v: "x'0102'" },
          changed: ["a", "b", "v"],
        },
      ],
    },
  ]);
  expect(count).toBe(11);
  expect(dump(inbox.databasePath)).toEqual(before);
});

test("counts the rows of a large change, and shows twenty of them", async () => {
  await using inbox = await inboxWith({
    "handlers/default/_any.sql": `insert into credits
select 'c' || value, 0 from json_each('[' || substr(replace(hex(zeroblob(1000)), '00', ',1'), 2) || ']')
where true on conflict do nothing;
insert into credits select 'n' || key, 0 from json_each('[' || substr(replace(hex(zeroblob(1000)), '00', ',1'), 2) || ']');`,
  });
  const { tables: changed } = await ran(inbox, "handlers/default/_any.sql");
  expect(changed).toMatchObject([{ table: "credits", inserted: 1001, updated: 0, deleted: 0 }]);
  expect(changed[0]?.rows).toHaveLength(20);
  const { stdout } = await run(["try", "handlers/default/_any.sql", "--sample", "x"], { cwd: inbox.folder });
  expect(stdout).toContain("there is no sample of what source");
});

test("rows that a view's trigger changes are counted as a delivery counts them", async () => {
  await using inbox = await inboxWith({
    "migrations/2.sql": `create view accounts as select * from credits;
create trigger accounts_insert instead of insert on accounts begin
  insert into credits values (new.customer, new.cents); end;`,
    "handlers/default/_any.sql": "insert into accounts values ('new', 1);",
    "handlers/default/code.ts": ts("db.run(sql`insert into accounts values ('new', 1)`);"),
  });
  for (const handler of ["_any.sql", "code.ts"]) {
    const one = await ran(inbox, `handlers/default/${handler}`);
    expect([one.rows_changed, one.tables[0]?.inserted, one.statements[0]?.rows]).toEqual([1, 1, 1]);
  }
});

test("shows the messages that a run would send, and refuses what a delivery would be refused", async () => {
  const config = `${source("default", 'forward = ["app"]\n')}
[destinations.app]
url = "http://127.0.0.1:9/hooks"
sign = "none"
[destinations.signed]
url = "http://127.0.0.1:9/signed"
[destinations.mail]
url = "http://127.0.0.1:9/mail"
sign = "none"
`;
  await using inbox = await inboxWith(
    {
      "handlers/default/_any.sql":
        "insert into hookonce_outbox (destination, body, id) values ('mail', 'first' || char(10) || 'second', 'own');",
      "handlers/default/code.ts": `import { handler } from "hookonce";
export default handler(({ event, enqueue }) => enqueue("mail", { to: event.payload.to }));
`,
      "handlers/default/unknown.sql": "insert into hookonce_outbox (destination, body) values ('mial', 'x');",
      "handlers/default/refused.sql":
        "insert into hookonce_outbox (destination, body) values ('signed', 'x');",
    },
    config,
  );
  const made = expect.stringMatching(/^msg_[a-z2-7]{52}$/) as unknown as string;
  const inSql = await ran(inbox, "handlers/default/_any.sql");
  expect(inSql.messages).toEqual([
    { destination: "app", id: made, body: null },
    { destination: "mail", id: "own", body: "first" },
  ]);
  const inCode = await ran(inbox, "handlers/default/code.ts", { id: "1", to: "ada@example.com" });
  expect(inCode.messages[1]).toEqual({ destination: "mail", id: made, body: '{"to":"ada@example.com"}' });
  for (const [name, code] of [
    ["unknown", "unknown_destination"],
    ["refused", "enqueue_refused"],
  ]) {
    const one = await ran(inbox, `handlers/default/${name}.sql`);
    expect([one.failure?.code, one.messages]).toEqual([code, []]);
  }
  expect(inbox.value("select count(*) from hookonce_messages")).toBe(0);
  inbox.write({ "event.json": JSON.stringify({ id: "1" }) });
  const data = join(inbox.folder, "event.json");
  const { stdout } = await run([
    "try",
    "handlers/default/_any.sql",
    "--data",
    data,
    "--folder",
    inbox.folder,
  ]);
  expect(stdout).toMatch(
    /\nIt would send\n {2}to +body +message id\n {2}app +the event itself +msg_.*\n {2}mail +first +own\n/,
  );
});

test("shows the statements of SQL and of TypeScript with rows and time, what it wrote, and its reply", async () => {
  await using inbox = await inboxWith({
    "handlers/default/_any.sql": `\n-- first\nselect * from credits;\n${upsert}\n`,
    "handlers/default/code.ts": ts(`for (const one of db.all(sql\`select customer from credits\`))
      db.run(sql\`update credits set cents = \${event.payload.cents} where customer = \${one.customer}\`);
    db.run(sql\`insert into credits values (\${JSON.stringify(event.payload)} ->> '$.custmer', 1)\`);
    console.log("said", 1);
    return reply({ status: 201, body: "made" });`),
  });
  const payload = { id: "1", customer: "ada", cents: 2 };
  const inSql = await ran(inbox, "handlers/default/_any.sql", payload);
  expect(inSql.statements).toMatchObject([
    { line: 3, runs: 1, rows: 3, error: null },
    { line: 4, runs: 1, rows: 1, error: null },
  ]);
  expect(inSql).toMatchObject({ event_id: "1", reply: null, rows_changed: 1, null_paths: [] });
  const inCode = await ran(inbox, "handlers/default/code.ts", payload);
  expect(inCode.statements).toMatchObject([
    { line: null, runs: 1, rows: 3 },
    { line: null, runs: 3, rows: 3 },
    { line: null, runs: 1, rows: 1 },
  ]);
  expect(inCode).toMatchObject({
    failure: null,
    reply: { status: 201, body: "made" },
    output: [{ level: "info", text: "said 1" }],
    null_paths: [{ read: "? ->> '$.custmer'", found: "missing", meant: "$.customer" }],
  });
});

test("a handler that fails is shown with its line, and with what it read before", async () => {
  await using inbox = await inboxWith(
    {
      "handlers/default/_any.sql": `select 1;\n\n${upsert}`,
      "handlers/default/code.ts": ts("const a: string[] = [];\n  throw new Error(`no ${a.length}`);"),
      "handlers/default/nothing.sql": "delete from credits where customer = 'nobody';",
    },
    source("default", "require_change = true\n"),
  );
  inbox.write({
    "handlers/default/broken.sql": "select 1;\nselec 2;",
    "handlers/default/ends.ts": ts("process.exit(0);"),
    "handlers/default/outside.sql": "attach 'other.db' as other;",
    "handlers/default/own.sql": "delete from hookonce_events;",
  });
  const failures: [string, object][] = [
    [
      "_any.sql",
      {
        failure: {
          code: "handler_error",
          error: "NOT NULL constraint failed: credits.cents",
          at: "handlers/default/_any.sql:3",
          line: "insert into credits values (:payload ->> '$.customer', :payload ->> '$.cents')",
        },
        null_paths: [{ read: ":payload ->> '$.customer'", line: 3 }, { line: 3 }],
        tables: [],
        statements: [{ error: null }, { error: "NOT NULL constraint failed: credits.cents" }],
      },
    ],
    [
      "code.ts",
      {
        failure: {
          error: "no 0",
          at: "handlers/default/code.ts:6",
          line: "throw new Error(`no ${a.length}`);",
        },
      },
    ],
    ["broken.sql", { failure: { code: "handlers_invalid", at: "handlers/default/broken.sql:2" } }],
    ["nothing.sql", { failure: { code: "no_rows_changed" } }],
    ["outside.sql", { failure: { code: "handlers_invalid", error: expect.stringContaining("ATTACH") } }],
    ["own.sql", { failure: { code: "handlers_invalid", error: expect.stringContaining("hookonce_events") } }],
    ["ends.ts", { failure: { code: "handler_error", error: expect.stringContaining("process.exit") } }],
  ];
  const before = dump(inbox.databasePath);
  for (const [file, expected] of failures)
    expect(await ran(inbox, `handlers/default/${file}`)).toMatchObject(expected);
  expect(dump(inbox.databasePath)).toEqual(before);
  expect(existsSync(join(inbox.folder, "other.db"))).toBe(false);
}, 30_000);

test("a path that finds nothing only in a late run of a loop is found", async () => {
  const loop =
    "for (const item of event.payload.items) db.run(sql`select ${JSON.stringify(item)} ->> ${sql.raw(\"'$.sku'\")}`);";
  await using inbox = await inboxWith({ "handlers/default/paid.ts": ts(loop) });
  const items = Array.from({ length: 40 }, (_, n) => (n === 39 ? { skuu: "b" } : { sku: "a" }));
  const { null_paths: paths } = await ran(inbox, "default/paid.ts", { id: "1", items });
  expect(paths).toMatchObject([{ path: "$.sku", found: "missing", meant: "$.skuu" }]);
});

const orders = `create table customers (id text primary key, data text);
create table orders (id text primary key, customer text, data, total integer);
insert into customers values ('c', '{"tier": {"name": "gold"}}');
insert into orders values ('1', 'c', '{"total": 5, "live": true, "items": [{"sku": "a"}, {"sku": "b", "gift": 1}]}', null),
  ('2', 'c', '{"total": null, "live": true, "items": []}', 3),
  ('3', 'c', null, 1),
  ('4', 'x', jsonb('{"totl": 1}'), 1),
  ('5', 'y', 'not JSON', 1);
create table lines (id text, n text);`;

/** What a handler reads from columns without finding it: what it found there, and in how many rows. */
async function lostIn(inbox: Inbox, handler: string): Promise<string[]> {
  const { failure, null_paths: paths } = await ran(inbox, handler, { id: "1", customer: "c" });
  expect(failure).toBeNull();
  return paths.map(({ line, read, found, rows, meant }) =>
    [`${line}:`, read, found, `${rows?.null}/${rows?.of}`, ...(meant === null ? [] : [meant])].join(" "),
  );
}

test("a path that finds nothing in a column of the rows that a statement reads is shown", async () => {
  await using inbox = await inboxWith({
    "migrations/2.sql": orders,
    "handlers/default/_any.sql": `insert into lines values (:event_id, (select c.data ->> '$.tier.nam' from customers c where c.id = :payload ->> '$.customer' order by 1 limit 1));
update orders set total = data ->> '$.totl' where id = :payload ->> '$.id';
update orders set total = json_extract(data, '$.total') where customer = 'c';
insert into lines select o.id, value -> '$.gift' from orders o, json_each(o.data, '$.items') where o.id = '1' on conflict do nothing;
select value from orders, json_each(orders.data -> 'itms') where orders.id = '1';
with one as (select data as body from orders where id = '4') select body ->> '$.total' from one;
delete from orders where id < '4' and (data -> '$.live') ->> 'x' = 1;
update orders set total = customers.data ->> 'teir' from customers where customers.id = orders.customer and orders.id = '2';
select max(data ->> '$.total') from orders where id between '2' and '3' group by customer;`,
    // Each path is in all rows that count.
    "handlers/default/none.sql": `update orders set total = data ->> '$.total' where id = '1';
select data -> '$.total' from orders where id = '2';
select data ->> '$.live' from orders where id = '1' union select data ->> '$.totl' from orders where id = '4';
select data ->> '$.total' from orders order by id limit 1;
select value ->> 'sku' from orders, json_each(data, '$.items') where orders.id = '1';
select id from orders where id = '1' and data ->> '$.live';`,
  });
  expect(await lostIn(inbox, "default/_any.sql")).toEqual([
    "1: c.data ->> '$.tier.nam' missing 1/1 $.tier.name",
    "2: data ->> '$.totl' missing 1/1 $.total",
    "3: json_extract(data, '$.total') null 2/3",
    "4: value -> '$.gift' missing 1/2",
    "5: orders.data -> 'itms' missing 1/1 $.items",
    "6: body ->> '$.total' missing 1/1 $.totl",
    "7: (data -> '$.live') ->> 'x' missing 3/3 $.live",
    "8: customers.data ->> 'teir' missing 1/1 $.tier",
    "9: data ->> '$.total' null 2/2",
  ]);
  expect(await lostIn(inbox, "default/none.sql")).toEqual([]);
}, 30_000);

test("what cannot be read before a statement is left out, and its text is not run", async () => {
  await using inbox = await inboxWith({
    "migrations/2.sql": orders,
    "handlers/default/_any.sql": `insert into orders values ('1', 'z', '{}', 1) on conflict do update set total = orders.data ->> '$.tot' returning data ->> '$.z';
update orders set total = (select customers.data ->> '$.y' from customers where customers.id = orders.customer) where id = '1';
select a.id from customers a left join orders b on b.id < '5' and b.data ->> '$.w' = a.id where b.data is null;
select distinct json_type(data, '$.v') from orders where id = '1' limit 1;
select id from (with one as (select data from orders where id = '1') select data ->> '$.u' as id from one);`,
  });
  const before = dump(inbox.databasePath);
  expect(await lostIn(inbox, "default/_any.sql")).toEqual([]);
  expect(dump(inbox.databasePath)).toEqual(before);
}, 30_000);

test("a path in a column is found in each run of a loop, and in what the handler wrote before", async () => {
  const loop = `for (const id of ["1", "2", "4", "4"]) db.$client.query("select data ->> '$.total' from orders where id = ?").get(id);
  db.run(sql\`insert into orders values ('6', 'c', '{"id": 6}', 0)\`);
  db.run(sql\`update orders set total = data ->> '$.idd' where id = \${event.payload.id} or id = '6'\`);`;
  await using inbox = await inboxWith({ "migrations/2.sql": orders, "handlers/default/paid.ts": ts(loop) });
  expect(await lostIn(inbox, "default/paid.ts")).toEqual([
    "null: data ->> '$.total' missing 3/4",
    "null: data ->> '$.idd' missing 2/2 $.id",
  ]);
}, 30_000);

test("stored events run again whatever became of them, the newest first", async () => {
  await using inbox = await inboxWith(
    { "handlers/default/paid.sql": upsert, "handlers/default/_any.sql": "select 1;" },
    `${source("default")}${source("other", 'handlers = "default"\n')}`,
  );
  const deliver = (payload: object, to = "default") => inbox.deliver(payload, { source: to });
  const bad = { id: "bad", type: "paid", customer: "ada" };
  expect((await deliver({ id: "old", type: "paid", customer: "ada", cents: 1 })).status).toBe(200);
  expect((await deliver(bad)).status).toBe(500);
  expect((await deliver({ id: "new", type: "paid.late", customer: "ada", cents: 2 })).status).toBe(200);
  // Of two sources, the newest event is the one that was received in a later millisecond.
  await Bun.sleep(5);
  expect((await deliver({ id: "old", type: "paid", customer: "bob", cents: 3 }, "other")).status).toBe(200);
  await deliver({ id: "any", type: "refunded" });
  const before = dump(inbox.databasePath);

  const handler = "handlers/default/paid.sql";
  const last = await tried(inbox, { handler, source: "default", on: { from: "last", count: 9 } });
  expect(last.items.map((one) => [one.event_id, one.type, one.failure?.code, one.rows_changed])).toEqual([
    ["new", "paid.late", undefined, 1],
    ["bad", "paid", "handler_error", 0],
    ["old", "paid", undefined, 1],
  ]);
  expect(last.notes).toEqual([expect.stringContaining("was applied before")]);
  const any = await tried(inbox, { handler, on: { from: "any" } });
  expect(any.items).toMatchObject([{ source: "other", event_id: "old", from: "stored" }]);
  expect(any.items[0]?.tables[0]?.rows).toEqual([
    {
      change: "updated",
      before: { customer: "bob", cents: 10 },
      after: { customer: "bob", cents: 13 },
      changed: ["cents"],
    },
  ]);

  const event = (eventId: string, more: Partial<TryRequest> = {}) =>
    tried(inbox, { ...more, on: { from: "stored", eventId } });
  expect(event("old")).rejects.toThrow(
    'Several sources have an event with the id "old": default (paid, processed), other (paid, processed). Add --source NAME.',
  );
  expect(event("none")).rejects.toThrow('There is no event with the id "none".');
  expect(event("old", { source: "othr" })).rejects.toThrow('There is no source "othr"; did you mean other?');
  expect((await event("old", { source: "other" })).items).toMatchObject([{ source: "other", handler }]);
  // Without a handler, the one that it runs; a handler of another type only if it is named.
  expect((await event("bad")).items).toMatchObject([{ handler, failure: { code: "handler_error" } }]);
  const named = await event("any", { handler: "default/paid.sql" });
  expect(named.items).toMatchObject([{ handler, failure: { code: "handler_error" } }]);
  expect(named.notes[0]).toBe(`any does not run ${handler}: it runs handlers/default/_any.sql.`);
  expect(dump(inbox.databasePath)).toEqual(before);
}, 60_000);

test("a body that is given may be that of a stored event, and need not have an id", async () => {
  await using inbox = await inboxWith({ "handlers/default/paid.sql": upsert });
  const payload = { id: "1", type: "paid", customer: "ada", cents: 1 };
  await inbox.deliver(payload);
  const again = await ran(inbox, "handlers/default/paid.sql", payload);
  expect(again).toMatchObject({ event_id: "try_1", why: null, failure: null, rows_changed: 1 });
  const { id: _id, type: _type, ...rest } = payload;
  const without = await ran(inbox, "handlers/default/paid.sql", rest);
  expect(without).toMatchObject({ type: "paid", failure: null, rows_changed: 1 });
  expect(without.event_id).toMatch(/^try_[0-9a-f]{24}$/);
});

test("a given body runs, not the stored one with its id, whatever became of that one", async () => {
  await using inbox = await inboxWith(
    { "handlers/default/paid.sql": upsert },
    source("default", 'same_body = "duplicate"\n'),
  );
  const ada = { customer: "ada", cents: 1 };
  expect((await inbox.deliver({ ...ada, id: "unhandled", type: "x" })).body.status).toBe("unhandled");
  expect((await inbox.deliver({ ...ada, id: "failed", type: "paid", cents: null })).status).toBe(500);
  expect((await inbox.deliver({ ...ada, id: "done", type: "paid" })).body.status).toBe("processed");
  inbox.write({ "handlers/default/x.sql": upsert });
  for (const [id, type] of [
    ["unhandled", "x"],
    ["failed", "paid"],
    ["done", "paid"],
  ] as const)
    expect(
      await ran(inbox, `handlers/default/${type}.sql`, { id, type, customer: "eve", cents: 4 }),
    ).toMatchObject({
      event_id: `try_${id}`,
      failure: null,
      tables: [{ rows: [{ before: row("eve", 9), after: row("eve", 13) }] }],
    });
  // The bytes of the stored event.
  const again = await ran(inbox, "handlers/default/x.sql", { ...ada, id: "unhandled", type: "x" });
  expect(again).toMatchObject({ event_id: "try_unhandled", rows_changed: 1 });
});

test("a given body that is a test event runs, even if the source ignores these", async () => {
  await using inbox = await testInbox({
    config: '[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\ntest_events = "ignore"\n',
    environment: { S: "whsec_x" },
    files: { "migrations/1.sql": tables, "handlers/stripe/paid.sql": "delete from credits;" },
  });
  const one = await ran(inbox, "handlers/stripe/paid.sql", { id: "1", type: "paid", livemode: false });
  expect(one).toMatchObject({ event_id: "1", why: null, rows_changed: 3 });
});

test("a body that is not JSON, and one with several events, are named", async () => {
  await using inbox = await inboxWith(
    { "handlers/default/_any.sql": "select :payload ->> '$.a', :payload ->> '$.b';" },
    source("default", 'batch = "body:$[*]"\n'),
  );
  inbox.write({ "body.xml": "<a>1</a>", "body.json": '[{"id":"1","a":1,"b":2},{"id":"2"}]' });
  const shown = async (file: string): Promise<string> =>
    (await run(["try", "default/_any.sql", "--data", file], { cwd: inbox.folder })).stdout;
  const xml = await shown(join(inbox.folder, "body.xml"));
  expect(xml).toContain("warning: 2 JSON paths without a value\n");
  expect(xml).toContain("    the payload is not JSON, so each path is NULL\n");
  expect(await shown(join(inbox.folder, "body.json"))).toStartWith(
    "handlers/default/_any.sql on the first of 2 events in the given body (source",
  );
}, 30_000);

test("names the handler that was meant, and says no more of an event than is known", async () => {
  await using inbox = await inboxWith({ "handlers/default/invoice.paid.sql": upsert });
  for (const handler of ["invoice.payd.sql", "default/invoice.payd.sql", "handlers/default/invoice.payd.sql"])
    expect(tried(inbox, { handler, on: body({}) })).rejects.toThrow(
      "; did you mean handlers/default/invoice.paid.sql?",
    );
  inbox.write({ "handlers/default/broken.sql": "selec 1;", "body.json": "{}" });
  const firstLine = async (...more: string[]): Promise<string | undefined> =>
    (await run(["try", "default/broken.sql", ...more], { cwd: inbox.folder })).stdout.split("\n")[0];
  expect(await firstLine()).toBe("handlers/default/broken.sql on a sample event");
  expect(await firstLine("--data", `${inbox.folder}/body.json`)).toBe(
    "handlers/default/broken.sql on the given body (source default)",
  );
}, 30_000);

test("the README's handler is tried, and prints what the README shows", async () => {
  await using inbox = await testInbox({
    config: '[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n',
    environment: { S: "whsec_x" },
    files: {
      "migrations/1.sql": "create table invoices (event_id text primary key, customer text, cents integer);",
    },
  });
  inbox.write({ "handlers/stripe/invoice.paid.sql": block("sql", "amount_payed") });
  const object = { customer: "cus_123", amount_paid: 500 };
  const sent = JSON.stringify({ id: "evt_1", type: "invoice.paid", data: { object } });
  const headers = { "stripe-signature": stripeSignature("whsec_x", sent) };
  expect((await inbox.deliver(sent, { source: "stripe", headers })).body.status).toBe("unhandled");
  const [, command = "", shown = ""] = /^\$ hookonce (try .*)\n([^]*?)^```/m.exec(readme) ?? [];
  const args = command.split(" ");
  const { code, stdout, stderr } = await run(args, { cwd: inbox.folder });
  expect(timeless(stdout)).toBe(timeless(shown));
  expect([code, stderr]).toEqual([0, ""]);
  for (const line of stdout.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);

  const json = await run([...args, "--json"], { cwd: inbox.folder });
  expect(JSON.parse(json.stdout)).toMatchObject({
    handler: "handlers/stripe/invoice.paid.sql",
    from: "stored",
    event_id: "evt_1",
    tables: [{ table: "invoices", inserted: 1 }],
    null_paths: [{ path: "$.data.object.amount_payed", meant: "$.data.object.amount_paid" }],
  });
});

describeUnless(onlyInFullRun(), "tries that take longer", () => {
  testUnless(
    needsLinux(),
    "kill -9 of the command ends a handler that loops in its child",
    async () => {
      const write = 'require("node:fs").writeFileSync(event.payload.file, String(process.pid)); for (;;);';
      await using inbox = await inboxWith({ "handlers/default/loops.ts": ts(write) });
      const file = join(inbox.folder, "pid");
      writeFileSync(join(inbox.folder, "e.json"), JSON.stringify({ id: "1", file }));
      const command = [...hookonce, "try", "handlers/default/loops.ts", "--data", "e.json"];
      const parent = Bun.spawn(command, {
        cwd: inbox.folder,
        // Its folder for a copy stays.
        env: { ...process.env, TMPDIR: inbox.folder },
        stdout: "ignore",
        stderr: "ignore",
      });
      while (!existsSync(file) || readFileSync(file, "utf8") === "") await Bun.sleep(20);
      const child = `/proc/${readFileSync(file, "utf8")}`;
      expect(existsSync(child)).toBe(true);
      parent.kill("SIGKILL");
      while (existsSync(child)) await Bun.sleep(20);
    },
    20_000,
  );

  test("a handler that loops or ends the process is killed, and the database is as before", async () => {
    await using inbox = await inboxWith({
      "handlers/default/loops.ts": ts("db.run(sql`delete from credits`); for (;;);"),
      "handlers/default/grows.sql":
        "insert into credits with recursive n(i) as (select 1 union all select i + 1 from n) select i, 1 from n;",
    });
    const before = dump(inbox.databasePath);
    const copiesBefore = copies();
    for (const file of ["loops.ts", "grows.sql"]) {
      const { items, why } = await tried(inbox, { handler: `default/${file}`, on: body({ id: "1" }) }, 3000);
      expect(items).toMatchObject([
        { failure: { code: "handler_timeout", error: "it did not return within 3 s" }, event_id: "1" },
      ]);
      expect(why).toBe("the time limit of 3 s was reached");
      expect(dump(inbox.databasePath)).toEqual(before);
    }
    writeFileSync(
      join(inbox.folder, "handlers/default/dies.ts"),
      ts('db.run(sql`delete from credits`); Bun.spawnSync(["kill", "-9", String(process.pid)]);'),
    );
    const { items } = await tried(inbox, { handler: "default/dies.ts", on: body({ id: "1" }) });
    expect(items).toMatchObject([{ failure: { code: "handler_died", error: "it ended the process" } }]);
    expect(dump(inbox.databasePath)).toEqual(before);
    // It can still be written.
    expect((await inbox.deliver({ id: "2", type: "x" })).status).toBe(200);
    expect(copies()).toEqual(copiesBefore);
  }, 40_000);

  test("says which handlers there are, and what to do if no event is stored", async () => {
    await using inbox = await inboxWith({ "handlers/default/paid.sql": upsert });
    const cwd = inbox.folder;
    const misspelt = await run(["try", "handlers/default/payd.sql"], { cwd });
    expect([misspelt.code, misspelt.stderr]).toEqual([
      1,
      `hookonce: There is no handler handlers/default/payd.sql in ${cwd}; did you mean handlers/default/paid.sql? [unknown_handler]\n`,
    ]);
    const none = await run(["try", join(cwd, "handlers/default/paid.sql"), "--last", "--folder", cwd]);
    expect([none.code, none.stderr]).toEqual([
      1,
      "hookonce: No stored event runs handlers/default/paid.sql. Try it with --sample paid, or with --data FILE. [nothing_to_try]\n",
    ]);
    const both = await run(["try", "handlers/default/paid.sql", "--last", "--event", "x"], { cwd });
    expect([both.code, both.stderr]).toEqual([
      2,
      "error: choose one of --event, --last, --sample and --data.\nFor help: hookonce try --help\n",
    ]);
  });

  test("an event whose payload retention has removed is not tried, and says so", async () => {
    await using inbox = await inboxWith({ "handlers/default/paid.sql": upsert });
    const handler = "default/paid.sql";
    for (const id of ["1", "2"]) await inbox.deliver({ id, type: "paid", customer: "ada", cents: 1 });
    const last = { handler, on: { from: "last", count: 5 } } as const;
    const triedIds = async () => (await tried(inbox, last)).items.map(({ event_id: id }) => id);
    expect(await triedIds()).toEqual(["2", "1"]);
    inbox.rows("delete from hookonce_bodies where id = 1");
    expect(await triedIds()).toEqual(["2"]);
    const stored = { handler, on: { from: "stored", eventId: "1" } } as const;
    const refused = (request: TryRequest) =>
      tried(inbox, request).then(
        () => "it was tried",
        (error: unknown) => String(error),
      );
    expect(await refused(stored)).toContain(
      'The payload of the event "1" was removed by retention or by forget.',
    );
    inbox.rows("delete from hookonce_bodies");
    expect(await refused(last)).toContain(
      "The payloads of the events that run handlers/default/paid.sql were removed by retention. Try it with --sample paid, or with --data FILE.",
    );
  });

  test("pending migrations are applied to a copy only", async () => {
    await using inbox = await inboxWith({ "handlers/default/paid.sql": upsert });
    const before = dump(inbox.databasePath);
    inbox.write({
      "migrations/2.sql": "create table later (a text);",
      "handlers/default/later.sql": "insert into later values (:event_id);",
    });
    expect((await ran(inbox, "default/later.sql")).tables).toMatchObject([{ table: "later", inserted: 1 }]);
    expect(dump(inbox.databasePath)).toEqual(before);
  });

  test("deliveries go on while a slow handler is tried, and nothing of it stays", async () => {
    using inbox = scratch({
      "hookonce.toml": `version = 1\n${source("default")}`,
      "migrations/1.sql": tables,
      "handlers/default/_any.sql": "update credits set cents = cents + 1 where customer = 'ada';",
      "handlers/default/slow.ts": ts(`const end = performance.now() + 300;
        while (performance.now() < end);
        db.run(sql\`update credits set cents = cents + 1000 where customer = 'bob'\`);`),
    });
    await using server = await serve(inbox.path);
    await server.post("/webhook", { id: "first", type: "slow" });
    const tries = Promise.all(
      ["slow.ts", "_any.sql"].map((file) =>
        run(["try", `handlers/default/${file}`, "--last", "2", "--json"], { cwd: inbox.path }),
      ),
    );
    const ended = tries.then(() => true);
    let delivered = 0;
    do {
      const { status } = await server.post("/webhook", { id: `evt_${delivered}`, type: "x" });
      expect(status).toBe(200);
      delivered++;
    } while (!(await Promise.race([ended, Bun.sleep(5).then(() => false)])));
    for (const { code } of await tries) expect(code).toBe(0);
    using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
    expect(database.query("select customer, cents from credits order by 1").values()).toEqual([
      ["ada", 5 + delivered],
      ["bob", 1007],
      ["eve", 9],
    ]);
  }, 60_000);

  test("check --events tries each handler on its newest stored events, and a failing one is a problem", async () => {
    await using inbox = await inboxWith({
      "migrations/2.sql": "create table seen (event_id text primary key, name text);",
      "handlers/default/paid.sql": upsert,
      "handlers/default/seen.sql": "insert into seen values (:event_id, :payload ->> '$.nam');",
      "handlers/default/never.sql": "select 1;",
    });
    for (const [n, cents] of [1, 2, 3].entries())
      await inbox.deliver({ id: `paid_${n}`, type: "paid", customer: "ada", cents });
    await inbox.deliver({ id: "seen_1", type: "seen", name: "Ada" });
    const cwd = inbox.folder;
    const before = dump(inbox.databasePath);
    const good = await run(["check", "--events", "2"], { cwd });
    expect(good.code).toBe(0);
    for (const line of [
      "  handlers/default/paid.sql on its last 2 stored events: changed 2 rows",
      "  handlers/default/seen.sql on its last 1 stored event: changed no rows, 1 had inserted the same rows before",
      "note: handlers/default/seen.sql:1: :payload ->> '$.nam' is not in seen_1 (seen); did you mean $.name?",
    ])
      expect(good.stdout).toContain(`${line}\n`);
    expect(good.stdout).not.toContain("never.sql on its last");

    inbox.write({ "handlers/default/paid.sql": `select 1;\n${upsert.replace("$.cents", "$.amount")}` });
    const bad = await run(["check", "--events", "2", "--json"], { cwd });
    const found = bad.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect([bad.code, found]).toEqual([
      1,
      expect.arrayContaining([
        {
          kind: "problem",
          file: "handlers/default/paid.sql",
          line: 2,
          message: "failed on paid_2 (paid) and 1 more event: NOT NULL constraint failed: credits.cents",
        },
      ]),
    ]);
    expect(dump(inbox.databasePath)).toEqual(before);
  }, 60_000);

  test("the API runs one try at a time, for a token that may steer", async () => {
    await using shop = await openShop();
    await fillShop(shop, 1);
    const made = await run(["token", "create", "--name", "reader", "--folder", shop.folder.path]);
    const post = async (json: object, token = shop.token) => {
      const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
      const answer = await fetch(`${shop.page}/api/try`, {
        method: "POST",
        headers,
        body: JSON.stringify(json),
      });
      const answered = (await answer.json()) as TryJson & { error?: { code: string } };
      return { status: answer.status, code: answered.error?.code, items: answered.items };
    };
    const event = { source: "stripe", event_id: "evt_1QyX1Kd" };
    const handler = "handlers/stripe/payment_intent.succeeded.sql";
    expect(await post(event)).toMatchObject({
      status: 200,
      items: [{ handler, failure: { error: "UNIQUE constraint failed: payments.id" } }],
    });
    expect(await post({ handler, sample: "payment_intent.succeeded" })).toMatchObject({
      status: 200,
      items: [{ from: "sample", source: "stripe", tables: [{ table: "payments", inserted: 1 }] }],
    });
    const refused: [object, number, string, string?][] = [
      [event, 403, "scope_missing", made.stdout.trim()],
      [{ source: "stripe" }, 400, "invalid_request"],
      [{ ...event, last: 1 }, 400, "invalid_request"],
      [{ handler: "handlers/stripe/none.sql" }, 404, "unknown_handler"],
      [{ event_id: "none" }, 404, "unknown_event"],
      [{ ...event, source: "other" }, 404, "unknown_source"],
    ];
    for (const [json, status, code, token] of refused)
      expect(await post(json, token)).toEqual({ status, code, items: undefined as never });
    shop.folder.write({
      "handlers/github/push.ts": ts("const end = performance.now() + 3000; while (performance.now() < end);"),
    });
    const push = { handler: "handlers/github/push.ts", last: 1 };
    const both = await Promise.all([post(push), Bun.sleep(300).then(() => post(push))]);
    expect(both.map(({ status, code }) => [status, code])).toEqual([
      [200, undefined],
      [409, "try_running"],
    ]);
    expect(await shop.stripe({ id: "evt_new", type: "other", object: {} })).toBe(200);
  }, 60_000);

  test("--watch runs it again after a change of the handler or of what it imports, until a signal", async () => {
    await using inbox = await inboxWith({
      "handlers/lib/amount.ts": "export const amount = 1;",
      "handlers/default/paid.ts": ts(
        "db.run(sql`update credits set cents = ${amount} where customer = 'ada'`);",
        'import { amount } from "../lib/amount.ts";',
      ),
      "p.json": '{"id":"1"}',
    });
    const args = ["try", "handlers/default/paid.ts", "--data", "p.json", "--watch", "--json"];
    const child = Bun.spawn([...hookonce, ...args], {
      cwd: inbox.folder,
      env: { HOME: process.env["HOME"] ?? tmpdir() },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    try {
      const lines = jsonLines(child.stdout);
      const cents = async (): Promise<unknown> =>
        (await lines.next()).value?.tables[0]?.rows[0]?.after?.["cents"];
      expect(await cents()).toBe(1);
      inbox.write({ "handlers/lib/amount.ts": "export const amount = 22;" });
      expect(await cents()).toBe(22);
      inbox.write({
        "handlers/default/paid.ts": ts("db.run(sql`update credits set cents = 333 where customer = 'ada'`);"),
      });
      expect(await cents()).toBe(333);
      child.kill("SIGINT");
      expect(await child.exited).toBe(0);
    } finally {
      child.kill("SIGKILL");
    }
    expect(inbox.value("select cents from credits where customer = 'ada'")).toBe(5);
  }, 60_000);
});

async function* jsonLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<TriedJson> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as TriedJson;
  }
}
