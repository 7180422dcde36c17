import { afterAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { SigningKeys } from "../../src/providers/context.ts";
import { randomKeys } from "../../src/providers/verifier.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { onlyInFullRun } from "../crash/requirements.ts";
import { testInbox } from "../support/test-inbox.ts";
import { isAccepted, libraries, signWith } from "./libraries/libraries.ts";
import type { Arrival, Difference, Library } from "./libraries/library.ts";
import { signerFor } from "./preset-samples.ts";
import { NOW } from "./signed-inbox.ts";

/** A source of the library's provider, and the two verdicts on a delivery to it. */
interface Comparison extends AsyncDisposable {
  /** The source's two secrets, and one that it does not have. */
  readonly keys: Readonly<Record<"current" | "old" | "foreign", SigningKeys>>;
  /** The `n`th event, signed with these keys. */
  sign(n: number, keys: SigningKeys): Promise<Arrival>;
  /** Whether the library accepts it. */
  library(arrival: Arrival): Promise<boolean>;
  hookonce(arrival: Arrival): Promise<boolean>;
}

/** As an HTTP server passes the headers on: without white space around their values. */
const trimmed = (arrival: Arrival): Arrival => ({
  ...arrival,
  headers: new Headers(arrival.headers).toJSON(),
});

async function compare(name: string, library: Library): Promise<Comparison> {
  const signer = signerFor(library.preset ?? name, certificateFor);
  const { scheme } = signer.provider;
  const keys = {
    current: { ...signer.keys, ...(library.secret === undefined ? {} : { secret: library.secret }) },
    old: randomKeys(scheme),
    foreign: randomKeys(scheme),
  };
  let now = NOW;
  const inbox = await testInbox({
    // Store nothing: thousands of commits would wait for the disk and prove nothing about signatures.
    config: `${signer.config.replace('"env:S"', '["env:S", "env:OLD"]')}${library.tolerance === undefined ? "" : `tolerance = "${library.tolerance}"\n`}unhandled = "ignore"\n`,
    environment: { S: keys.current.secret, OLD: keys.old.secret },
    clock: () => now,
    fetch: signer.fetch,
  });
  return {
    keys,
    sign: async (n, signingKeys) =>
      signWith(library, await signer.request(n, 1, NOW, signingKeys), signingKeys.secret),
    library: (arrival) =>
      isAccepted(
        library,
        arrival,
        [keys.current.secret, keys.old.secret],
        NOW + arrival.laterMs,
        signer.fetch,
      ),
    async hookonce({ headers, body, bytes, laterMs }) {
      now = NOW + laterMs;
      const request = { method: "POST", headers, body: bytes === undefined ? body : Buffer.from(bytes) };
      const { status } = await inbox.request("/webhook/it", request);
      if (library.signedInBody === true) return status === 200;
      // A delivery with a valid signature may still have no valid event: that is 400.
      expect([200, 204, 400, 401]).toContain(status);
      return status !== 401;
    },
    [Symbol.asyncDispose]: () => inbox[Symbol.asyncDispose](),
  };
}

/** One for each library, shared by its tests. */
const comparisons = new Map<string, Promise<Comparison>>();

function comparisonFor(name: string, library: Library): Promise<Comparison> {
  const comparison = comparisons.get(name) ?? compare(name, library);
  comparisons.set(name, comparison);
  return comparison;
}

afterAll(async () => {
  for (const comparison of comparisons.values()) await (await comparison)[Symbol.asyncDispose]();
});

/**
 * A change to a text: a character replaced, dropped or inserted, a part repeated, other letters, text
 * appended.
 */
type Edit =
  | { kind: "replace" | "insert"; at: number; character: string }
  | { kind: "drop"; at: number }
  | { kind: "repeat"; at: number; length: number }
  | { kind: "case"; upper: boolean }
  | { kind: "append"; text: string };

const position = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
// Characters that have a meaning in one of the schemes come up often.
const character = fc.oneof(
  fc.constantFrom(...Array.from('0123456789abcdefABCDEFXYZ=,. tv1+/{}"')),
  fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
);
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constantFrom("replace" as const, "insert" as const), at: position, character }),
  fc.record({ kind: fc.constant("drop" as const), at: position }),
  fc.record({ kind: fc.constant("repeat" as const), at: position, length: fc.integer({ min: 1, max: 80 }) }),
  fc.record({ kind: fc.constant("case" as const), upper: fc.boolean() }),
  fc.record({
    kind: fc.constant("append" as const),
    text: fc.constantFrom(
      ",v1=",
      ",v0=abc",
      ",t=1",
      ",v1=00",
      " v1,",
      " v2,AAAA",
      " v1a,AAAA",
      ", sha256=",
      "=",
      ",",
      "\t",
    ),
  }),
);

function apply(text: string, change: Edit): string {
  const at = "at" in change ? Math.floor(change.at * text.length) : 0;
  switch (change.kind) {
    case "replace":
      return text.slice(0, at) + change.character + text.slice(at + 1);
    case "insert":
      return text.slice(0, at) + change.character + text.slice(at);
    case "drop":
      return text.slice(0, at) + text.slice(at + 1);
    case "repeat":
      return text.slice(0, at + change.length) + text.slice(at);
    case "case":
      return change.upper ? text.toUpperCase() : text.toLowerCase();
    case "append":
      return text + change.text;
  }
}

const edits = (weightOfNone: number): fc.Arbitrary<Edit[]> =>
  fc.oneof(
    { arbitrary: fc.constant<Edit[]>([]), weight: weightOfNone },
    { arbitrary: fc.array(edit, { minLength: 1, maxLength: 2 }), weight: 1 },
  );

const delivery = fc.record({
  event: fc.nat({ max: 9 }),
  key: fc.constantFrom<keyof Comparison["keys"]>("current", "current", "current", "old", "foreign"),
  body: edits(3),
  header: edits(2),
  /** Which header the edits are made to. */
  edited: fc.nat({ max: 5 }),
  /** Which header is left out. */
  dropped: fc.oneof(
    { arbitrary: fc.constant(null), weight: 11 },
    { arbitrary: fc.nat({ max: 5 }), weight: 1 },
  ),
  laterMs: fc.oneof(
    { arbitrary: fc.constant(0), weight: 3 },
    { arbitrary: fc.integer({ min: -400_000, max: 400_000 }), weight: 1 },
    {
      arbitrary: fc.constantFrom(2000, 61_000, 299_000, 300_000, 300_999, 301_000, -2000, -299_000, -300_000),
      weight: 1,
    },
    { arbitrary: fc.constantFrom(400_000, -301_000, -400_000), weight: 1 },
  ),
});

function covers(differences: Library["laxer"], arrival: Arrival): boolean {
  return Object.values(differences ?? {}).some((difference) => difference.covers(arrival));
}

/** Each run has other deliveries, so many short runs try as much as a full one. */
const RUNS = onlyInFullRun() === undefined ? 200 : 25;

test.each(Object.entries(libraries))(
  "%s: hookonce and the library agree on every edited delivery",
  async (name, library) => {
    const comparison = await comparisonFor(name, library);
    const signed = new Map<string, Promise<Arrival>>();
    const seen = { accepted: 0, refused: 0 };

    await fc.assert(
      fc.asyncProperty(delivery, async (given) => {
        const which = `${given.event} ${given.key}`;
        const signing = signed.get(which) ?? comparison.sign(given.event, comparison.keys[given.key]);
        signed.set(which, signing);
        const valid = await signing;
        const names = Object.keys(valid.headers).filter((header) =>
          /signature|timestamp|hmac|svix|webhook-id/.test(header),
        );
        const headers: Record<string, string> = { ...valid.headers };
        const edited = names[given.edited % names.length];
        if (edited !== undefined) headers[edited] = given.header.reduce(apply, headers[edited] ?? "");
        const dropped = given.dropped === null ? undefined : names[given.dropped % names.length];
        if (dropped !== undefined) delete headers[dropped];
        const body = given.body.reduce(apply, valid.body);
        const arrival = trimmed({ ...valid, headers, body, laterMs: given.laterMs });

        if (library.notCompared?.(arrival) === true || covers(library.stricter, arrival)) return;
        const accepted = !covers(library.laxer, arrival) && (await comparison.library(arrival));
        const ours = await comparison.hookonce(arrival);
        expect({ arrival, accepted: ours }).toEqual({ arrival, accepted });
        seen[accepted ? "accepted" : "refused"]++;
      }),
      { numRuns: RUNS },
    );

    // Both verdicts were reached.
    expect(seen.accepted).toBeGreaterThan(RUNS / 20);
    expect(seen.refused).toBeGreaterThan(RUNS / 7);
  },
  // SendGrid's library computes its curve in JavaScript and takes 5 to 10 ms for a signature.
  30_000,
);

interface Example extends Required<Difference> {
  readonly name: string;
  readonly what: string;
  readonly library: Library;
}

const examplesOf = (kind: "laxer" | "stricter"): Example[] =>
  Object.entries(libraries).flatMap(([name, library]) =>
    Object.entries(library[kind] ?? {}).flatMap(([what, { example, ...difference }]) =>
      example === undefined ? [] : [{ name, what, library, ...difference, example }],
    ),
  );

async function verdictsOn({ name, library, ...difference }: Example): Promise<boolean[]> {
  const comparison = await comparisonFor(name, library);
  const verdicts = async (arrival: Arrival): Promise<boolean[]> => [
    await comparison.library(arrival),
    await comparison.hookonce(arrival),
  ];
  const valid = await comparison.sign(1, comparison.keys.current);
  expect(await verdicts(valid)).toEqual([true, true]);
  const arrival = trimmed(difference.example(valid));
  expect(difference.covers(arrival)).toBe(true);
  return verdicts(arrival);
}

test.each(examplesOf("laxer"))("$name: the library $what, and hookonce refuses it", async (row) => {
  expect(await verdictsOn(row)).toEqual([true, false]);
});

test.each(examplesOf("stricter"))("$name: the library $what, and hookonce accepts it", async (row) => {
  expect(await verdictsOn(row)).toEqual([false, true]);
});
