import { describe, expect, test } from "bun:test";
import type { Retained, RetentionStep } from "../../src/engines/retention.ts";
import type { EngineHarness } from "./harness.ts";
import {
  apply,
  applyAfterAll,
  batchOf,
  deliver,
  discard,
  importOf,
  inWords,
  replay,
  sourceWith,
  type Types,
} from "./jobs.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";
import { corrected, none } from "./scenarios/scenario.ts";

const OLD = 1000;
const BEFORE = 5000;
const YOUNG = 6000;
const NOW = 10_000;

const payloads = { remove: "payloads", before: BEFORE } as const;
const ofShop = { remove: "payloads of", source: "shop", bytes: Number.MAX_SAFE_INTEGER } as const;

type Named<Step> = Step extends unknown ? Omit<Step, "after"> : never;

const big = (n: number): string => JSON.stringify({ id: `n${n}`, text: "x".repeat(5000) });

/** Repeats a step until nothing follows, or until enough was removed: each time it ends when its time is over. */
async function retain(it: OpenEngine, step: Named<RetentionStep>): Promise<Retained[]> {
  const all: Retained[] = [];
  let left = "bytes" in step ? step.bytes : undefined;
  for (let after = 0; ;) {
    const rest = left === undefined ? { after } : { after, bytes: left };
    const job = { kind: "retention", step: { ...step, ...rest } as RetentionStep, at: NOW } as const;
    const [result] = await it.commit([job]);
    if (result === undefined || result === null || !("isEnd" in result))
      throw new Error(inWords(result ?? null));
    all.push(result);
    after = result.position;
    if (left !== undefined) left -= result.bytes;
    if (result.isEnd || (left !== undefined && left <= 0)) return all;
  }
}

const removedBy = (all: readonly Retained[]): number => all.reduce((sum, { removed }) => sum + removed, 0);

/** The events whose payloads are stored. */
async function withPayload(it: OpenEngine): Promise<string[]> {
  const { events } = await it.contents();
  return events.filter(({ result }) => result !== null).map(({ eventId }) => eventId);
}

export function createRetentionTests(name: string, harness: EngineHarness): void {
  describe(`${name}: retention of payloads`, () => {
    test("removes what was received before a time, and keeps ids, types, times, outcomes and replies", async () => {
      await using it = await openEngine(harness);
      await it.commit([
        deliver("a", { type: "reply", at: OLD }),
        deliver("b", { at: OLD }),
        deliver("c", { at: YOUNG }),
      ]);
      const before = await it.contents();
      expect(removedBy(await retain(it, payloads))).toBe(2);
      const after = await it.contents();
      expect(after.bodies).toBe(1);
      expect(after.events).toEqual(
        before.events.map((event) => (event.eventId === "c" ? event : { ...event, result: null })),
      );
      expect(after.effects).toEqual(before.effects);
      const reader = await it.engine.reader();
      expect(await reader.event("shop", "a")).toMatchObject({
        outcome: "processed",
        stored: null,
        isRemoved: true,
        rowsChanged: 1,
        reply: { status: 201, body: "a: 1" },
      });
      expect(await reader.event("shop", "c")).toMatchObject({ isRemoved: false });
      expect(await reader.hasPayload("shop", "a")).toBe(false);
      expect(await reader.hasPayload("shop", "c")).toBe(true);
      expect(removedBy(await retain(it, payloads))).toBe(0);
    });

    test("answers a later delivery of the event as a duplicate with the same reply and an unchanged body", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a", { type: "reply", at: OLD })]);
      await retain(it, payloads);
      const again = await it.commit([
        deliver("a", { type: "reply", at: YOUNG }),
        deliver("a", { type: "reply", cents: 2, at: YOUNG }),
      ]);
      expect(again.map((result) => inWords(result))).toEqual([
        "duplicate, reply a: 1",
        "duplicate, reply a: 1",
      ]);
      const { events, effects, changedBodies, bodies } = await it.contents();
      expect(events).toMatchObject([{ deliveries: 3, changedBodies: 0 }]);
      expect({ effects: effects.length, changedBodies, bodies }).toEqual({
        effects: 1,
        changedBodies: [],
        bodies: 0,
      });
    });

    test("removes another body together with the first one", async () => {
      await using it = await openEngine(harness);
      await it.commit([
        deliver("a", { at: OLD }),
        deliver("a", { cents: 2, at: OLD }),
        deliver("b", { at: YOUNG }),
        deliver("b", { cents: 2, at: YOUNG }),
      ]);
      await retain(it, payloads);
      const { changedBodies, events } = await it.contents();
      expect(changedBodies.map(({ eventId }) => eventId)).toEqual(["b"]);
      expect(events).toMatchObject([{ changedBodies: 1 }, { changedBodies: 1 }]);
    });

    test("discards an unhandled event with the reason retention, and counts it", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a", { at: OLD }), deliver("b", { at: YOUNG })], none);
      const retained = await retain(it, payloads);
      expect(removedBy(retained)).toBe(1);
      expect(retained.reduce((sum, { discarded }) => sum + discarded, 0)).toBe(1);
      const reader = await it.engine.reader();
      expect(await reader.event("shop", "a")).toMatchObject({
        outcome: "discarded",
        reason: "retention",
        isRemoved: true,
        receivedAt: OLD,
        settled: { at: NOW, outcome: "discarded" },
        timeline: [{ number: 1, at: OLD, outcome: "unhandled" }],
      });
      expect(await reader.event("shop", "b")).toMatchObject({ outcome: "unhandled", isRemoved: false });
      expect(await reader.discardedByRetention()).toEqual({ count: 1, lastAt: NOW });
      // A handler that comes later does not run for it, and it stays discarded.
      expect(
        (await it.commit([deliver("a", { at: YOUNG }), apply("a"), apply("b")])).map((result) =>
          inWords(result),
        ),
      ).toEqual(["duplicate", "duplicate", "processed"]);
      expect((await it.commit([applyAfterAll("a")])).map((result) => inWords(result))).toEqual([
        "failed payload_removed",
      ]);
      expect(await reader.event("shop", "a")).toMatchObject({ outcome: "discarded", failure: null });
      expect((await it.contents()).effects).toMatchObject([{ eventId: "b" }]);
    });

    test("says of a replay that the payload was removed, and changes nothing", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a", { at: OLD })]);
      await retain(it, payloads);
      expect((await it.commit([replay("a")])).map((result) => inWords(result))).toEqual([
        "failed payload_removed",
      ]);
      expect((await it.contents()).effects).toHaveLength(1);
    });

    test("keeps what an open failure needs, with or without an event, and removes it once it is settled", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("owed", { fail: true, at: OLD })], none);
      await it.commit([
        deliver("owed", { fail: true, at: OLD + 1 }),
        deliver("failed", { fail: true, at: OLD }),
      ]);
      const before = await it.contents();
      await retain(it, payloads);
      expect(removedBy(await retain(it, { remove: "failure bodies", before: BEFORE }))).toBe(0);
      expect(await it.contents()).toEqual(before);
      await it.commit([apply("owed"), apply("failed")], corrected);
      expect((await it.contents()).effects.map(({ eventId }) => eventId)).toEqual(["owed", "failed"]);
      await retain(it, payloads);
      expect(removedBy(await retain(it, { remove: "failure bodies", before: BEFORE }))).toBe(2);
      expect(removedBy(await retain(it, { remove: "failure bodies", before: BEFORE }))).toBe(0);
      const after = await it.contents();
      expect(after.bodies).toBe(0);
      expect(after.failures.map(({ body, settled, attempts }) => ({ body, settled, attempts }))).toEqual([
        { body: "", settled: true, attempts: 1 },
        { body: "", settled: true, attempts: 1 },
      ]);
      expect(after.events.map(({ eventId, outcome }) => `${eventId} ${outcome}`)).toEqual([
        "owed processed",
        "failed processed",
      ]);
    });

    test("keeps the bodies of failures that were settled and delivered lately", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a", { fail: true, at: OLD }), deliver("a", { fail: true, at: YOUNG })]);
      await it.commit([discard("a")]);
      await retain(it, { remove: "failure bodies", before: BEFORE });
      expect((await it.contents()).failures[0]?.body).toContain('"id":"a"');
    });

    test("an event that fails again after its settled failure was emptied is applied with its new body", async () => {
      const source = sourceWith({ dedupWindowMs: 10 });
      await using it = await openEngine(harness);
      await it.commit([deliver("a", { source, fail: true, at: OLD })]);
      await it.commit([apply("a", { source, at: OLD + 1 })], corrected);
      await retain(it, { remove: "failure bodies", before: BEFORE });
      await it.commit([deliver("a", { source, fail: true, at: YOUNG })]);
      expect((await it.contents()).failures).toMatchObject([{ settled: false, attempts: 1, firstAt: YOUNG }]);
      await it.commit([apply("a", { source, at: YOUNG + 1 })], corrected);
      expect((await it.contents()).effects).toHaveLength(2);
    });

    test("removes a batch when the last of its events may go", async () => {
      await using it = await openEngine(harness);
      const types: Types = { credit: "credit" };
      const elements = [["a"], ["b", { type: "later" }], ["c", { fail: true }], ["d"]] as const;
      await it.commit(batchOf(elements.map(([id, options = {}]) => [id, { at: OLD, ...options }])), types);
      expect((await it.contents()).bodies).toBe(1);
      // The unhandled one keeps the bytes of all of them.
      await retain(it, ofShop);
      expect(await withPayload(it)).toEqual(["a", "b", "d"]);
      await it.commit([apply("b", { source: sourceWith(batchOf([["b"]])[0]?.event.source) })], {
        later: "writeEffect",
      });
      await retain(it, ofShop);
      expect(await withPayload(it)).toEqual([]);
      expect((await it.contents()).bodies).toBe(0);
      expect((await it.contents()).failures).toMatchObject([{ eventId: "c", settled: false }]);
    });

    test("a batch whose bytes were removed between its transactions is stored again", async () => {
      await using it = await openEngine(harness);
      const [a, b, c] = batchOf([["a"], ["b"], ["c"]]);
      await it.commit([a, b].filter((job) => job !== undefined));
      await retain(it, ofShop);
      await it.commit([c].filter((job) => job !== undefined));
      expect(await withPayload(it)).toEqual(["c"]);
    });

    test("of imported and ignored events changes nothing", async () => {
      await using it = await openEngine(harness);
      await it.commit(
        [importOf("a", "b"), deliver("c", { source: sourceWith({ unhandled: "ignore" }), at: OLD })],
        none,
      );
      const before = await it.contents();
      await retain(it, payloads);
      expect(await it.contents()).toEqual(before);
      const reader = await it.engine.reader();
      expect(await reader.event("shop", "a")).toMatchObject({ stored: null, isRemoved: false });
    });

    test("a body that a wrong clock has dated ahead keeps no other from being removed", async () => {
      await using it = await openEngine(harness);
      await it.commit([
        deliver("ahead", { at: NOW + 1 }),
        deliver("old", { at: OLD }),
        deliver("young", { at: YOUNG }),
      ]);
      await retain(it, payloads);
      expect(await withPayload(it)).toEqual(["ahead", "young"]);
    });

    test("goes on where it was interrupted", async () => {
      await using it = await openEngine(harness);
      await it.commit(Array.from({ length: 3000 }, (_, n) => deliver(`e${n}`, { at: OLD })));
      const job = { kind: "retention", step: { ...payloads, after: 0 }, at: NOW } as const;
      const [first] = await it.commit([job]);
      expect(first).toMatchObject({ isEnd: false });
      await it.reopen();
      await retain(it, payloads);
      expect((await it.contents()).bodies).toBe(0);
      expect((await it.contents()).events).toHaveLength(3000);
    });
  });

  describe(`${name}: retention of the largest source`, () => {
    const noisy = sourceWith({ name: "noisy", handlersOf: "shop" });
    test("counts the bytes of each source, and subtracts what is removed", async () => {
      await using it = await openEngine(harness);
      const count = { remove: "nothing" } as const;
      const reader = await it.engine.reader();
      const ofNoisy = (n: number) => deliver(`n${n}`, { source: noisy, body: big(n), at: OLD });
      await it.commit([deliver("a", { body: "{}", at: OLD }), ofNoisy(1), ofNoisy(2)]);
      await retain(it, count);
      const one = big(1).length + 2;
      expect(await reader.storedBytes()).toEqual([
        { source: "noisy", bytes: 2 * one },
        { source: "shop", bytes: 4 },
      ]);
      await it.commit([ofNoisy(3)]);
      // What is not counted yet is not subtracted.
      await retain(it, { remove: "payloads of", source: "noisy", bytes: one });
      expect((await reader.storedBytes())[0]).toEqual({ source: "noisy", bytes: one });
      await retain(it, count);
      expect((await reader.storedBytes())[0]).toEqual({ source: "noisy", bytes: 2 * one });
      await retain(it, payloads);
      expect(await reader.storedBytes()).toEqual([
        { source: "noisy", bytes: 0 },
        { source: "shop", bytes: 0 },
      ]);
    });

    test("removes its oldest payloads up to a size, of no other source and of nothing that is owed", async () => {
      await using it = await openEngine(harness);
      await it.commit([deliver("a", { at: OLD }), deliver("owed", { source: noisy, body: big(0) })], none);
      await it.commit(
        Array.from({ length: 6 }, (_, n) => deliver(`n${n}`, { source: noisy, body: big(n), at: OLD })),
      );
      const retained = await retain(it, {
        remove: "payloads of",
        source: "noisy",
        bytes: 3 * big(0).length,
      });
      expect(removedBy(retained)).toBe(3);
      expect(retained.at(-1)).toMatchObject({ discarded: 0, isEnd: false });
      expect(await withPayload(it)).toEqual(["a", "owed", "n3", "n4", "n5"]);
      await retain(it, { ...ofShop, source: "noisy" });
      expect(await withPayload(it)).toEqual(["a", "owed"]);
      expect((await it.contents()).events.map(({ outcome }) => outcome).slice(0, 2)).toEqual([
        "unhandled",
        "unhandled",
      ]);
    });
  });
}
