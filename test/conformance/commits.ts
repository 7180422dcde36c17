import { beforeAll, describe, expect, test } from "bun:test";
import type { Batch, Engine, Result } from "../../src/engines/engine.ts";
import { takeOverConsole } from "../../src/engines/handler-output.ts";
import { HookonceError } from "../../src/errors.ts";
import type { EngineHarness } from "./harness.ts";
import { apply, batchOf, deliver, handlersIn, inWords, type Delivery, type HandlerName } from "./jobs.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";
import { corrected, none, summaryOf } from "./scenarios/scenario.ts";

const many = (count: number, options?: (n: number) => Parameters<typeof deliver>[1]): Delivery[] =>
  Array.from({ length: count }, (_, n) => deliver(`evt_${n}`, options?.(n)));

async function answersOf({ results }: Batch): Promise<string[]> {
  return (await results).map((result) => inWords(result));
}

/** How jobs share a commit, and what a commit promises. */
export function createCommitTests(name: string, harness: EngineHarness): void {
  const { asyncHandlers, sql } = harness.dialect;
  const failing: readonly HandlerName[] = [
    "credit",
    "reply",
    "failAtCommit",
    ...(sql.endTransaction === null ? [] : (["endTransaction"] as const)),
  ];

  describe(`${name}: one failing event among many`, () => {
    test.each(failing)(
      "(%s) leaves one failure, and the others committed once and in order",
      async (type) => {
        await using it = await openEngine(harness);
        const answers = (await it.commit(many(40, (n) => (n === 17 ? { type, fail: true } : {})))).map(
          (result) => inWords(result),
        );
        const others = many(40)
          .map(({ event }) => event.input.id)
          .filter((id) => id !== "evt_17");
        expect(answers.map((answer) => answer.split(" ")[0])).toEqual(
          Array.from({ length: 40 }, (_, n) => (n === 17 ? "failed" : "processed")),
        );
        const { effects, events, failures, bodies } = await it.contents();
        expect(effects.map(({ eventId }) => eventId)).toEqual(others);
        expect(events.map(({ eventId, deliveries }) => [eventId, deliveries])).toEqual(
          others.map((id) => [id, 1]),
        );
        expect(failures.map(({ eventId, attempts, deliveries }) => [eventId, attempts, deliveries])).toEqual([
          ["evt_17", 1, 1],
        ]);
        expect(bodies).toBe(39);
      },
    );

    test("of each other type, all in one batch, leave their failures in order", async () => {
      await using it = await openEngine(harness);
      await it.commit(many(40, (n) => ({ type: failing[n % failing.length] as string, fail: n % 3 === 0 })));
      const { effects, failures } = await it.contents();
      const ids = (fails: boolean): string[] =>
        many(40)
          .map(({ event }) => event.input.id)
          .filter((_, n) => (n % 3 === 0) === fails);
      expect(effects.map(({ eventId }) => eventId)).toEqual(ids(false));
      expect(failures.map(({ eventId, attempts }) => [eventId, attempts])).toEqual(
        ids(true).map((id) => [id, 1]),
      );
    });
  });

  describe(`${name}: a result`, () => {
    test("says what ran, what it changed, how long it took and what it replies", async () => {
      await using it = await openEngine(harness);
      const [credit, slow, other, failed, reply] = await it.commit([
        deliver("a"),
        deliver("b", { type: "slow" }),
        deliver("c", { type: "other" }),
        deliver("d", { fail: true }),
        deliver("e", { type: "reply" }),
      ]);
      const result = { changedBody: false, error: null, reply: null, durationUs: expect.any(Number) };
      const ran = { ...result, outcome: "processed", rowsChanged: 1 } as const;
      expect(credit).toEqual({ ...ran, eventId: "a", type: "credit", handler: "handlers/shop/credit.sql" });
      expect(slow).toEqual({ ...ran, eventId: "b", type: "slow", handler: "handlers/shop/slow.ts" });
      const { durationUs } = slow as Result;
      expect(durationUs).toBeGreaterThanOrEqual(5000);
      expect(durationUs).toBeLessThan(5_000_000);
      expect(other).toEqual({
        ...result,
        eventId: "c",
        type: "other",
        outcome: "unhandled",
        handler: null,
        rowsChanged: 0,
        durationUs: 0,
      });
      expect(failed).toMatchObject({
        eventId: "d",
        type: "credit",
        outcome: "failed",
        handler: "handlers/shop/credit.sql",
        rowsChanged: 0,
        error: expect.any(Error),
        reply: null,
      });
      expect(reply).toMatchObject({
        handler: "handlers/shop/reply.ts",
        reply: { status: 201, headers: { "x-id": "e" }, body: "e: 1" },
      });
    });

    test("of a repeat has the id that was delivered, and ran nothing", async () => {
      await using it = await openEngine(harness);
      const [, repeat] = await it.commit([deliver("a"), deliver("a", { cents: 2 })]);
      expect(repeat).toMatchObject({
        eventId: "a",
        handler: null,
        rowsChanged: 0,
        changedBody: true,
        error: null,
      });
    });
  });

  describe(`${name}: the limit of work`, () => {
    test("ends a batch early: the rest is not begun, and the next commit takes it", async () => {
      await using it = await openEngine(harness);
      const jobs = many(4, () => ({ type: "slow" }));
      const handlers = it.bind();
      const first = await it.engine.commit(jobs, { workMs: 1, handlers });
      expect(first.begun).toBe(1);
      expect(first.blocked).toBeUndefined();
      expect(await answersOf(first)).toEqual(["processed"]);
      expect(summaryOf(await it.contents()).events).toEqual(["evt_0 processed"]);
      expect((await it.commit(jobs.slice(first.begun))).map((result) => inWords(result))).toEqual([
        "processed",
        "processed",
        "processed",
      ]);
      expect(summaryOf(await it.contents()).effects).toEqual(["evt_0 1", "evt_1 1", "evt_2 1", "evt_3 1"]);
    });

    test.each(failing)("(%s) does not undo or drop what a failing batch has begun", async (type) => {
      await using it = await openEngine(harness);
      const jobs = [
        deliver("a"),
        deliver("b", { type, fail: true }),
        deliver("c", { type: "slow" }),
        deliver("d"),
      ];
      const answers: string[] = [];
      while (answers.length < jobs.length) {
        const batch = await it.engine.commit(jobs.slice(answers.length), { workMs: 4, handlers: it.bind() });
        expect(batch.begun).toBeGreaterThan(0);
        answers.push(...(await answersOf(batch)));
        expect(summaryOf(await it.contents()).effects).toEqual(
          ["a 1", "c 1", "d 1"].slice(0, Math.max(1, answers.length - 1)),
        );
      }
      expect(answers.map((answer) => answer.split(" ")[0])).toEqual([
        "processed",
        "failed",
        "processed",
        "processed",
      ]);
    });

    test.each(failing)("(%s) holds for a failing batch too", async (type) => {
      await using it = await openEngine(harness);
      const jobs = [deliver("a", { type, fail: true }), ...many(6, () => ({ type: "slow" }))];
      const batch = await it.engine.commit(jobs, { workMs: 1, handlers: it.bind() });
      expect(batch.begun).toBeLessThanOrEqual(2);
      expect((await answersOf(batch))[0]).toStartWith("failed");
      expect((await it.contents()).effects).toHaveLength(batch.begun - 1);
    });

    test("of 0 ms begins one job", async () => {
      await using it = await openEngine(harness);
      const batch = await it.engine.commit(
        many(3, () => ({ type: "slow" })),
        { workMs: 0, handlers: it.bind() },
      );
      expect(await answersOf(batch)).toEqual(["processed"]);
    });
  });

  describe(`${name}: while another process holds the write lock`, () => {
    test("nothing is begun or recorded, and the same jobs are committed once it is released", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("old", { type: "other" })]);
      const before = await it.contents();
      const jobs = [
        deliver("a"),
        deliver("b", { fail: true }),
        apply("old"),
        deliver("old", { type: "other" }),
      ];
      await it.store.whileLocked(async () => {
        for (let tries = 0; tries < 3; tries++) {
          const batch = await it.engine.commit(jobs, { workMs: 1000, handlers: it.bind() });
          expect(batch.begun).toBe(0);
          expect(batch.blocked).toMatchObject({ name: "HookonceError", code: "database_locked" });
          expect(await batch.results).toEqual([]);
        }
        expect(await it.contents()).toEqual(before);
      });
      expect((await it.commit(jobs)).map((result) => inWords(result))).toEqual([
        "processed",
        "failed handler_error",
        "unhandled",
        "unhandled",
      ]);
    });

    test("reading goes on", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a")], none);
      await it.store.whileLocked(async () => {
        const reader = await it.engine.reader();
        expect((await reader.owed({}, undefined, 10)).items).toHaveLength(1);
        expect(await reader.find("a", ["shop"])).toHaveLength(1);
        expect(await reader.owedByType(10)).toHaveLength(1);
      });
    });

    test("the probe says so, and succeeds afterwards", async () => {
      await using it = await openEngine(harness);
      await it.store.whileLocked(async () => {
        expect(await refusalOf(it.engine)).toMatchObject({ code: "database_locked" });
      });
      expect(await refusalOf(it.engine)).toBeUndefined();
      expect(summaryOf(await it.contents()).events).toEqual([]);
    });
  });

  describe(`${name}: results`, () => {
    test("are in the database when they resolve, also of batches that overlap", async () => {
      await using it = await openEngine(harness);
      const handlers = it.bind();
      const waiting: Promise<void>[] = [];
      for (let n = 0; n < 20; n++) {
        const batch = await it.engine.commit([deliver(`evt_${n}`), deliver("same")], {
          workMs: 1000,
          handlers,
        });
        expect(batch.begun).toBe(2);
        waiting.push(
          batch.results.then(async () => {
            const { events } = await it.contents();
            expect(events.map(({ eventId }) => eventId)).toContain(`evt_${n}`);
          }),
        );
      }
      await Promise.all(waiting);
      expect(summaryOf(await it.contents()).events.slice(0, 3)).toEqual([
        "evt_0 processed",
        "same processed ×20",
        "evt_1 processed",
      ]);
    });

    test("resolve before close does, and another engine knows what they reported", async () => {
      await using store = await harness.create();
      const first = await openEngine(harness, store);
      const batch = await first.engine.commit([deliver("a"), deliver("b", { fail: true })], {
        workMs: 1000,
        handlers: first.bind(),
      });
      let resolved = false;
      const done = batch.results.then(() => (resolved = true));
      await first[Symbol.asyncDispose]();
      expect(resolved).toBe(true);
      await done;
      await using second = await openEngine(harness, store);
      expect((await second.commit([deliver("a"), deliver("b")])).map((result) => inWords(result))).toEqual([
        "duplicate",
        "processed",
      ]);
      expect(summaryOf(await second.contents())).toMatchObject({ effects: ["a 1", "b 1"], settled: ["b"] });
    });

    test("of no jobs are none", async () => {
      await using it = await openEngine(harness);
      const batch = await it.engine.commit([], { workMs: 1000, handlers: it.bind() });
      expect([batch.begun, batch.blocked, await batch.results]).toEqual([0, undefined, []]);
    });
  });

  describe(`${name}: handlers`, () => {
    test("are those that the commit was given, and a stored result says which version made it", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a"), deliver("b", { fail: true })]);
      await it.commit([deliver("b", { fail: true }), deliver("c", { fail: true })], corrected);
      await it.commit([deliver("d"), deliver("a")], none);
      await it.commit([apply("d")]);
      const { events } = await it.contents();
      expect(events.map(({ eventId, handler, result }) => [eventId, handler, result?.handlerHash])).toEqual([
        ["a", "handlers/shop/credit.sql", "credit 1"],
        ["b", "handlers/shop/writeEffect.sql", "writeEffect 1"],
        ["c", "handlers/shop/writeEffect.sql", "writeEffect 1"],
        ["d", "handlers/shop/credit.sql", "credit 1"],
      ]);
    });

    test("with problems are refused, each problem with its file and line", async () => {
      await using it = await openEngine(harness);
      const file = "handlers/shop/unusable.sql";
      const problems = await it.engine.loadHandler({ language: "sql", file, hash: "1", text: sql.unusable });
      expect(problems).toEqual([
        { file, line: 1, message: expect.any(String) },
        { file, line: 3, message: expect.any(String) },
      ]);
    });

    test("may be loaded while others run, and keep their file, hash and language", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a")]);
      for (const code of Object.values(handlersIn(harness.dialect))) {
        if (code === null) continue;
        const { file, hash, language } = code;
        expect(await it.engine.loadHandler(code)).toMatchObject({ file, hash, language });
      }
    });

    test("may import the modules that the engine names", async () => {
      await using it = await openEngine(harness);
      const modules = await it.engine.handlerModules();
      expect(Object.keys(modules)).toContain("drizzle-orm");
    });

    test.skipIf(asyncHandlers)("that fail with a promise do not reject it later on", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a", { type: "later" })]);
      await Bun.sleep(0);
      expect(summaryOf(await it.contents()).failures).toEqual(["a handler_async"]);
    });
  });

  describe(`${name}: what a handler writes with console`, () => {
    // As the first TypeScript handler of an inbox folder does.
    beforeAll(takeOverConsole);

    test.each(["nothing", ...failing])(
      "is noted once, after the commit (beside failing: %s)",
      async (type) => {
        await using it = await openEngine(harness);
        await it.commit([
          deliver("a", { type: "loud" }),
          deliver("b", { type: "loud", fail: true }),
          ...(type === "nothing" ? [] : [deliver("x", { type, fail: true })]),
          deliver("c", { type: "loud" }),
          deliver("a", { type: "loud" }),
        ]);
        expect(written(it)).toEqual([...lines("a"), ...lines("b"), ...lines("c")]);
        expect(it.notes[0]).toMatchObject({
          source: "shop",
          eventId: "a",
          type: "loud",
          handler: "handlers/shop/loud.ts",
          ms: expect.any(Number),
        });
      },
    );

    test("is noted for apply too, and not while nothing is begun", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a", { type: "loud" })], none);
      await it.store.whileLocked(async () => {
        await it.engine.commit([apply("a")], { workMs: 1000, handlers: it.bind() });
      });
      expect(written(it)).toEqual([]);
      await it.commit([apply("a"), apply("a"), deliver("b")]);
      expect(written(it)).toEqual(lines("a"));
    });
  });

  describe(`${name}: the parts of a delivery`, () => {
    test("share its bytes although they are committed in several batches", async () => {
      await using it = await openEngine(harness);
      const [a, b, c] = batchOf([["a"], ["b"], ["c"]]) as [Delivery, Delivery, Delivery];
      await it.commit([a]);
      await it.commit([deliver("x"), b]);
      await it.commit([c]);
      const { bodies, events } = await it.contents();
      expect(bodies).toBe(2);
      expect(
        events.map(({ eventId, result }) => [eventId, new TextDecoder().decode(result?.body)[0]]),
      ).toEqual([
        ["a", "["],
        ["x", "{"],
        ["b", "["],
        ["c", "["],
      ]);
    });

    test.each(failing)("(%s) share them if the first part failed", async (type) => {
      await using it = await openEngine(harness);
      await it.commit(batchOf([["a", { type, fail: true }], ["b"], ["c"]]));
      await it.commit(batchOf([["d"], ["e", { type, fail: true }], ["f"]]));
      const { bodies, events } = await it.contents();
      expect(bodies).toBe(2);
      expect(events.map(({ result }) => new TextDecoder().decode(result?.body).includes('"a"'))).toEqual([
        true,
        true,
        false,
        false,
      ]);
    });
  });
}

/** The lines that the handler `loud` writes. */
function lines(id: string): string[] {
  return [`${id} info begins ${id}`, `${id} warn ends ${id}`];
}

function written({ notes }: OpenEngine): string[] {
  return notes.flatMap(({ eventId, output }) =>
    output.map(({ level, text }) => `${eventId} ${level} ${text}`),
  );
}

/** What the probe is refused with, if it is. */
async function refusalOf(engine: Engine): Promise<HookonceError | undefined> {
  try {
    await engine.probe(1);
    return undefined;
  } catch (error) {
    if (error instanceof HookonceError) return error;
    throw error;
  }
}
