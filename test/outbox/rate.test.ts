import { expect, test } from "bun:test";
import { createRate } from "../../src/outbox/rate.ts";

/** Sends as fast as the rate allows, with timers that are late by `lateMs`. */
function sentAt(perSecond: number | undefined, count: number, lateMs = 0): number[] {
  let now = 5000;
  const rate = createRate(
    () => perSecond,
    () => now,
  );
  return Array.from({ length: count }, () => {
    const waitMs = rate.waitMs();
    if (waitMs > 0) now += waitMs + lateMs;
    rate.take();
    return now - 5000;
  });
}

test.each([
  ["50 a second", 50, [0, 20, 40, 60]],
  ["1 a second", 1, [0, 1000, 2000, 3000]],
  ["1 in 10 s", 0.1, [0, 10_000, 20_000, 30_000]],
  ["4,000 a second", 4000, [0, 0.25, 0.5, 0.75]],
])("%s are evenly apart, without a burst at the start", (_, perSecond, expected) => {
  expect(sentAt(perSecond, 4)).toEqual(expected);
});

test("without a rate no message waits", () => {
  expect(sentAt(undefined, 3)).toEqual([0, 0, 0]);
});

test("late timers do not make the rate smaller", () => {
  expect(sentAt(50, 101, 4).at(-1)).toBeWithin(2000, 2005);
});

test("after a pause there is no burst", () => {
  let now = 0;
  const rate = createRate(
    () => 50,
    () => now,
  );
  rate.take();
  now = 60_000;
  expect(rate.waitMs()).toBe(0);
  rate.take();
  expect(rate.waitMs()).toBe(20);
});
