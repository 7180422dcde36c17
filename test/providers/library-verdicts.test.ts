import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { officialLibraries, type OfficialLibrary } from "./official.ts";
import { NOW, officialInbox, post, storedIn } from "./signed-inbox.ts";

/** One thing that happens to a text on its way: a character replaced, dropped, put in, or a part repeated. */
type Edit =
  | { kind: "replace" | "insert"; at: number; character: string }
  | { kind: "drop"; at: number }
  | { kind: "repeat"; at: number; length: number }
  | { kind: "case"; upper: boolean }
  | { kind: "append"; text: string };

const position = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
// Those that mean something to one of the schemes come up often.
const character = fc.oneof(
  fc.constantFrom(...Array.from("0123456789abcdefABCDEF=,. tv1+/")),
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

function rarely<Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> {
  return fc.oneof({ arbitrary: fc.constant(null), weight: 11 }, { arbitrary, weight: 1 });
}

const delivery = fc.record({
  /** Which secret it is signed with: one of the two configured ones, or another. */
  secret: fc.constantFrom("current" as const, "current" as const, "old" as const, "other" as const),
  bodyEdits: fc.oneof(
    { arbitrary: fc.constant<Edit[]>([]), weight: 3 },
    { arbitrary: fc.array(edit, { minLength: 1, maxLength: 2 }), weight: 1 },
  ),
  rawBody: rarely(fc.uint8Array({ maxLength: 40 })),
  headerEdits: fc.oneof(
    { arbitrary: fc.constant<Edit[]>([]), weight: 2 },
    { arbitrary: fc.array(edit, { minLength: 1, maxLength: 2 }), weight: 1 },
  ),
  /** Which of the signed headers the edits are made to. */
  edited: fc.nat({ max: 2 }),
  dropped: rarely(fc.nat({ max: 2 })),
  /** How much later than the signature it arrives, in milliseconds. */
  later: fc.oneof(
    fc.constant(0),
    fc.integer({ min: -400_000, max: 400_000 }),
    fc.constantFrom(299_000, 300_000, 300_999, 301_000, -299_000, -300_000, -301_000),
  ),
});

/** Where the two may come to different verdicts: each such case stands in signatures.test.ts with both. */
function isListedDifference(
  { provider }: OfficialLibrary,
  body: Uint8Array,
  headers: Record<string, string>,
  nowMs: number,
): boolean {
  const notTheBytes = !Buffer.from(Buffer.from(body).toString()).equals(body);
  switch (provider) {
    case "stripe": {
      const pairs = (headers["stripe-signature"] ?? "").split(",").map((pair) => pair.split("="));
      const times = pairs.filter(([key]) => key === "t").map(([, value]) => value ?? "");
      return (
        notTheBytes ||
        Buffer.from(body).toString().startsWith("\uFEFF") ||
        times.length > 1 ||
        pairs.some((pair) => (pair[0] === "t" || pair[0] === "v1") && pair.length > 2) ||
        // parseInt reads it, but not as what was signed
        times.some((time) => String(Number.parseInt(time, 10)) !== time && /^\s*[+-]?\d/.test(time)) ||
        times.some((time) => Number(time) - Math.trunc(nowMs / 1000) > 300)
      );
    }
    case "github":
      return notTheBytes || body.byteLength === 0;
    case "razorpay":
      return notTheBytes;
    case "standard-webhooks": {
      const time = headers["webhook-timestamp"] ?? "";
      return (
        notTheBytes ||
        (String(Number.parseInt(time, 10)) !== time && /^\s*[+-]?\d/.test(time)) ||
        (headers["webhook-signature"] ?? "").split(" ").some((one) => one.split(",").length > 2)
      );
    }
  }
}

test.each(officialLibraries.map((library) => [library.provider, library] as const))(
  "%s: whatever is done to a delivery, the verdict is the official library's",
  async (provider, library) => {
    let now = NOW;
    await using inbox = await officialInbox(() => now);
    const body = library.body("evt_1", "thing.happened");
    const seen = { taken: 0, refused: 0, listed: 0 };

    await fc.assert(
      fc.asyncProperty(delivery, async (given) => {
        const secret = {
          current: library.secrets[0],
          old: library.secrets[1],
          other: library.secrets[0].replace(/.$/, "Q"),
        }[given.secret];
        const signed = await library.sign(body, { secret, id: "evt_1", at: NOW / 1000 });
        const names = [library.signatureHeader, ...library.signedHeaders];
        const edited = names[given.edited % names.length] as string;
        signed[edited] = given.headerEdits.reduce(apply, signed[edited] as string);
        if (given.dropped !== null) delete signed[names[given.dropped % names.length] as string];
        // As an HTTP server hands them on: without the white space around them.
        const headers: Record<string, string> = new Headers(signed).toJSON();
        const sent = given.rawBody ?? Buffer.from(given.bodyEdits.reduce(apply, body));
        now = NOW + given.later;
        if (isListedDifference(library, sent, headers, now)) {
          seen.listed++;
          return;
        }

        const official = await library.accepts(sent, headers, { secrets: library.secrets, now });
        const ours = await post(inbox, provider, sent, headers);
        // Past the signature a body may still be no event: that is 400, and another matter.
        expect({ ...ours, taken: ours.status !== 401 }).toEqual({ ...ours, taken: official });
        expect([200, 400, 401]).toContain(ours.status);
        seen[official ? "taken" : "refused"]++;
      }),
      { numRuns: 300 },
    );

    // Neither side of the question was left out.
    expect(seen.taken).toBeGreaterThan(20);
    expect(seen.refused).toBeGreaterThan(50);
    expect(seen.listed).toBeLessThan(150);
    // However often, and with whichever secret: it was one event.
    expect(storedIn(inbox)).toMatchObject({ events: 1, failures: 0, effects: 1 });
  },
);
