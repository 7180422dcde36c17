import { expect, test } from "bun:test";
import { readableLine } from "../../src/logging/readable-line.ts";

test("writes a list of records as words, not as JSON", () => {
  const owed = [
    { source: "stripe", type: "invoice.paid", outcome: "failed", count: 2 },
    { source: "default", type: "", outcome: "unhandled", count: 1 },
  ];
  expect(readableLine({ level: "warn", msg: "events are owed", events: 3, owed })).toBe(
    "events are owed (events: 3, owed: stripe invoice.paid failed 2; default (none) unhandled 1)",
  );
});
