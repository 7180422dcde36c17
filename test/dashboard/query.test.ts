import { describe, expect, test } from "bun:test";
import {
  completionsOf,
  eventsPath,
  filterOf,
  lineOf,
  parseLine,
  toApi,
} from "../../src/dashboard/page/query.ts";

const NOW = Date.UTC(2026, 10, 27, 12);
const HOUR = 3_600_000;

describe("the query line", () => {
  test.each([
    ["", {}],
    ["source:stripe", { source: "stripe" }],
    [
      "source:stripe type:invoice.* outcome:failed",
      { source: "stripe", type: "invoice.*", outcome: "failed" },
    ],
    ["since:1h cus_123", { since: "1h", search: "cus_123" }],
    ["two words", { search: "two words" }],
    ['type:"a b" x', { type: "a b", search: "x" }],
    ["source:", {}],
    ['type:""', { type: "" }],
    ["other:thing", { search: "other:thing" }],
    ["https://example.com/?a=1&b=2", { search: "https://example.com/?a=1&b=2" }],
  ])("reads %p", (line, filter) => {
    expect(parseLine(line)).toEqual(filter);
  });

  test.each([
    "source:stripe type:invoice.* outcome:failed since:1h cus_123",
    'type:"a b"',
    'source:stripe type:"" outcome:unhandled',
    "<script>alert(1)</script>",
    "évènement ✓",
  ])("%p is the same after it was a URL", (line) => {
    const path = eventsPath(parseLine(line));
    const filter = filterOf(new URL(path, "http://localhost").searchParams);
    expect(parseLine(lineOf(filter))).toEqual(parseLine(line));
  });

  test("quotes a search that would read as a key", () => {
    expect(lineOf({ search: "source:stripe" })).toBe('"source:stripe"');
    expect(parseLine('"source:stripe"')).toEqual({ search: "source:stripe" });
  });
});

describe("the filter for the API", () => {
  test("counts durations back from now, and takes dates and Unix seconds", () => {
    expect(toApi({ since: "2h", until: "15m" }, NOW)).toEqual({
      since: NOW - 2 * HOUR,
      until: NOW - HOUR / 4,
    });
    expect(toApi({ since: "2026-11-01T00:00:00Z" }, NOW)).toEqual({ since: Date.UTC(2026, 10, 1) });
    expect(toApi({ since: "1795780800" }, NOW)).toEqual({ since: 1_795_780_800_000 });
  });

  test.each([
    [{ outcome: "fialed" }, 'There is no outcome "fialed".'],
    [{ since: "yesterday" }, "since:yesterday is not a time."],
    [{ until: "5" }, "until:5 is not a time."],
  ])("names what is wrong in %p", (filter, message) => {
    expect(toApi(filter, NOW)).toStartWith(message);
  });
});

describe("completion", () => {
  const known = { sources: ["github", "stripe"], types: ["invoice.paid", "push"] };
  const texts = (line: string): string[] => completionsOf(line, known).map(({ text }) => text);

  test("offers keys, then their values", () => {
    expect(texts("")).toEqual(["source:", "type:", "outcome:", "since:", "until:"]);
    expect(texts("so")).toEqual(["source:"]);
    expect(texts("source:")).toEqual(["source:github", "source:stripe"]);
    expect(texts("source:s")).toEqual(["source:stripe"]);
    expect(texts("source:stripe type:inv")).toEqual(["type:invoice.paid"]);
    expect(texts("outcome:f")).toEqual(["outcome:failed"]);
  });

  test("keeps what is before the word", () => {
    expect(completionsOf("source:stripe ty", known)).toEqual([
      { text: "type:", line: "source:stripe type:" },
    ]);
    expect(completionsOf("source:st", known)).toEqual([{ text: "source:stripe", line: "source:stripe " }]);
  });

  test("offers nothing for other words, and no key twice", () => {
    expect(texts("cus_123")).toEqual([]);
    expect(texts("source:stripe s")).toEqual(["since:"]);
  });
});
