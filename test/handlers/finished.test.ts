import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";

/** What a handler leaves for later calls and for the test: all share this process. */
interface Left {
  /** The result of each late attempt: `written`, or the error's code. */
  late: string[];
  kept: Record<string, unknown>;
}

declare global {
  // oxlint-disable-next-line no-var -- a global can only be declared so
  var handlerTest: Left;
}

const attempt = (what: string): string => `
  const attempt = (work) => {
    try { work(); globalThis.handlerTest.late.push("written"); }
    catch (error) { globalThis.handlerTest.late.push((error.cause ?? error).code ?? String(error)); }
  };
  ${what}`;

const HANDLERS: Record<string, string> = {
  timer: attempt('effect("in time"); setTimeout(() => attempt(() => effect("late")), 1);'),
  immediate: attempt('effect("in time"); setImmediate(() => attempt(() => effect("late")));'),
  microtask: attempt('effect("in time"); queueMicrotask(() => attempt(() => effect("late")));'),
  promise: attempt('effect("in time"); void (async () => { await null; attempt(() => effect("late")); })();'),
  every_way: attempt(`
    effect("in time");
    const prepared = db.$client.prepare("insert into effects values ('x', 'late')");
    const query = db.insert(effects).values({ eventId: "x", note: "late" });
    const drizzled = query.prepare();
    let inner;
    db.transaction((tx) => { inner = tx; });
    setTimeout(() => {
      attempt(() => prepared.run());
      attempt(() => prepared.all());
      attempt(() => query.run());
      attempt(() => drizzled.run());
      attempt(() => inner.run(sql\`insert into effects values ('x', 'late')\`));
      attempt(() => inner.transaction(() => {}));
      attempt(() => db.transaction(() => {}));
      attempt(() => db.$client.run("insert into effects values ('x', 'late')"));
      attempt(() => db.$client.query("select 1"));
      attempt(() => db.$client.savepoint(() => {}));
      attempt(() => db.select().from(effects).all());
      attempt(() => db.get(sql\`select 1\`));
    }, 1);`),
  keeps:
    "globalThis.handlerTest.kept = { db, statement: db.$client.prepare(\"insert into effects values ('x', 'kept')\") }; effect(\"in time\");",
  uses_kept_db:
    "globalThis.handlerTest.kept.db.run(sql`insert into effects values ('x', 'kept')`); effect('in time');",
  uses_kept_statement: "globalThis.handlerTest.kept.statement.run(); effect('in time');",
  swallows_kept: attempt("attempt(() => globalThis.handlerTest.kept.statement.run()); effect('in time');"),
  throws_and_keeps: attempt(
    'effect("in time"); setTimeout(() => attempt(() => effect("late")), 1); throw new Error("no");',
  ),
  async_late: attempt(
    'return (async () => { effect("in time"); await null; attempt(() => effect("late")); })();',
  ),
  async_rejects: 'return (async () => { effect("in time"); await null; throw new Error("too late"); })();',
  async_throws_at_once: 'return (async () => { throw new Error("at once"); })();',
};

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    files: {
      "migrations/0001.sql": TABLES,
      "handlers/default/good.sql": "insert into effects values (:event_id, 'good');",
      ...Object.fromEntries(
        Object.entries(HANDLERS).map(([name, body]) => [`handlers/default/${name}.ts`, ts(body)]),
      ),
    },
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());
beforeEach(() => {
  globalThis.handlerTest = { late: [], kept: {} };
  inbox.rows("delete from effects");
});

let ids = 0;
async function deliver(type: string, id = `evt_${++ids}`): Promise<string> {
  return (await inbox.deliver({ event_id: id, type })).body.status as string;
}

const notes = (): unknown[] =>
  inbox.rows("select note from effects order by rowid").map(({ note }) => note as string);

/** What became of the late writes, once so many were tried. */
async function lateWrites(count: number): Promise<readonly string[]> {
  const { late } = globalThis.handlerTest;
  while (late.length < count) await Bun.sleep(1);
  return late;
}

describe("a write after the handler has returned is refused", () => {
  test.each(["timer", "immediate", "microtask", "promise"])("from a %s", async (type) => {
    expect(await deliver(type)).toBe("processed");
    expect(await lateWrites(1)).toEqual(["handler_finished"]);
    expect(notes()).toEqual(["in time"]);
  });

  test("in every way to run a statement", async () => {
    expect(await deliver("every_way")).toBe("processed");
    expect(await lateWrites(12)).toEqual(Array(12).fill("handler_finished"));
    expect(notes()).toEqual(["in time"]);
  });

  test("also while the transaction of other events is open", async () => {
    await Promise.all([deliver("timer"), deliver("microtask"), deliver("immediate")]);
    const answers = await Promise.all(Array.from({ length: 20 }, () => deliver("good")));
    expect(answers).toEqual(Array(20).fill("processed"));
    expect(await lateWrites(3)).toEqual(Array(3).fill("handler_finished"));
    expect(inbox.rows("select note from effects order by note").map(({ note }) => note as string)).toEqual([
      ...Array(20).fill("good"),
      ...Array(3).fill("in time"),
    ]);
  });

  test("also after the handler has thrown", async () => {
    expect(await deliver("throws_and_keeps")).toBe("failed");
    expect(await lateWrites(1)).toEqual(["handler_finished"]);
    expect(notes()).toEqual([]);
  });
});

describe("db belongs to one call", () => {
  test.each(["uses_kept_db", "uses_kept_statement"])(
    "%s: another event that uses a kept db fails",
    async (type) => {
      expect(await deliver("keeps")).toBe("processed");
      const id = `evt_${type}`;
      expect(await deliver(type, id)).toBe("failed");
      expect(notes()).toEqual(["in time"]);
      expect(inbox.rows("select code, error from hookonce_failures where event_id = ?", id)).toEqual([
        {
          code: "handler_finished",
          error: expect.stringContaining(
            "This handler has returned, and its transaction has ended",
          ) as string,
        },
      ]);
    },
  );

  test("another event that catches the refusal writes only its own rows", async () => {
    expect(await deliver("keeps")).toBe("processed");
    expect(await deliver("swallows_kept")).toBe("processed");
    expect(globalThis.handlerTest.late).toEqual(["handler_finished"]);
    expect(notes()).toEqual(["in time", "in time"]);
  });
});

const rejections = () =>
  inbox.log.filter(({ msg }) => msg === "a handler's promise was rejected after the handler had failed");

describe("a handler that returns a promise fails", () => {
  test("at each retry, its writes before the await are undone and those after it refused", async () => {
    for (const attempts of [1, 2, 3]) {
      expect(await deliver("async_late", "evt_async")).toBe("failed");
      expect(await lateWrites(attempts)).toEqual(Array(attempts).fill("handler_finished"));
    }
    expect(notes()).toEqual([]);
    expect(inbox.rows("select code, attempts from hookonce_failures where event_id = 'evt_async'")).toEqual([
      { code: "handler_async", attempts: 3 },
    ]);
    expect(inbox.rows("select 1 from hookonce_events where event_id = 'evt_async'")).toEqual([]);
  });

  test("a rejection is logged, and the process continues", async () => {
    expect(await deliver("async_rejects")).toBe("failed");
    expect(await deliver("async_throws_at_once")).toBe("failed");
    while (rejections().length < 2) await Bun.sleep(1);
    expect(rejections().map(({ handler, cause }) => [handler, cause])).toEqual([
      ["handlers/default/async_rejects.ts", "too late"],
      ["handlers/default/async_throws_at_once.ts", "at once"],
    ]);
    expect(notes()).toEqual([]);
    expect(await deliver("good")).toBe("processed");
  });
});
