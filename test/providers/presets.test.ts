import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import { HookonceError } from "../../src/errors.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { sourceOf } from "./handed-on.ts";
import { samples, signerFor, URL_OF_IT, type Sample, type Signer } from "./preset-samples.ts";
import { effectsTable, NOW } from "./signed-inbox.ts";

const names = [...providers.keys()].filter((name) => name !== "unsigned");

test("each preset has a sample, and each sample a preset", () => {
  expect(Object.keys(samples).sort()).toEqual([...names].sort());
});

test("hookonce runs failed events again for the providers that do not retry", () => {
  const silent = [...providers.values()].filter(({ retries = "" }) => /^(?:never|not )/.test(retries));
  expect(silent.map(({ name }) => name)).toContain("github");
  for (const { name, retryForMs = 0 } of silent)
    expect({ name, retried: retryForMs > 0 }).toEqual({ name, retried: true });
});

test("each preset names its documentation, and its timeouts and handshakes can be shown", () => {
  for (const { name, docs, timeoutMs, retryWindowMs, handshakes = [] } of providers.values()) {
    expect(name).toMatch(/^[a-z0-9-]+$/);
    expect(docs).toMatch(/^https:\/\/|^README/);
    expect(timeoutMs).toBeGreaterThan(0);
    expect(retryWindowMs).toBeGreaterThanOrEqual(0);
    for (const { on, when } of handshakes)
      if (on === "signed" || on === "unsigned") expect(when.length).toBeGreaterThan(0);
  }
});

/**
 * Sources for a preset: `it`, and if it has a secret, also `wrong` with another secret and `both` with the
 * two.
 */
function inboxFor(signer: Signer, clock: () => number): Promise<TestInbox> {
  const like = (name: string, secret: string): string =>
    signer.config.replace("[sources.it]", `[sources.${name}]`).replace('"env:S"', secret);
  const signed = kindOf(signer.provider.scheme).needsSecret;
  return testInbox({
    config: signed
      ? signer.config + like("wrong", '"env:OTHER"') + like("both", '["env:OTHER", "env:S"]')
      : signer.config,
    environment: { S: signer.keys.secret, OTHER: signed ? otherSecret(signer) : "" },
    clock,
    fetch: signer.fetch,
    files: {
      ...effectsTable,
      "handlers/it/_any.sql": "insert into effects values (:source, :event_id, :type);",
    },
  });
}

function send(inbox: TestInbox, request: OutgoingRequest, source = "it"): Promise<Response> {
  const { search } = new URL(request.url);
  return inbox.request(`/webhook/${source}${search}`, {
    method: "POST",
    headers: request.headers,
    body: Buffer.from(request.body),
  });
}

const effects = (inbox: TestInbox): number => inbox.value("select count(*) from effects") as number;
const codeOf = async (response: Response): Promise<string> => {
  const text = await response.text();
  return text.startsWith('{"error"') ? (JSON.parse(text) as { error: { code: string } }).error.code : text;
};

describe.each(names.map((name) => [name, samples[name] as Sample] as const))("%s", (name, sample) => {
  const signer = signerFor(name, certificateFor);
  const events = sample.events ?? 1;
  let inbox: TestInbox;
  let now = NOW;
  beforeAll(async () => {
    inbox = await inboxFor(signer, () => now);
  });
  afterAll(() => inbox[Symbol.asyncDispose]());

  test("a retry with a new signature is the same event, and the next delivery is another", async () => {
    expect((await send(inbox, await signer.request(1, 1, now))).ok).toBe(true);
    expect(effects(inbox)).toBe(events);
    now += 60_000;
    expect((await send(inbox, await signer.request(1, 2, now))).ok).toBe(true);
    expect(effects(inbox)).toBe(sample.neverTheSame === true ? 2 : events);
    now += 60_000;
    expect((await send(inbox, await signer.request(2, 1, now))).ok).toBe(true);
    expect(effects(inbox)).toBe(sample.neverTheSame === true ? 3 : 2 * events);
    expect(inbox.value("select count(*) from hookonce_failures")).toBe(0);
    // Their deliveries name no type.
    const typeless = { "mollie-classic": 3, "hubspot-workflow": 2 }[name] ?? 0;
    expect(inbox.value("select count(*) from effects where type = ''")).toBe(typeless);
    expect(inbox.fatal).toEqual([]);
  });

  if (signer.provider.scheme.kind === "unsigned") return;

  test("only the right signature is accepted, and a refused delivery changes nothing", async () => {
    const valid = await signer.request(3, 1, now);
    const added = Object.keys(valid.headers).filter(
      (header) => header !== "content-type" && !(header in (sample.headers?.(3, 1) ?? {})),
    );
    const recorded = (): unknown => inbox.value("select count(*) from hookonce_events");
    const before = { effects: effects(inbox), recorded: recorded() };
    for (const [what, request] of hostileTo(signer.provider, valid, added)) {
      const response = await send(inbox, request);
      const refusal = { what, status: response.status, code: await codeOf(response) };
      // A changed URL of a certificate leads nowhere: 503. Anything else is refused for what it is.
      if (response.status === 503) expect(refusal).toMatchObject({ code: "key_unavailable" });
      else expect(refusal).toEqual({ ...refusal, status: response.status === 400 ? 400 : 401 });
    }
    expect({ effects: effects(inbox), recorded: recorded() }).toEqual(before);
    expect((await send(inbox, valid)).ok).toBe(true);
    expect(effects(inbox)).toBe(before.effects + events);
  });

  test("another secret is refused, and either of two secrets is accepted", async () => {
    if (!kindOf(signer.provider.scheme).needsSecret) return;
    const request = await signer.request(1, 1, now);
    const response = await send(inbox, request, "wrong");
    // Plaid's secret is for its API, which in this test answers everybody.
    if (name !== "plaid") expect(response.status).toBe(401);
    expect((await send(inbox, request, "both")).ok).toBe(true);
  });

  test("with a secret that is sent, no body is more than a refusal or an event", async () => {
    if (signer.provider.scheme.kind !== "static" || signer.provider.scheme.secretIn.startsWith("body:"))
      return;
    const valid = await signer.request(4, 1, now);
    const sent: unknown[] = [];
    for (const [what, body, type] of unreadable(valid)) {
      const headers = { ...valid.headers, "content-type": type };
      const { status } = await send(inbox, { ...valid, headers, body });
      if (![200, 400].includes(status)) sent.push([what, status]);
    }
    expect(sent).toEqual([]);
    expect(inbox.value("select count(*) from hookonce_failures")).toBe(0);
    expect(inbox.fatal).toEqual([]);
  });

  test("a static secret is neither stored nor logged nor passed to the handler", async () => {
    if (signer.provider.scheme.kind !== "static") return;
    await using inbox = await testInbox({
      config: signer.config,
      environment: { S: signer.keys.secret },
      clock: () => NOW,
      files: {
        "migrations/0001.sql": "create table seen (payload text, headers text, body text) strict;",
        "handlers/it/_any.ts": `import { handler } from "hookonce"; import { sql } from "drizzle-orm";
export default handler(({ event, db }) => void db.run(sql\`insert into seen values (\${JSON.stringify(event.payload)}, \${JSON.stringify(event.headers)}, \${new TextDecoder().decode(event.body)})\`));`,
      },
    });
    const request = await signer.request(1, 1, NOW);
    // nginx and others repeat the URL in a header.
    const headers = { ...request.headers, "x-original-uri": request.url };
    expect((await send(inbox, { ...request, headers })).ok).toBe(true);
    const kept = JSON.stringify([
      inbox.rows("select headers, cast(bytes as text) as body from hookonce_bodies"),
      inbox.rows("select * from seen"),
      inbox.log,
    ]);
    expect(kept).toContain("redacted");
    const { secret } = signer.keys;
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64")])
      expect(kept).not.toContain(form);
  });
});

/**
 * Deliveries that are almost `valid`.
 *
 * @param added the headers that were added to sign it
 */
function* hostileTo(
  { scheme }: Provider,
  valid: OutgoingRequest,
  added: readonly string[],
): Generator<[what: string, request: OutgoingRequest]> {
  for (const header of added) {
    const { [header]: value = "", ...others } = valid.headers;
    const withTime = (time: string): string => {
      const changed = value.replace(/\d{10,13}/, time);
      return changed === value ? time : changed;
    };
    const wrong: Record<string, string> = {
      empty: "",
      undefined: "undefined",
      "8 kB": "a".repeat(8192),
      "8 kB of commas": ",".repeat(8192),
      "two characters short": value.replace(/=*$/, "").slice(0, -2),
      "with an x before it": `x${value}`,
      "without a digest": value.replace(/[0-9a-zA-Z+/]{40,}=*/, ""),
      "a negative time": withTime("-1790000000"),
      "a huge time": withTime("9".repeat(40)),
      "latin-1": "\u00e9\u00ff",
      "a name that every object has": "__proto__",
    };
    // The signature of a public key in hex, that of a sender which only the config describes, and the name of an
    // algorithm are the same in capitals.
    const anyCase = scheme.kind === "public-key" || (scheme.kind === "hmac" && scheme.anyCase === true);
    if (!anyCase && header !== "paypal-auth-algo")
      wrong["in capitals"] = value === value.toUpperCase() ? `${value}x` : value.toUpperCase();
    // PayPal's is decoded from base64, which ignores quotes and what follows the padding.
    if (header !== "paypal-transmission-sig")
      Object.assign(wrong, { "with a 0 after it": `${value}0`, "in quotes": `"${value}"` });
    yield [`${header}: missing`, { ...valid, headers: others }];
    for (const [what, text] of Object.entries(wrong))
      if (text !== value) yield [`${header}: ${what}`, { ...valid, headers: { ...others, [header]: text } }];
  }
  const parameter = kindOf(scheme).signatureParameter(scheme);
  if (parameter !== undefined) {
    const { origin, pathname, searchParams } = new URL(valid.url);
    const secret = encodeURIComponent(searchParams.get(parameter) ?? "");
    const queries = {
      "no query": "",
      "an empty secret": `?${parameter}=`,
      "no value": `?${parameter}`,
      "another name": `?x${parameter}=${secret}`,
      "a name in capitals": `?${parameter.toUpperCase()}=${secret}`,
      "a wrong secret before the right one": `?${parameter}=x&${parameter}=${secret}`,
      "a secret with a space after it": `?${parameter}=${secret}%20`,
      "a secret encoded twice": `?${parameter}=${encodeURIComponent(secret)}`,
      "an array": `?${parameter}[]=${secret}`,
      "half an escape": `?${parameter}=%`,
      "8 kB": `?${parameter}=${"a".repeat(8192)}`,
      "a thousand parameters": `?${"a=1&".repeat(1000)}`,
    };
    for (const [what, query] of Object.entries(queries))
      yield [`query: ${what}`, { ...valid, url: `${origin}${pathname}${query}` }];
  }
  if (added.some((header) => /sig|verification|hmac|trello/.test(header))) {
    const text = Buffer.from(valid.body).toString();
    yield ["a space after the body", { ...valid, body: Buffer.from(`${text} `) }];
    yield ["a line break after the body", { ...valid, body: Buffer.from(`${text}\n`) }];
    yield ["no body", { ...valid, body: Buffer.of() }];
    yield ["a byte order mark before the body", { ...valid, body: Buffer.from(`\ufeff${text}`) }];
    yield ["the body in UTF-16", { ...valid, body: Buffer.from(text, "utf16le") }];
    yield ["a body that is not UTF-8", { ...valid, body: Buffer.from([0xff, 0xfe, 0x7b]) }];
  }
  for (const [what, body, type] of unreadable(valid))
    yield [
      `unsigned: ${what}`,
      { ...valid, url: URL_OF_IT, headers: { "content-type": type }, body: Buffer.from(body) },
    ];
  const bodies = ["", "{", "[]", "null", "7", '"x"', "{}", '{"signature":{}}', '{"notificationItems":[{}]}'];
  for (const body of bodies) {
    const headers = { "content-type": "application/json" };
    yield [`unsigned: ${body}`, { ...valid, url: URL_OF_IT, headers, body: Buffer.from(body) }];
  }
}

const field = (name: string, value: string): string =>
  `--X\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;

/** Bodies that are not what their headers say, or not what the provider sends. */
function* unreadable({
  body,
}: OutgoingRequest): Generator<[what: string, body: Uint8Array, contentType: string]> {
  const json = "application/json";
  const form = "application/x-www-form-urlencoded";
  const multipart = "multipart/form-data; boundary=X";
  const texts: [string, string, string][] = [
    ["nothing", "", json],
    ["half of JSON", '{"alerts":[{"status":', json],
    [
      "lists instead of objects",
      '{"alerts":{},"heartbeat":[],"push_data":[],"event":[],"metadata":[]}',
      json,
    ],
    ["objects instead of texts", '{"alerts":[{"status":{},"fingerprint":[]}],"event":{},"type":{}}', json],
    ["names that every object has", '{"__proto__":{"event":"x"},"constructor":{"prototype":1}}', json],
    ["deep JSON", `${"[".repeat(5000)}${"]".repeat(5000)}`, json],
    [
      "numbers that JavaScript rounds",
      '{"object_id":1e999,"alerts":[{"fingerprint":9007199254740993}]}',
      json,
    ],
    ["many fields", "a=1&".repeat(2000), form],
    ["escapes that are not UTF-8", "payload=%ff%fe&data=%c3", form],
    ["half of JSON in a form", "payload=%7B%22event&data=%7B", form],
    ["multipart without an end", field("payload", "{}"), multipart],
    ["multipart without a boundary", `${field("payload", "{}")}--X--\r\n`, "multipart/form-data"],
    ["multipart with many parts", `${field("payload", "{}").repeat(2000)}--X--\r\n`, multipart],
    [
      "multipart whose field is half of JSON",
      `${field("payload", "{")}${field("data", "{")}--X--\r\n`,
      multipart,
    ],
    ["multipart with a field twice", `${field("payload", "{}").repeat(2)}--X--\r\n`, multipart],
  ];
  for (const [what, text, type] of texts) yield [what, Buffer.from(text), type];
  yield ["bytes", Buffer.from([0, 0xff, 0xfe, 0x7b]), json];
  yield ["the provider's body as another type", body, multipart];
}

function otherSecret({ provider, keys }: Signer): string {
  const { kind } = provider.scheme;
  if (kind === "public-key") return signerFor(provider.name, certificateFor).keys.secret;
  if (kind === "sns") return `${keys.secret}2`;
  return keys.secret.startsWith("whsec_")
    ? "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXI="
    : keys.secret.replace(/^../, "ab");
}

const association = {
  eventId: 3,
  subscriptionId: 12345,
  portalId: 62515,
  occurredAt: 1_564_113_600_000,
  subscriptionType: "contact.associationChange",
  attemptNumber: 0,
  associationType: "CONTACT_TO_COMPANY",
  fromObjectId: 25,
  toObjectId: 95,
};

/** Events whose id or type is not where the sample has it. */
const rows: {
  preset: string;
  what: string;
  headers?: Record<string, string>;
  body: unknown;
  id: string;
  type?: string;
}[] = [
  {
    preset: "shopify-events",
    what: "the id of the delivery",
    headers: { "shopify-webhook-id": "w1", "shopify-event-id": "e1", "shopify-topic": "Order" },
    body: {},
    id: "w1",
    type: "Order",
  },
  {
    preset: "shopify-events",
    what: "the id of the event with the topic if the delivery has none, as in Shopify's library",
    headers: { "shopify-event-id": "e1", "shopify-topic": "Order" },
    body: {},
    id: "e1:Order",
    type: "Order",
  },
  {
    preset: "hubspot",
    what: "an association that is added",
    body: [{ ...association, associationRemoved: false }],
    id: "3:12345:25:95:1564113600000",
    type: "contact.associationChange",
  },
  {
    preset: "hubspot",
    what: "an association that is removed",
    body: [{ ...association, associationRemoved: true }],
    id: "3:12345:25:95:associationRemoved:1564113600000",
    type: "contact.associationChange",
  },
  {
    preset: "hubspot",
    what: "an object",
    body: [{ ...association, subscriptionType: "contact.creation", objectId: 7 }],
    id: "3:12345:7:1564113600000",
    type: "contact.creation",
  },
];

test.each(rows)("$preset reads id and type of $what", (row) => {
  const source = sourceOf(signerFor(row.preset, certificateFor));
  const delivery = { headers: row.headers ?? {}, body: Buffer.from(JSON.stringify(row.body)) };
  const [found] = source.split?.(delivery) ?? [source.identify(delivery)];
  if (found === undefined || found instanceof HookonceError) throw found ?? new Error("nothing");
  expect(found.id).toBe(row.id);
  expect(found.type).toBe(row.type ?? "");
});
