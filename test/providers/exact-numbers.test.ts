import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { NumberLiteral, numberAt, parseWithExactNumbers } from "../../src/providers/body/exact-numbers.ts";
import { leastProcessorTime } from "../support/processor-time.ts";

const space = fc.constantFrom("", "", " ", "\n\t", "\r\n");

const number = fc.oneof(
  fc.bigInt().map(String),
  fc.constantFrom("0", "-0", "1.0", "1.50", "1e3", "1E+3", "-1e-400", "0.1e1", "9007199254740993"),
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

test("finds at each path the number that a parser finds there, digit for digit", () => {
  fc.assert(
    fc.property(fc.tuple(space, json, space), ([before, value, after]) => {
      const document = `${before}${value}${after}`;
      for (const [path, found] of pathsIn(parseWithExactNumbers(document))) {
        const expected = found instanceof NumberLiteral ? found.digits : undefined;
        expect(numberAt(document, path)?.digits).toBe(expected);
      }
    }),
    { numRuns: 3000 },
  );
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
