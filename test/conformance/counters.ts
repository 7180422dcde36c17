import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Reader } from "../../src/engines/reader.ts";
import type { Span } from "../../src/engines/rollups.ts";
import type { Job } from "../../src/engines/engine.ts";
import type { EngineHarness } from "./harness.ts";
import { deliver, shop, sourceWith } from "./jobs.ts";
import { openEngine } from "./open-engine.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** 12:30:20 of a day. */
const NOON = 20_000 * DAY + 12 * HOUR + 30 * MINUTE + 20_000;

const branch = sourceWith({ name: "branch", handlersOf: "shop" });

const addUp = (at: number): Job => ({ kind: "record", entries: [{ entry: "rollups", at }] });

const refusal = (at: number): Job => ({
  kind: "record",
  entries: [{ entry: "refused", source: "shop", at, count: 1 }],
});

const counted = (id: string, at: number, source = shop): Job =>
  deliver(id, { at, source, type: "changeNothing" });

const EVER = { since: 0, until: Number.MAX_SAFE_INTEGER };

async function processed(reader: Reader, span: Span, range = EVER): Promise<number> {
  return (await reader.rollups(span, range)).reduce((sum, one) => sum + one.processed, 0);
}

/** Each step moves the clock by so many milliseconds, and then does something. */
const step = fc.record({
  clock: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 3 * MINUTE }) },
    { weight: 3, arbitrary: fc.constantFrom(-5 * DAY, -2 * HOUR, -MINUTE, HOUR, 5 * DAY, 800 * DAY) },
  ),
  does: fc.constantFrom("deliver", "deliver", "deliver", "add up", "add up", "reopen"),
});

/** How deliveries are counted by minute, hour and day. */
export function createCounterTests(name: string, harness: EngineHarness): void {
  describe(`${name}: counting deliveries`, () => {
    test("each delivery counts once, however the clock moves and whenever the counts are added up", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          await using it = await openEngine(harness);
          let now = NOON;
          let delivered = 0;
          const perDay = new Map<number, number>();
          const times: number[] = [];
          let mostNow = 0;
          for (const { clock, does } of steps) {
            now += clock;
            mostNow = Math.max(mostNow, now);
            if (does === "deliver") {
              await it.commit([counted(`evt_${delivered++}`, now)]);
              times.push(now);
              const day = now - (now % DAY);
              perDay.set(day, (perDay.get(day) ?? 0) + 1);
            } else if (does === "reopen") await it.reopen();
            else await it.commit([addUp(now)]);
          }
          const reader = await it.engine.reader();
          for (const span of ["hour", "day"] as const) expect(await processed(reader, span)).toBe(delivered);
          // No minute of the last five days goes, whatever the clock said in between.
          const since = mostNow - 5 * DAY;
          const kept = times.filter((at) => at - (at % MINUTE) >= since);
          const minutes = await processed(reader, "minute", { ...EVER, since });
          expect(minutes).toBeGreaterThanOrEqual(kept.length);
          const days = await reader.rollups("day", EVER);
          expect(new Map(days.map(({ at, processed }) => [at, processed]))).toEqual(perDay);
        }),
        { numRuns: 25 },
      );
    });

    test("a clock that was ahead for one delivery damages nothing else", async () => {
      await using it = await openEngine(harness);
      await it.commit([
        counted("a", NOON - 3 * DAY),
        counted("b", NOON - 1),
        counted("c", NOON),
        addUp(NOON),
      ]);
      await it.commit([counted("d", NOON + 5 * DAY), addUp(NOON + 5 * DAY)]);
      await it.commit([counted("e", NOON + 10 * MINUTE), addUp(NOON + 10 * MINUTE)]);
      await it.commit([counted("f", NOON + 1)]);
      const reader = await it.engine.reader();
      expect(await processed(reader, "day")).toBe(6);
      const until = NOON + 2;
      expect(await processed(reader, "day", { since: NOON - (NOON % DAY), until })).toBe(4);
      expect(await processed(reader, "minute", { since: NOON - HOUR, until })).toBe(3);
      expect(await processed(reader, "minute", { since: NOON - 3 * DAY - MINUTE, until: NOON })).toBe(4);
      expect(await reader.seen(NOON + 2)).toEqual([{ source: "shop", lastDeliveryAt: NOON + 1 }]);
      expect(await reader.seen(NOON - 2 * MINUTE)).toEqual([
        { source: "shop", lastDeliveryAt: NOON - 3 * DAY },
      ]);
      expect(await reader.seen(NOON + 6 * DAY)).toEqual([{ source: "shop", lastDeliveryAt: NOON + 5 * DAY }]);
    });

    test("counts show at once, and the same after they were added up", async () => {
      await using it = await openEngine(harness);
      const jobs = [
        counted("a", NOON, branch),
        counted("a", NOON + 1, branch),
        refusal(NOON + 2),
        counted("b", NOON + MINUTE),
      ];
      await it.commit(jobs);
      const counts = async (): Promise<unknown> => {
        const reader = await it.engine.reader();
        const spans = await Promise.all(
          (["minute", "hour", "day"] as const).map(async (span) => reader.rollups(span, EVER)),
        );
        return [
          ...spans.map((rollups) =>
            rollups.map(({ source, at, processed, duplicate, refused }) =>
              [source, at, processed, duplicate, refused].join(" "),
            ),
          ),
          await reader.seen(NOON + MINUTE),
        ];
      };
      const expected = await counts();
      const [minute, day] = [NOON - 20_000, NOON - (NOON % DAY)];
      expect(expected).toEqual([
        [`branch ${minute} 1 1 0`, `shop ${minute} 0 0 1`, `shop ${minute + MINUTE} 1 0 0`],
        [`branch ${minute - 30 * MINUTE} 1 1 0`, `shop ${minute - 30 * MINUTE} 1 0 1`],
        [`branch ${day} 1 1 0`, `shop ${day} 1 0 1`],
        [
          { source: "branch", lastDeliveryAt: NOON + 1 },
          { source: "shop", lastDeliveryAt: NOON + MINUTE },
        ],
      ]);
      for (let n = 0; n < 2; n++) {
        await it.commit([addUp(NOON + MINUTE)]);
        expect(await counts()).toEqual(expected);
      }
    });
  });
}

/** The same over more than a year. */
export function createYearOfCounts(name: string, harness: EngineHarness): void {
  describe(`${name}: counting deliveries of more than a year`, () => {
    test("minutes and hours of today are kept after the clock was ahead on many days", async () => {
      await using it = await openEngine(harness);
      for (let day = 1; day <= 401; day++) {
        const at = NOON + day * DAY;
        await it.commit([counted(`ahead_${day}`, at), addUp(at)]);
      }
      for (let n = 0; n < 3; n++) {
        const at = NOON + n * MINUTE;
        await it.commit([counted(`today_${n}`, at), addUp(at)]);
      }
      const reader = await it.engine.reader();
      const today = { since: NOON - MINUTE, until: NOON + HOUR };
      expect(await processed(reader, "minute", today)).toBe(3);
      expect(await processed(reader, "hour", { ...today, since: NOON - HOUR })).toBe(3);
    }, 60_000);

    test("minutes are removed after five days with deliveries, and hours after 400", async () => {
      await using it = await openEngine(harness);
      const days = Array.from({ length: 402 }, (_, day) => NOON + day * DAY);
      for (const at of days) await it.commit([counted(`evt_${at}`, at), addUp(at)]);
      await it.commit([addUp(days.at(-1) ?? 0)]);
      const reader = await it.engine.reader();
      const kept = await Promise.all(
        (["minute", "hour", "day"] as const).map((span) => processed(reader, span)),
      );
      expect(kept).toEqual([5, 400, 402]);
    }, 60_000);
  });
}
