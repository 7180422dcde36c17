import { verify as verifyAsGitHub } from "@octokit/webhooks-methods";
import { expect, test } from "bun:test";
import { testInFullRun } from "../crash/requirements.ts";
import { gzipSync } from "node:zlib";
import { Stripe } from "stripe";
import twilio from "twilio";
import { createUrlSender } from "../../src/outbox/url-sender.ts";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import { providers } from "../../src/providers/presets.ts";
import {
  createForwardSigner,
  whyNotSignedAgain,
  type MessageToSign,
} from "../../src/providers/sign-again.ts";
import type { SourceSettings } from "../../src/providers/source.ts";
import {
  deliveriesOf,
  deliverOne,
  json,
  receivedBy,
  sendingFor,
  TWO_DAYS_LATER,
} from "../providers/sent-on.ts";
import { NOW } from "../providers/signed-inbox.ts";

interface Endpoint extends AsyncDisposable {
  readonly url: string;
  /** Sends a message on through a socket, two days later, and returns what arrives. */
  send(settings: SourceSettings, message: MessageToSign): Promise<OutgoingRequest>;
}

function endpoint(): Endpoint {
  const arrived: OutgoingRequest[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    async fetch(request) {
      const { method, url, headers } = request;
      arrived.push({ method, url, headers: headers.toJSON(), body: await request.bytes() });
      return new Response(null, { status: 204 });
    },
  });
  const url = `http://127.0.0.1:${server.port}/webhooks/it?tenant=7`;
  return {
    url,
    async send(settings, message) {
      const destination = { sign: "provider", secret: undefined, headers: {} } as const;
      const sender = createUrlSender({
        url,
        timeoutMs: 30_000,
        sign: createForwardSigner(destination, () => settings),
        secrets: [],
        clock: () => TWO_DAYS_LATER,
      });
      const { verdict, error } = await sender.send(message, new AbortController().signal);
      expect({ verdict, error }).toEqual({ verdict: "delivered", error: null });
      const [request, ...others] = arrived.splice(0);
      expect(others).toEqual([]);
      return request as OutgoingRequest;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

testInFullRun("what arrives through a socket is accepted, whatever the provider", async () => {
  await using it = endpoint();
  let events = 0;
  for (const name of providers.keys()) {
    const sending = sendingFor(name);
    const { settings, signer } = sending;
    if (whyNotSignedAgain(settings) !== undefined) continue;
    for await (const delivery of deliveriesOf(sending)) {
      for (const message of await receivedBy(settings, delivery, NOW, signer.fetch)) {
        const request = await it.send(settings, message);
        const receiver = { ...settings, publicUrl: it.url };
        const again = await receivedBy(receiver, request, TWO_DAYS_LATER, signer.fetch);
        expect({ name, types: again.map(({ type }) => type) }).toEqual({ name, types: [message.type] });
        events++;
      }
    }
  }
  expect(events).toBeGreaterThan(150);
});

test("the libraries accept what arrives", async () => {
  await using it = endpoint();
  const stripe = sendingFor("stripe");
  const [secret = ""] = stripe.settings.secrets;
  const event = json({ id: "evt_1", type: "invoice.paid", object: "event", note: "café" });
  const paid = await it.send(stripe.settings, await deliverOne(stripe, event));
  const payload = Buffer.from(paid.body);
  const constructed = await new Stripe("sk_test").webhooks.constructEventAsync(
    payload,
    paid.headers["stripe-signature"] ?? "",
    secret,
    300,
    undefined,
    TWO_DAYS_LATER,
  );
  expect(constructed.id).toBe("evt_1");

  const github = sendingFor("github");
  const pushed = await it.send(
    github.settings,
    await deliverOne(github, event, { "x-github-delivery": "1" }),
  );
  const signature = pushed.headers["x-hub-signature-256"] ?? "";
  const [key = ""] = github.settings.secrets;
  expect(await verifyAsGitHub(key, Buffer.from(pushed.body).toString(), signature)).toBe(true);

  const sms = sendingFor("twilio");
  const [token = ""] = sms.settings.secrets;
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const fields = { MessageSid: "SM1", Body: "café & more" };
  const body = Buffer.from(new URLSearchParams(fields).toString());
  const { headers, url } = await it.send(sms.settings, await deliverOne(sms, body, form));
  expect(url).toBe(it.url);
  expect(twilio.validateRequest(token, headers["x-twilio-signature"] ?? "", it.url, fields)).toBe(true);
});

test("a compressed body arrives as it came", async () => {
  await using it = endpoint();
  const stripe = sendingFor("stripe");
  const body = gzipSync(json({ id: "evt_1", type: "invoice.paid" }));
  const message = await deliverOne(stripe, body, { "content-encoding": "gzip" });
  const request = await it.send(stripe.settings, message);
  expect(request.headers["content-encoding"]).toBe("gzip");
  expect(Buffer.compare(Buffer.from(request.body), body)).toBe(0);
});
