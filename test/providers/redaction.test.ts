import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { createBodyRedaction } from "../../src/providers/body/redaction.ts";
import { leastProcessorTime } from "../support/processor-time.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const SECRET = "p4ss word/&";
const FORM = "application/x-www-form-urlencoded";

function inboxFor(provider: string, more = ""): Promise<TestInbox> {
  return testInbox({
    config: `[sources.it]\nprovider = "${provider}"\nsecret = ["env:S", "env:LONGER"]\n${more}`,
    environment: { S: SECRET, LONGER: `${SECRET}-and-more` },
    files: {
      "migrations/0001.sql": "create table seen (payload text, headers text) strict;",
      "handlers/it/_any.sql": "insert into seen values (:payload, :headers);",
    },
  });
}

/** What is stored and logged of a delivery. */
async function keptOf(
  inbox: TestInbox,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<{ body: string; payload: unknown; all: string }> {
  const response = await inbox.request("/webhook/it", {
    method: "POST",
    body: Buffer.from(body as string),
    headers,
  });
  expect(response.status).toBe(200);
  const [row] = inbox.rows("select cast(bytes as text) as body, headers from hookonce_bodies");
  const seen = inbox.rows("select payload, headers from seen");
  return {
    body: row.body,
    payload: JSON.parse(seen[0].payload),
    all: JSON.stringify([row, seen, inbox.log]),
  };
}

function expectNothingOf(kept: string): void {
  for (const spelling of [SECRET, encodeURIComponent(SECRET), Buffer.from(SECRET).toString("base64")])
    expect(kept).not.toContain(spelling);
  expect(kept).not.toContain("p4ss");
}

test("replaces a secret in the body everywhere it occurs", async () => {
  await using inbox = await inboxFor("figma");
  const escaped = encodeURIComponent(SECRET);
  const text = `{"note":"first ${SECRET}","note":"second","event_type":"FILE_UPDATE","passcode":${JSON.stringify(SECRET)},
    "url":"https://h.example/?p=${escaped}&q=1","list":["a ${SECRET} b"],"${SECRET}":1,"big":12345678901234567890,
    "basic":"Basic ${Buffer.from(SECRET).toString("base64")}","longer":"${SECRET}-and-more"}`;
  const kept = await keptOf(inbox, text, {
    "x-forwarded-uri": `/webhook/it?p=${escaped}`,
    "x-note": `so ${SECRET} it is`,
  });
  expectNothingOf(kept.all);
  expect(kept.payload).toMatchObject({
    passcode: "[redacted]",
    url: "https://h.example/?p=[redacted]&q=1",
    list: ["a [redacted] b"],
    longer: "[redacted]",
  });
  expect(kept.body).toContain("12345678901234567890");
});

test("replaces a secret in the form fields beside the one with the JSON", async () => {
  await using inbox = await inboxFor("ko-fi");
  const data = { verification_token: SECRET, message_id: "m1", type: "Donation", url: `x${SECRET}y` };
  const form = new URLSearchParams({
    data: JSON.stringify(data),
    token: SECRET,
    other: `a ${SECRET}`,
    n: "1",
  });
  const kept = await keptOf(inbox, form.toString(), { "content-type": FORM });
  expectNothingOf(kept.all);
  const fields = new URLSearchParams(kept.body);
  expect([fields.get("token"), fields.get("other"), fields.get("n")]).toEqual([
    "[redacted]",
    "a [redacted]",
    "1",
  ]);
  expect(kept.payload).toMatchObject({ message_id: "m1", url: "x[redacted]y" });
});

test("stores JSON that is sent with the type of a form as JSON", async () => {
  for (const blank of ["", " ", "\n\t", "\ufeff"]) {
    await using inbox = await inboxFor("figma");
    const body = `${blank}${JSON.stringify({ passcode: SECRET, event_type: "FILE_UPDATE", n: { a: 1 } })}`;
    const kept = await keptOf(inbox, body, { "content-type": FORM });
    expect(kept.payload).toEqual({ passcode: "[redacted]", event_type: "FILE_UPDATE", n: { a: 1 } });
    expect(JSON.parse(kept.body)).toEqual(kept.payload);
  }
});

test("replaces a secret in a compressed form", async () => {
  await using inbox = await inboxFor("ko-fi");
  const data = JSON.stringify({ verification_token: SECRET, message_id: "m1", type: "Donation" });
  const kept = await keptOf(inbox, gzipSync(new URLSearchParams({ data }).toString()), {
    "content-type": FORM,
    "content-encoding": "gzip",
  });
  expectNothingOf(kept.all);
  expect(kept.payload).toMatchObject({ message_id: "m1" });
  expect(new URLSearchParams(kept.body).has("data")).toBe(true);
});

test("replaces the secret of a header in the body, and does not change a body without it", async () => {
  const headers = { "x-gitlab-token": SECRET, "idempotency-key": "k1", "x-gitlab-event": "Push Hook" };
  await using told = await inboxFor("gitlab-token");
  const kept = await keptOf(told, `{"hook":{"token":"${SECRET}"}}`, headers);
  expectNothingOf(kept.all);
  expect(kept.payload).toEqual({ hook: { token: "[redacted]" } });

  await using untold = await inboxFor("gitlab-token");
  const spelled = '{ "b" : 1.0,\n "a": "\\u0041" }';
  expect((await keptOf(untold, spelled, headers)).body).toBe(spelled);
});

/** Redacts the body of a request without a Content-Type. */
function redacted(text: string): string {
  const body = Buffer.from(text);
  const delivery = { method: "POST", url: "/", headers: {}, body, receivedAt: 0, remoteAddress: () => null };
  return Buffer.from(createBodyRedaction([SECRET], undefined, 1024)(delivery).body).toString();
}

test("finds a secret behind any escapes, and only there", () => {
  const units = Array.from(SECRET, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const percent = encodeURIComponent(SECRET).replaceAll("%", "\\u0025");
  for (const spelled of [
    units.join(""),
    `\\n${percent}\\"`,
    `a\\\\${units.join("")}`,
    JSON.stringify(SECRET).slice(1, -1),
  ])
    for (const json of [`{"a":"\\"\\\\","b":["${spelled}"]}`, `{"${spelled}":"\\r\\n"}`, `"${spelled}"`]) {
      const kept: unknown = JSON.parse(redacted(json));
      expect(JSON.stringify(kept)).toContain("[redacted]");
      expect(decodeURIComponent(JSON.stringify(kept))).not.toContain("p4ss");
    }
  for (const clean of [
    '{"a":"\\"\\\\","b":1.0}',
    '{"a":"\\u0070\\u0034"}',
    '"\\\\"',
    "\\",
    'a\\"b"',
    '{"a":"\\',
  ])
    expect(redacted(clean)).toBe(clean);
});

test("a large body without the secret costs little more than JSON.parse", async () => {
  const fields = Array.from({ length: 40_000 }, (_, n) => `{"Name":"X-${n}","Value":"a\\r\\n","n":${n}}`);
  const text = `[${fields.join(",")}]`;
  const body = Buffer.from(text);
  const redact = createBodyRedaction([SECRET], undefined, 1024);
  const delivery = { method: "POST", url: "/", headers: {}, body, receivedAt: 0, remoteAddress: () => null };
  const work = (): void => expect(redact(delivery).body).toBe(body);
  // Reading and writing every value took 25 times as long as JSON.parse.
  const allowed = 8 * (await leastProcessorTime(() => JSON.parse(text), 5));
  expect(await leastProcessorTime(work, 10, allowed)).toBeLessThan(allowed);
});
