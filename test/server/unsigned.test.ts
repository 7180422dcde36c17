import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import { samples } from "../providers/preset-samples.ts";
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
  {
    name: "a client's own headers",
    headers: { "x-request-id": "1", "x-client-version": "10.2.0.1" },
    taken: true,
  },

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

/** What browsers, proxies, load balancers, content delivery networks and tunnels add, by their documentation. */
const added = `
  Via CDN-Loop Client-Cert Proxy-Connection Sec-CH-UA Sec-Fetch-Dest X-Real-IP True-Client-IP
  X-Client-IP Client-IP X-Cluster-Client-IP Remote-Addr X-Forwarded X-Original-URI X-Original-Host
  X-Original-Method X-Rewrite-URL X-Real-Port X-Scheme X-URL-Scheme X-Host Front-End-Https
  X-SSL-Client-Verify X-Request-Start X-Envoy-External-Address X-Envoy-Expected-Rq-Timeout-Ms
  X-Nginx-Proxy X-Varnish X-Amzn-Trace-Id X-Amz-Cf-Id X-Cloud-Trace-Context X-AppEngine-User-IP
  X-Azure-ClientIP X-Azure-Ref X-ARR-LOG-ID X-Vercel-Id X-NF-Request-ID Fly-Client-IP Fly-Region
  CF-Connecting-IP CF-IPCountry CloudFront-Viewer-Address Fastly-Client-IP Fastly-FF Akamai-Origin-Hop
  Incap-Client-IP DO-Connecting-IP Ngrok-Skip-Browser-Warning Ngrok-Auth-User-Email Tailscale-User-Login
  Tailscale-Funnel-Request X-LocalTunnel-Client Remote-User X-Auth-Request-Email
  X-Goog-Authenticated-User-Email X-MS-Client-Principal-Name
`
  .trim()
  .split(/\s+/);

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

  for (const name of added) {
    test(`refuses ${name}`, async () => {
      const response = await shared.request("/webhook", { method: "POST", body, headers: { [name]: "1" } });
      expect(response.status).toBe(403);
      expect(await response.text()).toContain(`it carries the header ${name.toLowerCase()}`);
      expect(left(shared)).toEqual(nothing);
    });
  }

  for (const value of [
    "203.0.113.9",
    "203.0.113.9:4711",
    "127.0.0.1, 10.0.0.7",
    "[2001:db8::1]:443",
    "::2",
  ]) {
    test(`refuses any header with the address of another machine: ${value}`, async () => {
      const headers = { "x-unheard-of": value };
      const response = await shared.request("/webhook", { method: "POST", body, headers });
      expect(await response.text()).toContain("it carries the header x-unheard-of");
      expect(left(shared)).toEqual(nothing);
    });
  }

  test("takes what providers, their command lines and curl send", async () => {
    await using inbox = await testInbox({ files });
    const clients: Record<string, string>[] = [
      { "user-agent": "curl/8.5.0", accept: "*/*", "content-type": "application/x-www-form-urlencoded" },
      {
        "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        accept: "*/*; q=0.5, application/xml",
        "cache-control": "no-cache",
        "content-type": "application/json; charset=utf-8",
        "stripe-signature": "t=1,v1=00",
        "accept-encoding": "gzip",
      },
      // The fetch of Node.js.
      {
        "user-agent": "node",
        accept: "*/*",
        "accept-language": "*",
        "sec-fetch-mode": "cors",
        "accept-encoding": "gzip, deflate",
        "content-type": "text/plain;charset=UTF-8",
      },
      { "x-vercel-signature": "00", "x-amz-sns-message-type": "Notification", "x-goog-channel-id": "1" },
      ...Object.values(samples).map(({ headers }) => headers?.(1, 1) ?? {}),
    ];
    for (const { scheme } of providers.values()) {
      const signature = kindOf(scheme).signatureHeader(scheme);
      if (signature !== undefined && signature.header !== "") clients.push({ [signature.header]: "1" });
    }
    for (const headers of clients) {
      const response = await inbox.request("/webhook", { method: "POST", body, headers });
      expect([headers, response.status]).toEqual([headers, 200]);
    }
  });

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
