import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { HookonceError } from "../../src/errors.ts";
import { compileNewest, matchesType, type NewestRule } from "../../src/providers/newest.ts";
import { compareVersions, parseVersion, type Version } from "../../src/providers/version.ts";

const order = (one: string, other: string): number | undefined => {
  const [a, b] = [parseVersion(one), parseVersion(other)];
  return a === undefined || b === undefined ? Number.NaN : compareVersions(a, b);
};

const sign = (value: number | undefined): number => Math.sign(value ?? Number.NaN);

describe("versions", () => {
  test.each([
    ["9", "10"],
    ["9007199254740992", "9007199254740993"],
    ["-2", "-1"],
    ["99999999999999999999", "100000000000000000000"],
    ["2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.001Z"],
    ["2026-01-31T10:00:00.119Z", "2026-01-31T10:00:00.12Z"],
    ["2026-01-31T10:00:00.123456788Z", "2026-01-31T10:00:00.123456789Z"],
    ["2026-01-31", "2026-01-31T00:00:01Z"],
    ["2026-01-31 10:00:00 UTC", "2026-01-31T05:30:01-0500"],
    ["1969-12-31T23:59:59.9Z", "1970-01-01T00:00:00Z"],
    ["2016-12-31T23:59:59Z", "2016-12-31T23:59:60Z"],
  ])("%s is older than %s", (older, newer) => {
    expect(order(older, newer)).toBeLessThan(0);
    expect(order(newer, older)).toBeGreaterThan(0);
  });

  test.each([
    ["7", "007"],
    ["0", "-0"],
    ["2026-01-31T10:00:00Z", "2026-01-31T12:00:00.000+02:00"],
    ["2026-01-31T10:00:00", "2026-01-31 10:00:00Z"],
    ["2026-01-31", "2026-01-31T00:00Z"],
  ])("%s and %s are the same", (one, other) => {
    expect(order(one, other)).toBe(0);
  });

  test("a number and a time cannot be compared", () => {
    expect(order("1767225600", "2026-01-01T00:00:00Z")).toBeUndefined();
  });

  test.each([
    "",
    "1.5",
    "1e3",
    "v2",
    "tomorrow",
    "2026-02-30",
    "2026-13-01",
    "2026-01-01T24:00Z",
    "2026-01-01T10:60Z",
    "10:00",
    "+1",
  ])("%j is neither a number nor a time", (text) => {
    expect(parseVersion(text)).toBeUndefined();
  });

  test("are in the order of JavaScript's dates and of BigInts, for any of them", () => {
    const date = fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
    fc.assert(
      fc.property(date, date, (a, b) => {
        expect(sign(order(a.toISOString(), b.toISOString()))).toBe(Math.sign(a.getTime() - b.getTime()));
      }),
    );
    fc.assert(
      fc.property(fc.bigInt(), fc.bigInt(), (a, b) => {
        expect(sign(order(String(a), String(b)))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
    const version = parseVersion("12") as Version;
    expect(compareVersions(version, version)).toBe(0);
  });
});

test("types are exact, or prefixes that end in *", () => {
  expect(matchesType(["customer.*"], "customer.created")).toBe(true);
  expect(matchesType(["customer.*"], "customer")).toBe(false);
  expect(matchesType(["a", "b"], "b")).toBe(true);
  expect(matchesType(["*"], "")).toBe(true);
  expect(matchesType(["a\\*"], "a*")).toBe(true);
  expect(matchesType(["a\\*"], "ab")).toBe(false);
});

const codeOf = (found: unknown) => (found instanceof HookonceError ? found.code : found);

const RULE: NewestRule = { types: ["paid"], key: "body:$.id", version: "body:$.at", ties: "apply" };
const read = (body: string, change: Partial<NewestRule> = {}, type = "paid", headers = "{}") =>
  compileNewest([{ ...RULE, ...change }])({
    type,
    payloadJson: body,
    headersJson: headers,
    body: Buffer.from(body),
  });

function ruleOf(change: Partial<NewestRule>) {
  const found = read('{"id":"k","at":1,"count":2}', change);
  return found === undefined || found instanceof HookonceError ? found : found.rule;
}

describe("a place", () => {
  test("has the key and the version digit for digit", () => {
    expect(read('{"id":9007199254740993,"at":12345678901234567890}')).toMatchObject({
      key: "9007199254740993",
      version: "12345678901234567890",
    });
  });

  test("may be read from headers", () => {
    expect(
      read("{}", { key: "header:x-id", version: "header:x-at" }, "paid", '{"x-id":"k","x-at":"7"}'),
    ).toMatchObject({ key: "k", version: "7" });
  });

  test("is none if no rule names the type, and the first rule that does counts", () => {
    expect(read("{}", {}, "other")).toBeUndefined();
    const rules = [RULE, { ...RULE, types: ["*"], version: "body:$.count" }];
    const place = (type: string) =>
      compileNewest(rules)({
        type,
        payloadJson: '{"id":"k","at":1,"count":2}',
        headersJson: "{}",
        body: Buffer.of(),
      });
    expect(place("paid")).toMatchObject({ version: "1" });
    expect(place("other")).toMatchObject({ version: "2" });
  });

  test("belongs to the types and the version of its rule, not to the order in which they are written", () => {
    const first = ruleOf({ types: ["paid", "open"] });
    expect(ruleOf({ types: ["open", "paid", "open"], version: 'body:$["at"]', ties: "fail" })).toBe(first);
    expect(ruleOf({ types: ["paid"] })).not.toBe(first);
    expect(ruleOf({ types: ["paid", "open"], version: "body:$.count" })).not.toBe(first);
  });

  test.each([
    ["{}", "missing_key"],
    ['{"id":null,"at":1}', "missing_key"],
    ['{"id":"","at":1}', "invalid_key"],
    ['{"id":{"a":1},"at":1}', "invalid_key"],
    [JSON.stringify({ id: "k".repeat(256), at: 1 }), "invalid_key"],
    ['{"id":1.0,"at":1}', "invalid_key"],
    ['{"id":"k"}', "missing_version"],
    ['{"id":"k","at":true}', "invalid_version"],
    ['{"id":"k","at":1.5}', "invalid_version"],
    ['{"id":"k","at":"soon"}', "invalid_version"],
  ])("%s is %s", (body, code) => {
    expect(codeOf(read(body))).toBe(code);
  });
});
