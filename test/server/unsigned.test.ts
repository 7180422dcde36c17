import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect, nothing } from "./support/effects.ts";
import { rawClient, requestHead } from "./support/raw-client.ts";

const files = { "migrations/0001.sql": effectsTable, "handlers/default/_any.sql": noteEffect };
const body = JSON.stringify({ event_id: "evt_1", type: "paid" });

interface Scenario {
  name: string;
  remoteAddress?: string;
  headers?: Record<string, string>;
  taken: boolean;
}

const scenarios: Scenario[] = [
  { name: "this machine", taken: true },
  { name: "this machine at another loopback address", remoteAddress: "127.8.9.10", taken: true },
  { name: "this machine over IPv6", remoteAddress: "::1", headers: { host: "[::1]:8787" }, taken: true },
  { name: "this machine on a dual-stack socket", remoteAddress: "::ffff:127.0.0.1", taken: true },
  { name: "Host: localhost with a port", headers: { host: "localhost:8787" }, taken: true },
  { name: "Host: LOCALHOST", headers: { host: "LOCALHOST" }, taken: true },
  { name: "Host: 127.0.0.1", headers: { host: "127.0.0.1:8787" }, taken: true },
  { name: "a client's own headers", headers: { "x-request-id": "1", via: "1.1 me" }, taken: true },

  { name: "another machine in the local network", remoteAddress: "192.168.1.7", taken: false },
  { name: "another machine", remoteAddress: "203.0.113.9", taken: false },
  { name: "another machine over IPv6", remoteAddress: "2001:db8::1", taken: false },
  { name: "another machine on a dual-stack socket", remoteAddress: "::ffff:203.0.113.9", taken: false },
  {
    name: "an address that starts with a loopback address",
    remoteAddress: "127.0.0.1.example",
    taken: false,
  },
  { name: "no peer address", remoteAddress: "", taken: false },
  { name: "the Host of a tunnel", headers: { host: "inbox.example.com" }, taken: false },
  {
    name: "a Host that starts with localhost, as in DNS rebinding",
    headers: { host: "localhost.example.com" },
    taken: false,
  },
  { name: "a Host that ends with localhost", headers: { host: "evil-localhost" }, taken: false },
  {
    name: "a Host that starts with a loopback address",
    headers: { host: "127.0.0.1.example" },
    taken: false,
  },
  { name: "Host: 0.0.0.0", headers: { host: "0.0.0.0:8787" }, taken: false },
  { name: "a web page (Origin)", headers: { origin: "https://example.com" }, taken: false },
  { name: "a local web page (Origin)", headers: { origin: "http://localhost:8787" }, taken: false },
  { name: "a web page with an opaque origin", headers: { origin: "null" }, taken: false },
  { name: "a browser (Sec-Fetch-Site)", headers: { "sec-fetch-site": "none" }, taken: false },
  { name: "a proxy (Forwarded)", headers: { forwarded: "for=127.0.0.1" }, taken: false },
  { name: "a proxy (X-Forwarded-For)", headers: { "x-forwarded-for": "127.0.0.1" }, taken: false },
  { name: "a proxy (X-Forwarded-Proto)", headers: { "x-forwarded-proto": "https" }, taken: false },
  { name: "a proxy (X-Forwarded-Anything)", headers: { "X-Forwarded-Anything": "" }, taken: false },
  { name: "a tunnel (CF-Connecting-IP)", headers: { "cf-connecting-ip": "127.0.0.1" }, taken: false },
  { name: "a tunnel (CF-Ray)", headers: { "CF-Ray": "8f" }, taken: false },
];

const post = (scenario: Scenario): RequestInit => ({ method: "POST", body, headers: scenario.headers ?? {} });

describe("an unsigned source", () => {
  // Every refusal is checked to leave nothing behind, so refusals can share one inbox.
  let shared: TestInbox;
  beforeAll(async () => void (shared = await testInbox({ files })));
  afterAll(() => shared[Symbol.asyncDispose]());

  for (const scenario of scenarios) {
    test(`${scenario.taken ? "answers" : "refuses"} ${scenario.name}`, async () => {
      await using own = scenario.taken ? await testInbox({ files }) : null;
      const inbox = own ?? shared;
      const response = await inbox.request("/webhook", post(scenario), scenario.remoteAddress);
      const answer = (await response.json()) as { status?: string; error?: { code: string } };
      if (scenario.taken) {
        expect([response.status, answer.status]).toEqual([200, "processed"]);
        expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
      } else {
        expect([response.status, answer.error?.code]).toEqual([403, "unsigned_not_loopback"]);
        expect(left(inbox)).toEqual(nothing);
      }
    });
  }

  test("answers every request if allow_public = true", async () => {
    await using inbox = await testInbox({
      files,
      config: `
[sources.default]
provider     = "unsigned"
event_id     = "body:$.event_id"
type         = "body:$.type"
allow_public = true
`,
    });
    for (const scenario of scenarios) {
      const response = await inbox.request("/webhook", post(scenario), scenario.remoteAddress);
      expect(response.status).toBe(200);
    }
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
    expect(inbox.value("select deliveries from hookonce_events")).toBe(scenarios.length);
  });

  test("uses the peer address of the connection, not the address that a header claims", async () => {
    await using inbox = await testInbox({ files });
    const { url } = inbox.listen();
    for (const [headers, status] of [
      [{}, 200],
      [{ host: new URL(url).host }, 200],
      [{ host: "inbox.example.com" }, 403],
      [{ "x-forwarded-for": "127.0.0.1" }, 403],
    ] as const) {
      using client = await rawClient(url);
      await client.send(requestHead("/webhook", { ...headers, "content-length": body.length }));
      await client.send(body);
      expect(await client.answer).toMatchObject({ status });
    }
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });
});
