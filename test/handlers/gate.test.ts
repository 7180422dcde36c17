import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createGates } from "../../src/engines/sqlite/gate.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";

/** Runs the payload's SQL in every way that reaches the database, and records the result of each. */
const EVERY_WAY = ts(`
  const text = event.payload.sql;
  const ways = {
    run: () => db.run(sql.raw(text)),
    all: () => db.all(sql.raw(text)),
    get: () => db.get(sql.raw(text)),
    values: () => db.values(sql.raw(text)),
    string: () => db.run(text),
    client_run: () => db.$client.run(text),
    client_prepare: () => db.$client.prepare(text),
    client_query: () => db.$client.query(text).all(),
    transaction: () => db.transaction((tx) => tx.run(sql.raw(text))),
    transaction_client: () => db.transaction((tx) => tx.$client.run(text)),
    nested: () => db.transaction((tx) => tx.transaction((inner) => inner.all(sql.raw(text)))),
    session: () => db.session.client.run(text),
  };
  for (const [way, attempt] of Object.entries(ways)) {
    let code = "taken";
    let message = "";
    try {
      attempt();
    } catch (error) {
      const cause = error.cause ?? error;
      code = cause.code;
      message = cause.message;
    }
    db.run(sql\`insert into seen values (\${event.id}, \${way}, \${code}, \${message})\`);
  }
`);

const WAYS = 12;

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    files: {
      "migrations/0001.sql": `${TABLES}create table seen (event_id text, way text, code text, message text) strict;`,
      "handlers/default/every_way.ts": EVERY_WAY,
    },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

describe("statements refused in TypeScript, in every way to run them", () => {
  const scenarios: [name: string, sql: string][] = [
    ["commit", "commit"],
    ["with a semicolon before it", ";commit"],
    ["with semicolons and blanks before it", " ;\n; ;commit"],
    ["with a comment before it", "/*x*/ commit"],
    ["with a comment that looks closed too early", "/*/**/commit"],
    ["with a line comment before it", "-- select\ncommit"],
    ["with all of them", ";/* ; */;-- x\n;commit;"],
    ["in mixed case", "CoMmIt"],
    ["followed by transaction", "commit transaction"],
    ["after a select", "select 1; commit"],
    ["after an insert", "insert into things values (9, 'x'); commit"],
    ["two harmless statements", "select 1; select 2"],
    ["a comment between two", "select 1 /* ; */ ; delete from things"],
    ["begin", "begin"],
    ["begin immediate", "begin immediate"],
    ["end", "end"],
    ["end transaction", "end transaction;"],
    ["rollback", "rollback"],
    ["rollback to the event's savepoint", "rollback to hookonce_event"],
    ["savepoint", "savepoint mine"],
    ["release of the event's savepoint", "release hookonce_event"],
    ["pragma", "pragma synchronous = off"],
    ["pragma that only reads", "pragma user_version"],
    ["attach", "attach ':memory:' as other"],
    ["detach", "detach main"],
    ["vacuum", "vacuum"],
    ["vacuum into", "vacuum into 'copy.db'"],
    ["create table", "create table mine (a)"],
    ["create temp table", "create temp table mine (a)"],
    ["create trigger", "create trigger mine after insert on things begin select 1; end"],
    ["drop", "drop table things"],
    ["alter", "alter table things add column x"],
    ["analyze", "analyze"],
    ["reindex", "reindex"],
    ["explain", "explain delete from things"],
    ["explain query plan", "explain query plan select 1"],
    ["nothing", ""],
    ["a comment", "-- nothing"],
    ["a bracket", "(select 1)"],
    ["a no-break space and commit", "\u00a0commit"],
    ["a byte order mark and commit", "\ufeffcommit"],
    ["a NUL and commit", "\0commit"],
  ];

  test.each(scenarios)("%s", async (name, text) => {
    const things = inbox.rows("select * from things");
    const objects = inbox.rows("select name from sqlite_schema");
    const { body } = await inbox.deliver({ event_id: `refused ${name}`, type: "every_way", sql: text });
    // A refusal that the handler catches leaves its transaction unchanged.
    expect(body.status).toBe("processed");
    const seen = inbox.rows("select way, code from seen where event_id = ?", `refused ${name}`);
    expect(seen.map(({ code }) => code as string)).toEqual(Array(WAYS).fill("statement_refused"));
    expect(inbox.rows("select * from things")).toEqual(things);
    expect(inbox.rows("select name from sqlite_schema")).toEqual(objects);
  });
});

describe("statements accepted in TypeScript", () => {
  test.each([
    ["select", "select * from things"],
    ["values", "values (1, 2)"],
    ["with", "with x as (select 1 as n) select n from x"],
    ["insert", "insert into things (note) values ('more')"],
    ["insert with returning", "insert into things (note) values ('more') returning n"],
    ["with and insert", "with x as (select 'more' as note) insert into things (note) select note from x"],
    ["update", "update things set note = note || '!' where n = 1"],
    ["delete", "delete from things where n > 3"],
    ["replace", "replace into things values (3, 'three again')"],
    ["upsert", "insert into things values (3, 'x') on conflict do update set note = excluded.note"],
    ["a semicolon at the end", "select 1;"],
    ["semicolons and comments around it", "; /* a */ select 1 -- b\n; ;"],
    ["keywords in strings and comments", "select 'x; commit', \"n\" from things /* ; rollback */ -- ; begin"],
    ["a read-only pragma as a table", "select * from pragma_table_info('things')"],
  ])("%s", async (name, text) => {
    const { body } = await inbox.deliver({ event_id: `taken ${name}`, type: "every_way", sql: text });
    expect(body.status).toBe("processed");
    const seen = inbox.rows("select way, code from seen where event_id = ?", `taken ${name}`);
    expect(seen.map(({ code }) => code as string)).toEqual(Array(WAYS).fill("taken"));
  });
});

describe("an error from SQLite is a handler_error, and the transaction stays open", () => {
  test.each([
    ["a missing table", "select * from nowhere", /^no such table: nowhere$/],
    ["a syntax error", "select from where", /syntax error/],
    ["a constraint", "insert into things values (1, 'again')", /^UNIQUE constraint failed: things\.n$/],
    ["an extension", "select load_extension('x.so')", /^not authorized$|no such function/],
    ["a virtual table", "insert into pragma_user_version values (1)", /may not be modified/],
  ])("%s", async (name, text, message) => {
    const { body } = await inbox.deliver({ event_id: `wrong ${name}`, type: "every_way", sql: text });
    expect(body.status).toBe("processed");
    const seen = inbox.rows("select way, code, message from seen where event_id = ?", `wrong ${name}`);
    expect(seen).toHaveLength(WAYS);
    for (const { way, code, message: said } of seen) {
      // Preparing alone does not violate a constraint.
      if (way === "client_prepare" && code === "taken") continue;
      expect(code as string).toStartWith("SQLITE_");
      expect(said as string).toMatch(message);
    }
  });
});

describe("db.$client", () => {
  test("has nothing that bypasses the gate", () => {
    using db = new Database(":memory:");
    const { client } = createGates(db)();
    expect(Object.keys(client).sort()).toEqual(["prepare", "query", "run", "savepoint"]);
    const reachable = client as unknown as Record<string, unknown>;
    for (const name of [
      "close",
      "exec",
      "transaction",
      "loadExtension",
      "serialize",
      "handle",
      "fileControl",
      "filename",
    ]) {
      expect(reachable[name]).toBeUndefined();
    }
    db.run("begin");
    const statement = client.prepare("select 1") as unknown as Record<string, unknown>;
    expect(Object.keys(statement).sort()).toEqual(["all", "get", "run", "values"]);
  });
});

const MARKS = [
  ";",
  ";;",
  " ",
  "\n",
  "\0",
  "\u00a0",
  "\ufeff",
  "--",
  "/*",
  "*/",
  "/*/",
  "'",
  '"',
  "`",
  "[",
  "]",
  "(",
  ")",
  "$a(",
  "$a",
  ":a",
  "?",
  "@x",
];
const TRANSACTIONS = [
  "commit",
  "COMMIT",
  "end",
  "rollback",
  "begin",
  "savepoint s",
  "release s",
  "rollback to s",
  "pragma user_version = 7",
];
const STATEMENTS = [
  "select",
  "select 1",
  "values (1)",
  "with",
  "x as (select 1)",
  "insert into t values (1)",
  "update t set n = 2",
  "delete from t",
  "explain",
  "create table x (a)",
  "attach ':memory:' as m",
];

test("no combination of SQL fragments ends the transaction", () => {
  using db = new Database(":memory:", { strict: true });
  db.run("create table t (n integer)");
  const openGate = createGates(db);
  const piece = fc.constantFrom(...MARKS, ...TRANSACTIONS, ...STATEMENTS);
  const seen = { taken: 0, refused: 0, wrong: 0 };
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 1, maxLength: 8 }),
      fc.constantFrom("run", "all"),
      (pieces, way) => {
        const text = pieces.join("");
        db.run("begin immediate");
        db.run("savepoint hookonce_event");
        const gate = openGate();
        try {
          if (way === "run") gate.client.run(text);
          else gate.client.prepare(text).all();
          seen.taken++;
        } catch (error) {
          seen[(error as { code?: string }).code === "statement_refused" ? "refused" : "wrong"]++;
        }
        expect(db.inTransaction).toBe(true);
        // The event's savepoint is still the innermost one.
        db.run("release hookonce_event");
        db.run("rollback");
        expect(db.prepare("select count(*) from sqlite_schema").values()).toEqual([[1]]);
        expect(db.prepare("pragma user_version").values()).toEqual([[0]]);
        expect(db.prepare("pragma database_list").values()).toHaveLength(1);
      },
    ),
    { numRuns: 1500 },
  );
  expect(seen.taken).toBeGreaterThan(5);
  expect(seen.refused).toBeGreaterThan(300);
});
