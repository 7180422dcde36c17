import { expect, test } from "bun:test";
import { hoursOf, minutesSince } from "../../src/dashboard/page/day.ts";
import type { RollupJson } from "../../src/http/admin/shapes.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;
/** 24 minutes into an hour. */
const NOON = Date.UTC(2026, 10, 27, 12);
const NOW = NOON + 24 * MINUTE + 30_000;

const rollup = (at: number, processed: number, source = "shop"): RollupJson => ({
  source,
  at,
  processed,
  duplicate: 2 * processed,
  unhandled: 0,
  ignored: 0,
  stale: 0,
  held: 4 * processed,
  failed: 3 * processed,
  refused: 5 * processed,
  p50_us: null,
  p95_us: null,
});

test("the chart has 24 hours, and the last is the present one so far", () => {
  const hours = hoursOf([], [rollup(NOON, 1), rollup(NOON + 24 * MINUTE, 1, "other")], NOW);
  expect(hours).toHaveLength(24);
  expect(hours.map(({ at }) => at)).toEqual(Array.from({ length: 24 }, (_, n) => NOON - (23 - n) * HOUR));
  expect(hours.at(-1)).toEqual({ at: NOON, processed: 2, duplicate: 4, held: 8, failed: 6, refused: 10 });
  expect(hours.slice(0, -1).every(({ processed }) => processed === 0)).toBe(true);
});

test("the last two hours are those of the minutes, because hours are loaded less often", () => {
  const late = [rollup(NOON - HOUR, 5), rollup(NOON, 1)];
  const minutes = [
    ...[0, 30, 59].map((minute) => rollup(NOON - HOUR + minute * MINUTE, 2)),
    ...[0, 24].map((minute) => rollup(NOON + minute * MINUTE, 1)),
    // Asked for a moment ago, when the hour before was still needed.
    rollup(NOON - 2 * HOUR + 59 * MINUTE, 100),
  ];
  const sums = hoursOf([rollup(NOON - 2 * HOUR, 7), ...late], minutes, NOW).map(({ processed }) => processed);
  expect(sums.slice(-3)).toEqual([7, 6, 2]);
  expect(minutesSince(NOW)).toBe(NOON - HOUR);
});

test("the oldest hour is whole, and what is older is left out", () => {
  const hours = [24, 23, 1].map((ago) => rollup(NOON - ago * HOUR, ago));
  const sums = hoursOf([...hours, rollup(NOON - 2 * HOUR, 2, "other")], [], NOW);
  expect(sums[0]).toEqual({
    at: NOON - 23 * HOUR,
    processed: 23,
    duplicate: 46,
    held: 92,
    failed: 69,
    refused: 115,
  });
  expect(sums.map(({ processed }) => processed).reduce((a, b) => a + b)).toBe(25);
});
