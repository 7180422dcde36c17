import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, createHmac, generateKeyPairSync, sign as signWith } from "node:crypto";
import { gzipSync } from "node:zlib";
import { BODY_SHA256 } from "../../src/providers/presets/common.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import type { HmacScheme } from "../../src/providers/schemes/hmac.ts";
import { createSource } from "../../src/providers/source.ts";
import { randomKeys, sign } from "../../src/providers/verifier.ts";
import { refusedStart, type TestInbox } from "../support/test-inbox.ts";
import { deliveryTo, NOTHING, NOW, ONE, post, recordingInbox } from "./signed-inbox.ts";

/** A scheme that the config describes (`provider = "hmac"`), signed here with Node's HMAC. */
interface Shape {
  name: string;
  /** The source's lines after provider, secret, event_id and type. */
  config: string;
  secret: string;
  sign: (body: string, id: string) => Record<string, string>;
  /** The same signature in another form, which must be refused. */
  wrong: (headers: Record<string, string>) => Record<string, string>;
}

const KEY = Buffer.from("5f3a00ff10c2b79e8d41aa6c07e2d3b4f1908276a5c4e3d2b1a0998877665544", "hex");
const AT = NOW / 1000;

const hmac = (algorithm: string, key: string | Buffer, signed: string, encoding: "hex" | "base64"): string =>
  createHmac(algorithm, key).update(signed).digest(encoding);

const hash = (algorithm: string, text: string | Buffer): string =>
  createHash(algorithm).update(text).digest("hex");

/** With another last digit. */
const altered =
  (name: string) =>
  (headers: Record<string, string>): Record<string, string> => ({
    ...headers,
    [name]: (headers[name] as string).replace(/.$/, (digit) => (digit === "0" ? "1" : "0")),
  });
const without =
  (name: string, text: string) =>
  (headers: Record<string, string>): Record<string, string> => ({
    ...headers,
    [name]: (headers[name] as string).replace(text, ""),
  });

const shapes: Shape[] = [
  {
    name: "the header alone",
    config: 'signature = { header = "X-Signature" }',
    secret: "plain text",
    sign: (body) => ({ "x-signature": hmac("sha256", "plain text", body, "hex") }),
    wrong: altered("x-signature"),
  },
  {
    name: "SHA-1 in hex with a prefix, as GitHub once did",
    config: 'signature = { header = "X-Hub-Signature", algorithm = "sha1", prefix = "sha1=" }',
    secret: "it's",
    sign: (body) => ({ "x-hub-signature": `sha1=${hmac("sha1", "it's", body, "hex")}` }),
    wrong: without("x-hub-signature", "sha1="),
  },
  {
    name: "SHA-512 in hex, as Paystack does",
    config: 'signature = { header = "x-paystack-signature", algorithm = "sha512" }',
    secret: "sk_test",
    sign: (body) => ({ "x-paystack-signature": hmac("sha512", "sk_test", body, "hex") }),
    wrong: (headers) => ({
      "x-paystack-signature": (headers["x-paystack-signature"] as string).slice(0, 64),
    }),
  },
  {
    name: "base64, as Shopify does",
    config: 'signature = { header = "X-Shopify-Hmac-Sha256", encoding = "base64" }',
    secret: "shpss",
    sign: (body) => ({ "x-shopify-hmac-sha256": hmac("sha256", "shpss", body, "base64") }),
    wrong: without("x-shopify-hmac-sha256", "="),
  },
  {
    name: "base64 with the prefix sha256=, as Typeform does",
    config: 'signature = { header = "Typeform-Signature", encoding = "base64", prefix = "sha256=" }',
    secret: "tf",
    sign: (body) => ({ "typeform-signature": `sha256=${hmac("sha256", "tf", body, "base64")}` }),
    wrong: (headers) => ({
      "typeform-signature": `sha256=${Buffer.from((headers["typeform-signature"] as string).slice(7), "base64").toString("hex")}`,
    }),
  },
  {
    name: "a key in hex, and SHA-512 in base64",
    config:
      'signature = { header = "x-sig", algorithm = "sha512", encoding = "base64", secret_encoding = "hex" }',
    secret: KEY.toString("hex").toUpperCase(),
    sign: (body) => ({ "x-sig": hmac("sha512", KEY, body, "base64") }),
    wrong: () => ({ "x-sig": hmac("sha512", KEY.toString("hex").toUpperCase(), "{}", "base64") }),
  },
  {
    name: "a key in base64",
    config: 'signature = { header = "x-sig", secret_encoding = "base64" }',
    secret: KEY.toString("base64"),
    sign: (body) => ({ "x-sig": hmac("sha256", KEY, body, "hex") }),
    wrong: altered("x-sig"),
  },
  {
    name: "a key in base64url, without padding",
    config: 'signature = { header = "x-sig", secret_encoding = "base64" }',
    secret: KEY.toString("base64url"),
    sign: (body) => ({ "x-sig": hmac("sha256", KEY, body, "hex") }),
    wrong: altered("x-sig"),
  },
  {
    name: "a whsec key, the time and the id, as in Standard Webhooks",
    config: [
      'signature.header = "svix-signature"',
      'signature.encoding = "base64"',
      'signature.prefix = "v1,"',
      'signature.separator = " "',
      'signature.signed = "{id}.{timestamp}.{body}"',
      'signature.timestamp = "header:svix-timestamp"',
      'signature.id = "header:svix-id"',
      'signature.secret_encoding = "whsec"',
    ].join("\n"),
    secret: `whsec_${KEY.toString("base64")}`,
    sign: (body, id) => ({
      "svix-id": id,
      "svix-timestamp": String(AT),
      "svix-signature": `v1,AAAA v1,${hmac("sha256", KEY, `${id}.${AT}.${body}`, "base64")}`,
    }),
    wrong: (headers) => ({ ...headers, "svix-id": "msg_other" }),
  },
  {
    name: "a template with text around the time, in milliseconds",
    config: [
      'tolerance = "60s"',
      "[sources.source-9.signature]",
      'header = "x-slack-signature"',
      'prefix = "v0="',
      'signed = "v0:{timestamp}:{body}"',
      'timestamp = "header:X-Request-Timestamp"',
      'timestamp_unit = "ms"',
    ].join("\n"),
    secret: "slack",
    sign: (body) => ({
      "x-request-timestamp": String(NOW - 60_000),
      "x-slack-signature": `v0=${hmac("sha256", "slack", `v0:${NOW - 60_000}:${body}`, "hex")}`,
    }),
    wrong: (headers) => ({ ...headers, "x-request-timestamp": String(NOW) }),
  },
  {
    name: "a template with the body twice and the id",
    config: 'signature = { header = "x-sig", signed = "{body}|{body}|{id}", id = "header:x-id" }',
    secret: "twice",
    sign: (body, id) => ({ "x-id": id, "x-sig": hmac("sha256", "twice", `${body}|${body}|${id}`, "hex") }),
    wrong: (headers) => ({ ...headers, "x-id": "other" }),
  },
  {
    name: "a plain hash of the secret and the body",
    config: 'signature = { header = "x-sig", signed = "{secret}{body}" }',
    secret: "plain",
    sign: (body) => ({ "x-sig": hash("sha256", `plain${body}`) }),
    wrong: altered("x-sig"),
  },
  {
    name: "a plain SHA-1 of the time, the body and a key in hex",
    config:
      'signature = { header = "x-sig", algorithm = "sha1", signed = "{timestamp}{body}{secret}", timestamp = "header:x-time", secret_encoding = "hex" }',
    secret: KEY.toString("hex"),
    sign: (body) => ({
      "x-time": String(AT),
      "x-sig": hash("sha1", Buffer.concat([Buffer.from(`${AT}${body}`), KEY])),
    }),
    wrong: (headers) => ({ ...headers, "x-time": String(AT + 1) }),
  },
  {
    name: "the time before the signature, in one header",
    config:
      'signature = { header = "x-sig", separator = ".", signed = "{timestamp}.{body}", timestamp = "header:X-Sig" }',
    secret: "one header",
    sign: (body) => ({ "x-sig": `${AT}.${hmac("sha256", "one header", `${AT}.${body}`, "hex")}` }),
    wrong: (headers) => ({ "x-sig": (headers["x-sig"] as string).replace(String(AT), String(AT - 1)) }),
  },
  {
    name: "the time after the signature, in one header",
    config:
      'signature = { header = "x-sig", separator = ",", encoding = "base64", signed = "{body}{timestamp}", timestamp = "header:x-sig", timestamp_unit = "ms" }',
    secret: "one header",
    sign: (body) => ({ "x-sig": `${hmac("sha256", "one header", `${body}${NOW}`, "base64")},${NOW}` }),
    wrong: (headers) => ({ "x-sig": (headers["x-sig"] as string).replace(/,.*/, "") }),
  },
  {
    name: "named parts in one header, with the time between two signatures",
    config:
      'signature = { header = "x-sig", prefix = "v1=", separator = ";", signed = "{timestamp}:{body}", timestamp = "header:x-sig" }',
    secret: "one header",
    sign: (body) => ({
      "x-sig": `v1=00;ts=${AT};v1=${hmac("sha256", "one header", `${AT}:${body}`, "hex")}`,
    }),
    wrong: (headers) => ({ "x-sig": (headers["x-sig"] as string).replaceAll("v1=", "v0=") }),
  },
  {
    name: "the preset stripe with a tolerance of two minutes and SHA-512",
    config: 'tolerance = "2m"\nsignature = { algorithm = "sha512" }',
    secret: "whsec_x",
    sign: (body) => ({
      "stripe-signature": `t=${AT - 120},v1=${hmac("sha512", "whsec_x", `${AT - 120}.${body}`, "hex")}`,
    }),
    wrong: (headers) => ({ "stripe-signature": (headers["stripe-signature"] as string).replace("v1", "v2") }),
  },
  {
    name: "a signature in capitals",
    config: 'signature = { header = "x-sig" }',
    secret: "capitals",
    sign: (body) => ({ "x-sig": hmac("sha256", "capitals", body, "hex").toUpperCase() }),
    wrong: altered("x-sig"),
  },
];

const nameOf = (index: number): string => `source-${index}`;

describe("verifies a scheme that the config describes", () => {
  let inbox: TestInbox;

  beforeAll(async () => {
    const sources = shapes.map(({ config, name }, index) =>
      [
        `[sources.${nameOf(index)}]`,
        `provider = "${name.includes("stripe") ? "stripe" : "hmac"}"`,
        `secret = "env:SECRET_${index}"`,
        'event_id = "body:$.id"',
        'type = "body:$.type"',
        config,
      ].join("\n"),
    );
    inbox = await recordingInbox({
      config: sources.join("\n"),
      sources: shapes.map((_, index) => nameOf(index)),
      environment: Object.fromEntries(shapes.map(({ secret }, index) => [`SECRET_${index}`, secret])),
    });
  });
  afterAll(() => inbox[Symbol.asyncDispose]());

  test.each(shapes.map((shape, index) => [shape.name, shape, index] as const))(
    "%s",
    async (_, shape, index) => {
      const body = JSON.stringify({ id: "evt_1", type: "happened", note: "Grüße" });
      const headers = shape.sign(body, "msg_1");
      const refused = async (text: string, given: Record<string, string>): Promise<void> => {
        const { answer, added } = await deliveryTo(inbox, nameOf(index), text, given);
        expect(answer.status).toBe(401);
        expect(added).toEqual(NOTHING);
      };
      await refused(`${body} `, headers);
      await refused(body, shape.wrong(headers));
      await refused(body, {});
      for (const name of Object.keys(headers)) await refused(body, { ...headers, [name]: "" });

      expect(await deliveryTo(inbox, nameOf(index), body, headers)).toEqual({
        answer: { status: 200, said: "processed" },
        added: ONE,
      });
    },
  );
});

test("a parameter of the query is signed as it is after decoding, and must be there", async () => {
  await using inbox = await recordingInbox({
    config:
      '[sources.it]\nprovider = "hmac"\nsecret = "env:S"\nsignature = { header = "x-sig", signed = "{query:account id}|{body}" }\nevent_id = "body:$.id"\ntype = "body:$.type"',
    sources: ["it"],
    environment: { S: "secret" },
  });
  const body = JSON.stringify({ id: "evt_1", type: "happened" });
  const headers = { "x-sig": hmac("sha256", "secret", `Ä & b|${body}`, "hex") };
  const said = async (query: string): Promise<string> =>
    (await post(inbox, `it${query}`, body, headers)).said;
  expect(await said("")).toBe("signature_malformed");
  expect(await said("?account=%C3%84+%26+b")).toBe("signature_malformed");
  expect(await said("?account+id=other")).toBe("signature_mismatch");
  expect(await said("?account+id=other&account+id=%C3%84+%26+b")).toBe("signature_mismatch");
  expect(await said("?x=1&account+id=%C3%84+%26+b")).toBe("processed");
});

const sourceOver = (over: string, id = "body:$.id"): Promise<TestInbox> =>
  recordingInbox({
    config: `[sources.it]\nprovider = "hmac"\nsecret = "env:S"\nmax_body = "256 KiB"\nsignature = { header = "x-sig", over = "${over}" }\nevent_id = "${id}"\ntype = "body:$.type"`,
    sources: ["it"],
    environment: { S: "secret" },
  });
const signatureOver = (body: string | Buffer): Record<string, string> => ({
  "x-sig": createHmac("sha256", "secret").update(body).digest("hex"),
});

describe("a signature over the decompressed body", () => {
  const text = JSON.stringify({ id: "evt_1", type: "happened", note: "a".repeat(1000) });
  const zipped = { "content-encoding": "gzip" };

  test("is accepted with and without compression, and only there", async () => {
    await using inbox = await sourceOver("decompressed");
    const bytes = gzipSync(text);
    expect((await post(inbox, "it", bytes, { ...signatureOver(bytes), ...zipped })).said).toBe(
      "signature_mismatch",
    );
    expect((await post(inbox, "it", bytes, signatureOver(text))).said).toBe("signature_mismatch");
    expect((await post(inbox, "it", bytes, { ...signatureOver(text), ...zipped })).said).toBe("processed");
    expect((await post(inbox, "it", text, signatureOver(text))).said).toBe("duplicate");
    await using raw = await sourceOver("raw");
    expect((await post(raw, "it", bytes, { ...signatureOver(text), ...zipped })).said).toBe(
      "signature_mismatch",
    );
    expect((await post(raw, "it", bytes, { ...signatureOver(bytes), ...zipped })).said).toBe("processed");
  });

  test("gives retries that are compressed differently the same hash", async () => {
    await using inbox = await sourceOver("decompressed", "sha256:body");
    const headers = { ...signatureOver(text), ...zipped };
    const [first, second] = [gzipSync(text, { level: 1 }), gzipSync(text, { level: 9 })];
    expect(first.equals(second)).toBe(false);
    expect((await post(inbox, "it", first, headers)).said).toBe("processed");
    expect((await post(inbox, "it", second, headers)).said).toBe("duplicate");
    expect(inbox.rows("select event_id from effects")).toEqual([{ event_id: hash("sha256", text) }]);
  });

  test("inflates an unverified body at most tenfold, and refuses what is not gzip", async () => {
    await using inbox = await sourceOver("decompressed");
    const bomb = gzipSync(Buffer.alloc(200 * 1024, 32));
    expect((await post(inbox, "it", bomb, { ...signatureOver("x"), ...zipped })).said).toBe("body_too_large");
    expect((await post(inbox, "it", text, { ...signatureOver(text), ...zipped })).said).toBe("invalid_json");
    expect((await post(inbox, "it", bomb, zipped)).said).toBe("signature_missing");
  });
});

test.each<[string, Partial<HmacScheme>]>([
  ["a plain hash", { signed: "{secret}{body}" }],
  ["a plain hash with a key in base64", { signed: "{body}|{secret}", key: "base64" }],
  ["a parameter of the query", { signed: "{query:nonce}{body}" }],
  ["nothing of the body", { signed: "{query:nonce}" }],
  ["the decompressed body", { over: "decompressed" }],
  [
    "the time in the signature's header",
    {
      signed: "{timestamp}{body}",
      signature: { header: "x-sig", separator: "." },
      timestamp: { from: { amongParts: true }, unit: "ms", tolerance: 60 },
    },
  ],
])("the simulator can sign %s", async (_, change) => {
  const generic = providers.get("hmac") as Provider;
  const scheme: HmacScheme = { ...BODY_SHA256, signature: { header: "x-sig" }, ...change };
  const keys = randomKeys(scheme);
  const source = createSource({ name: "it", provider: generic, scheme, secrets: [keys.secret] }, () => NOW);
  const request = {
    method: "POST",
    url: "http://localhost/webhook/it",
    headers: { "content-type": "application/json" },
    body: Buffer.from('{"id":"1"}'),
  };
  const signed = await sign({ scheme }, request, keys, NOW);
  const delivery = { ...signed, receivedAt: NOW, remoteAddress: () => null };
  source.admit(delivery);
  await source.verify(delivery);
  const forged = await sign({ scheme }, request, randomKeys(scheme), NOW);
  expect(() => source.verify({ ...delivery, ...forged })).toThrow("does not match");
});

test("a signature may leave out the body", async () => {
  await using inbox = await recordingInbox({
    config:
      '[sources.it]\nprovider = "hmac"\nsecret = "env:S"\nsignature = { header = "x-sig", signed = "{timestamp}{header:x-nonce}", timestamp = "header:x-time" }\nevent_id = "header:x-nonce"\ntype = "body:$.type"',
    sources: ["it"],
    environment: { S: "secret" },
  });
  const headers = {
    "x-time": String(AT),
    "x-nonce": "n1",
    "x-sig": hmac("sha256", "secret", `${AT}n1`, "hex"),
  };
  expect((await post(inbox, "it", "{}", { ...headers, "x-nonce": "n2" })).said).toBe("signature_mismatch");
  expect((await post(inbox, "it", '{"type":"a"}', headers)).said).toBe("processed");
  expect((await post(inbox, "it", '{"type":"b"}', headers)).said).toBe("duplicate");
});

test("a tolerance is exact to the second, in both directions", async () => {
  await using inbox = await recordingInbox({
    config:
      '[sources.it]\nprovider = "hmac"\nsecret = "env:S"\nsignature = { header = "x-sig", signed = "{timestamp}{body}", timestamp = "header:x-time" }\ntolerance = "30s"\nevent_id = "body:$.id"\ntype = "body:$.type"',
    sources: ["it"],
    environment: { S: "secret" },
  });
  const answers = new Map<number, string>();
  for (const age of [-31, -30, 0, 30, 31]) {
    const body = JSON.stringify({ id: `evt_${age}`, type: "happened" });
    const signature = hmac("sha256", "secret", `${AT - age}${body}`, "hex");
    answers.set(
      age,
      (await post(inbox, "it", body, { "x-sig": signature, "x-time": String(AT - age) })).said,
    );
  }
  expect([...answers]).toEqual([
    [-31, "timestamp_in_future"],
    [-30, "processed"],
    [0, "processed"],
    [30, "processed"],
    [31, "timestamp_stale"],
  ]);
});

test("the time can be in a signed header named in the template, or in the signed body", async () => {
  await using inbox = await recordingInbox({
    config: `[sources.header]\nprovider = "hmac"\nsecret = "env:S"\nsignature = { header = "x-sig", signed = "{header:X-Time}{body}", timestamp = "header:x-time" }\nevent_id = "body:$.id"\ntype = "body:$.type"
[sources.body]\nprovider = "hmac"\nsecret = "env:S"\nsignature = { header = "x-sig", timestamp = "body:$.at" }\ntolerance = "1m"\nevent_id = "body:$.id"\ntype = "body:$.type"`,
    sources: ["header", "body"],
    environment: { S: "secret" },
  });
  const body = JSON.stringify({ id: "evt_1", type: "happened", at: AT - 60 });
  const inHeader = { "x-time": String(AT), "x-sig": hmac("sha256", "secret", `${AT}${body}`, "hex") };
  expect((await post(inbox, "header", body, inHeader)).said).toBe("processed");
  const inBody = { "x-sig": hmac("sha256", "secret", body, "hex") };
  expect((await post(inbox, "body", body, inBody)).said).toBe("processed");
});

test("the config changes single keys of a preset's public-key signature", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  await using inbox = await recordingInbox({
    config: `[sources.it]
provider = "discord"
secret = "env:S"
tolerance = "60s"
[sources.it.signature]
header = "X-Proxy-Signature"
prefix = "ed="
separator = " "
encoding = "base64"
signed = "{id}.{timestamp}.{body}"
timestamp = "header:x-proxy-time"
timestamp_unit = "ms"
id = "header:x-proxy-id"
`,
    sources: ["it"],
    environment: { S: raw.toString("hex") },
  });
  const body = JSON.stringify({ id: "7", type: 2 });
  const signed = (ms: number, id = "a"): Record<string, string> => ({
    "x-proxy-id": id,
    "x-proxy-time": String(ms),
    "x-proxy-signature": `other=AAAA ed=${signWith(null, Buffer.from(`a.${ms}.${body}`), privateKey).toString("base64")}`,
  });
  const now = AT * 1000;
  expect((await post(inbox, "it", body, signed(now, "b"))).said).toBe("signature_mismatch");
  expect((await post(inbox, "it", body, signed(now - 61_000))).said).toBe("timestamp_stale");
  const response = await inbox.request("/webhook/it", {
    method: "POST",
    body,
    headers: signed(now - 60_000),
  });
  expect(response.status).toBe(204);
  expect(inbox.rows("select event_id from effects")).toEqual([{ event_id: "7" }]);
});

describe("refuses to start with", () => {
  const rest = 'event_id = "body:$.id"\ntype = "body:$.type"\nsignature.header = "x-sig"';
  const scenarios: {
    name: string;
    source: string;
    secret?: string;
    /** The line and the message of each problem. */
    problems: [line: number, message: RegExp][];
  }[] = [
    {
      name: "a key that is not hex",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.secret_encoding = "hex"\n${rest}`,
      secret: "abc",
      problems: [[4, /^sources\.it: The secret is not hex/]],
    },
    {
      name: "a key that is not base64",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.secret_encoding = "base64"\n${rest}`,
      secret: "not base64!",
      problems: [[4, /^sources\.it: The secret is not base64/]],
    },
    {
      name: "a Standard Webhooks secret with an extra character",
      source: 'provider = "standard-webhooks"\nsecret = "env:S"',
      secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw ",
      problems: [[4, /^sources\.it: The secret is not base64/]],
    },
    {
      name: "a Standard Webhooks secret that is only the prefix",
      source: 'provider = "standard-webhooks"\nsecret = "env:S"',
      secret: "whsec_",
      problems: [[4, /^sources\.it: The secret is empty: anybody could sign with it/]],
    },
    {
      name: "hmac without the keys that it requires",
      source: 'provider = "hmac"\nsecret = "env:S"',
      secret: "a-secret",
      problems: [
        [2, /^sources\.it\.signature\.header is missing: .*write signature = \{ header = "x-signature" \}/],
        [2, /^sources\.it\.event_id is missing: .*write event_id = "body:\$\.id"/],
        [2, /^sources\.it\.type is missing: .*write type = "body:\$\.type"/],
      ],
    },
    {
      name: "a template with an unknown name",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.signed = "{path}{body}"\n${rest}`,
      secret: "a-secret",
      problems: [[5, /names \{path\}; it can be \{body\}, \{timestamp\}, \{id\}, \{method\}, \{url\}/]],
    },
    {
      name: "a template with the URL but no public_url",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.signed = "{url}{body}"\n${rest}`,
      secret: "a-secret",
      problems: [[2, /^sources\.it: public_url is missing/]],
    },
    {
      name: "keys of another kind of signature",
      source:
        'provider = "discord"\nsecret = "env:S"\nsecret_in = "basic"\nsignature.algorithm = "sha1"\nsignature.encoding = "base64url"',
      secret: "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
      problems: [
        [5, /^sources\.it: secret_in = "basic" has no effect/],
        [
          6,
          /^sources\.it: signature\.algorithm = "sha1" cannot be used: .* private key; write one of ed25519, /,
        ],
        [7, /^sources\.it: signature\.encoding = "base64url" cannot be used: .*hex or base64; remove it/],
      ],
    },
    {
      name: "keys of a signature in a header if the signature is in the body",
      source: 'provider = "adyen"\nsecret = "env:S"\nsignature.prefix = "v1="\nsignature.header = "x-sig"',
      secret: "abcdef",
      problems: [
        [5, /^sources\.it: signature\.prefix = "v1=" has no effect/],
        [6, /^sources\.it: signature\.header = "x-sig" has no effect/],
      ],
    },
    {
      name: "a tolerance without a signed time",
      source: `provider = "hmac"\nsecret = "env:S"\ntolerance = "60s"\nsignature.timestamp_unit = "ms"\n${rest}`,
      secret: "a-secret",
      problems: [
        [
          5,
          /^sources\.it: tolerance = "1m" has no effect: no time is signed; name the signed time with signature\.timestamp/,
        ],
        [6, /^sources\.it: signature\.timestamp_unit = "ms" has no effect: no time is signed/],
      ],
    },
    {
      name: "a tolerance for a preset without a signed time",
      source: 'provider = "github"\nsecret = "env:S"\ntolerance = "60s"',
      secret: "a-secret",
      problems: [[5, /^sources\.it: tolerance = "1m" has no effect: no time is signed/]],
    },
    {
      name: "a tolerance for a preset with a static secret",
      source: 'provider = "telegram"\nsecret = "env:S"\ntolerance = "60s"',
      secret: "a-secret",
      problems: [[5, /tolerance = "1m" has no effect: no time is signed; remove it/]],
    },
    {
      name: "a time in a header that is not signed, so that anyone could change it",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.timestamp = "header:x-time"\n${rest}`,
      secret: "a-secret",
      problems: [
        [
          5,
          /^sources\.it: signature\.timestamp = "header:x-time" leaves the time unsigned, .*put \{timestamp\} into signature\.signed = "\{body\}"/,
        ],
      ],
    },
    {
      name: "a template that leaves out the preset's time",
      source: 'provider = "stripe"\nsecret = "env:S"\nsignature.signed = "{body}"',
      secret: "a-secret",
      problems: [[5, /^sources\.it: signature\.signed = "\{body\}" leaves the time unsigned/]],
    },
    {
      name: "a time that is neither in a header nor in the body",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.timestamp = "x-time"\n${rest}`,
      secret: "a-secret",
      problems: [
        [5, /^sources\.it\.signature\.timestamp: "x-time" is not a path: write header:name or body:\$\.path/],
      ],
    },
    {
      name: "an id in the body, which a template cannot name",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.id = "body:$.id"\n${rest}`,
      secret: "a-secret",
      problems: [[5, /^sources\.it\.signature\.id: "body:\$\.id" is not in a header: write header:name/]],
    },
    {
      name: "a header with the id that is not signed",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.id = "header:x-id"\n${rest}`,
      secret: "a-secret",
      problems: [
        [
          5,
          /signature\.id = "header:x-id" has no effect: signature\.signed = "\{body\}" does not contain \{id\}/,
        ],
      ],
    },
    {
      name: "secret_in with a hash of the body",
      source:
        'provider = "static"\nsecret = "env:S"\nsecret_in = "sha256:body"\nevent_id = "body:$.id"\ntype = "body:$.type"',
      secret: "a-secret",
      problems: [
        [
          5,
          /^sources\.it\.secret_in: "sha256:body" is not a path: write header:name, query:name, body:\$\.path or basic/,
        ],
      ],
    },
    {
      name: "keys that only other providers use",
      source:
        'provider = "stripe"\nsecret = "env:S"\npublic_url = "https://a.example/in"\nverify_token = "env:S"\nallow_public = true',
      secret: "verify-me",
      problems: [
        [5, /public_url = "https:\S+ has no effect: the signature does not cover the URL; remove it/],
        [6, /verify_token has no effect: provider = "stripe" never sends one; remove it/],
        [7, /allow_public = true has no effect: its deliveries are signed; remove it/],
      ],
    },
    {
      name: "a template that names nothing of the delivery",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.signed = "v1:{secret}"\n${rest}`,
      secret: "a-secret",
      problems: [[5, /^sources\.it\.signature\.signed: must name what is signed, .*: write \{body\}/]],
    },
    {
      name: "a plain hash with a private key",
      source: 'provider = "discord"\nsecret = "env:S"\nsignature.signed = "{secret}{timestamp}{body}"',
      secret: "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
      problems: [
        [5, /signature\.signed = "\S+" names \{secret\}, but .* a private key; leave out \{secret\}/],
      ],
    },
    {
      name: "the time in the signature's header, and nothing that separates them",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.signed = "{timestamp}{body}"\nsignature.timestamp = "header:x-sig"\n${rest}`,
      secret: "a-secret",
      problems: [
        [
          6,
          /signature\.timestamp = "header:x-sig" is in the signature's own header, .*write separator = "\."/,
        ],
      ],
    },
    {
      name: "the time in a body that is not signed",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.signed = "{header:x-a}"\nsignature.timestamp = "body:$.at"\n${rest}`,
      secret: "a-secret",
      problems: [[5, /signature\.signed = "\{header:x-a\}" leaves the time unsigned, .*put \{body\} into/]],
    },
    {
      name: "a body that is neither raw nor decompressed",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.over = "gzip"\n${rest}`,
      secret: "a-secret",
      problems: [[5, /^sources\.it\.signature\.over: .*raw.*decompressed/]],
    },
    {
      name: "a template with a time but no place for it",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.signed = "{timestamp}.{body}"\n${rest}`,
      secret: "a-secret",
      problems: [[5, /names \{timestamp\}: write timestamp = "header:name" in signature/]],
    },
    {
      name: "a template with an id but no place for it",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.signed = "{id}.{body}"\n${rest}`,
      secret: "a-secret",
      problems: [[5, /names \{id\}: write id = "header:name" in signature/]],
    },
    {
      name: "an unknown algorithm, encoding, key format and unit",
      source: `provider = "hmac"\nsecret = "env:S"\nsignature.algorithm = "md4"\nsignature.encoding = "hexadecimal"\nsignature.secret_encoding = "utf8"\nsignature.timestamp_unit = "min"\n${rest}`,
      secret: "a-secret",
      problems: [
        [
          5,
          /^sources\.it\.signature\.algorithm: "md4" is not one of the choices: write "md5", "sha1", "sha256", "sha512", .* or "ES256"$/,
        ],
        [
          6,
          /^sources\.it\.signature\.encoding: "hexadecimal" is not one of the choices: write "hex", "base64" or "base64url"$/,
        ],
        [
          7,
          /^sources\.it\.signature\.secret_encoding: the value is not one of the choices: write "text", "hex", "base64", "whsec"/,
        ],
        [
          8,
          /^sources\.it\.signature\.timestamp_unit: "min" is not one of the choices: write "s", "ms" or "iso"$/,
        ],
      ],
    },
    {
      name: "a tolerance of half a second",
      source: `provider = "hmac"\nsecret = "env:S"\ntolerance = 0.5\n${rest}`,
      secret: "a-secret",
      problems: [[5, /^sources\.it\.tolerance: 0\.5 is not a duration: .*tolerance = "5m"/]],
    },
    {
      name: "an invalid header name",
      source:
        'provider = "hmac"\nsecret = "env:S"\nsignature.header = "x sig"\nevent_id = "body:$.id"\ntype = "body:$.type"',
      secret: "a-secret",
      problems: [[5, /^sources\.it\.signature\.header: "x sig" is not a header name: write the name alone/]],
    },
  ];

  test.each(scenarios.map((row) => [row.name, row] as const))(
    "%s",
    async (_, { source, secret, problems }) => {
      const error = await refusedStart({
        config: `[sources.it]\n${source}`,
        environment: secret === undefined ? {} : { S: secret },
      });
      expect(error.code).toBe("config_invalid");
      expect(error.problems.map(({ file }) => file)).toEqual(problems.map(() => "hookonce.toml"));
      expect(error.problems.map(({ line }) => line)).toEqual(problems.map(([line]) => line));
      for (const [index, [, message]] of problems.entries())
        expect(error.problems[index]?.message).toMatch(message);
      // No message contains the secret.
      if (secret !== undefined && secret.length > 3)
        expect(JSON.stringify(error.problems)).not.toContain(secret);
    },
  );
});
