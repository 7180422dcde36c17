import { describe, expect, test } from "bun:test";
import type { Cursor, EventFilter, ListFilter, Newest, OwedEvent, Reader } from "../../src/engines/reader.ts";
import type { EngineHarness } from "./harness.ts";
import { apply, deliver, shop, sourceWith } from "./jobs.ts";
import { openEngine, type OpenEngine } from "./open-engine.ts";
import { corrected, none } from "./scenarios/scenario.ts";

const branch = sourceWith({ name: "branch", handlersOf: "shop" });

/** All pages, with so many events each. */
async function pages(reader: Reader, filter: EventFilter, limit: number): Promise<(readonly OwedEvent[])[]> {
  const found: (readonly OwedEvent[])[] = [];
  let after: Cursor | undefined;
  do {
    const { items, next } = await reader.owed(filter, after, limit);
    found.push(items);
    after = next;
  } while (after !== undefined);
  return found;
}

async function owedIds(reader: Reader, filter: EventFilter = {}, limit = 100): Promise<string[]> {
  return (await pages(reader, filter, limit)).flat().map(({ eventId }) => eventId);
}

/**
 * Owed events in both tables, with done ones between them. `u…` are unhandled, `f…` failed, `b…` were
 * unhandled and failed since, `p…` are processed.
 */
async function mixed(harness: EngineHarness): Promise<OpenEngine> {
  const it = await openEngine(harness);
  const fail = true;
  // Received in this order.
  await it.commit([deliver("f0", { fail, at: 1000 })]);
  await it.commit([deliver("u1", { at: 1001 }), deliver("b2", { fail, at: 1002 })], none);
  await it.commit([
    deliver("p3", { at: 1003 }),
    deliver("f4", { fail, at: 1004 }),
    deliver("f5", { fail, type: "reply", at: 1005 }),
    deliver("u6", { type: "other", at: 1006 }),
    deliver("f7", { fail, at: 1007, source: branch }),
  ]);
  await it.commit([
    deliver("u8", { type: "other.one", at: 1008, source: branch }),
    deliver("f9", { fail, at: 1009 }),
  ]);
  // Later deliveries and runs change no place in the order.
  await it.commit([deliver("f9", { fail, at: 2000 }), deliver("b2", { fail, at: 2001 }), apply("f4")]);
  await it.commit([deliver("f0", { fail, at: 2002 }), deliver("u6", { type: "other", at: 2003 })]);
  return it;
}

const owed = ["f0", "u1", "b2", "f4", "f5", "u6", "f7", "u8", "f9"];

/** Events that fail, each with another message. */
async function failed(it: OpenEngine, ids: readonly string[], at: number, source = shop): Promise<void> {
  await it.commit(ids.map((id, n) => deliver(id, { fail: true, type: "reply", at: at + n, source })));
}

/** What a reader says of owed events. */
/** In letters, because numbers in messages do not make another group. */
const withoutDigits = (n: number): string =>
  String(n).replaceAll(/\d/g, (digit) => "abcdefghij"[Number(digit)] ?? "");

export function createReaderTests(name: string, harness: EngineHarness): void {
  describe(`${name}: reading what is owed`, () => {
    test.each([1, 2, 3, 4, 9, 10, 1000])(
      "in pages of %i gives each event once, in the order received",
      async (limit) => {
        await using it = await mixed(harness);
        const found = await pages(await it.engine.reader(), {}, limit);
        expect(found.flat().map(({ eventId }) => eventId)).toEqual(owed);
        expect(found.every((page) => page.length <= limit)).toBe(true);
      },
    );

    test("gives source, type and outcome; an event in both tables has failed, and is owed once", async () => {
      await using it = await mixed(harness);
      const { items } = await (await it.engine.reader()).owed({}, undefined, 100);
      expect(items[2]).toEqual({ source: "shop", eventId: "b2", type: "credit", outcome: "failed" });
      expect(items[4]).toEqual({ source: "shop", eventId: "f5", type: "reply", outcome: "failed" });
      expect(items[7]).toEqual({ source: "branch", eventId: "u8", type: "other.one", outcome: "unhandled" });
    });

    test.each<[string, EventFilter, string[]]>([
      ["a source", { source: "branch" }, ["f7", "u8"]],
      ["a type", { type: "credit" }, ["f0", "u1", "b2", "f4", "f7", "f9"]],
      ["the start of a type", { type: "other*" }, ["u6", "u8"]],
      ["the start of no type", { type: "other.two*" }, []],
      ["all types", { type: "*" }, owed],
      ["one outcome", { outcome: "failed" }, ["f0", "b2", "f4", "f5", "f7", "f9"]],
      ["the other outcome", { outcome: "unhandled" }, ["u1", "u6", "u8"]],
      ["the first receipt, from and until", { since: 1002, until: 1007 }, ["b2", "f4", "f5", "u6"]],
      ["ids", { ids: ["u8", "f0", "p3", "none"] }, ["f0", "u8"]],
      ["no ids", { ids: [] }, []],
      [
        "all of these",
        { source: "shop", type: "cred*", outcome: "failed", since: 1001, ids: ["f0", "f9", "f5"] },
        ["f9"],
      ],
    ])("by %s", async (_, filter, expected) => {
      await using it = await mixed(harness);
      const reader = await it.engine.reader();
      expect(await owedIds(reader, filter)).toEqual(expected);
      expect(await owedIds(reader, filter, 1)).toEqual(expected);
    });

    test("up to a moment leaves out what was stored later", async () => {
      await using it = await mixed(harness);
      const reader = await it.engine.reader();
      const until = await reader.followed();
      // The first failure has the position of the last event before it.
      await it.commit([deliver("late", { fail: true })]);
      await it.commit([deliver("later")], none);
      await it.commit([deliver("f0", { fail: true }), apply("u1")]);
      for (const limit of [1, 3, 9, 100]) {
        const found: string[] = [];
        let after: Cursor | undefined;
        do {
          const { items, next } = await reader.owed({}, after, limit, until);
          found.push(...items.map(({ eventId }) => eventId));
          after = next;
        } while (after !== undefined);
        expect(found).toEqual(owed.filter((id) => id !== "u1"));
      }
    });

    test("by the start of a type compares characters, not patterns", async () => {
      await using it = await openEngine(harness);
      const types = ["💶.paid", "💶paid", "a_b", "a%b", "axb", "A_b", "*"];
      await it.commit(types.map((type, n) => deliver(`evt_${n}`, { type })));
      const reader = await it.engine.reader();
      const typesOf = async (type: string): Promise<string[]> =>
        (await pages(reader, { type }, 100)).flat().map(({ type }) => type);
      expect(await typesOf("💶*")).toEqual(["💶.paid", "💶paid"]);
      expect(await typesOf("💶.*")).toEqual(["💶.paid"]);
      expect(await typesOf("a_*")).toEqual(["a_b"]);
      expect(await typesOf("a%*")).toEqual(["a%b"]);
    });

    test("page by page, while apply runs what a page brought, gives each event once", async () => {
      await using it = await mixed(harness);
      const reader = await it.engine.reader();
      const seen: string[] = [];
      let after: Cursor | undefined;
      do {
        const { items, next } = await reader.owed({ source: "shop" }, after, 2);
        seen.push(...items.map(({ eventId }) => eventId));
        // Every other event is done; the others fail again and stay where they are.
        const jobs = items.map(({ eventId }) => apply(eventId));
        await it.commit(jobs, seen.length % 4 === 0 ? corrected : undefined);
        after = next;
      } while (after !== undefined);
      expect(seen).toEqual(owed.filter((id) => id !== "f7" && id !== "u8"));
    });

    test("finds the few that match among many", async () => {
      await using it = await openEngine(harness);
      const few = new Set([0, 2100, 2101, 4999]);
      const type = (n: number): string => (few.has(n) ? "rare" : "other");
      await it.commit(Array.from({ length: 5000 }, (_, n) => deliver(`evt_${n}`, { type: type(n) })));
      const reader = await it.engine.reader();
      const expected = [...few].map((n) => `evt_${n}`);
      expect(await owedIds(reader, { type: "rare" }, 2)).toEqual(expected);
      expect(await owedIds(reader, { type: "ra*" }, 500)).toEqual(expected);
    });

    test("leaves out what has been applied, and what was processed or ignored at once", async () => {
      await using it = await mixed(harness);
      await it.commit([deliver("i", { type: "other", source: sourceWith({ unhandled: "ignore" }) })]);
      const types = { ...corrected, reply: "changeNothing", other: "changeNothing" } as const;
      await it.commit(
        [...owed.slice(0, 6), "f9"].map((id) => apply(id)),
        types,
      );
      expect(await owedIds(await it.engine.reader())).toEqual(["f7", "u8"]);
    });

    test("sees what is committed at the time of the read, not when it was opened", async () => {
      await using it = await openEngine(harness);
      const reader = await it.engine.reader();
      expect(await owedIds(reader)).toEqual([]);
      await it.commit([deliver("a")], none);
      expect(await owedIds(reader)).toEqual(["a"]);
      await it.commit([apply("a")]);
      expect(await owedIds(reader)).toEqual([]);
    });
  });

  describe(`${name}: counting what is owed`, () => {
    test("by source, type and outcome, with an event in both tables once", async () => {
      await using it = await mixed(harness);
      const counts = await (await it.engine.reader()).owedByType(1000);
      const lines = counts.map(({ source, type, outcome, count }) => `${source} ${type} ${outcome} ${count}`);
      expect(lines.sort()).toEqual([
        "branch credit failed 1",
        "branch other.one unhandled 1",
        "shop credit failed 4",
        "shop credit unhandled 1",
        "shop other unhandled 1",
        "shop reply failed 1",
      ]);
    });

    test("stops at the cap", async () => {
      await using it = await openEngine(harness);
      const jobs = Array.from({ length: 30 }, (_, n) =>
        deliver(`evt_${n}`, { fail: n % 2 === 0, type: n % 2 === 0 ? "credit" : "other" }),
      );
      await it.commit(jobs);
      const reader = await it.engine.reader();
      const counts = async (cap: number): Promise<string[]> =>
        (await reader.owedByType(cap))
          .map(({ outcome, count, capped }) => `${outcome} ${count}${capped ? "+" : ""}`)
          .sort();
      expect(await counts(10)).toEqual(["failed 10+", "unhandled 10+"]);
      expect(await counts(15)).toEqual(["failed 15", "unhandled 15"]);
    });

    test("counts each type, however many events the others have", async () => {
      await using it = await openEngine(harness);
      const types = { a: 70, b: 60, c: 3 };
      const jobs = Object.entries(types).flatMap(([type, count]) =>
        Array.from({ length: count }, (_, n) => deliver(`${type}_${n}`, { type })),
      );
      await it.commit(jobs, none);
      const counts = await (await it.engine.reader()).owedByType(65);
      expect(counts).toEqual([
        { source: "shop", type: "a", outcome: "unhandled", count: 65, capped: true },
        { source: "shop", type: "b", outcome: "unhandled", count: 60, capped: false },
        { source: "shop", type: "c", outcome: "unhandled", count: 3, capped: false },
      ]);
    });

    test("counts an event that was unhandled and failed since as failed, however many there are", async () => {
      await using it = await openEngine(harness);
      const ids = Array.from({ length: 1200 }, (_, n) => `evt_${n}`);
      await it.commit(
        ids.map((id) => deliver(id, { fail: true })),
        none,
      );
      await it.commit(ids.filter((_, n) => n % 400 !== 0).map((id) => apply(id)));
      const counts = await (await it.engine.reader()).owedByType(2000);
      expect(counts.map(({ outcome, count }) => `${outcome} ${count}`)).toEqual([
        "unhandled 3",
        "failed 1197",
      ]);
    });

    test("finds nothing in an empty database", async () => {
      await using it = await openEngine(harness);
      expect(await (await it.engine.reader()).owedByType(10)).toEqual([]);
    });
  });

  describe(`${name}: grouping failures`, () => {
    const long = "x".repeat(500);

    test("gives the largest group first, with its types and its latest event", async () => {
      await using it = await mixed(harness);
      const { groups, capped } = await (await it.engine.reader()).failureGroups({}, 1000);
      expect(capped).toBe(false);
      const lines = groups.map((one) => [
        one.source,
        one.handler,
        one.count,
        one.types,
        one.firstAt,
        one.lastAt,
      ]);
      expect(lines).toEqual([
        ["shop", "handlers/shop/credit.sql", 4, ["credit"], 1000, 2002],
        ["branch", "handlers/shop/credit.sql", 1, ["credit"], 1007, 1007],
        ["shop", "handlers/shop/reply.ts", 1, ["reply"], 1005, 1005],
      ]);
      expect(groups[0]?.latestEventId).toBe("f0");
      const branches = await (await it.engine.reader()).failureGroups({ source: "branch" }, 1000);
      expect(branches.groups).toEqual(groups.slice(1, 2));
    });

    test("puts messages together that begin with the same 500 characters, and lists only these", async () => {
      await using it = await openEngine(harness);
      await failed(it, [`${long}a`, `${long}b`, "c"], 1000);
      const reader = await it.engine.reader();
      const { groups } = await reader.failureGroups({}, 1000);
      expect(groups.map(({ error, count }) => [error, count])).toEqual([
        [long, 2],
        ["c is refused", 1],
      ]);
      const { items } = await reader.failures({}, undefined, 10);
      expect(items.map(({ error }) => error)).toEqual(["c is refused", long, long]);
      expect((await reader.event("shop", `${long}a`))?.failure?.error).toBe(`${long}a is refused`);
    });

    test("puts messages together that differ only in numbers and ids, and shows the latest one", async () => {
      await using it = await openEngine(harness);
      await failed(
        it,
        ["evt_1NxXyz: 12.50 of 1,234 at 2026-11-28T08:00:00.000Z", "evt_2: 9 of 8 at 7"],
        1000,
      );
      await failed(it, ["customer ada", "customer bob"], 900);
      const { groups } = await (await it.engine.reader()).failureGroups({}, 1000);
      expect(groups.map(({ error, count }) => [error, count])).toEqual([
        ["evt_2: 9 of 8 at 7 is refused", 2],
        ["customer bob is refused", 1],
        ["customer ada is refused", 1],
      ]);
    });

    test("counts what fails by source and handler, over slices and up to the cap, with the latest error", async () => {
      await using it = await openEngine(harness);
      const ids = Array.from({ length: 1100 }, (_, n) => `evt_${n}`);
      await failed(it, ids, 1000);
      await failed(it, ["first"], 10);
      await failed(it, ["evt_7"], 5000);
      await failed(it, ["evt_1"], 500, branch);
      const reader = await it.engine.reader();
      const handler = "handlers/shop/reply.ts";
      const shop = {
        source: "shop",
        handler,
        count: 1101,
        firstAt: 10,
        lastAt: 5000,
        error: "evt_7 is refused",
      };
      const other = {
        source: "branch",
        handler,
        count: 1,
        firstAt: 500,
        lastAt: 500,
        error: "evt_1 is refused",
      };
      expect(await reader.failingHandlers(1102)).toEqual({ handlers: [shop, other], capped: false });
      expect(await reader.failingHandlers(1101)).toMatchObject({
        handlers: [{ count: 1100, firstAt: 1000 }, other],
        capped: true,
      });
      expect(await reader.failingHandlers(1000)).toMatchObject({ handlers: [{ count: 1000 }], capped: true });
      await it.reopen();
      expect(await (await it.engine.reader()).failingHandlers(10_000)).toMatchObject({ capped: false });
    });

    test("ends early when the engine is closed meanwhile, and so does counting what is owed", async () => {
      await using it = await openEngine(harness);
      await failed(
        it,
        Array.from({ length: 700 }, (_, n) => `evt_${n}`),
        1000,
      );
      const reader = await it.engine.reader();
      const reading = Promise.all([reader.failureGroups({}, 1000), reader.owedByType(1000)]);
      await it.reopen();
      expect(await reading).toHaveLength(2);
    });

    test("counts the newest up to the cap, of all or of one source, however many differ", async () => {
      await using it = await openEngine(harness);
      const ids = Array.from({ length: 700 }, (_, n) => `evt_${withoutDigits(n)}`);
      await failed(it, ids, 1000);
      await failed(it, ids.slice(0, 3), 500, branch);
      const reader = await it.engine.reader();
      const counted = async (source: string | undefined, cap: number): Promise<unknown[]> => {
        const { groups, capped } = await reader.failureGroups({ source }, cap);
        return [groups.length, groups[0]?.latestEventId, capped];
      };
      expect(await counted(undefined, 703)).toEqual([703, "evt_gjj", false]);
      expect(await counted(undefined, 702)).toEqual([702, "evt_gjj", true]);
      expect(await counted("branch", 3)).toEqual([3, "evt_c", false]);
      expect(await counted("branch", 2)).toEqual([2, "evt_c", true]);
    });
  });

  describe(`${name}: lists`, () => {
    test.each([7, 50, 500])("in pages of %i give each event of one millisecond once", async (limit) => {
      await using it = await openEngine(harness);
      const jobs = [999, 1000, 1001].flatMap((at) =>
        Array.from({ length: at === 1000 ? 120 : 2 }, (_, n) =>
          deliver(`${n % 3 === 0 ? "f" : "p"}_${at}_${n}`, { at, fail: n % 3 === 0 }),
        ),
      );
      await it.commit(jobs);
      const reader = await it.engine.reader();
      const idsOf = async (filter: ListFilter): Promise<string[]> => {
        const ids: string[] = [];
        let after: Newest | undefined;
        do {
          const { items, next } = await reader.events(filter, after, limit);
          ids.push(...items.map(({ eventId }) => eventId));
          after = next;
        } while (after !== undefined);
        return ids;
      };
      const newest = (kinds: string, times: readonly number[]): string[] =>
        times.flatMap((at) =>
          ["f", "p"]
            .filter((kind) => kinds.includes(kind))
            .flatMap((kind) =>
              jobs
                .map(({ event: { input } }) => input.id)
                .filter((id) => id.startsWith(`${kind}_${at}_`))
                .toReversed(),
            ),
        );
      expect(await idsOf({})).toEqual(newest("fp", [1001, 1000, 999]));
      expect(await idsOf({ since: 1000, until: 1001 })).toEqual(newest("fp", [1000]));
      expect(await idsOf({ outcome: "failed", until: 1001 })).toEqual(newest("f", [1000, 999]));
      expect(await idsOf({ outcome: "processed", since: 1000 })).toEqual(newest("p", [1001, 1000]));
      expect(await idsOf({ search: "1000_" })).toEqual(newest("fp", [1000]));
    });
  });

  describe(`${name}: searching`, () => {
    test.each([1, 2, 3, 4, 100])(
      "in pages of %i gives each event once, those with the id first",
      async (limit) => {
        await using it = await mixed(harness);
        const body = JSON.stringify({ id: "f4", cents: 1, fail: true });
        await it.commit([
          deliver("f4", { at: 3000, source: branch }),
          deliver("f4", { at: 2500, source: sourceWith({ name: "third", handlersOf: "shop" }), body }),
          deliver("of f4", { at: 4000, body }),
          deliver("f4 too", { at: 900 }),
        ]);
        const reader = await it.engine.reader();
        const found: string[] = [];
        let after: Newest | undefined;
        do {
          const { items, next } = await reader.events({ search: "f4" }, after, limit);
          expect(items.length).toBeLessThanOrEqual(limit);
          found.push(...items.map(({ source, eventId }) => `${source}/${eventId}`));
          after = next;
        } while (after !== undefined);
        expect(found).toEqual(["branch/f4", "third/f4", "shop/f4", "shop/of f4", "shop/f4 too"]);
      },
    );
  });

  describe(`${name}: finding an id`, () => {
    test("gives one row for each source that has it, whatever its outcome is", async () => {
      await using it = await mixed(harness);
      await it.commit([deliver("p3", { type: "other", source: branch })]);
      const reader = await it.engine.reader();
      const find = async (id: string, sources: string[]): Promise<string[]> =>
        (await reader.find(id, sources))
          .map(({ source, type, outcome }) => `${source} ${type} ${outcome}`)
          .sort();
      expect(await find("p3", ["shop", "branch"])).toEqual([
        "branch other unhandled",
        "shop credit processed",
      ]);
      expect(await find("p3", ["shop"])).toEqual(["shop credit processed"]);
      expect(await find("p3", [])).toEqual([]);
      expect(await find("f4", ["shop", "branch"])).toEqual(["shop credit failed"]);
      expect(await find("b2", ["shop", "branch"])).toEqual(["shop credit failed"]);
      expect(await find("none", ["shop", "branch"])).toEqual([]);
    });
  });

  describe(`${name}: an event with the same body`, () => {
    test("as one that is applied is found by its id, and names that one", async () => {
      await using it = await openEngine(harness);
      const source = sourceWith({ sameBody: true });
      const body = '{"fail":true}';
      await it.commit(["a", "b"].map((id) => deliver(id, { source, body })));
      await it.commit(
        ["a", "b"].map((id) => apply(id, { source })),
        corrected,
      );
      const reader = await it.engine.reader();
      const said = async (id: string): Promise<unknown> => {
        const [event, { items }] = [
          await reader.event("shop", id),
          await reader.events({ search: id }, undefined, 9),
        ];
        return [
          event?.outcome,
          event?.sameAs,
          event?.failure,
          items.map(({ eventId, outcome }) => `${eventId} ${outcome}`),
        ];
      };
      expect(await said("a")).toEqual(["processed", null, null, ["a processed"]]);
      expect(await said("b")).toEqual(["ignored", "a", null, ["b ignored"]]);
      expect(await reader.owedByType(10)).toEqual([]);
      await it.commit([
        deliver("c", { source: sourceWith({ sameBody: true, unhandled: "ignore" }), type: "other" }),
      ]);
      expect(await said("c")).toEqual(["ignored", null, null, ["c ignored"]]);
    });
  });

  describe(`${name}: the outcome of an event`, () => {
    test("is the same in every list, count and look-up", async () => {
      await using it = await mixed(harness);
      const reader = await it.engine.reader();
      const said = await Promise.all(
        owed.map(async (id) => {
          const source = id === "f7" || id === "u8" ? "branch" : "shop";
          const detail = await reader.event(source, id);
          const listed = await reader.events({ source, type: "*" }, undefined, 100);
          const all = await reader.events({}, undefined, 100);
          const selected = await reader.owed({ ids: [id] }, undefined, 10);
          const failed = await reader.failures({ source, search: id }, undefined, 10);
          return [
            id,
            ...[detail, ...[listed, all].map(({ items }) => items.find((one) => one.eventId === id))].map(
              (one) => one?.outcome,
            ),
            ...(await reader.find(id, [source])).map(({ outcome }) => outcome),
            ...selected.items.map(({ outcome }) => outcome),
            failed.items.length === 0 ? "unhandled" : "failed",
          ];
        }),
      );
      const unhandled = new Set(["u1", "u6", "u8"]);
      expect(said).toEqual(
        owed.map((id) => {
          const outcome = unhandled.has(id) ? "unhandled" : "failed";
          return [id, outcome, outcome, outcome, outcome, outcome, outcome];
        }),
      );
      for (const outcome of ["unhandled", "failed"] as const) {
        const { items } = await reader.events({ outcome }, undefined, 100);
        const counts = (await reader.owedByType(100)).filter((one) => one.outcome === outcome);
        expect(items.map(({ eventId }) => eventId).sort()).toEqual(
          owed.filter((id) => unhandled.has(id) === (outcome === "unhandled")).sort(),
        );
        expect(items.every((one) => one.outcome === outcome)).toBe(true);
        expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(items.length);
      }
    });

    test("that failed after it was unhandled names the handler, and keeps its time of receipt", async () => {
      await using it = await mixed(harness);
      const reader = await it.engine.reader();
      const both = {
        outcome: "failed",
        receivedAt: 1002,
        deliveries: 2,
        handler: "handlers/shop/credit.sql",
      };
      const { items } = await reader.events({ outcome: "failed", since: 1002, until: 1003 }, undefined, 10);
      expect(items).toEqual([expect.objectContaining({ eventId: "b2", ...both })]);
      expect(await reader.event("shop", "b2")).toMatchObject(both);
      // The first delivery is still shown as it was answered.
      expect((await reader.event("shop", "b2"))?.timeline.map(({ outcome }) => outcome)).toEqual([
        "unhandled",
        "failed",
      ]);
    });
  });
}
