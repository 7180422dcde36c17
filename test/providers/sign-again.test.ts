import { describe, expect, test } from "bun:test";
import { HookonceError } from "../../src/errors.ts";
import { providers } from "../../src/providers/presets.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import { whyNotSignedAgain, type MessageToSign } from "../../src/providers/sign-again.ts";
import { deliveriesOf, receivedBy, receiverOf, sendingFor, sendOn, TWO_DAYS_LATER } from "./sent-on.ts";
import { NOW } from "./signed-inbox.ts";

const PRIVATE = "signs with a private key that nobody else has";

/** The presets whose deliveries cannot be signed again, and why. */
const NEVER: Readonly<Record<string, string>> = {
  "public-key": PRIVATE,
  jwt: PRIVATE,
  "standard-webhooks-asymmetric": PRIVATE,
  paypal: PRIVATE,
  plaid: PRIVATE,
  "aws-sns": PRIVATE,
  discord: PRIVATE,
  sendgrid: PRIVATE,
  linear: "signs a time inside the body (body:$.webhookTimestamp)",
};

test("these presets cannot be signed again, and the reason names the remedy", () => {
  const found: Record<string, string> = {};
  for (const name of providers.keys()) {
    const why = whyNotSignedAgain(sendingFor(name).settings);
    if (why !== undefined)
      found[name] = why
        .replace(`Deliveries of source "${name}" cannot be signed again, because their provider `, "")
        .replace(REMEDY, "");
  }
  expect(found).toEqual(NEVER);
});

const REMEDY =
  '. Write sign = "standard-webhooks" and a secret of your own for the destination, or sign = "none" to send them on with the signature that they came with.';

const signable = [...providers.keys()].filter((name) => !Object.hasOwn(NEVER, name));

describe.each(signable)("%s", (name) => {
  const sending = sendingFor(name);
  const { settings, signer } = sending;
  const receiver = receiverOf(settings);

  test("an event that is sent on two days later, to another URL, is accepted as the same event", async () => {
    let events = 0;
    for await (const delivery of deliveriesOf(sending)) {
      for (const message of await receivedBy(settings, delivery, NOW, signer.fetch)) {
        const request = await sendOn(settings, message);
        const again = await receivedBy(receiver, request, TWO_DAYS_LATER, signer.fetch);
        expect(again.map(whatArrives)).toEqual([whatArrives(message)]);
        events++;
      }
    }
    expect(events).toBeGreaterThan(0);
  });

  test("without a new signature it would be refused if it has a time", async () => {
    if (kindOf(signer.provider.scheme).tolerance(signer.provider.scheme) === undefined) return;
    for await (const delivery of deliveriesOf(sending)) {
      const late = receivedBy(settings, delivery, TWO_DAYS_LATER, signer.fetch);
      expect(await late.then(() => "accepted", codeOf)).toBe("timestamp_stale");
    }
  });
});

/** What the receiver reads. Some ids are made anew for each delivery, and Mailgun's signature is in the payload. */
function whatArrives({ source, eventId, type, payloadJson }: MessageToSign): unknown {
  const payload = JSON.parse(payloadJson ?? "null") as unknown;
  return {
    eventId: /^01a[0-9a-f]{5}-[0-9a-f]{4}-7/.test(eventId) ? "new" : eventId,
    type,
    payload: source === "mailgun" ? { ...(payload as object), ...MAILGUN } : payload,
  };
}

const MAILGUN = { signature: "new", timestamp: "new", token: "new" };

const codeOf = (error: unknown): string => {
  if (error instanceof HookonceError) return error.code;
  throw error;
};
