import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { testInFullRun } from "../crash/requirements.ts";
import * as fc from "fast-check";
import { HookonceError } from "../../src/errors.ts";
import type { Part, Selector } from "../../src/providers/body/selector.ts";
import { parsePath } from "../../src/providers/body/path.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { createSource } from "../../src/providers/source.ts";

const SEED = 20_260_101;

const unsigned = providers.get("unsigned") as Provider;

type Read = { readonly id: string; readonly type: string } | { readonly refused: string };

/** Reads id and type as a source does. */
function reader(eventId: Selector, type: Selector): (text: string) => Read {
  const source = createSource({ name: "s", provider: unsigned, secrets: [], eventId, type }, Date.now);
  return (text) => {
    try {
      const identified = source.identify({ headers: {}, body: Buffer.from(text) });
      return { id: identified.id, type: identified.type };
    } catch (error) {
      if (error instanceof HookonceError) return { refused: error.code };
      throw error;
    }
  };
}

const ID: Part = "body:$.data.object.id";
const TYPE: Part = "body:$.type";
const read = reader(ID, TYPE);

/** The id and type that JSON.parse finds; undefined if the text is not JSON. */
function parsed(text: string): { id: unknown; type: unknown } | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(text);
  } catch {
    return undefined;
  }
  const at = (part: Part): unknown =>
    (parsePath(part.slice("body:".length)) ?? []).reduce<unknown>(
      (value, step) =>
        typeof value === "object" && value !== null && Object.hasOwn(value, step)
          ? (value as Record<string | number, unknown>)[step]
          : undefined,
      payload,
    );
  return { id: at(ID), type: at(TYPE) };
}

/** How a delivery with this text must be read, according to JSON.parse. */
function expected(text: string): Read {
  const found = parsed(text);
  if (found === undefined) return { refused: "invalid_json" };
  const id = idText(found.id);
  if (id === undefined) return { refused: "missing_event_id" };
  if (id === "" || unfit(id)) return { refused: "invalid_event_id" };
  const { type } = found;
  if (type === undefined || type === null) return { id, type: "" };
  if (typeof type === "number") return { id, type: String(type) };
  return typeof type === "string" && !unfit(type) ? { id, type } : { refused: "invalid_event_type" };
}

/** The text of an id. Empty, which is never valid, for other values; undefined if there is none. */
function idText(found: unknown): string | undefined {
  if (found === undefined || found === null) return undefined;
  if (typeof found === "string") return found;
  return Number.isSafeInteger(found) ? JSON.stringify(found) : "";
}

function unfit(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are refused
  return Buffer.byteLength(text) > 255 || /[\u0000-\u001f\u007f-\u009f]/.test(text) || !text.isWellFormed();
}

/** Numbers that JavaScript writes as they are here. Other spellings have their own test below. */
const plainNumber = fc.oneof(fc.maxSafeInteger(), fc.constantFrom(0.5, -1.25, 1e-7, 1e21)).map(String);

/** JSON in which the names that are read occur often, twice, escaped or in other places. */
const json = fc.letrec<{ text: string }>((tie) => ({
  text: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom('"x"', "null", "true", '"\\u0069d"', '"a\\"b"', '"\\ud800"', "{}", "[]"),
    fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
    plainNumber,
    fc.array(tie("text")).map((elements) => `[${elements.join(" ,\n")}]`),
    fc
      .array(
        fc.tuple(
          fc.constantFrom('"id"', '"type"', '"data"', '"object"', '"i\\u0064"', '"__proto__"', '"x"'),
          tie("text"),
        ),
      )
      .map((members) => `{${members.map(([name, text]) => `${name}: ${text}`).join(",")}}`),
  ),
})).text;

/** Events that have values at both paths. If a name occurs twice, the last value counts. */
const event = fc
  .tuple(json, json, fc.constantFrom("", ',"type":"again"', ',"data":{"object":{"id":"again"}}'))
  .map(([id, type, more]) => `{"type":${type},"data":{"object":{"x":1.5,"id":${id}}}${more}}`);

test("reads the id and the type that JSON.parse reads", () => {
  fc.assert(
    fc.property(fc.oneof(event, json), (text) => {
      expect(read(text)).toEqual(expected(text));
    }),
    { numRuns: 2000, seed: SEED },
  );
});

test("refuses a damaged body exactly when JSON.parse refuses it", () => {
  const damage = fc.tuple(
    fc.nat(),
    fc.nat({ max: 3 }),
    // No digits, because they could change how an integer is written.
    fc.constantFrom(...' \t\n"\\{}[],:-tnux\u0000é'.split("")),
  );
  fc.assert(
    fc.property(event, fc.array(damage, { minLength: 1, maxLength: 3 }), (text, damages) => {
      let damaged = text;
      for (const [where, removed, inserted] of damages) {
        const at = where % (damaged.length + 1);
        damaged = damaged.slice(0, at) + inserted + damaged.slice(at + removed);
      }
      if (parsed(damaged) === undefined) expect(read(damaged)).toEqual({ refused: "invalid_json" });
      else expect(read(damaged)).not.toEqual({ refused: "invalid_json" });
    }),
    { numRuns: 2000, seed: SEED },
  );
});

describe("integers are read digit for digit", () => {
  const integer = fc.oneof(
    fc.maxSafeInteger().map(BigInt),
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
    fc.bigInt({ min: -3n, max: 3n }).map((near) => 2n ** 53n + near),
    fc.bigInt({ min: -3n, max: 3n }).map((near) => near - 2n ** 53n),
    fc.bigInt({ min: 0n, max: 10n ** 120n }),
  );
  /** Members around the id, which must not change how the id is read. */
  const others = fc.constantFrom(
    "",
    '"amount":12.50,',
    '"amount" : 1e3 , ',
    '"list":[1.0,-0, 12345678901234567890],',
    '"text":"\\":1.5,[2e3",',
    '"at":"2026-09-21T10:20:30.5Z",',
  );
  const whole = reader("body:$.id", []);
  const joined = reader({ join: ["body:$.account", "body:$.id"], with: "/" }, []);

  test("alone and joined, with any other members beside them", () => {
    fc.assert(
      fc.property(integer, integer, others, others, (id, account, before, between) => {
        const text = `{${before}"account": ${account},\n${between}"id":${id}}`;
        expect(whole(text)).toEqual({ id: String(id), type: "" });
        expect(joined(text)).toEqual({ id: `${account}/${id}`, type: "" });
      }),
      { numRuns: 1000, seed: SEED },
    );
  });

  test("a number that is not written as an integer is refused alone, and joined as it is written", () => {
    const number = fc
      .tuple(
        fc.constantFrom("", "-"),
        fc.nat(),
        fc.option(fc.nat(), { nil: undefined }),
        fc.constantFrom("", "e0", "E+2", "e-3"),
      )
      .map(
        ([sign, digits, fraction, exponent]) =>
          `${sign}${digits}${fraction === undefined ? "" : `.${fraction}`}${exponent}`,
      )
      .filter((literal) => /[.eE]/.test(literal));
    fc.assert(
      fc.property(number, others, (id, before) => {
        const text = `{${before}"account":7,"id" :\t${id} }`;
        expect(whole(text)).toEqual({ refused: "invalid_event_id" });
        expect(joined(text)).toEqual({ id: `7/${id}`, type: "" });
      }),
      { numRuns: 500, seed: SEED },
    );
  });
});

testInFullRun("a type does not keep the body that it was read from in memory", () => {
  const pad = "x".repeat(1024 * 1024);
  const kept = new Set<string>();
  const { identify } = createSource(
    { name: "s", provider: unsigned, secrets: [], eventId: "body:$.id", type: "body:$.type" },
    Date.now,
  );
  const before = liveBytes();
  for (let n = 0; n < 100; n++) {
    const text = `{"id":${n},"type":"a type that no other event has, number ${n}","pad":"${pad}"}`;
    kept.add(identify({ headers: {}, body: Buffer.from(text) }).type);
  }
  const after = liveBytes();
  expect(kept.size).toBe(100);
  expect((after - before) / pad.length).toBeLessThan(20);
});

/** What the JavaScript heap holds, in bytes. Unlike the memory of the process, it depends on no other test. */
function liveBytes(): number {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
}
