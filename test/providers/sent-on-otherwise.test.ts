import { describe, expect, setSystemTime, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { Webhook } from "standardwebhooks";
import { HookonceError } from "../../src/errors.ts";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import type { MessageToSign } from "../../src/providers/sign-again.ts";
import {
  arriving,
  deliverOne,
  json,
  reason,
  receivedBy,
  refusal,
  sendingFor,
  sendOn,
  TWO_DAYS_LATER,
} from "./sent-on.ts";
import { NOW } from "./signed-inbox.ts";

const standard = (secret: string) => ({ sign: "standard-webhooks", secret }) as const;
const verify = (webhook: Webhook, { headers, body }: OutgoingRequest): unknown =>
  webhook.verify(Buffer.from(body).toString(), { ...headers });

function atThatTime<Result>(work: () => Result): Result {
  setSystemTime(TWO_DAYS_LATER);
  try {
    return work();
  } finally {
    setSystemTime();
  }
}

describe('sign = "standard-webhooks"', () => {
  const github = sendingFor("github");
  test.each([
    ["whsec_ and base64", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", undefined],
    ["base64", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", undefined],
    ["text", "correct horse battery staple", "raw" as const],
  ])("the official library accepts it with a secret that is %s", async (_, secret, format) => {
    const webhook = new Webhook(secret, format === undefined ? undefined : { format });
    const message = await deliverOne(github, json({ zen: "1" }), { "x-github-delivery": "1" });
    const request = await sendOn(github.settings, message, standard(secret));
    expect(request.headers).toMatchObject({ "webhook-id": message.id, "webhook-timestamp": "1790172800" });
    expect(atThatTime(() => verify(webhook, request))).toEqual({ zen: "1" });
    const later = await sendOn(github.settings, message, {
      ...standard(secret),
      nowMs: TWO_DAYS_LATER + 60_000,
    });
    expect(later.headers).toMatchObject({ "webhook-id": message.id, "webhook-timestamp": "1790172860" });
    expect(atThatTime(() => verify(webhook, later))).toEqual({ zen: "1" });
  });

  const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

  test("headers of the delivery that would collide are renamed", async () => {
    const sending = sendingFor("standard-webhooks");
    const message = await deliverOne(sending, json({ type: "x" }), {
      "webhook-id": "theirs",
      "webhook-topic": "t",
    });
    const request = await sendOn(sending.settings, message, standard(secret));
    expect(request.headers).toMatchObject({
      "webhook-id": "msg_theirs",
      "webhook-topic": "t",
      "x-original-webhook-id": "theirs",
      "x-original-webhook-timestamp": "1790000000",
      "x-original-webhook-signature": message.headers["webhook-signature"] ?? "",
    });
    expect(atThatTime(() => verify(new Webhook(secret), request))).toEqual({ type: "x" });
  });

  test("a compressed body is inflated, because receivers verify text", async () => {
    const message = await deliverOne(github, gzipSync(json({ zen: "1" })), {
      "x-github-delivery": "1",
      "content-encoding": "gzip",
    });
    const request = await sendOn(github.settings, message, standard(secret));
    expect(request.headers).not.toHaveProperty("content-encoding");
    expect(atThatTime(() => verify(new Webhook(secret), request))).toEqual({ zen: "1" });
  });

  test("what a handler has enqueued is sent with its own headers", async () => {
    const headers = { "content-type": "application/json", authorization: "Bearer 1", "x-forwarded-for": "1" };
    const message: MessageToSign = {
      id: "caf\u00e9 1",
      attempt: 1,
      kind: "enqueued",
      source: "",
      eventId: "",
      type: "",
      receivedAt: NOW,
      headers: { ...headers, connection: "close" },
      body: json({ mail: 1 }),
      payloadJson: null,
    };
    const request = await sendOn(github.settings, message, standard(secret));
    expect(request.headers).toEqual({
      ...headers,
      "hookonce-message-id": "caf%C3%A9 1",
      "hookonce-attempt": "1",
      "hookonce-received-at": String(NOW),
      "webhook-id": "caf%C3%A9 1",
      "webhook-timestamp": "1790172800",
      "webhook-signature": expect.stringMatching(/^v1,[\w+/]{43}=$/) as string,
    });
    expect(atThatTime(() => verify(new Webhook(secret), request))).toEqual({ mail: 1 });
    const asProvider = sendOn(github.settings, message);
    expect(await reason(asProvider)).toContain("the message is not an event of a provider");
  });

  test.each(["", "whsec_", "whsec_not base64"])("the secret %p is refused", (wrong) => {
    expect(() => void sendOn(github.settings, {} as MessageToSign, standard(wrong))).toThrow(HookonceError);
  });
});

describe('sign = "none"', () => {
  test.each(["paypal", "aws-sns", "discord", "github"])(
    "%s: the provider's signature goes on as it came, and is still valid two days later",
    async (name) => {
      const sending = sendingFor(name);
      const made = await sending.signer.request(1, 1, NOW);
      const [message] = await receivedBy(sending.settings, made, NOW, sending.signer.fetch);
      if (message === undefined) throw new Error("no event");
      const request = await sendOn(sending.settings, message, { sign: "none" });
      expect(Buffer.compare(Buffer.from(request.body), Buffer.from(made.body))).toBe(0);
      expect(await arriving(sending, request)).toHaveLength(1);
    },
  );

  test("a secret that was sent is not sent on", async () => {
    const telegram = sendingFor("telegram");
    const request = await sendOn(telegram.settings, await deliverOne(telegram, json({ update_id: 1 })), {
      sign: "none",
    });
    expect(request.headers).not.toHaveProperty("x-telegram-bot-api-secret-token");
  });
});

describe("a message that cannot be signed is refused with the remedy", () => {
  test("a source that is no longer in the config", async () => {
    const stripe = sendingFor("stripe");
    const message = await deliverOne(stripe, json({ id: "1", type: "x" }));
    for (const sign of ["provider", "none"] as const) {
      const sent = sendOn(stripe.settings, { ...message, source: "old" }, { sign });
      expect(await reason(sent)).toContain('source "old", which is not in hookonce.toml');
    }
  });

  test("a private key", async () => {
    const discord = sendingFor("discord");
    const message = await deliverOne(discord, json({ id: "1", type: 1 }));
    expect(await refusal(sendOn(discord.settings, message))).toBe("config_invalid");
  });

  test("a source without a secret", async () => {
    const notion = sendingFor("notion");
    const message = await deliverOne(notion, json({ id: "1", type: "page.created" }));
    const sent = sendOn({ ...notion.settings, secrets: [] }, message);
    expect(await reason(sent)).toContain('Source "notion" has no secret yet');
  });
});
