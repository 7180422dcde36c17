import { describe, expect, test } from "bun:test";
import type { Forward } from "../../src/engines/outbox.ts";
import type { PausedSource } from "../../src/engines/source-states.ts";
import type { EngineHarness } from "./harness.ts";
import {
  apply,
  batchOf,
  deliver,
  importOf,
  inWords,
  pause,
  replay,
  resume,
  runHeld,
  shop,
  sourceWith,
} from "./jobs.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";
import { corrected, none } from "./scenarios/scenario.ts";

const branch = sourceWith({ name: "branch", handlersOf: "shop" });

async function states(it: OpenEngine): Promise<readonly PausedSource[]> {
  return (await it.engine.reader()).sourceStates();
}

/** Runs what is held until nothing is left. */
async function runAll(it: OpenEngine, source = shop, types = {}): Promise<string[]> {
  const outcomes: string[] = [];
  for (;;) {
    const [result] = await it.commit(
      [runHeld({ source })],
      Object.keys(types).length === 0 ? undefined : types,
    );
    if (result === null || result === undefined) return outcomes;
    outcomes.push(inWords(result));
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);

/** What a paused source is read as, and what its messages and payloads are. */
export function createPausedTests(name: string, harness: EngineHarness): void {
  describe(`${name}: a paused source`, () => {
    test("is read with its state, and with how many events are held since when", async () => {
      await using it = await openEngine(harness);
      expect(await states(it)).toEqual([]);
      await it.commit([pause({ until: 20_000 }), deliver("a", { at: 1000 }), deliver("b", { at: 1001 })]);
      await it.commit([deliver("c", { source: branch })]);
      const paused = { name: "shop", state: "held", since: 9000, until: 20_000, reason: "a test" } as const;
      const held = { stopOnFailure: false, held: 2, isCapped: false, oldestAt: 1000 };
      expect(await states(it)).toEqual([{ ...paused, ...held }]);
      await it.reopen();
      expect(await states(it)).toEqual([{ ...paused, ...held }]);
      await it.commit([resume({ stopOnFailure: true }), runHeld()]);
      expect(await states(it)).toEqual([
        {
          ...paused,
          ...held,
          state: "resuming",
          until: null,
          reason: null,
          stopOnFailure: true,
          held: 1,
          oldestAt: 1001,
        },
      ]);
      await it.commit([runHeld(), runHeld()]);
      expect(await states(it)).toEqual([]);
    });

    test("that refuses has no held events, and keeps the time at which its state began", async () => {
      await using it = await openEngine(harness);
      await it.commit([pause({ state: "refusing" }), pause({ state: "refusing", until: 9 })]);
      expect(await states(it)).toMatchObject([
        { state: "refusing", since: 9000, until: 9, held: 0, oldestAt: null },
      ]);
    });

    test("has its held events among what is owed, in lists, counts and look-ups", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("f", { fail: true, at: 1000 })]);
      await it.commit([deliver("u", { at: 1001 })], none);
      await it.commit([
        pause(),
        deliver("h1", { at: 1002 }),
        deliver("h2", { at: 1003, type: "reply" }),
        deliver("p", { at: 1004, source: branch }),
        deliver("h3", { at: 1005 }),
      ]);
      const reader = await it.engine.reader();
      const owed = async (filter = {}, limit = 100) => {
        const { items } = await reader.owed(filter, undefined, limit);
        return items.map(({ eventId, outcome }) => `${eventId} ${outcome}`);
      };
      expect(await owed()).toEqual(["f failed", "u unhandled", "h1 held", "h2 held", "h3 held"]);
      expect(await owed({ outcome: "held" })).toEqual(["h1 held", "h2 held", "h3 held"]);
      expect(await owed({ outcome: "held", type: "reply" })).toEqual(["h2 held"]);
      expect(await owed({ outcome: "unhandled" })).toEqual(["u unhandled"]);
      expect(await owed({ outcome: "failed" })).toEqual(["f failed"]);
      const counts = await reader.owedByType(2);
      expect(counts.map(({ type, outcome, count }) => `${type} ${outcome} ${count}`).sort()).toEqual([
        "credit failed 1",
        "credit held 2",
        "credit unhandled 1",
        "reply held 1",
      ]);
      const capped = (await reader.owedByType(1)).find(
        ({ outcome, type }) => outcome === "held" && type === "credit",
      );
      expect(capped).toMatchObject({ count: 1, capped: true });
      expect(await reader.find("h1", ["shop"])).toEqual([
        { source: "shop", type: "credit", outcome: "held" },
      ]);
      expect(await reader.countKnown("shop", ["f", "u", "h1", "h2", "none"])).toMatchObject({
        known: 0,
        owed: 4,
      });
      const { items } = await reader.events({ outcome: "held" }, undefined, 2);
      expect(items.map(({ eventId }) => eventId)).toEqual(["h3", "h2"]);
      expect(await reader.event("shop", "h1")).toMatchObject({
        outcome: "held",
        timeline: [{ number: 1, at: 1002, outcome: "held" }],
        settled: null,
        isRemoved: false,
      });
    });

    test("counts its held events by type, however many there are", async () => {
      await using it = await openEngine(harness);
      const ids = Array.from({ length: 6000 }, (_, n) => `evt_${n}`);
      await it.commit([
        pause(),
        ...ids.map((id, n) => deliver(id, { type: n % 3 === 0 ? "credit" : "other" })),
      ]);
      const reader = await it.engine.reader();
      const counted = async (cap: number) =>
        (await reader.owedByType(cap)).map(({ type, count, capped }) => `${type} ${count} ${capped}`).sort();
      expect(await counted(10_000)).toEqual(["credit 2000 false", "other 4000 false"]);
      expect(await counted(100)).toEqual(["credit 100 true", "other 100 true"]);
    });

    test("shows what became of its events, and when, to those who follow", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("f", { fail: true })]);
      await it.commit([deliver("u")], none);
      const reader = await it.engine.reader();
      const followed = await reader.followed();
      await it.commit([pause(), deliver("f", { fail: true }), deliver("u"), deliver("new", { fail: true })]);
      const seen = async (after: typeof followed) =>
        (await reader.changes({}, after, 100)).items.map(({ eventId, outcome }) => `${eventId} ${outcome}`);
      // An event that had failed stays so.
      expect((await seen(followed)).sort()).toEqual(["new held", "u held"]);
      const held = await reader.followed();
      await it.commit([resume(), runHeld(), runHeld({ at: 12_345 }), runHeld()]);
      expect((await seen(held)).sort()).toEqual(["new failed", "u processed"]);
      expect(await reader.event("shop", "u")).toMatchObject({
        settled: { at: 12_345, outcome: "processed", actor: null },
        timeline: [{ outcome: "unhandled" }, { outcome: "held" }],
      });
      expect(await reader.event("shop", "new")).toMatchObject({
        outcome: "failed",
        timeline: [{ outcome: "held" }],
        settled: null,
        failure: { code: "handler_error", attempts: 1 },
      });
    });

    test("leaves its failures out of those that are due, until it is open", async () => {
      await using it = await openEngine(harness);
      const retried = { retryForMs: 100_000_000 };
      const [source, other] = [
        sourceWith(retried),
        sourceWith({ ...retried, name: "branch", handlersOf: "shop" }),
      ];
      await it.commit([deliver("a", { fail: true, source }), deliver("b", { fail: true, source: other })]);
      const reader = await it.engine.reader();
      const due = async () =>
        (await reader.due(10_000_000, 10, ["shop", "branch"])).map(({ eventId }) => eventId).sort();
      expect(await due()).toEqual(["a", "b"]);
      await it.commit([pause()]);
      expect(await due()).toEqual(["b"]);
      await it.commit([resume(), runHeld({ source }), runHeld({ source })]);
      expect(await due()).toEqual(["a", "b"]);
    });

    test("writes no message while it is paused, and writes them when it resumes", async () => {
      await using it = await openEngine(harness);
      const to: Forward = { destination: "app", where: undefined, takes: (type) => type !== "other" };
      const source = sourceWith({ forwards: [to] });
      const messages = async () =>
        (await (await it.engine.reader()).messages({}, undefined, 100)).items
          .toReversed()
          .map(({ destination, eventId }) => `${destination} ${eventId}`);
      await it.commit([pause(), deliver("a", { source }), deliver("b", { source, type: "none" })]);
      await it.commit([deliver("c", { source, type: "other" }), deliver("d", { source, fail: true })]);
      await it.commit([apply("b", { source })]);
      expect(await messages()).toEqual([]);
      await it.commit([resume()]);
      // Sent on without a handler; no destination takes it; failed.
      expect(await runAll(it, source)).toEqual(["processed", "processed", "ignored", "failed handler_error"]);
      expect(await messages()).toEqual(["app a", "app b"]);
      const { events, effects } = await it.contents();
      expect(events.map(({ eventId, outcome }) => `${eventId} ${outcome}`)).toEqual([
        "a processed",
        "b processed",
        "c ignored",
        "d unhandled",
      ]);
      expect(effects.map(({ eventId }) => eventId)).toEqual(["a"]);
    });

    test("keeps the payloads of what is held, whatever retention removes", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("old", { at: 1000 })]);
      await it.commit([deliver("u", { at: 1000 })], none);
      await it.commit([deliver("f", { fail: true, at: 1000 })]);
      await it.commit([
        pause(),
        deliver("h", { at: 1000 }),
        deliver("f", { fail: true, at: 1000 }),
        ...batchOf([
          ["b1", { at: 1000 }],
          ["b2", { at: 1000 }],
        ]),
      ]);
      for (const step of [
        { remove: "payloads", before: 50_000, after: 0 },
        { remove: "payloads of", source: "shop", bytes: Number.MAX_SAFE_INTEGER, after: 0 },
        { remove: "failure bodies", before: 50_000, after: 0 },
      ] as const)
        await it.commit([{ kind: "retention", step, at: 60_000 }]);
      const { events } = await it.contents();
      expect(
        events.map(({ eventId, outcome, result }) => `${eventId} ${outcome} ${result !== null}`),
      ).toEqual(["old processed false", "u discarded false", "h held true", "b1 held true", "b2 held true"]);
      await it.commit([resume()]);
      expect(await runAll(it, shop, corrected)).toEqual(["processed", "processed", "processed", "processed"]);
    });

    test("counts its held deliveries, and its runs in the minute in which they resume", async () => {
      await using it = await openEngine(harness);
      const MINUTE = 60_000;
      await it.commit([pause(), deliver("a", { at: 0 }), deliver("a", { at: 1 }), deliver("b", { at: 2 })]);
      await it.commit([resume(), runHeld({ at: 5 * MINUTE }), runHeld({ at: 5 * MINUTE })]);
      await it.commit([{ kind: "record", entries: [{ entry: "rollups", at: 6 * MINUTE }] }]);
      const range = { since: 0, until: 10 * MINUTE };
      const counts = await (await it.engine.reader()).rollups("minute", range);
      expect(
        counts.map(({ at, held, processed, handlerTimes }) => [at, held, processed, sum(handlerTimes)]),
      ).toEqual([
        [0, 3, 0, 0],
        [5 * MINUTE, 0, 0, 2],
      ]);
    });

    test("that hookonce pauses by itself is told after the commit, once, and is in the audit list", async () => {
      await using it = await openEngine(harness);
      const source = sourceWith({ holdAfter: 2 });
      await it.commit([
        deliver("a", { fail: true, source }),
        deliver("b", { source }),
        deliver("c", { fail: true, type: "failAtCommit", source }),
        deliver("d", { fail: true, source }),
        deliver("e", { fail: true, source }),
      ]);
      const reason = "2 failures in a row (hold_after = 2)";
      expect(it.pauses).toEqual([{ source: "shop", reason }]);
      const changes = await (await it.engine.reader()).audit(undefined, 10);
      expect(changes.map(({ actor, action, target, reason: why }) => [actor, action, target, why])).toEqual([
        ["hookonce", "pause", "shop", reason],
      ]);
      // A start goes on counting.
      await it.reopen();
      await it.commit([resume()]);
      await runAll(it, source, { ...corrected, failAtCommit: "writeEffect" });
      await it.commit([deliver("f", { fail: true, source })]);
      await it.reopen();
      await it.commit([deliver("g", { source }), deliver("h", { fail: true, source })]);
      await it.reopen();
      expect(it.pauses).toHaveLength(1);
      await it.commit([deliver("i", { fail: true, source })]);
      expect(it.pauses).toHaveLength(2);
      expect(await states(it)).toMatchObject([{ name: "shop", state: "held", reason }]);
    });

    test("runs a replay again once it is open, and an imported id is done", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a"), pause(), deliver("b"), importOf("b")]);
      expect((await it.commit([replay("a"), resume(), replay("a")])).map((one) => inWords(one))).toEqual([
        "held",
        "recorded",
        "processed",
      ]);
      expect((await it.contents()).effects.map(({ eventId }) => eventId)).toEqual(["a", "a"]);
    });
  });
}
