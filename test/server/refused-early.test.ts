import { describe, expect, test } from "bun:test";
import { testInbox } from "../support/test-inbox.ts";
import { effectsTable, left, nothing } from "./support/effects.ts";
import { chunk, rawClient, requestHead } from "./support/raw-client.ts";

const options = {
  config: `
[sources.github]
provider = "github"
secret   = "env:SECRET"

[sources.stripe]
provider = "stripe"
secret   = "env:SECRET"

[sources.gitlab]
provider = "gitlab-token"
secret   = "env:SECRET"

[sources.postmark]
provider = "postmark"
secret   = "env:LOGIN"

[sources.paypal]
provider = "paypal"
secret   = "env:SECRET"

[sources.contentful]
provider   = "contentful"
secret     = "env:SECRET"
public_url = "https://hooks.example.test/webhook/contentful"

[sources.twilio]
provider   = "twilio"
secret     = "env:SECRET"
public_url = "https://hooks.example.test/webhook/twilio"

[sources.netlify]
provider = "netlify"
secret   = "env:SECRET"

[sources.asymmetric]
provider = "standard-webhooks-asymmetric"
secret   = "env:PUBLIC_KEY"

[sources.mailgun]
provider = "mailgun"
secret   = "env:SECRET"

[sources.kofi]
provider = "ko-fi"
secret   = "env:SECRET"

[sources.notion]
provider = "notion"

[sources.woo]
provider = "woocommerce"
secret   = "env:SECRET"

[sources.open]
provider = "unsigned"
type     = "body:$.type"
`,
  environment: {
    SECRET: "secret-of-the-tests",
    LOGIN: "user:password",
    PUBLIC_KEY: `whpk_${Buffer.alloc(32, 1).toString("base64")}`,
  },
  files: { "migrations/0001.sql": effectsTable },
};

const LONG = { "content-length": 500_000 };
const signatures = (count: number): string =>
  Array.from({ length: count }, (_, n) => `v1a,${Buffer.alloc(64, n).toString("base64")}`).join(" ");

const scenarios: {
  name: string;
  path: string;
  headers: Record<string, string | number>;
  status: number;
  code: string;
}[] = [
  { name: "no signature", path: "github", headers: LONG, status: 401, code: "signature_missing" },
  {
    name: "a signature without its prefix",
    path: "github",
    headers: { ...LONG, "x-hub-signature-256": "00" },
    status: 401,
    code: "signature_malformed",
  },
  {
    name: "a signature without a time",
    path: "stripe",
    headers: { ...LONG, "stripe-signature": "v1=00" },
    status: 401,
    code: "timestamp_missing",
  },
  {
    name: "a wrong secret in a header",
    path: "gitlab",
    headers: { ...LONG, "x-gitlab-token": "wrong" },
    status: 401,
    code: "signature_mismatch",
  },
  {
    name: "a wrong password",
    path: "postmark",
    headers: { ...LONG, authorization: `Basic ${btoa("user:wrong")}` },
    status: 401,
    code: "signature_mismatch",
  },
  {
    name: "a certificate from another host",
    path: "paypal",
    headers: {
      ...LONG,
      "paypal-transmission-id": "1",
      "paypal-transmission-time": "2026-01-01T00:00:00Z",
      "paypal-transmission-sig": "x",
      "paypal-auth-algo": "SHA256withRSA",
      "paypal-cert-url": "https://paypal.example.com/v1/notifications/certs/CERT",
    },
    status: 401,
    code: "signature_malformed",
  },
  {
    name: "a signature that does not cover the time",
    path: "contentful",
    headers: { ...LONG, "x-contentful-signature": "00", "x-contentful-timestamp": "1" },
    status: 401,
    code: "signature_malformed",
  },
  { name: "no signature", path: "twilio", headers: LONG, status: 401, code: "signature_missing" },
  { name: "no token", path: "netlify", headers: LONG, status: 401, code: "signature_missing" },
  {
    name: "four signatures, each of which would be verified over the whole body",
    path: "asymmetric",
    headers: {
      ...LONG,
      "webhook-id": "msg_1",
      "webhook-timestamp": "1",
      "webhook-signature": signatures(4),
    },
    status: 401,
    code: "signature_malformed",
  },
  {
    name: "a body that cannot hold the signature",
    path: "mailgun",
    headers: { ...LONG, "content-type": "image/png" },
    status: 415,
    code: "unsupported_content_type",
  },
  {
    name: "a picture instead of the secret",
    path: "kofi",
    headers: { ...LONG, "content-type": "image/png" },
    status: 415,
    code: "unsupported_content_type",
  },
  {
    name: "a body that is too long to be the verification token",
    path: "notion",
    headers: { ...LONG, "content-type": "application/json" },
    status: 401,
    code: "signature_missing",
  },
  {
    name: "a compressed verification token",
    path: "notion",
    headers: { "content-length": 100, "content-encoding": "gzip" },
    status: 401,
    code: "signature_missing",
  },
  { name: "a ping that is too long", path: "woo", headers: LONG, status: 401, code: "signature_missing" },
  {
    name: "another Host",
    path: "open",
    headers: { ...LONG, host: "hooks.example.com" },
    status: 403,
    code: "unsigned_not_loopback",
  },
  {
    name: "a body above the limit, and no signature",
    path: "stripe",
    headers: { "content-length": 2_000_000 },
    status: 413,
    code: "body_too_large",
  },
];

describe("is refused before any of its body arrives", () => {
  for (const { name, path, headers, status, code } of scenarios) {
    test(`${path}: ${name}`, async () => {
      await using inbox = await testInbox(options);
      using client = await rawClient(inbox.listen().url);
      await client.send(requestHead(`/webhook/${path}`, headers));
      const answer = await client.answer;
      expect([answer?.status, JSON.parse(answer?.body || "{}").error?.code]).toEqual([status, code]);
      expect(left(inbox)).toEqual(nothing);
      expect(inbox.log).toContainEqual(expect.objectContaining({ outcome: "rejected", code }) as never);
    });
  }
});

test("three signatures in one header are read, because a key may be rotated", async () => {
  await using inbox = await testInbox(options);
  const response = await inbox.request("/webhook/asymmetric", {
    method: "POST",
    body: "{}",
    headers: { "webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": signatures(3) },
  });
  expect(await response.json()).toMatchObject({ error: { code: "signature_mismatch" } });
});

describe("a handshake without a signature", () => {
  const token = JSON.stringify({ verification_token: "secret_x" });

  test("is answered, whether its length is declared or not", async () => {
    await using inbox = await testInbox(options);
    const { url } = inbox.listen();
    for (const [head, body] of [
      [requestHead("/webhook/notion", { "content-length": token.length }), Buffer.from(token)],
      [
        requestHead("/webhook/notion", { "transfer-encoding": "chunked" }),
        Buffer.concat([chunk(token), chunk("")]),
      ],
    ] as const) {
      using client = await rawClient(url);
      await client.send(head);
      await client.send(body);
      expect(await client.answer).toMatchObject({ status: 200 });
    }
  });

  test("that grows beyond 4 KiB is refused for its missing signature", async () => {
    await using inbox = await testInbox(options);
    using client = await rawClient(inbox.listen().url);
    await client.send(requestHead("/webhook/notion", { "transfer-encoding": "chunked" }));
    await client.send(chunk(" ".repeat(5000)));
    const answer = await client.answer;
    expect(JSON.parse(answer?.body ?? "{}").error.code).toBe("signature_missing");
  });
});

test("a connection stays usable after a refusal whose body arrives late", async () => {
  await using inbox = await testInbox(options);
  const { hostname, port } = new URL(inbox.listen().url);
  const answers: string[] = [];
  let received = "";
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data: (_, bytes) => {
        received += bytes.toString();
        answers.splice(0, answers.length, ...(received.match(/HTTP\/1\.1 \d+/g) ?? []));
      },
    },
  });
  const answered = async (count: number): Promise<void> => {
    const until = performance.now() + 3000;
    while (answers.length < count && performance.now() < until) await Bun.sleep(5);
  };
  socket.write(requestHead("/webhook/github", { "content-length": 10 }));
  await answered(1);
  socket.write("0123456789");
  socket.write(`${requestHead("/webhook/github", { "content-length": 2 })}{}`);
  await answered(2);
  socket.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await answered(3);
  socket.end();
  expect(answers).toEqual(["HTTP/1.1 401", "HTTP/1.1 401", "HTTP/1.1 200"]);
});
