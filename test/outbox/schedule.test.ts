import { describe, expect, test } from "bun:test";
import { nextAfter } from "../../src/outbox/schedule.ts";

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const NOW = 1_800_000_000_000;

/** The n-th try of a message that was written just now. */
const nth = (n: number) => ({ tries: n - 1, since: NOW, retryForMs: 3 * DAY });
const failed = (retryAfterMs: number | null = null) => ({ verdict: "failed", retryAfterMs }) as const;

describe("the wait after the n-th failed try", () => {
  test.each([
    // n, shortest, in the middle, longest
    [1, 1000, 1500, 2000],
    [2, 1000, 2500, 4000],
    [3, 1000, 4500, 8000],
    [4, 1000, 8500, 16_000],
    [5, 1000, 16_500, 32_000],
    [11, 1000, 1_024_500, 2_048_000],
    [12, 1000, 1_800_500, HOUR],
    [13, 1000, 1_800_500, HOUR],
    [1000, 1000, 1_800_500, HOUR],
    [2000, 1000, 1_800_500, HOUR],
  ])("%d: from %d to %d to %d ms", (n, shortest, middle, longest) => {
    for (const [random, wait] of [
      [0, shortest],
      [0.5, middle],
      [1, longest],
    ] as const)
      expect(nextAfter(failed(), nth(n), NOW, random)).toEqual({ state: "waiting", nextAt: NOW + wait });
  });
});

describe("a receiver that names a time", () => {
  test.each([
    ["later than the backoff", 90 * SECOND, 90 * SECOND],
    ["earlier than the backoff", 300, 1500],
    ["no wait", 0, 1500],
    ["exactly a day", DAY, DAY],
    ["more than a day", DAY + 1, DAY],
    ["a year", 365 * DAY, DAY],
  ])("%s", (_, retryAfterMs, wait) => {
    expect(nextAfter(failed(retryAfterMs), nth(1), NOW, 0.5)).toEqual({
      state: "waiting",
      nextAt: NOW + wait,
    });
  });

  test("a time after the end of retry_for is kept, and that is the last try", () => {
    const tried = { tries: 4, since: NOW - HOUR, retryForMs: HOUR + 1 };
    expect(nextAfter(failed(DAY), tried, NOW, 0)).toEqual({ state: "waiting", nextAt: NOW + DAY });
    expect(nextAfter(failed(DAY), { ...tried, tries: 5 }, NOW + DAY, 0)).toEqual({ state: "dead" });
  });
});

describe("a message is given up", () => {
  const retryForMs = 3 * DAY;
  test.each([
    // tries before, time since it was written, dead
    ["when retry_for has passed", 4, 3 * DAY, true],
    ["not a millisecond earlier", 4, 3 * DAY - 1, false],
    ["however many tries it had", 10_000, 3 * DAY - 1, false],
    ["not before its fifth try", 3, 30 * DAY, false],
    ["at its fifth try, if retry_for has passed long ago", 4, 30 * DAY, true],
    ["not if the clock was set back", 10, -DAY, false],
  ])("%s", (_, tries, age, isDead) => {
    const next = nextAfter(failed(), { tries, since: NOW - age, retryForMs }, NOW, 0);
    expect(next).toEqual(isDead ? { state: "dead" } : { state: "waiting", nextAt: NOW + 1000 });
  });

  test("with a retry_for of 0, after five tries", () => {
    const states = [0, 1, 2, 3, 4].map(
      (tries) => nextAfter(failed(), { tries, since: NOW, retryForMs: 0 }, NOW, 0).state,
    );
    expect(states).toEqual(["waiting", "waiting", "waiting", "waiting", "dead"]);
  });
});

test.each([
  ["delivered", { state: "delivered" }],
  ["gone", { state: "dead" }],
  ["hopeless", { state: "dead" }],
] as const)("%s ends it, and a named time does not change that", (verdict, next) => {
  for (const tries of [0, 100])
    expect(nextAfter({ verdict, retryAfterMs: DAY }, { ...nth(1), tries, retryForMs: 0 }, NOW, 0.5)).toEqual(
      next,
    );
});

test("an interrupted message is due at once, in its old place", () => {
  for (const tries of [0, 100])
    for (const [since, nextAt] of [
      [NOW, NOW],
      [NOW - 30 * DAY, NOW - 30 * DAY],
      // The clock was set back.
      [NOW + DAY, NOW],
    ] as const)
      expect(
        nextAfter({ verdict: "interrupted", retryAfterMs: null }, { tries, since, retryForMs: 0 }, NOW, 0.5),
      ).toEqual({ state: "interrupted", nextAt });
  const waiting = { verdict: "interrupted", retryAfterMs: HOUR } as const;
  expect(nextAfter(waiting, nth(1), NOW, 0.5)).toEqual({ state: "interrupted", nextAt: NOW + HOUR });
});
