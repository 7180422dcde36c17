import { expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { SNS_HOST } from "../../src/providers/schemes/sns.ts";
import { sign } from "../../src/providers/verifier.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { signerFor, URL_OF_IT, type Signer } from "./preset-samples.ts";
import { NOW } from "./signed-inbox.ts";

interface FetchingInbox extends AsyncDisposable {
  inbox: TestInbox;
  fetched: string[];
  signer: Signer;
}

/** An inbox that records the URLs that it fetches. */
async function fetchingInbox(name: string): Promise<FetchingInbox> {
  const signer = signerFor(name, certificateFor);
  const fetched: string[] = [];
  const inbox = await testInbox({
    config: signer.config,
    environment: { S: signer.keys.secret },
    clock: () => NOW,
    fetch: (url, init) => {
      fetched.push(url);
      return signer.fetch(url, init);
    },
  });
  return { inbox, fetched, signer, [Symbol.asyncDispose]: () => inbox[Symbol.asyncDispose]() };
}

const post = (
  inbox: TestInbox,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): Promise<Response> => inbox.request("/webhook/it", { method: "POST", headers, body: Buffer.from(body) });

test("a certificate or key is fetched once", async () => {
  for (const name of ["aws-sns", "paypal", "plaid"]) {
    await using fetching = await fetchingInbox(name);
    const { inbox, fetched, signer } = fetching;
    for (const n of [1, 2, 3]) {
      const { headers, body } = await signer.request(n, 1, NOW);
      expect((await post(inbox, headers, body)).status).toBe(200);
    }
    expect(fetched).toHaveLength(1);
  }
});

test("refuses a URL whose host only looks like the provider's, and fetches nothing", async () => {
  const hosts = [
    "https://sns.us-east-1.amazonaws.com.evil.test/x.pem",
    "https://sns.us-east-1.amazonaws.com@evil.test/x.pem",
    "https://evil.test/sns.us-east-1.amazonaws.com/x.pem",
    "http://sns.us-east-1.amazonaws.com/x.pem",
    "https://sns.us-east-1.amazonaws.com:8443/x.pem",
    "https://xsns.us-east-1.amazonaws.com/x.pem",
    "https://s3.us-east-1.amazonaws.com/x.pem",
    "https://sns.us-east-1.amazonaws.com/x",
    "https://sns.us-east-1.amazonaws.com/x.pem?n=1",
    "https://sns.us-east-1.amazonaws.com/x.pem#1",
    // Buckets that anybody may have.
    "https://sns.s3-us-west-2.amazonaws.com/x.pem",
    "https://sns.s3-website-us-east-1.amazonaws.com/x.pem",
    "https://sns.s3.amazonaws.com/x.pem",
    "https://api.paypal.com/v1/notifications/certs/CERT-simulated?n=1",
    "https://api.paypal.com/v1/notifications/certs/CERT-simulated#1",
    "file:///etc/passwd",
    "https://127.0.0.1/x.pem",
    "https://api.paypal.com.evil.test/v1/notifications/certs/x",
    "https://evilpaypal.com/v1/notifications/certs/x",
    "https://api.paypal.com/elsewhere",
    "https://paypal.com@evil.test/v1/notifications/certs/x",
    "",
    "no URL",
  ];
  await using fetching = await fetchingInbox("aws-sns");
  const { inbox, fetched, signer } = fetching;
  const { headers, body } = await signer.request(1, 1, NOW);
  const message = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
  for (const SigningCertURL of hosts) {
    const forged = Buffer.from(JSON.stringify({ ...message, SigningCertURL }));
    expect((await post(inbox, headers, forged)).status).toBe(401);
  }
  await using paypal = await fetchingInbox("paypal");
  const request = await paypal.signer.request(1, 1, NOW);
  for (const url of hosts.filter((host) => /^[ -~]*$/.test(host)))
    expect(
      (await post(paypal.inbox, { ...request.headers, "paypal-cert-url": url }, request.body)).status,
    ).toBe(401);
  expect([...fetched, ...paypal.fetched]).toEqual([]);
});

test("other certificates do not displace the one in use, whether they exist or not", async () => {
  const real = "https://api.paypal.com/v1/notifications/certs/CERT-simulated";
  const signer = signerFor("paypal", certificateFor);
  const fetched: string[] = [];
  await using inbox = await testInbox({
    config: signer.config,
    environment: { S: signer.keys.secret },
    clock: () => NOW,
    fetch: (url, init) => {
      fetched.push(url);
      return signer.fetch(url.includes("exists") ? real : url, init);
    },
  });
  for (let n = 0; n < 30; n++) {
    const { headers, body } = await signer.request(n, 1, NOW);
    expect((await post(inbox, headers, body)).status).toBe(200);
    for (const [name, status] of [
      ["exists", 401],
      ["missing", 503],
    ] as const) {
      const forged = { ...headers, "paypal-cert-url": `${real}-${name}-${n}`, "paypal-transmission-id": "x" };
      expect((await post(inbox, forged, body)).status).toBe(status);
    }
  }
  expect(fetched).toHaveLength(61);
  expect(fetched.filter((url) => url === real)).toHaveLength(1);
});

test.each(["us-east-1", "us-gov-west-1", "ap-southeast-2", "us-iso-east-1"])(
  "Amazon's host in %s is its own",
  (region) => {
    expect(SNS_HOST.test(`sns.${region}.amazonaws.com`)).toBe(true);
  },
);

test("refuses a message of another topic before anything is fetched", async () => {
  await using fetching = await fetchingInbox("aws-sns");
  const { inbox, fetched, signer } = fetching;
  const other = await sign(
    signer.provider,
    {
      method: "POST",
      url: URL_OF_IT,
      headers: {},
      body: Buffer.from('{"Type":"Notification","MessageId":"1"}'),
    },
    { ...signer.keys, secret: "arn:aws:sns:us-east-1:999999999999:Theirs" },
    NOW,
  );
  expect((await post(inbox, other.headers, other.body)).status).toBe(401);
  expect(fetched).toEqual([]);
});

test("confirms a subscription only at Amazon's own host", async () => {
  await using fetching = await fetchingInbox("aws-sns");
  const { inbox, fetched, signer } = fetching;
  const confirmation = async (SubscribeURL: string): Promise<number> => {
    const message = {
      Type: "SubscriptionConfirmation",
      MessageId: "1",
      Message: "m",
      Token: "t",
      Timestamp: "x",
      SubscribeURL,
    };
    const { headers, body } = await sign(
      signer.provider,
      { method: "POST", url: URL_OF_IT, headers: {}, body: Buffer.from(JSON.stringify(message)) },
      signer.keys,
      NOW,
    );
    return (await post(inbox, headers, body)).status;
  };
  expect(await confirmation("https://evil.test/?Action=ConfirmSubscription")).toBe(401);
  expect(fetched.filter((url) => !url.endsWith(".pem"))).toEqual([]);
  // The test's host has only the certificate, so the answer is 503 and SNS tries again.
  const url = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=t";
  expect(await confirmation(url)).toBe(503);
  expect(fetched).toContain(url);
});

test("answers 503 if the host does not answer, so that the provider tries again", async () => {
  for (const name of ["aws-sns", "paypal", "plaid"]) {
    const signer = signerFor(name, certificateFor);
    await using inbox = await testInbox({
      config: signer.config,
      environment: { S: signer.keys.secret },
      clock: () => NOW,
    });
    const { headers, body } = await signer.request(1, 1, NOW);
    const response = await post(inbox, headers, body);
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
  }
});

test("refuses a token that is signed with another algorithm", async () => {
  const body = Buffer.from('{"state":"ready"}');
  const sha256 = new Bun.CryptoHasher("sha256").update(body).digest("hex");
  const none = `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify({ iss: "netlify", sha256 }))}.`.replaceAll(
    "=",
    "",
  );
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const hs512 = await new SignJWT({ sha256 })
    .setProtectedHeader({ alg: "HS512" })
    .setIssuer("netlify")
    .sign(Buffer.from("user:secret-1"));
  const es256 = await new SignJWT({ sha256 })
    .setProtectedHeader({ alg: "ES256" })
    .setIssuer("netlify")
    .sign(privateKey);
  const other = await new SignJWT({ sha256 })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer("evil")
    .sign(Buffer.from("user:secret-1"));
  await using fetching = await fetchingInbox("netlify");
  const { inbox } = fetching;
  for (const token of [none, hs512, es256, other, "a.b.c", "..", "x"])
    expect((await post(inbox, { "x-webhook-signature": token }, body)).status).toBe(401);

  await using plaid = await fetchingInbox("plaid");
  const hs256 = await new SignJWT({ request_body_sha256: sha256 })
    .setProtectedHeader({ alg: "HS256", kid: "k1" })
    .setIssuedAt(NOW / 1000)
    .sign(Buffer.from("client:secret"));
  for (const token of [none, hs256, es256])
    expect((await post(plaid.inbox, { "plaid-verification": token }, body)).status).toBe(401);
  expect(plaid.fetched).toEqual([]);
});
