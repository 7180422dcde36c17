import { describe, expect, test } from "bun:test";
import type { StoredAlert } from "../../src/engines/alerts.ts";
import { changesOf, HOLD_MS } from "../../src/inbox/alert-changes.ts";
import type { Condition, Subject } from "../../src/inbox/conditions.ts";

const START = 1_800_000_000_000;
const options = { to: "ops", url: "https://hooks.example.com", holdMs: HOLD_MS };

const failing: Subject = { alert: "handler_failing", source: "stripe", handler: "handlers/stripe/paid.sql" };
const condition = (subject: Subject): Condition => ({
  subject,
  since: START - 1000,
  title: "It fails.",
  more: "",
  error: "a customer's name",
});

/** Does what an engine does with the entries. @returns the entries in words */
function look(
  rows: Map<string, StoredAlert>,
  found: readonly Condition[],
  now: number,
  isUnknown: (subject: Subject) => boolean = () => false,
  to = options.to,
): string[] {
  const { entries } = changesOf([...rows.values()], { found, isUnknown }, { ...options, to, now });
  for (const entry of entries) {
    const { key, change, at } = entry;
    const row = rows.get(key);
    if (change === "seen")
      rows.set(key, { key, since: entry.since, seenAt: at, beganAt: null, goneAt: null });
    else if (change === "dropped" || change === "ended") rows.delete(key);
    else if (row !== undefined)
      rows.set(key, {
        ...row,
        ...(change === "began" ? { beganAt: at } : { goneAt: change === "gone" ? at : null }),
      });
  }
  return entries.map(({ change }) => change);
}

const MINUTE = 60_000;

describe("a condition", () => {
  test("is told once it has held for five minutes, and again once it has been gone for five", () => {
    const rows = new Map<string, StoredAlert>();
    const said: string[] = [];
    for (let minute = 0; minute < 30; minute++)
      for (const change of look(rows, minute < 15 ? [condition(failing)] : [], START + minute * MINUTE))
        said.push(`${minute} ${change}`);
    expect(said).toEqual(["0 seen", "5 began", "15 gone", "20 ended"]);
    expect(rows.size).toBe(0);
  });

  test("that flaps is one alert, or none", () => {
    const rows = new Map<string, StoredAlert>();
    const all: string[] = [];
    // Four minutes of each five: it never holds for five minutes.
    for (let minute = 0; minute < 40; minute++)
      all.push(...look(rows, minute % 5 < 4 ? [condition(failing)] : [], START + minute * MINUTE));
    expect(all.filter((one) => one === "began" || one === "ended")).toEqual([]);
    // It holds for ten minutes, and then it is gone for three minutes at a time.
    const later: string[] = [];
    for (let minute = 40; minute < 90; minute++)
      later.push(
        ...look(rows, minute < 50 || minute % 6 < 3 ? [condition(failing)] : [], START + minute * MINUTE),
      );
    expect(later.filter((one) => one === "began" || one === "ended")).toEqual(["began"]);
  });

  test("of the destination that is told since a reload has not ended by that", () => {
    const rows = new Map<string, StoredAlert>();
    const dead = condition({ alert: "dead_messages", destination: "app" });
    const lookAs = (to: string, found: readonly Condition[], minute: number): string[] =>
      look(rows, found, START + minute * MINUTE, undefined, to);
    expect([0, 5].flatMap((minute) => lookAs("ops", [dead], minute))).toEqual(["seen", "began"]);
    expect([6, 7, 20, 40].flatMap((minute) => lookAs("app", [dead], minute))).toEqual([]);
    expect([41, 46].flatMap((minute) => lookAs("app", [], minute))).toEqual(["gone", "ended"]);
  });

  test("that cannot be known now neither begins nor ends", () => {
    const rows = new Map<string, StoredAlert>();
    look(rows, [condition(failing)], START);
    look(rows, [condition(failing)], START + 5 * MINUTE);
    for (let minute = 6; minute < 60; minute++)
      expect(look(rows, [], START + minute * MINUTE, () => true)).toEqual([]);
    expect(rows.size).toBe(1);
  });

  test("is told even if the clock was set back", () => {
    const rows = new Map<string, StoredAlert>();
    look(rows, [condition(failing)], START);
    expect(look(rows, [condition(failing)], START - 100 * MINUTE)).toEqual(["began"]);
  });

  test("about the destination that would be told is not told", () => {
    const found = ["ops", "app"].map((destination) => condition({ alert: "dead_messages", destination }));
    const { entries } = changesOf([], { found, isUnknown: () => false }, { ...options, now: START });
    expect(entries.map(({ key }) => JSON.parse(key) as unknown)).toEqual([
      { alert: "dead_messages", destination: "app" },
    ]);
  });
});

test("a message says what it is about, since when, and where to look", () => {
  const rows = new Map<string, StoredAlert>();
  look(rows, [condition(failing)], START);
  const now = START + HOLD_MS;
  const { entries, told } = changesOf(
    [...rows.values()],
    { found: [condition(failing)], isUnknown: () => false },
    { ...options, now },
  );
  const [entry] = entries;
  if (entry?.change !== "began") throw new Error("it has not begun");
  expect(JSON.parse(entry.body)).toEqual({
    type: "hookonce.alert.began",
    timestamp: "2027-01-15T08:05:00.000Z",
    text: "It fails.",
    data: {
      alert: "handler_failing",
      source: "stripe",
      handler: "handlers/stripe/paid.sql",
      destination: null,
      since: "2027-01-15T07:59:59.000Z",
      url: "https://hooks.example.com/failures",
    },
  });
  expect(told).toEqual([{ subject: failing, text: "It fails.", change: "began" }]);
});
