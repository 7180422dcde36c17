import { expect, test } from "bun:test";
import { diagnoseInInbox, readRejections } from "../../src/app/diagnosis.ts";
import type { PublicKeyScheme } from "../../src/providers/provider.ts";
import { generateKeyPair } from "../../src/providers/public-key.ts";
import { sign } from "../../src/providers/verifier.ts";
import { stripeSignature } from "../support/stripe.ts";
import { testInbox } from "../support/test-inbox.ts";
import { BODY, examineIt, NOW, preset, signed, source, withBody } from "./patient.ts";

test("a clock that is ahead is found by what serve itself has logged", async () => {
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
      diagnoseInInbox(delivery, {
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

test.each(["discord", "sendgrid"])("public keys: what was done to a body of %s", async (name) => {
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
