import { expect, test } from "bun:test";
import { parseRetryAfter } from "../../src/outbox/retry-after.ts";

const NOW = Date.UTC(2026, 10, 28, 12, 0, 0);
const YEAR = 365 * 24 * 3600 * 1000;

test.each<[string | null, number | null]>([
  [null, null],
  ["", null],
  ["0", 0],
  ["30", 30_000],
  [" 30 ", 30_000],
  ["007", 7000],
  ["-30", 0],
  ["99999999999999999999999999", YEAR],
  ["1.5", null],
  ["+5", null],
  ["30s", null],
  ["1e3", null],
  ["0x10", null],
  ["soon", null],
  // The current form, that of RFC 850, and that of asctime().
  ["Sat, 28 Nov 2026 12:01:00 GMT", 60_000],
  ["Saturday, 28-Nov-26 12:01:00 GMT", 60_000],
  ["Sat Nov 28 12:01:00 2026", 60_000],
  ["Sun Dec  6 12:00:00 2026", 8 * 24 * 3600 * 1000],
  ["Sat, 28 Nov 2026 11:59:59 GMT", 0],
  ["Sun, 06 Nov 1994 08:49:37 GMT", 0],
  ["Sunday, 06-Nov-94 08:49:37 GMT", 0],
  ["Sun Nov  6 08:49:37 1994", 0],
  // Two digits up to 50 years ahead are in the future.
  ["Saturday, 28-Nov-76 12:00:00 GMT", YEAR],
  ["Sunday, 28-Nov-77 12:00:00 GMT", 0],
  ["Sat, 28 Nov 2026 12:00:60 GMT", 60_000],
  ["Fri, 31 Dec 9999 23:59:59 GMT", YEAR],
  ["Sat, 28 Foo 2026 12:01:00 GMT", null],
  ["Sat, 00 Nov 2026 12:01:00 GMT", null],
  ["Sat, 32 Nov 2026 12:01:00 GMT", null],
  ["Sat, 28 Nov 2026 24:01:00 GMT", null],
  ["Sat, 28 Nov 2026 12:60:00 GMT", null],
  ["Sat, 28 Nov 2026 12:01:00 CET", null],
  ["2026-11-28T12:01:00Z", null],
])("Retry-After: %s is %p ms", (text, ms) => {
  expect(parseRetryAfter(text, NOW)).toBe(ms);
});
