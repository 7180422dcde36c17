import { expect, test } from "bun:test";
import { readableLine } from "../../src/logging/readable-line.ts";

const delivery = {
  msg: "delivery",
  outcome: "processed",
  source: "stripe",
  event: "evt_1",
  type: "invoice.paid",
  ms: 2.5,
};

test.each([
  ["handlers/stripe/invoice.paid.sql", "processed  stripe  evt_1  → invoice.paid.sql  1 row  2.5 ms"],
  ["handlers/stripe/_any.ts", "processed  stripe  evt_1  invoice.paid  → _any.ts  1 row  2.5 ms"],
  ["handlers/other/_any.sql", "processed  stripe  evt_1  invoice.paid  → other/_any.sql  1 row  2.5 ms"],
])("says shortly which handler ran: %s", (handler, line) => {
  expect(readableLine({ ...delivery, handler, rows: 1 })).toBe(line);
});

test("names the handler of a failure once: at the place of its error, or in the text", () => {
  const handler = "handlers/stripe/invoice.paid.ts";
  const failed = {
    ...delivery,
    outcome: "failed",
    handler,
    code: "handler_error",
    cause: "no such customer",
  };
  expect(readableLine({ ...failed, at: `${handler}:2` })).toBe(
    `failed     stripe  evt_1  invoice.paid  2.5 ms  handler_error: no such customer  at ${handler}:2`,
  );
  expect(readableLine({ ...failed, cause: `${handler} is not finished` })).toBe(
    `failed     stripe  evt_1  invoice.paid  2.5 ms  handler_error: ${handler} is not finished`,
  );
});

test("writes a list of records as words, not as JSON", () => {
  const owed = [
    { source: "stripe", type: "invoice.paid", outcome: "failed", count: 2 },
    { source: "default", type: "", outcome: "unhandled", count: 1 },
  ];
  expect(readableLine({ level: "warn", msg: "events are owed", events: 3, owed })).toBe(
    "events are owed (events: 3, owed: stripe invoice.paid failed 2; default (none) unhandled 1)",
  );
});
