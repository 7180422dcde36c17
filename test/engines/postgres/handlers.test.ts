import { beforeAll, describe, expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { bigint, jsonb, pgTable, text, timestamp } from "drizzle-orm/pg-core";
import type { PgRemoteDatabase } from "drizzle-orm/pg-proxy";
import type { HandlerCode, HandlerInput } from "../../../src/engines/engine.ts";
import { createGates } from "../../../src/engines/postgres/gate.ts";
import type { HandlerRun, PostgresHandler } from "../../../src/engines/postgres/handler.ts";
import { loadSqlHandler } from "../../../src/engines/postgres/sql-handler.ts";
import { rollBack } from "../../../src/engines/postgres/transaction.ts";
import { loadTsHandler } from "../../../src/engines/postgres/ts-handler.ts";
import type { Wire } from "../../../src/engines/postgres/wire.ts";
import { messageOf, type HookonceError } from "../../../src/errors.ts";
import { describeUnless } from "../../crash/requirements.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;

const TABLES = `
create table notes (id text primary key, cents bigint, doc jsonb, at timestamptz);
create table parents (id integer primary key);`;

const notes = pgTable("notes", {
  id: text().primaryKey(),
  cents: bigint({ mode: "bigint" }),
  doc: jsonb(),
  at: timestamp({ withTimezone: true }),
});

const input: HandlerInput = {
  id: "evt_1",
  type: "paid",
  source: "shop",
  receivedAt: 1000,
  payloadJson: `{"id":"evt_1","cents":9007199254740993,"name":"it's"}`,
  headersJson: `{"x-note":"n"}`,
  body: new TextEncoder().encode("{}"),
};

interface Inside {
  readonly wire: Wire;
  readonly rows: () => Promise<unknown[]>;
}

/** Does work in a transaction on new tables, as a batch does. */
async function inTransaction<Result>(work: (inside: Inside) => Promise<Result>): Promise<Result> {
  const wire = await connect(await (await sharedCluster()).database());
  try {
    await wire.script(TABLES);
    await wire.send("begin");
    return await work({
      wire,
      rows: async () => [...(await wire.send("select id, cents::text from notes order by id")).rows],
    });
  } finally {
    await rollBack(wire);
    await wire.drop();
  }
}

function coded(
  run: (db: PgRemoteDatabase, enqueue: unknown) => unknown,
): Extract<HandlerCode, { language: "ts" }> {
  return {
    language: "ts",
    file: "handlers/shop/paid.ts",
    hash: "1",
    run: ({ db, enqueue }) => run(db as PgRemoteDatabase, enqueue),
    replyOf: () => null,
    placeOf: () => undefined,
  };
}

const runTs = (
  wire: Wire,
  run: (db: PgRemoteDatabase) => unknown,
  deadlineMs?: number,
  late: unknown[] = [],
): Promise<HandlerRun> =>
  loadTsHandler(coded(run), {
    openGate: createGates(),
    onLateError: (_, error) => void late.push(error),
    deadlineMs,
  }).run(wire, input);

const load = (wire: Wire, text: string, deadlineMs?: number) =>
  loadSqlHandler(
    wire,
    { language: "sql", file: "handlers/shop/paid.sql", hash: "1", text },
    undefined,
    deadlineMs,
  );

const sleeps = async (db: PgRemoteDatabase, ms: number, seconds: number): Promise<void> => {
  await Bun.sleep(ms);
  await db.execute(sql`select pg_sleep(${seconds})`);
};

const failure = async (work: Promise<unknown>): Promise<HookonceError> =>
  work.then(
    () => {
      throw new Error("it has not failed");
    },
    (error: unknown) => error as HookonceError,
  );

describeUnless(missing, "handlers on a real server", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);

  describe("a SQL handler", () => {
    test("binds each value with its type, and counts the rows that it changes", async () => {
      const ran = await inTransaction(async ({ wire, rows }) => {
        const handler = await load(
          wire,
          `insert into notes values (:event_id, (:payload ->> 'cents')::bigint, :payload, to_timestamp(:received_at / 1000));
           update notes set cents = cents + 1 where id = :payload ->> 'id';
           with gone as (delete from notes where false returning *), new as (insert into notes (id) values ('b'), ('c') returning *)
             select count(*) from gone, new;
           select E'a' -- a comment
             'b\\';' as one;`,
        );
        const run = await (handler as PostgresHandler).run(wire, input);
        return { run, rows: await rows() };
      });
      expect(ran.run).toEqual({ rowsChanged: 4, reply: null });
      expect(ran.rows).toEqual([
        ["b", null],
        ["c", null],
        ["evt_1", "9007199254740994"],
      ]);
    });

    test.each<[text: string, problems: [line: number, part: string][]]>([
      [
        "drop table notes;\nselect 1;\nselect missing\nfrom notes;",
        [
          [1, "drop"],
          [3, "missing"],
        ],
      ],
      ["select 1;\n\nselect\n  :payload ->>\n  missing from notes", [[5, "missing"]]],
      ["select :nothing", [[1, ":nothing is not a binding"]]],
      ["commit", [[1, "commit"]]],
      ["select 1;; \n; rollback", [[2, "rollback"]]],
      ["select 1 into t", [[1, "makes a table"]]],
      ["copy notes to stdout", [[1, "copy"]]],
      ["do $$ begin end $$", [[1, "do"]]],
      ["set x.y = 'z'", [[1, "set"]]],
      ["truncate notes", [[1, "truncate"]]],
      ["lock table notes", [[1, "lock"]]],
      [
        "insert into notes (id) values ('a') on conflict (id) do update\nset cents = cents + 1",
        [[2, "Write notes.cents"]],
      ],
      ["insert or ignore into notes (id) values ('a')", [[1, "on conflict"]]],
      ["", [[0, "no statement"]]],
    ])("%s is refused with its lines", async (text, problems) => {
      const found = await inTransaction(({ wire }) => load(wire, text));
      expect(found).toHaveLength(problems.length);
      for (const [index, [line, part]] of problems.entries()) {
        const problem = (found as { line?: number; message: string }[])[index];
        expect(problem?.line ?? 0).toBe(line);
        expect(problem?.message).toContain(part);
      }
    });

    test("a check leaves the transaction and the connection as they were", async () => {
      await inTransaction(async ({ wire, rows }) => {
        await wire.send("insert into notes (id) values ('before')");
        for (const text of ["select missing", "select 1", "commit"]) await load(wire, text);
        expect(await rows()).toEqual([["before", null]]);
        const { rows: prepared } = await wire.send(
          "select count(*)::int from pg_prepared_statements where name = 'hookonce_check'",
        );
        expect(prepared).toEqual([[0]]);
      });
    });

    test("sends nothing if a value of it cannot be stored", async () => {
      await inTransaction(async ({ wire, rows }) => {
        const handler = (await load(
          wire,
          "insert into notes (id) values (:event_id); select :payload;",
        )) as PostgresHandler;
        const odd = { ...input, payloadJson: String.raw`{"a":"\u0000"}` };
        expect(() => handler.run(wire, odd)).toThrow(String.raw`contains \u0000`);
        expect(await rows()).toEqual([]);
      });
    });
  });

  test("a SQL handler that does not end is quarantined, and one that somebody cancels is not", async () => {
    await inTransaction(async ({ wire }) => {
      const handler = (await load(wire, "select pg_sleep(600);", 100)) as PostgresHandler;
      await wire.send("set statement_timeout = 100");
      await wire.send("savepoint one");
      expect(await failure(handler.run(wire, input))).toMatchObject({
        code: "handler_timeout",
        message: expect.stringContaining(
          "did not end within 0.1 s for this event, so what it wrote was undone",
        ),
      });
      await wire.send("rollback to one");
      const patient = (await load(wire, "select pg_sleep(600);")) as PostgresHandler;
      expect(await failure(patient.run(wire, input))).toMatchObject({ errno: "57014" });
    });
  });

  describe("a TypeScript handler", () => {
    test("may be asynchronous, and what it writes and reads is exact", async () => {
      await inTransaction(async ({ wire }) => {
        let read: unknown[] = [];
        const run = await runTs(wire, async (db) => {
          await Bun.sleep(1);
          await db.insert(notes).values({
            id: "a",
            cents: 9007199254740993n,
            doc: { text: "it's", list: [1, "2"] },
            at: new Date(5),
          });
          await db.execute(
            sql`insert into notes (id, doc) values (${"b"}, ${JSON.stringify({ a: 1 })}::jsonb)`,
          );
          read = [
            await db.select().from(notes).orderBy(notes.id),
            await db.execute(sql`select doc ->> 'a' as a from notes where id = 'b'`),
          ];
        });
        expect(run.rowsChanged).toBe(2);
        expect(read).toEqual([
          [
            { id: "a", cents: 9007199254740993n, doc: { text: "it's", list: [1, "2"] }, at: new Date(5) },
            { id: "b", cents: null, doc: { a: 1 }, at: null },
          ],
          [{ a: "1" }],
        ]);
      });
    });

    test("what it does not await is awaited for it, and counts", async () => {
      await inTransaction(async ({ wire, rows }) => {
        const run = await runTs(wire, (db) => {
          void db.insert(notes).values({ id: "a" }).execute();
        });
        expect(run.rowsChanged).toBe(1);
        expect(await rows()).toEqual([["a", null]]);
      });
    });

    test("a statement that it does not await fails it", async () => {
      await inTransaction(async ({ wire }) => {
        const floating: Promise<unknown>[] = [];
        const error = await failure(
          runTs(wire, (db) => {
            floating.push(failure(db.execute(sql`insert into notes (id) values (null)`)));
          }),
        );
        expect(messageOf(error)).toContain("null value");
        await Promise.all(floating);
      });
    });

    test("a write after its end is refused", async () => {
      await inTransaction(async ({ wire, rows }) => {
        let db: PgRemoteDatabase | undefined;
        await runTs(wire, (given) => {
          db = given;
        });
        const late = await failure(Promise.resolve(db?.insert(notes).values({ id: "late" })));
        expect(late.cause).toMatchObject({ code: "handler_finished" });
        expect(await rows()).toEqual([]);
      });
    });

    test("an error that it swallows fails it, unless it was in db.transaction()", async () => {
      await inTransaction(async ({ wire }) => {
        await wire.send("savepoint one");
        const swallowed = await failure(
          runTs(wire, async (db) => {
            await failure(db.execute(sql`insert into notes (id) values (null)`));
            const next = await failure(db.execute(sql`select 1`));
            expect(next.cause).toMatchObject({ code: "handler_ended_transaction" });
          }),
        );
        expect(messageOf(swallowed)).toContain("null value");
        await wire.send("rollback to one");
        const run = await runTs(wire, async (db) => {
          await db.insert(notes).values({ id: "kept" });
          await failure(
            db.transaction(async (tx) => {
              await tx.insert(notes).values({ id: "undone" });
              await tx.transaction((inner) => inner.execute(sql`insert into notes (id) values (null)`));
            }),
          );
          await db.transaction((tx) => tx.insert(notes).values({ id: "second" }));
        });
        expect(run.rowsChanged).toBe(2);
        const { rows } = await wire.send("select id from notes order by id");
        expect(rows).toEqual([["kept"], ["second"]]);
      });
    });

    test.each<[why: string, code: string, run: (db: PgRemoteDatabase) => unknown]>([
      ["commits", "42601", (db) => db.execute(sql`commit`)],
      ["hides a commit behind a semicolon", "42601", (db) => db.execute(sql`; commit`)],
      ["runs two statements", "statement_refused", (db) => db.execute(sql`select 1; select 2`)],
      [
        "sets a setting",
        "statement_refused",
        (db) => db.execute(sql`select set_config('hookonce.own', 'on', true)`),
      ],
      ["binds half of a surrogate pair", "value_refused", (db) => db.execute(sql`select ${"\uD800"}::text`)],
      ["returns a value", "invalid_return", () => 5],
      [
        "calls a method of drizzle for SQLite",
        "statement_refused",
        (db) => (db as unknown as { run(query: unknown): void }).run(sql`select 1`),
      ],
      [
        "begins a transaction beside another one",
        "statement_refused",
        (db) =>
          Promise.all([1, 2].map((n) => db.transaction((tx) => tx.insert(notes).values({ id: `${n}` })))),
      ],
    ])("fails if it %s (%s)", async (_, code, run) => {
      await inTransaction(async ({ wire }) => {
        const error = await failure(runTs(wire, async (db) => run(db)));
        const given = error.code === code ? error.code : (error as unknown as { errno?: string }).errno;
        expect(given ?? messageOf(error)).toBe(code);
      });
    });

    test("whose statement does not end is ended at its deadline, and its transaction goes on", async () => {
      await inTransaction(async ({ wire, rows }) => {
        await wire.send("savepoint one");
        const error = await failure(runTs(wire, async (db) => sleeps(db, 100, 600), 500));
        expect(error).toMatchObject({ code: "handler_timeout" });
        await wire.send("rollback to one");
        await runTs(
          wire,
          async (db) => {
            await sleeps(db, 600, 0);
            await db.insert(notes).values({ id: "a" });
          },
          3500,
        );
        expect((await wire.send("show statement_timeout")).rows).toEqual([["30s"]]);
        expect(await rows()).toEqual([["a", null]]);
      });
    });

    test("that does not end is undone at its deadline, and what it does afterwards is refused", async () => {
      await inTransaction(async ({ wire, rows }) => {
        const ended = Promise.withResolvers<HookonceError>();
        const waits = Promise.withResolvers<void>();
        await wire.send("savepoint one");
        const error = await failure(
          runTs(
            wire,
            async (db) => {
              await db.insert(notes).values({ id: "a" });
              await waits.promise;
              ended.resolve(await failure(Promise.resolve(db.insert(notes).values({ id: "b" }))));
            },
            1500,
          ),
        );
        expect(error).toMatchObject({ code: "handler_timeout" });
        await wire.send("rollback to one");
        waits.resolve();
        expect((await ended.promise).cause).toMatchObject({ code: "handler_finished" });
        expect(await rows()).toEqual([]);
      });
    });
  });
});
