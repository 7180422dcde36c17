import { describe, expect, test } from "bun:test";
import { WebhookNotification } from "braintree";
import { readXml } from "../../src/providers/body/xml.ts";
import { eventTypes } from "../../src/providers/event-types.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { braintreeGateway } from "./libraries/payments.ts";
import { effectsTable } from "./signed-inbox.ts";

const SECRET = "public_key:private_key";
const library = braintreeGateway(SECRET);
const kinds = Object.values(WebhookNotification.Kind);

const inboxFor = (): Promise<TestInbox> =>
  testInbox({
    config: '[sources.it]\nprovider = "braintree"\nsecret = "env:S"\n',
    environment: { S: SECRET },
    files: {
      ...effectsTable,
      "migrations/0002.sql": "create table payloads (payload text) strict;",
      "handlers/it/_any.sql":
        "insert into effects values (:source, :event_id, :type); insert into payloads values (:payload);",
    },
  });

async function post(inbox: TestInbox, fields: Record<string, string> | [string, string][]): Promise<number> {
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const body = new URLSearchParams(fields).toString();
  const response = await inbox.request("/webhook/it", { method: "POST", headers, body });
  await response.text();
  return response.status;
}

const stored = (inbox: TestInbox): number => inbox.value("select count(*) from hookonce_events") as number;

test("accepts each kind of notification that Braintree's library makes, and knows its name", async () => {
  await using inbox = await inboxFor();
  for (const kind of kinds) {
    const made = await library.webhookTesting.sampleNotification(kind, "42");
    const parsed = await library.webhookNotification.parse(made.bt_signature, made.bt_payload);
    expect([kind, await post(inbox, made), await post(inbox, made)]).toEqual([kind, 200, 200]);
    expect(parsed.kind).toBe(kind);
  }
  // The check of the URL is no event.
  const types = inbox.rows("select type from effects order by rowid").map(({ type }) => type);
  const events = kinds.filter((kind) => kind !== "check");
  expect(types).toEqual(events);
  expect(new Set(eventTypes.get("braintree")?.types)).toEqual(new Set(events));
});

test("passes the notification as JSON, and no field that is not signed", async () => {
  await using inbox = await inboxFor();
  const made = await library.webhookTesting.sampleNotification("subscription_charged_successfully", "my_id");
  expect(await post(inbox, { ...made, bt_extra: "1", kind: "forged" })).toBe(200);
  const payload = JSON.parse(inbox.value("select payload from payloads") as string);
  expect(Object.keys(payload).sort()).toEqual(["kind", "subject", "timestamp"]);
  expect(payload.kind).toBe("subscription_charged_successfully");
  expect(payload.subject.subscription.id).toBe("my_id");
  expect(payload.subject.subscription.add_ons).toEqual([]);
  expect(payload.subject.subscription.transactions[0]).toMatchObject({ amount: "49.99" });
});

test("answers a challenge as Braintree's library does, and no other text", async () => {
  await using inbox = await inboxFor();
  const ask = async (challenge: string): Promise<[number, string]> => {
    const response = await inbox.request(`/webhook/it?bt_challenge=${encodeURIComponent(challenge)}`);
    return [response.status, await response.text()];
  };
  for (const challenge of ["20f9f8ed05f77439fe955c977e4c8a53", "a".repeat(20)])
    expect(await ask(challenge)).toEqual([200, library.webhookNotification.verify(challenge)]);
  for (const other of [
    "",
    "a".repeat(19),
    "a".repeat(33),
    "A".repeat(20),
    "PG5vdGlmaWNhdGlvbj4=",
    `${"a".repeat(20)}\n`,
  ])
    expect((await ask(other))[0]).toBe(403);
  expect((await inbox.request("/webhook/it")).status).toBe(403);
  expect(stored(inbox)).toBe(0);
});

test("does not take the answer to a challenge for the signature of a notification", async () => {
  await using inbox = await inboxFor();
  const challenge = "20f9f8ed05f77439fe955c977e4c8a53";
  const answer = library.webhookNotification.verify(challenge);
  expect(await post(inbox, { bt_signature: answer, bt_payload: challenge })).toBe(401);
  expect(stored(inbox)).toBe(0);
});

test("refuses repeated fields, JSON, and signatures of other keys", async () => {
  await using inbox = await inboxFor();
  const made = await library.webhookTesting.sampleNotification("dispute_opened", "1");
  const { bt_signature: signature, bt_payload: payload } = made;
  const [, hex = ""] = signature.split("|");
  for (const fields of [
    { bt_payload: payload },
    { bt_signature: signature },
    { bt_signature: hex, bt_payload: payload },
    { bt_signature: `other|${hex}`, bt_payload: payload },
    { bt_signature: `public_key|${hex.toUpperCase()}`, bt_payload: payload },
    { bt_signature: `public_key|${hex}00`, bt_payload: payload },
    { bt_signature: signature, bt_payload: `${payload}!` },
    { bt_signature: signature, bt_payload: payload.slice(4) },
    { bt_signature: "&".repeat(5000), bt_payload: payload },
  ])
    expect([fields, await post(inbox, fields)]).toEqual([fields, 401]);
  expect(await post(inbox, [...Object.entries(made), ["bt_payload", "x"]])).toBe(401);
  const json = { method: "POST", body: JSON.stringify(made) };
  expect((await inbox.request("/webhook/it", json)).status).toBe(401);
  expect(stored(inbox)).toBe(0);
  // Braintree sends a pair for each key.
  expect(await post(inbox, { bt_signature: `other|00&${signature}`, bt_payload: payload })).toBe(200);
});

test("refuses a start with only one of the two keys", async () => {
  const start = testInbox({
    config: '[sources.it]\nprovider = "braintree"\nsecret = "env:S"\n',
    environment: { S: "private_key" },
  });
  expect(start).rejects.toThrow("PUBLIC_KEY:PRIVATE_KEY");
});

describe("XML", () => {
  test("is read with attributes, CDATA, comments and escapes", () => {
    const root = readXml(
      `<?xml version="1.0"?>\n<!-- c --><a x='1' y="&lt;"><b>1 &amp; 2&#33;&#x21;</b><c/><![CDATA[<raw>]]></a>\n`,
    );
    expect(root).toMatchObject({
      name: "a",
      attributes: { x: "1", y: "<" },
      text: "<raw>",
      children: [
        { name: "b", text: "1 & 2!!" },
        { name: "c", text: "" },
      ],
    });
  });

  test.each([
    "",
    "text",
    "<a>",
    "</a>",
    "<a></b>",
    "<a/><b/>",
    "<a/>text",
    "<a b></a>",
    '<a b="1" c=2/>',
    "<a>&unknown;</a>",
    "<a>& </a>",
    "<a>&#0;</a>",
    "<a>&#xd800;</a>",
    "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    "<!--<a/>",
    "<![CDATA[<a/>",
    "<1/>",
    "< a/>",
    "<a>".repeat(1000) + "</a>".repeat(1000),
  ])("is refused if it is %p", (text) => {
    expect(() => readXml(text)).toThrow("is not XML");
  });

  test("is read in linear time, whatever it contains", () => {
    const size = 200_000;
    for (const piece of ["<a", "<a ", "<a b='", "<a b='1' ", "&", "&amp;", "<!--", "]]>", " ", "<a/>"]) {
      const started = performance.now();
      for (const text of [piece.repeat(size / piece.length), `<a${piece.repeat(size / piece.length)}`]) {
        try {
          readXml(text);
        } catch {
          // Only the time counts.
        }
      }
      expect(performance.now() - started).toBeLessThan(2000);
    }
  });

  test("has only own properties", () => {
    expect(Object.keys(readXml("<__proto__ constructor='1'/>").attributes)).toEqual(["constructor"]);
  });
});
