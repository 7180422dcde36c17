import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { HookonceError } from "../../src/errors.ts";
import { compileFields, MAX_DEPTH } from "../../src/providers/body/json-fields.ts";
import { parsePath } from "../../src/providers/body/path.ts";

const PATHS = ["$.id", "$.type", "$.data.object.id", "$.data.object", "$.a", "$['a b']", "$.__proto__"];

/** What JSON.parse and own properties say; undefined when it is no JSON. */
function asParsed(text: string): Map<string, unknown> | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(text);
  } catch {
    return undefined;
  }
  return new Map(
    PATHS.map((path) => {
      let value = payload;
      for (const step of parsePath(path) ?? []) {
        value =
          typeof value === "object" && value !== null && Object.hasOwn(value, step)
            ? (value as Record<string | number, unknown>)[step]
            : undefined;
      }
      return [path, value];
    }),
  );
}

const read = compileFields(PATHS);
if (read === undefined) throw new Error("these paths can be read");

const JSON_TEXTS = [
  '{"id":"evt_1","type":"a.b"}',
  ' \t\r\n{ "id" : "evt_1" ,\n "type" : "a.b" } \n',
  '{"type":null,"id":12}',
  '{"id":"first","id":"last"}',
  '{"id":"first","id":{"id":"inner"}}',
  '{"data":{"object":{"id":"lost"}},"data":{"object":{"other":1}}}',
  '{"data":{"object":{"id":"lost"}},"data":7}',
  '{"data":{"object":{"id":1}},"data":{"object":{"id":2}},"data":{"object":[{"id":3}]}}',
  '{"data":[{"object":{"id":"in an array"}}]}',
  '{"data":{"object":{"id":"evt","more":{"id":"deeper"}},"id":"beside"},"nested":{"id":"elsewhere"}}',
  '{"\\u0069d":"by its escape","t\\u0079pe":"as well"}',
  '{"id":"plain","\\u0069\\u0064":"and again by its escape"}',
  '{"id":"with \\"quotes\\", \\\\ and \\u00e9\\ud83d\\ude00","type":"\\/\\b\\f\\n\\r\\t"}',
  '{"id":"Zürich 🙂","type":"\u2028"}',
  '{"id":"\\ud800"}',
  '{"__proto__":{"id":"no"},"id":"yes"}',
  '{"constructor":1,"hasOwnProperty":2}',
  '{"a b":[1,[2,[]],{}],"a":{"":{"":[]}}}',
  "[]",
  "{}",
  "[[],[{}],{}]",
  '[{"id":1}]',
  '"id"',
  "null",
  "true",
  "false",
  "0",
  "-0",
  "-1.5e+10",
  '{"a":0.1E-2,"id":12345678901234567890}',
  '{"a":-0.0,"id":1e400}',
];

const NOT_JSON = [
  "",
  " ",
  "{",
  "}",
  "[",
  "]",
  "{]",
  "[}",
  "{}}",
  "[]]",
  "{}{}",
  "[1,]",
  "[,1]",
  "[1 2]",
  "[1:2]",
  '{"id"}',
  '{"id":}',
  '{"id":1,}',
  '{,"id":1}',
  '{"id" 1}',
  '{"id"::1}',
  '{"id""type":1}',
  '{"id":1:2}',
  '{"id":1 "type":2}',
  '{"id",1}',
  "{id:1}",
  "{1:2}",
  '{"id":"open}',
  '{"id":"\u0001"}',
  '{"id":"a\nb"}',
  '{"id":"\\x41"}',
  '{"id":"\\u12g4"}',
  '{"id":"\\u123',
  '{"id":"\\',
  "01",
  "1.",
  ".5",
  "+1",
  "-",
  "--1",
  "1e",
  "1e+",
  "0x10",
  "1_000",
  "NaN",
  "Infinity",
  "nul",
  "nulll",
  "True",
  "truefalse",
  "'id'",
  "\ufeff{}",
  "{}\u00a0",
  "{}\u0000",
  "// {}",
  "[1]//",
];

test.each(JSON_TEXTS)("reads as JSON.parse does: %s", (text) => {
  const parsed = asParsed(text);
  expect(parsed).toBeDefined();
  expect(read(text)).toEqual(parsed as Map<string, unknown>);
});

test.each(NOT_JSON)("refuses as JSON.parse does: %j", (text) => {
  expect(asParsed(text)).toBeUndefined();
  expect(read(text)).toBeUndefined();
});

/** Objects in which what is looked for is often there, often twice, and often something else. */
const value = fc.letrec<{ value: unknown; text: string }>((tie) => ({
  value: fc.anything(),
  text: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom('"x"', "1", "-0.5e3", "null", "true", '"\\u0069d"', '"a\\"b"', "{}", "[]"),
    fc.string().map((text) => JSON.stringify(text)),
    fc.double().map((number) => JSON.stringify(number)),
    fc.array(tie("text")).map((elements) => `[${elements.join(" ,\n")}]`),
    fc
      .array(
        fc.tuple(
          fc.constantFrom(
            '"id"',
            '"type"',
            '"data"',
            '"object"',
            '"a"',
            '"a b"',
            '"__proto__"',
            '"i\\u0064"',
            '"x"',
          ),
          tie("text"),
        ),
      )
      .map((members) => `{${members.map(([name, text]) => `${name}: ${text}`).join(",")}}`),
  ),
})).text;

test("reads whatever it is as JSON.parse does", () => {
  fc.assert(
    fc.property(value, (text) => {
      expect(read(text)).toEqual(asParsed(text) as Map<string, unknown>);
    }),
    { numRuns: 2000, seed: 20_260_101 },
  );
});

test("and what has become of it on the way", () => {
  const damage = fc.tuple(
    fc.nat(),
    fc.nat({ max: 3 }),
    fc.constantFrom(...' \t\n"\\{}[],:0-1.eEtfnu/x\u0000é'.split("")),
  );
  fc.assert(
    fc.property(value, fc.array(damage, { minLength: 1, maxLength: 3 }), (text, damages) => {
      let damaged = text;
      for (const [where, removed, inserted] of damages) {
        const at = where % (damaged.length + 1);
        damaged = damaged.slice(0, at) + inserted + damaged.slice(at + removed);
      }
      const parsed = asParsed(damaged);
      if (parsed === undefined) expect(read(damaged)).toBeUndefined();
      else expect(read(damaged)).toEqual(parsed);
    }),
    { numRuns: 3000, seed: 20_260_101 },
  );
});

test("nothing is left of the text before", () => {
  read('{"id":1,"data":{"object":{"id":2}}}');
  expect(read("{}")).toEqual(asParsed("{}") as Map<string, unknown>);
  read('{"data":{"object":{');
  expect(read('{"id":3}')).toEqual(asParsed('{"id":3}') as Map<string, unknown>);
});

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

describe("nested", () => {
  test("as deep as is allowed", () => {
    expect(read(nested(MAX_DEPTH))).toEqual(asParsed("[]") as Map<string, unknown>);
    expect(read(`[${"[[]],".repeat(MAX_DEPTH)}1]`)).toBeDefined();
  });

  test("deeper, which it says, however deep", () => {
    for (const depth of [MAX_DEPTH + 1, 1_000_000]) {
      expect(() => read(nested(depth))).toThrow(HookonceError);
      expect(() => read('{"a":'.repeat(depth))).toThrow("nested deeper than 900 levels");
    }
  });
});

test.each(["$", "$.list[0]", "$['0']", "$.list.length", "$['length']", "id"])(
  "%s is left to JSON.parse",
  (path) => {
    expect(compileFields(["$.id", path])).toBeUndefined();
  },
);

test("what was read does not keep its text in memory", () => {
  const pad = "x".repeat(1024 * 1024);
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const kept = new Set<unknown>();
  for (let n = 0; n < 300; n++)
    kept.add(read(`{"type":"a type of its own ${n}","pad":"${pad}"}`)?.get("$.type"));
  Bun.gc(true);
  expect(kept.size).toBe(300);
  expect((process.memoryUsage.rss() - before) / pad.length).toBeLessThan(100);
});
