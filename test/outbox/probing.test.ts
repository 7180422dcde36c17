import { expect, test } from "bun:test";
import { createProbing } from "../../src/outbox/probing.ts";

function probing() {
  let now = 1000;
  const created = createProbing(() => now);
  return { created, pass: (ms: number): void => void (now += ms) };
}

/** Begins after ten failures. */
function begun() {
  const { created, pass } = probing();
  for (let n = 1; n <= 10; n++) created.failed(false);
  return { created, pass };
}

test("ten failures in a row begin it", () => {
  const { created } = probing();
  for (let n = 1; n <= 9; n++) {
    expect(created.failed(false)).toBe(false);
    expect([created.isOn, created.failures, created.waitMs()]).toEqual([false, n, 0]);
  }
  expect(created.failed(false)).toBe(true);
  expect([created.isOn, created.failures, created.waitMs()]).toEqual([true, 10, 1000]);
});

test("a success among the first failures begins the count again", () => {
  const { created } = probing();
  for (let n = 1; n <= 9; n++) created.failed(false);
  expect(created.succeeded()).toBe(false);
  for (let n = 1; n <= 9; n++) expect(created.failed(false)).toBe(false);
  expect(created.failed(false)).toBe(true);
});

test("the pauses double from a second to a minute", () => {
  const { created, pass } = begun();
  const pauses = [created.waitMs()];
  for (let n = 1; n <= 8; n++) {
    pass(created.waitMs());
    expect(created.waitMs()).toBe(0);
    expect(created.failed(true)).toBe(false);
    pauses.push(created.waitMs());
  }
  expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
});

test("attempts that began before it do not lengthen the pause", () => {
  const { created, pass } = begun();
  pass(400);
  for (let n = 1; n <= 200; n++) expect(created.failed(false)).toBe(false);
  expect(created.waitMs()).toBe(600);
  expect(created.failures).toBe(210);
});

test("one success ends it, and the next time begins with a second", () => {
  const { created, pass } = begun();
  pass(1000);
  created.failed(true);
  expect(created.waitMs()).toBe(2000);
  expect(created.succeeded()).toBe(true);
  expect([created.isOn, created.failures, created.waitMs()]).toEqual([false, 0, 0]);
  for (let n = 1; n <= 10; n++) created.failed(false);
  expect(created.waitMs()).toBe(1000);
});

test("somebody may hurry the next probe", () => {
  const { created } = begun();
  created.hurry();
  expect([created.isOn, created.waitMs()]).toEqual([true, 0]);
});
