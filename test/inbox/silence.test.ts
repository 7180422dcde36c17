import { expect, test } from "bun:test";
import { silentAfterMs } from "../../src/inbox/silence.ts";

const HOUR = 3_600_000;
const hours = (isIn: (hour: number) => boolean): number[] =>
  Array.from({ length: 14 * 24 }, (_, hour) => hour)
    .filter(isIn)
    .map((hour) => hour * HOUR);
const afterHours = (isIn: (hour: number) => boolean): number | null => {
  const ms = silentAfterMs(hours(isIn));
  return ms === null ? null : ms / HOUR;
};

const isWorking = (hour: number): boolean =>
  Math.floor(hour / 24) % 7 < 5 && hour % 24 >= 8 && hour % 24 < 20;

test("a source is silent after twice its longest pause, and after two hours at the earliest", () => {
  expect(afterHours(() => true)).toBe(2);
  // From 8 to 20 h: the night has 13 h between the beginnings of two hours with deliveries.
  expect(afterHours((hour) => hour % 24 >= 8 && hour % 24 < 20)).toBe(26);
  // Not at weekends: from Friday 19 h to Monday 8 h.
  expect(afterHours(isWorking)).toBe(2 * 61);
});

test("a source with deliveries in fewer than 48 hours of two weeks is never silent", () => {
  expect(afterHours((hour) => hour % 8 === 0)).toBeNull();
  expect(afterHours((hour) => hour % 7 === 0)).toBe(14);
  expect(silentAfterMs([])).toBeNull();
});
