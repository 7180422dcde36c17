import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import { certificateFor } from "../support/certificate.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { samples, signerFor, type Sample, type Signer } from "./preset-samples.ts";
import { effectsTable, NOW } from "./signed-inbox.ts";

const names = [...providers.keys()].filter((name) => name !== "unsigned");

test("every preset has a sample, and every sample a preset", () => {
  expect(Object.keys(samples).sort()).toEqual([...names].sort());
});

test("every preset says where its facts come from, in a form that can be shown", () => {
  for (const { name, docs, timeoutMs, retryWindowMs, handshakes = [] } of providers.values()) {
    expect(name).toMatch(/^[a-z0-9-]+$/);
    expect(docs).toMatch(/^https:\/\/|^README/);
    expect(timeoutMs).toBeGreaterThan(0);
    expect(retryWindowMs).toBeGreaterThanOrEqual(0);
    for (const handshake of handshakes) expect(handshake.when.length).toBeGreaterThan(0);
  }
});

/** The preset's source `it`; where there is a secret, also one that has `wrong` instead, and one that has `both`. */
function inboxFor(signer: Signer, clock: () => number): Promise<TestInbox> {
  const like = (name: string, secret: string): string =>
    signer.config.replace("[sources.it]", `[sources.${name}]`).replace('"env:S"', secret);
  const signed = signer.provider.scheme.kind !== "unsigned";
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

/** Refused for what it is, not because something broke. */
const REFUSED = new Set([400, 401]);

describe.each(names.map((name) => [name, samples[name] as Sample] as const))("%s", (name, sample) => {
  const signer = signerFor(name, certificateFor);
  const events = sample.events ?? 1;
  let inbox: TestInbox;
  let now = NOW;
  beforeAll(async () => {
    inbox = await inboxFor(signer, () => now);
  });
  afterAll(() => inbox[Symbol.asyncDispose]());

  test("a retry, signed anew, is the same event; the next one is another", async () => {
    expect((await send(inbox, await signer.request(1, 1, now))).ok).toBe(true);
    expect(effects(inbox)).toBe(events);
    now += 60_000;
    expect((await send(inbox, await signer.request(1, 2, now))).ok).toBe(true);
    expect(effects(inbox)).toBe(sample.neverTheSame === true ? 2 : events);
    now += 60_000;
    expect((await send(inbox, await signer.request(2, 1, now))).ok).toBe(true);
    expect(effects(inbox)).toBe(sample.neverTheSame === true ? 3 : 2 * events);
    expect(inbox.value("select count(*) from hookonce_failures")).toBe(0);
    expect(inbox.value("select count(*) from effects where type = ''")).toBe(
      name === "mollie-classic" ? 3 : 0,
    );
    expect(inbox.fatal).toEqual([]);
  });

  if (signer.provider.scheme.kind === "unsigned") return;

  test("nothing but the right signature is taken", async () => {
    const right = await signer.request(3, 1, now);
    const added = Object.keys(right.headers).filter(
      (header) => header !== "content-type" && !(header in (sample.headers?.(3, 1) ?? {})),
    );
    const listed = (): unknown => inbox.value("select count(*) from hookonce_events");
    const before = { effects: effects(inbox), listed: listed() };
    const hostile: [string, OutgoingRequest][] = [];
    for (const header of added) {
      const value = right.headers[header] ?? "";
      const put = (what: string, text: string): void =>
        void hostile.push([
          `${header}: ${what}`,
          { ...right, headers: { ...right.headers, [header]: text } },
        ]);
      const { [header]: _, ...without } = right.headers;
      // A certificate's URL has a default in what signs; without it there is still nothing to trust.
      hostile.push([`${header}: missing`, { ...right, headers: without }]);
      put("empty", "");
      put("8 kB", "a".repeat(8192));
      put("8 kB of commas", ",".repeat(8192));
      put("cut short", value.replace(/=*$/, "").slice(0, -2));
      // Hex is decoded for a public key's signature, and names of algorithms have no case.
      if (signer.provider.scheme.kind !== "public-key" && header !== "paypal-auth-algo")
        put("in capitals", value === value.toUpperCase() ? `${value}x` : value.toUpperCase());
      put(
        "a negative time",
        value.replace(/\d{10,13}/, "-1790000000") === value
          ? "-1"
          : value.replace(/\d{10,13}/, "-1790000000"),
      );
      put(
        "a huge time",
        value.replace(/\d{10,13}/, "9".repeat(40)) === value
          ? "9".repeat(40)
          : value.replace(/\d{10,13}/, "9".repeat(40)),
      );
      put("latin-1", "\u00e9\u00ff");
      put("__proto__", "__proto__");
    }
    const text = Buffer.from(right.body).toString();
    if (added.some((header) => /sig|verification|hmac/.test(header))) {
      hostile.push(["a space after the body", { ...right, body: Buffer.from(`${text} `) }]);
      hostile.push(["no body", { ...right, body: Buffer.of() }]);
      hostile.push(["a BOM before the body", { ...right, body: Buffer.from(`\ufeff${text}`) }]);
      hostile.push(["no UTF-8", { ...right, body: Buffer.from([0xff, 0xfe, 0x7b]) }]);
    }
    for (const body of [
      "",
      "{",
      "[]",
      "null",
      "7",
      '"x"',
      "{}",
      '{"signature":{}}',
      '{"notificationItems":[{}]}',
    ])
      hostile.push([
        `unsigned: ${body}`,
        { ...right, headers: { "content-type": "application/json" }, body: Buffer.from(body) },
      ]);

    for (const [what, request] of hostile) {
      // What is signed need not be every header: a change to one that is not leaves the delivery right.
      const response = await send(inbox, request);
      const verdict = { what, status: response.status, code: await codeOf(response) };
      if (response.status === 503) expect(verdict).toMatchObject({ code: "key_unavailable" });
      else
        expect({ ...verdict, refused: REFUSED.has(response.status) }).toEqual({ ...verdict, refused: true });
    }
    expect({ effects: effects(inbox), listed: listed() }).toEqual(before);
    expect((await send(inbox, right)).ok).toBe(true);
    expect(effects(inbox)).toBe(before.effects + events);
  });

  test("another secret is refused, and of two either is taken", async () => {
    const request = await signer.request(1, 1, now);
    const response = await send(inbox, request, "wrong");
    // Plaid's secret opens its API, which here answers everybody.
    if (name !== "plaid") expect(response.status).toBe(401);
    expect((await send(inbox, request, "both")).ok).toBe(true);
  });

  test("a static secret is nowhere to be found afterwards", async () => {
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
    expect((await send(inbox, await signer.request(1, 1, NOW))).ok).toBe(true);
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

function otherSecret({ provider, keys }: Signer): string {
  const { kind } = provider.scheme;
  if (kind === "public-key") return signerFor(provider.name, certificateFor).keys.secret;
  if (kind === "sns") return `${keys.secret}2`;
  return keys.secret.startsWith("whsec_")
    ? "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXI="
    : keys.secret.replace(/^../, "ab");
}
