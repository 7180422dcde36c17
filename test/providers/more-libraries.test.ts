import { afterAll, expect, setSystemTime, test } from "bun:test";
import * as fc from "fast-check";
import type { SigningKeys } from "../../src/providers/context.ts";
import { randomKeys } from "../../src/providers/verifier.ts";
import { certificateFor } from "../support/certificate.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import type { Arrival, Library } from "./libraries/library.ts";
import { messaging } from "./libraries/messaging.ts";
import { payments } from "./libraries/payments.ts";
import { services } from "./libraries/services.ts";
import { signerFor } from "./preset-samples.ts";
import { NOW } from "./signed-inbox.ts";

const libraries = Object.entries({ ...payments, ...messaging, ...services });

/** A source of the library's provider, and what either of the two makes of a delivery. */
interface Bench extends AsyncDisposable {
  readonly keys: SigningKeys;
  /** Somebody else's. */
  readonly others: SigningKeys;
  /** The `n`th event, signed by whoever has these keys. */
  sign(n: number, keys: SigningKeys): Promise<Arrival>;
  /** Whether the library takes it. */
  library(arrival: Arrival): Promise<boolean>;
  hookonce(arrival: Arrival): Promise<boolean>;
}

/** By an HTTP server: without the white space around them. */
const asHandedOn = (arrival: Arrival): Arrival => ({
  ...arrival,
  headers: new Headers(arrival.headers).toJSON(),
});

async function benchOf(name: string, library: Library): Promise<Bench> {
  const signer = signerFor(library.preset ?? name, certificateFor);
  const keys = { ...signer.keys, ...(library.secret === undefined ? {} : { secret: library.secret }) };
  let now = NOW;
  const inbox: TestInbox = await testInbox({
    // Nothing is to be kept of them: thousands of commits would wait for the disk, and prove nothing of a signature.
    config: `${signer.config}unhandled = "ignore"\n`,
    environment: { S: keys.secret },
    clock: () => now,
    fetch: signer.fetch,
  });
  return {
    keys,
    others: randomKeys(signer.provider.scheme),
    async sign(n, signingKeys) {
      const made = await signer.request(n, 1, NOW, signingKeys);
      const body = Buffer.from(made.body).toString();
      const request = { body, headers: { ...made.headers, ...library.headers }, laterMs: 0 };
      const signed = await library.signs?.(request, signingKeys.secret);
      return {
        ...request,
        body: signed?.body ?? body,
        headers: { ...request.headers, ...signed?.headers },
      };
    },
    async library(arrival) {
      setSystemTime(NOW + arrival.laterMs);
      try {
        return (await library.accepts(arrival, keys.secret, signer.fetch)) === true;
      } catch {
        // How these libraries refuse.
        return false;
      } finally {
        setSystemTime();
      }
    },
    async hookonce(arrival) {
      now = NOW + arrival.laterMs;
      const { headers, body } = arrival;
      const { status } = await inbox.request("/webhook/it", { method: "POST", headers, body });
      // Past its signature a body may still be no event: that is 400.
      return library.signedInBody === true ? status === 200 : status !== 401;
    },
    [Symbol.asyncDispose]: () => inbox[Symbol.asyncDispose](),
  };
}

/** One for each row, for all that is asked of it. */
const benches = new Map<string, Promise<Bench>>();

function benchFor(name: string, library: Library): Promise<Bench> {
  const bench = benches.get(name) ?? benchOf(name, library);
  benches.set(name, bench);
  return bench;
}

afterAll(async () => {
  for (const bench of benches.values()) await (await bench)[Symbol.asyncDispose]();
});

const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const change = fc.record({ at, character: fc.constantFrom(...Array.from('0123456789abcdefXYZ=,. {}"')) });
const half = fc.option(change, { freq: 2, nil: null });
const delivery = fc.record({
  event: fc.nat({ max: 9 }),
  /** Signed with a secret that is not the source's. */
  foreign: fc.constantFrom(false, false, false, false, false, false, true),
  body: half,
  header: half,
  which: fc.nat({ max: 5 }),
  laterMs: fc.constantFrom(0, 0, 0, 2000, 61_000, 299_000, 400_000, -2000, -400_000),
});

function put(text: string, edit: { at: number; character: string } | null): string {
  if (edit === null) return text;
  const place = Math.floor(edit.at * text.length);
  return text.slice(0, place) + edit.character + text.slice(place + 1);
}

test.each(libraries)(
  "%s: whatever is done to a delivery, the verdict is the official library's",
  async (name, library) => {
    const bench = await benchFor(name, library);
    const signed = new Map<string, Promise<Arrival>>();
    const seen = { taken: 0, refused: 0 };

    await fc.assert(
      fc.asyncProperty(delivery, async (given) => {
        const which = `${given.event} ${given.foreign}`;
        const signing =
          signed.get(which) ?? bench.sign(given.event, given.foreign ? bench.others : bench.keys);
        signed.set(which, signing);
        const right = await signing;
        const names = Object.keys(right.headers).filter((header) =>
          /signature|timestamp|hmac|svix|webhook-id/.test(header),
        );
        const headers: Record<string, string> = { ...right.headers };
        const edited = names[given.which % names.length];
        if (edited !== undefined) headers[edited] = put(headers[edited] ?? "", given.header);
        const body = put(right.body, given.body);
        const arrival = asHandedOn({ headers, body, laterMs: given.laterMs });
        if (library.differs?.(given.laterMs) === true) return;

        const forgiven = Object.values(library.laxer ?? {}).some(({ covers }) => covers(arrival));
        const taken = !forgiven && (await bench.library(arrival));
        expect({ given, arrival, taken: await bench.hookonce(arrival) }).toEqual({ given, arrival, taken });
        seen[taken ? "taken" : "refused"]++;
      }),
      { numRuns: 200 },
    );

    // Neither side of the question was left out.
    expect(seen.taken).toBeGreaterThan(10);
    expect(seen.refused).toBeGreaterThan(50);
  },
  // SendGrid's library computes its curve in JavaScript, 5 to 10 ms a signature: a busy machine takes its time.
  30_000,
);

const examples = libraries.flatMap(([name, library]) =>
  Object.entries(library.laxer ?? {}).flatMap(([difference, laxity]) =>
    laxity.example === undefined
      ? []
      : [{ name, difference, library, covers: laxity.covers, example: laxity.example }],
  ),
);

test.each(examples)("$name: the library $difference, hookonce does not", async (row) => {
  const bench = await benchFor(row.name, row.library);
  const right = await bench.sign(1, bench.keys);
  expect([await bench.library(right), await bench.hookonce(right)]).toEqual([true, true]);

  const arrival = asHandedOn(row.example(right));
  expect(row.covers(arrival)).toBe(true);
  expect([await bench.library(arrival), await bench.hookonce(arrival)]).toEqual([true, false]);
});
