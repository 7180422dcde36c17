import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import twilio from "twilio";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const TOKEN = "12345";
const PUBLIC_URL = "https://hooks.example.com/webhook/twilio";
const FORM = "application/x-www-form-urlencoded";

let inbox: TestInbox;

beforeAll(async () => {
  inbox = await testInbox({
    config: `[sources.twilio]\nprovider = "twilio"\nsecret = "env:TOKEN"\npublic_url = "${PUBLIC_URL}"\n`,
    environment: { TOKEN },
    files: {
      "migrations/0001.sql": "create table effects (event_id text, payload text) strict;",
      "handlers/twilio/_any.sql": "insert into effects values (:event_id, :payload);",
    },
  });
});

afterAll(() => inbox[Symbol.asyncDispose]());

interface Sent {
  readonly query: string;
  readonly method?: string;
  readonly fields?: Record<string, string>;
  readonly type?: string;
  readonly signature: string;
}

async function send({ query, method = "POST", fields, type = FORM, signature }: Sent): Promise<number> {
  const body = fields === undefined ? null : new URLSearchParams(fields).toString();
  const response = await inbox.request(`/webhook/twilio${query}`, {
    method,
    headers: { "x-twilio-signature": signature, ...(method === "POST" ? { "content-type": type } : {}) },
    ...(body === null ? {} : { body }),
  });
  await response.text();
  return response.status;
}

const effects = (): number => inbox.value("select count(*) from effects") as number;

let last = 0;
const newFields = (): Record<string, string> => ({ MessageSid: `SM${++last}`, MessageStatus: "sent" });

/** The signature of Twilio's own library. */
const signed = (url: string, fields: Record<string, string> = {}): string =>
  twilio.getExpectedTwilioSignature(TOKEN, url, fields);

describe("every spelling of the URL that Twilio's library accepts is accepted", () => {
  test.each([
    ["?name=O'Brien"],
    ["?name=O%27Brien"],
    ["?a='x'&b=\"y\"&c=<z>"],
    ["?a=%27x%27&b=%22y%22&c=%3Cz%3E"],
    ["?q=a+b&r=c%20d"],
    ["?q=(1)*!~&e=%C3%A9"],
    [""],
  ])("%s", async (query) => {
    for (const base of [PUBLIC_URL, PUBLIC_URL.replace(".com/", ".com:443/")]) {
      const fields = newFields();
      const before = effects();
      const signature = signed(base + query, fields);
      expect(twilio.validateRequest(TOKEN, signature, PUBLIC_URL + query, fields)).toBe(true);
      expect(await send({ query, fields, signature })).toBe(200);
      expect(effects()).toBe(before + 1);
    }
  });

  test.each([["?name=O'Brien"], ["?q=a+b&r=c%20d&s='"], ["?q=%28%29%2A"]])(
    "%s, as Node's querystring writes it",
    async (query) => {
      const { parse, stringify } = await import("node:querystring");
      const fields = newFields();
      const signature = signed(`${PUBLIC_URL}?${stringify(parse(query.slice(1)))}`, fields);
      expect(twilio.validateRequest(TOKEN, signature, PUBLIC_URL + query, fields)).toBe(true);
      expect(await send({ query, fields, signature })).toBe(200);
    },
  );

  test("another query is refused", async () => {
    const fields = newFields();
    const signature = signed(`${PUBLIC_URL}?name=O'Brien`, fields);
    for (const query of ["?name=O'Brie", "?name=OBrien", "?name=O'Brien&x=1", "?name=O%2527Brien", ""])
      expect(await send({ query, fields, signature })).toBe(401);
  });
});

describe("a delivery by GET", () => {
  const query = "?MessageSid=SM_get&MessageStatus=delivered&To=%2B1&name=O'Brien";

  test("is an event whose payload is the query, once", async () => {
    const before = effects();
    const signature = signed(PUBLIC_URL + query);
    expect(await send({ query, method: "GET", signature })).toBe(200);
    expect(await send({ query, method: "GET", signature })).toBe(200);
    expect(effects()).toBe(before + 1);
    const payload = inbox.value("select payload from effects where event_id = 'SM_get:delivered'") as string;
    expect(JSON.parse(payload)).toEqual({
      MessageSid: "SM_get",
      MessageStatus: "delivered",
      To: "+1",
      name: "O'Brien",
    });
  });

  test("is not accepted again in another form", async () => {
    const before = effects();
    const signature = signed(PUBLIC_URL + query);
    expect(await send({ query, method: "POST", fields: {}, signature })).toBe(401);
    expect(await send({ query, method: "POST", fields: {}, type: "application/json", signature })).toBe(401);
    expect(await send({ query: `${query}0`, method: "GET", signature })).toBe(401);
    expect(await send({ query, method: "HEAD", signature })).toBe(405);
    expect(effects()).toBe(before);
  });

  test("cannot be made of a JSON delivery", async () => {
    const hash = new Bun.CryptoHasher("sha256").update("").digest("hex");
    const ofJson = `?bodySHA256=${hash}`;
    const signature = signed(PUBLIC_URL + ofJson);
    expect(await send({ query: ofJson, method: "GET", signature })).toBe(401);
  });
});
