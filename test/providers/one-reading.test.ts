import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { gzipSync } from "node:zlib";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import { providers } from "../../src/providers/presets.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import { sign } from "../../src/providers/verifier.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { signerFor, type Signer } from "./preset-samples.ts";
import { handedOn, sourceOf, type Handled } from "./handed-on.ts";
import { NOW } from "./signed-inbox.ts";

/**
 * Someone who has one valid delivery and cannot sign must not be able to have anything else handled. So the
 * body is read in one way, both to verify it and to handle it.
 */

const FORM = "application/x-www-form-urlencoded";

function inboxFor(signer: Signer, more = ""): Promise<TestInbox> {
  return testInbox({
    config: signer.config + more,
    environment: { S: signer.keys.secret },
    clock: () => NOW,
    fetch: signer.fetch,
    files: {
      "migrations/0001.sql": "create table handled (id text, type text, payload text, text text) strict;",
      // SQLite reads the first of two equal keys.
      "handlers/it/_any.sql": `insert into handled values (:event_id, :type, :payload, coalesce(:payload ->> '$.Message', ''));`,
    },
  });
}

async function send(inbox: TestInbox, request: OutgoingRequest): Promise<number> {
  const { search } = new URL(request.url);
  const response = await inbox.request(`/webhook/it${search}`, {
    method: "POST",
    headers: request.headers,
    body: Buffer.from(request.body),
  });
  await response.text();
  return response.status;
}

function handledIn(inbox: TestInbox): Handled[] {
  return inbox
    .rows("select id, type, payload from handled order by rowid")
    .map(({ id, type, payload }: { id: string; type: string; payload: string | null }) => ({
      id,
      type,
      payload: payload === null ? null : (JSON.parse(payload) as unknown),
    }));
}

const withBody = (
  request: OutgoingRequest,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): OutgoingRequest => ({
  ...request,
  headers: { ...request.headers, ...headers },
  body: Buffer.from(body as string),
});

describe("Gitea signs the text in a form field", () => {
  const signer = signerFor("gitea", certificateFor);
  const forged = '{"ref":"x","after":"FORGED"}';
  const escaped = encodeURIComponent(forged);

  const attacks: [string, (signed: string) => { body: string | Uint8Array; encoding?: string }][] = [
    ["JSON with the field in a string", (p) => ({ body: `{"after":"FORGED","x":"&payload=${p}&y="}` })],
    ["a list with the field in a string", (p) => ({ body: `[{"after":"FORGED"},"&payload=${p}&y="]` })],
    ["the field twice", (p) => ({ body: `payload=${p}&payload=${escaped}` })],
    ["the field twice, the signed one last", (p) => ({ body: `payload=${escaped}&payload=${p}` })],
    ["another field beside it", (p) => ({ body: `payload=${p}&after=FORGED` })],
    ["another field before it", (p) => ({ body: `after=FORGED&payload=${p}` })],
    ["a field without a name beside it", (p) => ({ body: `payload=${p}&=x` })],
    [
      "the field in the comment of a gzip header",
      (p) => ({
        body: gzipWithComment(`payload=${escaped}`, `&payload=${p}&`),
        encoding: "gzip",
      }),
    ],
    ["a form without the field", () => ({ body: "after=FORGED" })],
    ["an empty body", () => ({ body: "" })],
  ];

  test.each(attacks)("refuses %s", async (_, attack) => {
    await using inbox = await inboxFor(signer);
    const honest = await signer.request(1, 1, NOW);
    const { body, encoding } = attack(encodeURIComponent(Buffer.from(honest.body).toString()));
    const headers = {
      "content-type": FORM,
      ...(encoding === undefined ? {} : { "content-encoding": encoding }),
    };
    expect(await send(inbox, withBody(honest, body, headers))).toBe(401);
    expect(handledIn(inbox)).toEqual([]);
    expect(inbox.value("select count(*) from hookonce_events")).toBe(0);
  });

  test("handles the payload of a valid form", async () => {
    await using inbox = await inboxFor(signer);
    const honest = await signer.request(1, 1, NOW);
    const text = Buffer.from(honest.body).toString();
    const form = withBody(honest, `payload=${encodeURIComponent(text)}`, { "content-type": FORM });
    expect(await send(inbox, form)).toBe(200);
    expect(handledIn(inbox).map(({ payload }) => payload)).toEqual([JSON.parse(text)]);
  });

  test("refuses a form without the field, signed over nothing", async () => {
    await using inbox = await inboxFor(signer);
    const ofNothing = new Bun.CryptoHasher("sha256", signer.keys.secret).update("").digest("hex");
    const honest = await signer.request(1, 1, NOW);
    const request = withBody(honest, "after=FORGED", {
      "content-type": FORM,
      "x-gitea-signature": ofNothing,
    });
    expect(await send(inbox, request)).toBe(401);
  });

  test("gives a form the same sha256:body id however it is encoded", async () => {
    await using inbox = await inboxFor(signer, 'event_id = "sha256:body"\n');
    const honest = await signer.request(1, 1, NOW);
    const text = Buffer.from(honest.body).toString();
    const asForm = (body: string): OutgoingRequest => withBody(honest, body, { "content-type": FORM });
    const everyCharacter = Array.from(honest.body, (byte) => `%${byte.toString(16).padStart(2, "0")}`);
    expect(await send(inbox, honest)).toBe(200);
    expect(await send(inbox, asForm(`payload=${encodeURIComponent(text)}`))).toBe(200);
    expect(await send(inbox, asForm(`payload=${everyCharacter.join("")}`))).toBe(200);
    expect(handledIn(inbox)).toHaveLength(1);
  });
});

test("GitHub signs the whole form, so a field cannot be added", async () => {
  const signer = signerFor("github", certificateFor);
  await using inbox = await inboxFor(signer);
  const body = `payload=${encodeURIComponent('{"action":"opened"}')}`;
  const digest = new Bun.CryptoHasher("sha256", signer.keys.secret).update(body).digest("hex");
  const honest = withBody(await signer.request(1, 1, NOW), body, {
    "content-type": FORM,
    "x-hub-signature-256": `sha256=${digest}`,
  });
  expect(await send(inbox, honest)).toBe(200);
  expect(handledIn(inbox)).toEqual([
    { id: "id-1:issues", type: "issues.opened", payload: { action: "opened" } },
  ]);
  expect(await send(inbox, { ...honest, body: Buffer.from(`${body}&x=1`) })).toBe(401);
});

describe("Twilio signs the sorted fields of a form", () => {
  const signer = signerFor("twilio", certificateFor);

  test("fields in another order, or repeated, are the same payload and the same event", async () => {
    await using inbox = await inboxFor(signer, 'event_id = "sha256:body"\ntype = "body:$.MessageStatus"\n');
    const honest = await signer.request(1, 1, NOW);
    const pairs = Buffer.from(honest.body).toString().split("&");
    expect(await send(inbox, honest)).toBe(200);
    expect(await send(inbox, withBody(honest, pairs.toReversed().join("&")))).toBe(200);
    expect(await send(inbox, withBody(honest, [...pairs, ...pairs].join("&")))).toBe(200);
    const { id: _, ...one } = handledIn(inbox)[0] as Handled;
    expect(one).toEqual({
      type: "delivered",
      payload: { MessageSid: "SM1", MessageStatus: "delivered", To: "+1" },
    });
    expect(handledIn(inbox)).toHaveLength(1);
  });

  test("a text in a field cannot become the payload", async () => {
    await using inbox = await inboxFor(signer);
    const text = '"}{"MessageSid":"FORGED","MessageStatus":"delivered","x":"';
    const sms = new URLSearchParams({ Body: text, MessageSid: "SM1", MessageStatus: "received", To: "+1" });
    const plain = withBody(await signer.request(1, 1, NOW), sms.toString());
    const honest = await sign(signer.provider, plain, signer.keys, NOW);
    // The same characters with the names split elsewhere, so that they are also valid JSON.
    const cut = `${text.slice(2)}=MessageSidSM1MessageStatusreceivedTo%2B1&Body"}`;
    expect(JSON.parse(cut)).toMatchObject({ MessageSid: "FORGED" });
    await send(inbox, withBody(honest, cut));
    for (const { id, payload } of handledIn(inbox)) {
      expect(id).not.toContain("FORGED");
      expect(payload).not.toHaveProperty("MessageSid");
    }
  });
});

test("SNS: if a key occurs twice, SQL reads the value that was verified", async () => {
  const signer = signerFor("aws-sns", certificateFor);
  await using inbox = await inboxFor(signer);
  const honest = await signer.request(1, 1, NOW);
  const text = Buffer.from(honest.body).toString();
  expect(await send(inbox, withBody(honest, text.replace("{", '{"Message":"FORGED",')))).toBe(200);
  expect(inbox.rows("select text from handled")).toEqual([{ text: "Hello wörld!" }]);
});

describe("a signed text field cannot be written as a number, which has many spellings", () => {
  const DIGITS = "7914073381342284";
  const spellings = [
    DIGITS,
    `${DIGITS}.0`,
    `${DIGITS}.00`,
    `${DIGITS}e0`,
    `${DIGITS}E-0`,
    "9915555555555555",
  ];
  // Where the text is in the body, and which number the signature may cover.
  const cases = [
    ["adyen", /("pspReference":)"[^"]*"/, /("value":)\d+/],
    ["aws-sns", /("MessageId":)"[^"]*"/, undefined],
  ] as const;

  test.each(cases)("%s", async (name, field, amount) => {
    const signer = signerFor(name, certificateFor);
    await using inbox = await inboxFor(signer);
    const plain = await signer.request(1, 1, NOW);
    const text = Buffer.from(plain.body).toString();
    expect(text).toMatch(field);
    const honest = await sign(
      signer.provider,
      withBody(plain, text.replace(field, `$1"${DIGITS}"`)),
      signer.keys,
      NOW,
    );
    const signed = Buffer.from(honest.body).toString();
    expect(await send(inbox, honest)).toBe(200);
    const handled = handledIn(inbox);
    for (const number of spellings)
      expect(await send(inbox, withBody(honest, signed.replace(`"${DIGITS}"`, number)))).not.toBe(200);
    if (amount !== undefined) {
      expect(await send(inbox, withBody(honest, signed.replace(amount, "$19007199254740993")))).not.toBe(200);
      // The same number: the same event.
      const [, value = ""] = /"value":(\d+)/.exec(signed) ?? [];
      expect(await send(inbox, withBody(honest, signed.replace(amount, `$1${value}.0`)))).toBe(200);
    }
    expect(handledIn(inbox)).toEqual(handled);
  });
});

/** A gzip stream with a comment in its header, which the checksum does not cover. */
function gzipWithComment(inflated: string, comment: string): Buffer {
  const plain = gzipSync(inflated);
  const header = Buffer.from(plain.subarray(0, 10));
  header[3] = (header[3] ?? 0) | 0x10;
  return Buffer.concat([header, Buffer.from(comment), Buffer.of(0), plain.subarray(10)]);
}

/** Presets whose signature covers the body or its fields. */
const covering = [...providers.values()].filter(
  ({ scheme }) => kindOf(scheme).unsignedBody(scheme) === undefined,
);

const splice = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat({ max: 12 }),
  put: fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom(
      "&",
      "payload=%7B%7D&",
      '{"id":"FORGED"}',
      '"id":"FORGED",',
      '{"x":"&payload=',
      "?",
      "+",
      "%",
      "\ufeff",
    ),
  ),
});

const disguise = fc.record(
  {
    "content-type": fc.constantFrom(
      FORM,
      "application/json",
      "text/plain",
      `${FORM}; charset=utf-16`,
      "multipart/form-data",
    ),
    "content-encoding": fc.constantFrom("gzip", "identity"),
  },
  { requiredKeys: [] },
);

const shape = fc.constantFrom<(body: Buffer, forged: string) => Buffer>(
  (body) => body,
  (body) => gzipSync(body),
  (body, forged) => gzipWithComment(forged, body.toString("latin1").replaceAll("\0", "")),
  (body, forged) => Buffer.from(`payload=${encodeURIComponent(body.toString())}&payload=${forged}`),
  (body) => Buffer.from(`payload=${encodeURIComponent(body.toString())}`),
  (body, forged) => Buffer.from(`{"x":${JSON.stringify(forged)},"y":"&payload=${body.toString()}&"}`),
  (body) => Buffer.concat([body, Buffer.from("&"), body]),
  (body) => Buffer.from(body.toString().split("&").toReversed().join("&")),
);

test.each(covering.map(({ name }) => [name]))(
  "%s: however a valid body is changed, nothing else is handled",
  async (name) => {
    const signer = signerFor(name, certificateFor);
    const source = sourceOf(signer);
    const honest = await signer.request(1, 1, NOW);
    const right = await handedOn(source, honest);
    expect(right.length).toBeGreaterThan(0);
    // These sign only some fields of the body, with id and type among them.
    const onlyFields = signer.provider.scheme.kind === "adyen" || signer.provider.scheme.kind === "sns";
    await fc.assert(
      fc.asyncProperty(
        shape,
        fc.array(splice, { maxLength: 2 }),
        disguise,
        async (make, splices, disguised) => {
          let body = make(Buffer.from(honest.body), '{"id":"FORGED"}');
          for (const { at, length, put } of splices) {
            const start = Math.trunc(at * body.length);
            body = Buffer.concat([body.subarray(0, start), Buffer.from(put), body.subarray(start + length)]);
          }
          for (const one of await handedOn(source, withBody(honest, body, disguised))) {
            if (onlyFields) expect(right.map(idAndType)).toContainEqual(idAndType(one));
            // With id and type in headers, a body that is not JSON is handled, but it has no payload.
            else if (one.payload !== null)
              expect(right.map(({ payload }) => payload)).toContainEqual(one.payload);
          }
        },
      ),
      { numRuns: 300 },
    );
  },
);

function idAndType({ id, type }: Handled): string {
  return `${id} ${type}`;
}
