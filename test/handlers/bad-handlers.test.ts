import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";

interface BadHandler {
  /** The file's name, which gives the event's type and the language. */
  file: string;
  text: string;
  code: string;
  error: string | RegExp;
}

const EFFECT = "insert into effects values (:event_id, 'half');\n";
const half = (body: string): string => ts(`effect("half");\n${body}`);

const ENDED = "handler_ended_transaction";
const FINISHED_TRANSACTION =
  /^An earlier statement ended the transaction, so nothing more can be written\.$|boom|UNIQUE/;

/** Each first writes a row, so that there is something to undo. */
const bad: BadHandler[] = [
  // SQL
  {
    file: "raise_rollback.sql",
    text: `${EFFECT}insert into bombs values ('rollback');`,
    code: ENDED,
    error: /^The handler's SQL rolled the whole transaction back: boom$/,
  },
  {
    file: "raise_abort.sql",
    text: `${EFFECT}insert into bombs values ('abort');`,
    code: "handler_error",
    error: "boom",
  },
  {
    file: "raise_fail.sql",
    text: `${EFFECT}insert into bombs values ('fail');`,
    code: "handler_error",
    error: "boom",
  },
  {
    file: "or_rollback.sql",
    text: `${EFFECT}insert or rollback into things values (1, 'again');`,
    code: ENDED,
    error: /^The handler's SQL rolled the whole transaction back: UNIQUE constraint failed: things\.n$/,
  },
  {
    file: "or_fail.sql",
    text: `${EFFECT}insert or fail into things values (101, 'x'), (1, 'again');`,
    code: "handler_error",
    error: "UNIQUE constraint failed: things.n",
  },
  {
    file: "on_conflict_rollback.sql",
    text: `${EFFECT}insert into touchy values (1), (1);`,
    code: ENDED,
    error: /UNIQUE constraint failed: touchy\.n$/,
  },
  {
    file: "unique.sql",
    text: `${EFFECT}insert into things values (100, 'x'), (1, 'again');`,
    code: "handler_error",
    error: "UNIQUE constraint failed: things.n",
  },
  {
    file: "not_null.sql",
    text: `${EFFECT}insert into strict_ones values (null, 1);`,
    code: "handler_error",
    error: "NOT NULL constraint failed: strict_ones.name",
  },
  {
    file: "strict_type.sql",
    text: `${EFFECT}insert into strict_ones values ('a', 'text');`,
    code: "handler_error",
    error: "cannot store TEXT value in INTEGER column strict_ones.cents",
  },
  {
    file: "check.sql",
    text: `${EFFECT}insert into strict_ones values ('a', -1);`,
    code: "handler_error",
    error: /^CHECK constraint failed/,
  },
  {
    file: "foreign_key.sql",
    text: `${EFFECT}insert into children values (404);`,
    code: "handler_error",
    error: "FOREIGN KEY constraint failed",
  },
  {
    file: "deferred.sql",
    text: `${EFFECT}insert into deferred_children values (404);`,
    code: "constraint_at_commit",
    error: "The transaction could not be committed: FOREIGN KEY constraint failed",
  },
  {
    file: "json.sql",
    text: `${EFFECT}insert into effects values (:event_id, json_extract('no json', '$'));`,
    code: "handler_error",
    error: "malformed JSON",
  },
  {
    file: "too_big.sql",
    text: `${EFFECT}insert into effects values (:event_id, zeroblob(1000000001));`,
    code: "handler_error",
    error: "string or blob too big",
  },
  // TypeScript
  {
    file: "throws.ts",
    text: half("throw new Error('on purpose');"),
    code: "handler_error",
    error: "on purpose",
  },
  { file: "throws_text.ts", text: half("throw 'only text';"), code: "handler_error", error: "only text" },
  { file: "throws_nothing.ts", text: half("throw undefined;"), code: "handler_error", error: "undefined" },
  {
    file: "throws_object.ts",
    text: half("throw { reason: 'x' };"),
    code: "handler_error",
    error: "[object Object]",
  },
  {
    file: "throws_bare_object.ts",
    text: half("throw Object.create(null);"),
    code: "handler_error",
    error: /./,
  },
  { file: "throws_symbol.ts", text: half("throw Symbol('s');"), code: "handler_error", error: "Symbol(s)" },
  {
    file: "throws_odd_error.ts",
    text: half("throw Object.assign(new Error('x'), { message: { a: 1 }, stack: 7 });"),
    code: "handler_error",
    error: /./,
  },
  {
    file: "throws_trap.ts",
    text: half(
      "throw Object.defineProperty(new Error('x'), 'message', { get() { throw new Error('trap'); } });",
    ),
    code: "handler_error",
    error: /./,
  },
  {
    file: "throws_frozen_db_error.ts",
    text: half("throw Object.assign(new Error('made up'), { code: 'SQLITE_IOERR', errno: 10 });"),
    code: "handler_error",
    error: "made up",
  },
  {
    file: "type_error.ts",
    text: half("event.payload.no.such.thing;"),
    code: "handler_error",
    error: /undefined is not an object/,
  },
  {
    file: "stack_overflow.ts",
    text: half("const deeper = () => deeper() + 1; deeper();"),
    code: "handler_error",
    error: /Maximum call stack/,
  },
  {
    file: "missing_table.ts",
    text: half("db.run(sql`insert into nowhere values (1)`);"),
    code: "handler_error",
    error: /no such table: nowhere/,
  },
  {
    file: "missing_value.ts",
    text: half("db.insert(things).values({ n: {} }).run();"),
    code: "value_refused",
    error: /^Parameter 1 is an object\. Pass JSON\.stringify\(value\)/,
  },
  {
    file: "commit.ts",
    text: half("db.run(sql`commit`);"),
    code: "statement_refused",
    error: /^A handler's statement must start with/,
  },
  {
    file: "two_statements.ts",
    text: half("db.run(sql.raw('delete from things; delete from effects'));"),
    code: "statement_refused",
    error: /Run one statement per call. SQLite would silently drop "delete from effects"/,
  },
  {
    file: "other_database_locked.ts",
    text: ts(
      `effect("half");
       new Database(import.meta.dir + "/../../data/hookonce.db").run("insert into effects values ('x', 'around the gate')");`,
      'import { Database } from "bun:sqlite";',
    ),
    code: "handler_error",
    error: "database is locked",
  },
  {
    file: "other_database_broken.ts",
    text: ts(
      'effect("half"); new Database(import.meta.path).run("select * from sqlite_schema");',
      'import { Database } from "bun:sqlite";',
    ),
    code: "handler_error",
    error: "file is not a database",
  },
  {
    file: "async.ts",
    text: half("return (async () => { effect('in time'); await null; effect('late'); })();"),
    code: "handler_async",
    error: /^The handler returned a promise\. Handlers are synchronous/,
  },
  {
    file: "async_throws.ts",
    text: half("return (async () => { throw new Error('rejected'); })();"),
    code: "handler_async",
    error: /^The handler returned a promise/,
  },
  {
    file: "thenable.ts",
    text: half("return { then() {} };"),
    code: "handler_async",
    error: /^The handler returned a promise/,
  },
  {
    file: "async_transaction.ts",
    text: half(
      "db.transaction(async (tx) => { tx.run(sql`insert into effects values ('x', 'in time')`); await null; tx.run(sql`insert into effects values ('x', 'late')`); });",
    ),
    code: "handler_async",
    error: /promise/,
  },
  {
    file: "rollback_thrown.ts",
    text: half("db.run(sql`insert or rollback into things values (1, 'again')`);"),
    code: ENDED,
    error: FINISHED_TRANSACTION,
  },
  {
    file: "rollback_swallowed.ts",
    text: half("try { db.run(sql`insert into bombs values ('rollback')`); } catch {}"),
    code: ENDED,
    error: FINISHED_TRANSACTION,
  },
  {
    file: "rollback_written_on.ts",
    text: half("try { db.run(sql`insert into bombs values ('rollback')`); } catch {}\neffect('after');"),
    code: ENDED,
    error: FINISHED_TRANSACTION,
  },
  {
    file: "rollback_all_swallowed.ts",
    text: half(
      "for (let n = 0; n < 5; n++) { try { db.run(sql`insert or rollback into things values (1, 'again')`); } catch {} try { effect('after'); } catch {} }",
    ),
    code: ENDED,
    error: FINISHED_TRANSACTION,
  },
  {
    file: "rollback_in_transaction.ts",
    text: half(
      "try { db.transaction((tx) => { tx.run(sql`insert into bombs values ('rollback')`); }); } catch {}\ntry { db.transaction((tx) => tx.run(sql`insert into effects values ('x', 'y')`)); } catch {}",
    ),
    code: ENDED,
    error: FINISHED_TRANSACTION,
  },
  {
    file: "rollback_by_returning.ts",
    text: half(
      "try { db.all(sql`insert into bombs values ('rollback') returning what`); } catch {}\ntry { effect('after'); } catch {}",
    ),
    code: ENDED,
    error: FINISHED_TRANSACTION,
  },
  {
    file: "deferred_ts.ts",
    text: half("db.run(sql`insert into deferred_children values (404)`);"),
    code: "constraint_at_commit",
    error: "The transaction could not be committed: FOREIGN KEY constraint failed",
  },
];

const MIGRATION = `${TABLES}
create table bombs (what text) strict;
create trigger bombs_rollback before insert on bombs when new.what = 'rollback' begin select raise(rollback, 'boom'); end;
create trigger bombs_abort before insert on bombs when new.what = 'abort' begin select raise(abort, 'boom'); end;
create trigger bombs_fail before insert on bombs when new.what = 'fail' begin select raise(fail, 'boom'); end;
create table touchy (n integer primary key on conflict rollback) strict;
create table strict_ones (name text not null, cents integer check (cents >= 0)) strict;
create table parents (n integer primary key) strict;
create table children (n integer references parents (n)) strict;
create table deferred_children (n integer references parents (n) deferrable initially deferred) strict;
`;

const typeOf = ({ file }: BadHandler): string => file.replace(/\.\w+$/, "");

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    // On a busy machine five handlers can take longer than a batch may by default.
    open: { queue: { maxWorkMs: 10_000 } },
    files: {
      "migrations/0001.sql": MIGRATION,
      "handlers/default/good.sql": "insert into effects values (:event_id, 'good');",
      "handlers/default/good_ts.ts": ts('effect("good");'),
      "handlers/default/promises_parent.sql":
        "insert into effects values (:event_id, 'good'); insert into deferred_children values (:payload ->> '$.n');",
      "handlers/default/is_parent.sql":
        "insert into effects values (:event_id, 'good'); insert into parents values (:payload ->> '$.n');",
      ...Object.fromEntries(bad.map(({ file, text }) => [`handlers/default/${file}`, text])),
    },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

let batches = 0;

interface Sent {
  id: string;
  type: string;
}

/** Delivers events of these types at the same time, so that they share a batch. */
async function together(types: readonly string[]): Promise<(Sent & { status: number; said: string })[]> {
  const batch = ++batches;
  const sent = types.map((type, index): Sent => ({ id: `${batch}_${index}_${type}`, type }));
  return Promise.all(
    sent.map(async ({ id, type }) => {
      const { status, body } = await inbox.deliver({ event_id: id, type, n: 1000 + batch });
      return { id, type, status, said: (body.status ?? body.error.code) as string };
    }),
  );
}

/** Expects that good events left exactly their effect, and bad events nothing. */
function expectEffectsOf(events: readonly (Sent & { said: string })[]): void {
  for (const { id, said } of events) {
    const effects = inbox.rows("select note from effects where event_id = ?", id);
    const listed = inbox.rows("select outcome from hookonce_events where event_id = ?", id);
    if (said === "processed") {
      expect([id, effects, listed]).toEqual([id, [{ note: "good" }], [{ outcome: "processed" }]]);
    } else {
      expect([id, said, effects, listed]).toEqual([id, "failed", [], []]);
    }
  }
  expect(inbox.value("select count(*) from effects where note <> 'good'")).toBe(0);
  expect(inbox.rows("select n from things order by n")).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  expect(
    inbox.rows("select 1 from bombs union all select 1 from touchy union all select 1 from strict_ones"),
  ).toEqual([]);
  expect(inbox.fatal).toEqual([]);
}

test("deliveries that wait at the same time share one transaction", async () => {
  // In separate transactions the first would fail: the child comes before its parent, and only COMMIT checks
  // that.
  const answers = await together(["good", "promises_parent", "good_ts", "is_parent", "good"]);
  expect(answers.map(({ said }) => said)).toEqual(Array(5).fill("processed"));
  expectEffectsOf(answers);
});

describe.each(bad.map((handler) => [handler.file, handler] as const))("%s", (_, handler) => {
  test.each([
    ["first", 0],
    ["in the middle", 2],
    ["last", 4],
    ["alone", -1],
  ])(
    "%s in a batch: it fails, its writes are undone, and the other events are processed",
    async (_, position) => {
      const types: string[] =
        position === -1
          ? [typeOf(handler)]
          : ["good", "good_ts", "good", "good_ts", "good"].toSpliced(position, 1, typeOf(handler));
      const answers = await together(types);
      for (const { type, status, said } of answers) {
        const expected = type === typeOf(handler) ? [500, "failed"] : [200, "processed"];
        expect([type, status, said]).toEqual([type, ...expected]);
      }
      expectEffectsOf(answers);

      const failed = answers.find(({ type }) => type === typeOf(handler)) as Sent;
      const rows = inbox.rows("select * from hookonce_failures where event_id = ?", failed.id);
      expect(rows).toHaveLength(1);
      expect(rows[0]).toMatchObject({
        source: "default",
        type: failed.type,
        handler: `handlers/default/${handler.file}`,
        code: handler.code,
        attempts: 1,
        settled_at: null,
      });
      if (typeof handler.error === "string") expect(rows[0].error).toBe(handler.error);
      else expect(rows[0].error).toMatch(handler.error);
    },
  );

  test("a retry fails again and is counted", async () => {
    const id = `again_${handler.file}`;
    for (const attempts of [1, 2, 3]) {
      const { status, body } = await inbox.deliver({ event_id: id, type: typeOf(handler) });
      expect([status, body]).toEqual([
        500,
        { status: "failed", event_id: id, message: "Internal Server Error" },
      ]);
      expect(inbox.value("select attempts from hookonce_failures where event_id = ?", id)).toBe(attempts);
    }
    expect(inbox.value("select count(*) from hookonce_failures where event_id = ?", id)).toBe(1);
  });
});

test("all bad handlers in one batch, with good ones between them", async () => {
  const answers = await together(
    bad.flatMap((handler) => [typeOf(handler), "good", typeOf(handler), "good_ts"]),
  );
  const good = answers.filter(({ said }) => said === "processed");
  expect(good).toHaveLength(bad.length * 2);
  expect(good.every(({ type }) => type.startsWith("good"))).toBe(true);
  expectEffectsOf(answers);
});

test("the same event twice in a batch fails twice, or is applied once", async () => {
  const deliver = (id: string, type: string) => inbox.deliver({ event_id: id, type });
  const answers = await Promise.all([
    deliver("twice_bad", "raise_rollback"),
    deliver("twice_good", "good"),
    deliver("twice_bad", "raise_rollback"),
    deliver("twice_good", "good"),
    deliver("twice_deferred", "deferred"),
    deliver("twice_deferred", "deferred"),
  ]);
  expect(answers.map(({ body }) => body.status as string)).toEqual([
    "failed",
    "processed",
    "failed",
    "duplicate",
    "failed",
    "failed",
  ]);
  expect(
    inbox.rows("select event_id, attempts from hookonce_failures where event_id like 'twice%' order by 1"),
  ).toEqual([
    { event_id: "twice_bad", attempts: 2 },
    { event_id: "twice_deferred", attempts: 2 },
  ]);
  expect(inbox.rows("select note from effects where event_id like 'twice%'")).toEqual([{ note: "good" }]);
});

test("a handler that runs again because another event ended the transaction gets the original event", async () => {
  await using own = await testInbox({
    files: {
      "migrations/0001.sql": MIGRATION,
      "handlers/default/bomb.sql": "insert into bombs values ('rollback');",
      "handlers/default/spends.ts": ts(`
        event.payload.cents *= 2;
        event.payload.items.pop();
        event.headers["x-note"] += "!";
        effect([event.payload.cents, event.payload.items.length, event.headers["x-note"]].join(" "));`),
    },
  });
  const spends = (id: string) =>
    own.deliver(
      { event_id: id, type: "spends", cents: 100, items: [1, 2, 3] },
      { headers: { "x-note": "a" } },
    );
  const answers = await Promise.all([
    spends("evt_1"),
    own.deliver({ event_id: "bad", type: "bomb" }),
    spends("evt_2"),
  ]);
  expect(answers.map(({ body }) => body.status as string)).toEqual(["processed", "failed", "processed"]);
  expect(own.rows("select event_id, note from effects order by event_id")).toEqual([
    { event_id: "evt_1", note: "200 2 a!" },
    { event_id: "evt_2", note: "200 2 a!" },
  ]);
});

test("a handler that catches a refused statement can still succeed", async () => {
  await using own = await testInbox({
    files: {
      "migrations/0001.sql": MIGRATION,
      "handlers/default/goes_on.ts": ts(`
        for (const text of [";commit", "rollback", "pragma foreign_keys = off"]) {
          try { db.run(sql.raw(text)); } catch {}
        }
        try { db.run(sql\`insert into things values (1, 'again')\`); } catch {}
        try { db.run(sql\`insert into bombs values ('abort')\`); } catch {}
        effect("good");`),
    },
  });
  expect((await own.deliver({ event_id: "evt_1", type: "goes_on" })).body.status).toBe("processed");
  expect(own.rows("select * from effects")).toEqual([{ event_id: "evt_1", note: "good" }]);
  expect(own.value("select rows_changed from hookonce_events left join hookonce_results on event = id")).toBe(
    1,
  );
});

test("the reason of a failure is logged, but not part of the answer", () => {
  const line = inbox.log.find(({ event }) => String(event).endsWith("raise_rollback"));
  expect(line).toMatchObject({
    level: 50,
    outcome: "failed",
    code: ENDED,
    source: "default",
    type: "raise_rollback",
  });
  expect(line?.["cause"]).toContain("boom");
});
