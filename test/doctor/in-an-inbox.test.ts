import { describe, expect, test } from "bun:test";
import { diagnoseInFolder } from "../../src/app/diagnose-in-folder.ts";
import { readRejections } from "../../src/doctor/in-inbox.ts";
import { report } from "../../src/cli/verify.ts";

import { generateKeyPair, type PublicKeyScheme } from "../../src/providers/schemes/public-key.ts";
import { randomKeys, sign } from "../../src/providers/verifier.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { stripeSignature } from "../support/stripe.ts";
import { testInbox } from "../support/test-inbox.ts";
import { BODY, examineIt, NOW, preset, signed, source, withBody } from "./patient.ts";

test("the doctor finds a clock that is ahead from the log of serve", async () => {
  const aheadMs = 1_000_000;
  const environment = { STRIPE: "whsec_clock" };
  await using inbox = await testInbox({
    config: '[sources.stripe]\nprovider = "stripe"\nsecret = "env:STRIPE"\n',
    environment,
    clock: () => NOW + aheadMs,
  });
  for (let index = 0; index < 20; index++) {
    const answer = await inbox.deliver(BODY, {
      source: "stripe",
      headers: { "stripe-signature": stripeSignature("whsec_clock", BODY, NOW / 1000) },
    });
    expect(answer.status).toBe(401);
  }
  const log = inbox.log.map((line) => JSON.stringify(line)).join("\n");
  expect(readRejections(log, "stripe")).toEqual(
    Array.from({ length: 20 }, () => ({ code: "timestamp_stale", ageS: 1000 })),
  );
  expect(readRejections(log, "other")).toEqual([]);

  const look = (nowMs: number) =>
    signed("stripe", "whsec_clock").then((delivery) =>
      diagnoseInFolder(delivery, {
        folder: inbox.folder,
        source: "stripe",
        environment,
        nowMs,
        fetch: () => Promise.reject(new Error("nothing is fetched here")),
        log,
      }),
    );
  const { verified, findings } = await look(NOW + aheadMs);
  expect([verified, findings.map(({ cause }) => cause)]).toEqual([false, ["clock", "age"]]);
  expect(findings[0]?.what).toContain("about 1000 s ahead");
  expect(await look(NOW)).toMatchObject({ verified: true, findings: [], events: ["evt_1, order.paid"] });
});

test.each(["discord", "sendgrid"])("with a public key, the doctor finds a changed body: %s", async (name) => {
  const provider = preset(name);
  const { secret, privateKey } = generateKeyPair(provider.scheme as PublicKeyScheme);
  const request = {
    method: "POST",
    url: "http://localhost/",
    headers: { "content-type": "application/json" },
    body: Buffer.from(`${BODY}\n`),
  };
  const made = await sign(provider, request, { secret, privateKey }, NOW);
  const delivery = { ...made, receivedAt: NOW, remoteAddress: () => "127.0.0.1" };
  expect((await examineIt(delivery, source(name, secret))).verified).toBe(true);

  const { findings } = await examineIt(withBody(delivery, BODY), source(name, secret));
  expect(findings.map(({ what }) => what)).toEqual(["A line break at the end of the body was lost."]);
  const other = generateKeyPair(provider.scheme as PublicKeyScheme).secret;
  const context = { sources: [source(name, secret, { name: "second" })] };
  const swapped = await examineIt(delivery, source(name, other), context);
  expect(swapped.findings.map(({ cause }) => cause)).toEqual(["secret_of_another_source"]);
  expect(JSON.stringify(swapped)).not.toContain(secret);
});

const form = { "content-type": "application/x-www-form-urlencoded" };

describe("the doctor recognizes a handshake that serve answers", () => {
  test.each([
    { provider: "woocommerce", name: "ping of a new webhook", text: "webhook_id=1", headers: form },
    {
      provider: "notion",
      name: "verification token",
      text: '{"verification_token":"secret_x"}',
      headers: {},
    },
    { provider: "slack", name: "URL verification", text: '{"type":"url_verification","challenge":"c"}' },
    { provider: "discord", name: "ping (interactions)", text: '{"type":1,"id":"1","application_id":"2"}' },
    { provider: "meta", name: "verification request", method: "GET", headers: {} },
  ])("$provider: $name", async ({ provider: name, text = "", headers, method = "POST", ...one }) => {
    const provider = preset(name);
    const { secret, privateKey } =
      provider.scheme.kind === "public-key"
        ? generateKeyPair(provider.scheme)
        : { secret: "shh", privateKey: "" };
    const token = name === "meta" ? 'verify_token = "env:T"' : "";
    await using inbox = await testInbox({
      config: `[sources.x]\nprovider = "${name}"\n${name === "notion" ? "" : 'secret = "env:S"'}\n${token}\n`,
      environment: { S: secret, T: "token" },
      clock: () => NOW,
    });
    const query = "hub.mode=subscribe&hub.verify_token=token&hub.challenge=c";
    const url = `http://localhost/webhook/x${method === "GET" ? `?${query}` : ""}`;
    const plain = { method, url, headers: headers ?? {}, body: Buffer.from(text) };
    const made = headers === undefined ? await sign(provider, plain, { secret, privateKey }, NOW) : plain;
    const diagnosis = await diagnoseInFolder(
      { ...made, receivedAt: NOW, remoteAddress: () => "127.0.0.1" },
      {
        folder: inbox.folder,
        source: "x",
        environment: { S: secret, T: "token" },
        nowMs: NOW,
        fetch: () => Promise.reject(new Error("nothing is fetched here")),
      },
    );
    expect(diagnosis).toMatchObject({ verified: true, handshake: one.name, events: [], findings: [] });
    expect(report(diagnosis)).toContain(`handshake ${one.name}: hookonce answers it`);
    expect(report(diagnosis)).not.toContain("secret_x");

    // serve answers it and stores no event.
    const body = method === "GET" ? null : Buffer.from(made.body).toString();
    const response = await inbox.request(`/webhook/x${new URL(url).search}`, {
      method,
      headers: made.headers,
      body,
    });
    expect(response.ok).toBe(true);
    expect(inbox.value("select count(*) from hookonce_events")).toBe(0);
  });
});

test("the doctor reports a wrong verify token as serve does, not a missing signature", async () => {
  await using inbox = await testInbox({
    config: '[sources.x]\nprovider = "meta"\nsecret = "env:S"\nverify_token = "env:T"\n',
    environment: { S: "shh", T: "token" },
  });
  const path = "/webhook/x?hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=c";
  const { verified, refusal, findings } = await diagnoseInFolder(
    {
      method: "GET",
      url: `http://localhost${path}`,
      headers: {},
      body: new Uint8Array(),
      receivedAt: NOW,
      remoteAddress: () => "127.0.0.1",
    },
    {
      folder: inbox.folder,
      source: "x",
      environment: { S: "shh", T: "token" },
      nowMs: NOW,
      fetch: () => Promise.reject(new Error("nothing is fetched here")),
    },
  );
  const answer = await inbox.request(path, { method: "GET" });
  expect(answer.status).toBe(403);
  expect(await answer.json()).toMatchObject({ error: { code: "handshake_refused" } });
  expect([verified, refusal?.code]).toEqual([false, "handshake_refused"]);
  expect(findings).toEqual([
    expect.objectContaining({ cause: "as_refused", remedy: expect.stringContaining("the same token") }),
  ]);
});

test("the doctor does not confirm a subscription: it fetches nothing for a handshake", async () => {
  const { secret, privateKey } = randomKeys({ kind: "sns" });
  const fetched: string[] = [];
  const fetch = (url: string) => {
    fetched.push(url);
    return Promise.resolve(new Response(certificateFor(privateKey ?? "")));
  };
  await using inbox = await testInbox({
    config: '[sources.sns]\nprovider = "aws-sns"\nsecret = "env:S"\n',
    environment: { S: secret },
  });
  const message = {
    Type: "SubscriptionConfirmation",
    MessageId: "1",
    Token: "t",
    Message: "You have chosen to subscribe",
    Timestamp: "2026-01-31T12:00:00Z",
    SubscribeURL: "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
  };
  const made = await sign(
    preset("aws-sns"),
    { method: "POST", url: "http://localhost/", headers: {}, body: Buffer.from(JSON.stringify(message)) },
    { secret, privateKey: privateKey ?? "" },
    NOW,
  );
  const diagnosis = await diagnoseInFolder(
    { ...made, receivedAt: NOW, remoteAddress: () => "127.0.0.1" },
    { folder: inbox.folder, source: "sns", environment: { S: secret }, nowMs: NOW, fetch },
  );
  expect(diagnosis).toMatchObject({ verified: true, handshake: "subscription confirmation", events: [] });
  expect(fetched).toEqual([expect.stringContaining(".pem")]);
});

test("the doctor names the event id that serve stores, hashed after the secret was replaced", async () => {
  const environment = { S: "pass-code" };
  await using inbox = await testInbox({
    config: '[sources.figma]\nprovider = "figma"\nsecret = "env:S"\n',
    environment,
  });
  const body = JSON.stringify({ event_type: "FILE_UPDATE", passcode: "pass-code", file_key: "k" });
  expect((await inbox.deliver(body, { source: "figma" })).status).toBe(200);
  const { events } = await diagnoseInFolder(
    {
      method: "POST",
      url: "http://localhost/",
      headers: {},
      body: Buffer.from(body),
      receivedAt: NOW,
      remoteAddress: () => "127.0.0.1",
    },
    { folder: inbox.folder, source: "figma", environment, nowMs: NOW, fetch },
  );
  expect(events).toEqual([`${inbox.value("select event_id from hookonce_events")}, FILE_UPDATE`]);
});
