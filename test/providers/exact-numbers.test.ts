import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { parsePayload } from "../../src/engines/payload.ts";
import {
  NumberLiteral,
  numberAt,
  parseWithExactNumbers,
  parseWithLongNumbers,
} from "../../src/providers/body/exact-numbers.ts";
import { withoutRepetition } from "../../src/providers/schemes/signed-fields.ts";
import { leastProcessorTime } from "../support/processor-time.ts";

const space = fc.constantFrom("", "", " ", "\n\t", "\r\n");

const number = fc.oneof(
  fc.bigInt().map(String),
  fc.constantFrom(
    "0",
    "-0",
    "1.0",
    "1.50",
    "1e3",
    "1E+3",
    "-1e-400",
    "0.1e1",
    "9007199254740993",
    "9007199254740992",
    "0.1234567890123456",
    "12e19",
    "1e400",
    "1e401",
  ),
);

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6 }).map((value) => JSON.stringify(value)),
  fc.constantFrom('"\\\\"', '"\\\\\\""', '"\\u0061"', '"}"', '"]"', '","', '"1"', '"\\/"', '"{\\"a\\":1}"'),
);

const name = fc.oneof(
  text,
  fc.constantFrom('"a"', '"\\u0061"', '"b"', '"0"', '"\\u0030"', '"__proto__"', '""', '"length"', '"\\\\a"'),
);

const json = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    number,
    text,
    fc.constantFrom("true", "false", "null"),
    fc
      .array(fc.tuple(space, tie("value"), space), { maxLength: 4 })
      .map((elements) => `[${elements.map((element) => element.join("")).join(",")}]`),
    fc
      .array(fc.tuple(space, name, space, tie("value"), space), { maxLength: 4 })
      .map(
        (members) =>
          `{${members.map(([before, key, around, value, after]) => `${before}${key}${around}:${around}${value}${after}`).join(",")}}`,
      ),
  ),
})).value;

type Path = (string | number)[];

/** Every path that leads somewhere, and some that lead nowhere. */
function* pathsIn(value: unknown, path: Path = []): Generator<[Path, unknown]> {
  yield [path, value];
  if (typeof value !== "object" || value === null || value instanceof NumberLiteral) return;
  yield [[...path, "nowhere"], undefined];
  yield [[...path, 99], undefined];
  for (const [key, one] of Object.entries(value)) {
    yield* pathsIn(one, [...path, key]);
    if (Array.isArray(value)) yield* pathsIn(one, [...path, Number(key)]);
  }
}

const documents = fc.tuple(space, json, space).map((parts) => parts.join(""));

/** What JSON.parse makes of a text with another value for each number. It is slow, and right by definition. */
function parseWith(document: string, make: (digits: string) => unknown): unknown {
  return JSON.parse(document, (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === "number" ? make(context?.source ?? "") : value,
  );
}

test("finds at each path the number that a parser finds there, digit for digit", () => {
  fc.assert(
    fc.property(documents, (document) => {
      const parsed = parseWith(document, (digits) => new NumberLiteral(digits));
      for (const [path, found] of pathsIn(parsed)) {
        const expected = found instanceof NumberLiteral ? found.digits : undefined;
        expect(numberAt(document, path)?.digits).toBe(expected);
      }
    }),
    { numRuns: 3000 },
  );
});

/** The integer, or the number if it is not one, or if it needs no bigint. */
function integerIn(digits: string): number | bigint {
  const [mantissa = "", exponent = "0"] = digits.split(/e/i);
  const [whole = "", fraction = ""] = mantissa.split(".");
  const shift = Number(exponent) - fraction.length;
  const number = Number(digits);
  if (Math.abs(number) <= Number.MAX_SAFE_INTEGER || shift > 400) return number;
  const all = BigInt(whole + fraction);
  if (shift >= 0) return all * 10n ** BigInt(shift);
  return all % 10n ** BigInt(-shift) === 0n ? all / 10n ** BigInt(-shift) : number;
}

test("a payload has a BigInt in each place of an integer that JavaScript rounds, and nothing else differs", () => {
  fc.assert(
    fc.property(documents, (document) => {
      expect(parsePayload(document)).toEqual(parseWith(document, integerIn));
    }),
    { numRuns: 1000 },
  );
});

/** Numbers are the same however they are spelled. JavaScript writes -0 as 0. */
const spelledAlike = (digits: string): unknown => integerIn(digits) || 0;

test.each([
  ["exact", parseWithExactNumbers],
  ["long", parseWithLongNumbers],
])("a text that was parsed with %s numbers is written again with the same numbers", (_, parse) => {
  fc.assert(
    fc.property(documents, (document) => {
      const again = JSON.stringify(parse(document));
      expect(parseWith(again, spelledAlike)).toEqual(parseWith(document, spelledAlike));
    }),
    { numRuns: 1000 },
  );
});

test.each(["1.50", "1e3", "-0", "9007199254740993", "0.1234567890123456789", "12345678901234567890e-2"])(
  "%s is written digit for digit",
  (digits) => {
    const document = `{"a":[1,${digits},{"b\\n\\"":${digits}}],"c":2}`;
    expect(JSON.stringify(parseWithExactNumbers(document))).toBe(document);
  },
);

const jsonOf = (json: string) =>
  withoutRepetition(() => ({ payload: JSON.parse(json) as unknown, json, problem: null }))({
    headers: {},
    body: Buffer.from(json),
  }).json;

describe("a body whose fields are signed", () => {
  test("keeps its text if no name occurs twice in an object", () => {
    const json = '{ "a": [{"b": 1.0, "c:": ":"}, {"b": 1e400}], "d\\"": {} }';
    expect(jsonOf(json)).toBe(json);
  });

  test("has the last value of a name that occurs twice", () => {
    expect(jsonOf('{"a":1,"b":[{"c":1.50,"\\u0063":9007199254740993}],"a":{"d":1e400}}')).toBe(
      '{"a":{"d":1e400},"b":[{"c":9007199254740993}]}',
    );
  });
});

describe("takes time in proportion to the text", () => {
  const MIB = 1024 * 1024;
  test.each([
    ["quotation marks in a string", `{"x":"${'\\"'.repeat(MIB / 2)}","a":1}`],
    ["backslashes in a string", `{"x":"${"\\\\".repeat(MIB / 2)}","a":1}`],
    ["names that have to be unescaped", `{${'"\\u0062":1,'.repeat(MIB / 11)}"a":1}`],
    ["the name, again and again", `{${'"a":1,'.repeat(MIB / 6)}"a":1}`],
    ["white space", `{${" ".repeat(MIB)}"a":1}`],
    ["digits", `{"x":${"1".repeat(MIB)},"a":1}`],
    ["numbers", `{"x":[${"1,".repeat(MIB / 2)}1],"a":1}`],
    ["empty texts", `{"x":[${'"",'.repeat(MIB / 3)}""],"a":1}`],
  ])("%s", async (_, document) => {
    const read = () => numberAt(document, ["a"]);
    expect(read()?.digits).toBe("1");
    // It takes 2 to 20 ms. Reading the whole text with exact numbers took 90 to 350 ms.
    expect(await leastProcessorTime(read, 5, 20)).toBeLessThan(80);
  });
});

/** With a reviver, 1 MiB of 1e22 took 250 ms, and 20 MiB held up all receivers for 10 s. */
describe("takes a few runs of JSON.parse, whatever numbers are in the text", () => {
  const SIZE = 256 * 1024;
  const listOf = (element: string) => `[${`${element},`.repeat(SIZE / element.length)}0]`;
  const parsers = { parsePayload, parseWithExactNumbers, parseWithLongNumbers };

  for (const [name, parse] of Object.entries(parsers)) {
    test.each([
      "1e22",
      "1e400",
      "12345678901234567890",
      "7",
      "1.50",
      '"12345678901234567890"',
      '{"id":12345678901234567890,"name":"Ada"}',
    ])(`${name}: %s`, async (element) => {
      const document = listOf(element);
      // It takes 1 to 6 times as long. A reviver took 20 to 100 times as long.
      for (let tries = 5; ; tries--) {
        const plain = await leastProcessorTime(() => JSON.parse(document), 5);
        const took = await leastProcessorTime(() => parse(document), 10, 8 * plain);
        // Others may use the processor now and did not before.
        if (tries > 1 && took > 8 * plain) continue;
        expect(took).toBeLessThan(20 * plain);
        break;
      }
    });
  }
});
