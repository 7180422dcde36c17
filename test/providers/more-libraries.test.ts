import { expect, setSystemTime, test } from "bun:test";
import { verifyRequest } from "@contentful/node-apps-toolkit";
import { LinearWebhookClient } from "@linear/sdk/webhooks";
import { verifyWebhookSignature } from "@notionhq/client";
import { Paddle } from "@paddle/paddle-node-sdk";
import { isValidSignature } from "@sanity/webhook";
import { EventWebhook } from "@sendgrid/eventwebhook";
import { verifySlackRequest } from "@slack/bolt";
import { verifyKey } from "discord-interactions";
import * as fc from "fast-check";
import { Webhook } from "svix";
import twilio from "twilio";
import { certificateFor } from "../support/certificate.ts";
import { testInbox } from "../support/test-inbox.ts";
import { signerFor, URL_OF_IT } from "./preset-samples.ts";
import { NOW } from "./signed-inbox.ts";

type Headers = Readonly<Record<string, string>>;

interface Library {
  /** Whether the provider's own library takes it; a throw is a no. The system's time is the receiver's. */
  readonly accepts: (body: string, headers: Headers, secret: string) => unknown;
  /** How far apart the two may be, and why. */
  readonly differs?: (laterMs: number, headers: Headers) => boolean;
  /** Spellings that the library may forgive, and we must not. */
  readonly misspelt?: (headers: Headers) => boolean;
}

/** The library looks at no age, or forgives the future; the provider's documentation asks for less than ours, or for nothing. */
const whenOld =
  (ageMs: number) =>
  (laterMs: number): boolean =>
    Math.abs(laterMs) > ageMs;

const libraries: Readonly<Record<string, Library>> = {
  svix: { accepts: (body, headers, secret) => (new Webhook(secret).verify(body, { ...headers }), true) },
  twilio: {
    accepts: (body, headers, secret) =>
      twilio.validateRequest(
        secret,
        headers["x-twilio-signature"] ?? "",
        URL_OF_IT,
        Object.fromEntries(new URLSearchParams(body)),
      ),
  },
  discord: {
    accepts: (body, headers, secret) =>
      verifyKey(body, headers["x-signature-ed25519"] ?? "", headers["x-signature-timestamp"] ?? "", secret),
    // Anything goes for a time there, as long as it is signed; and what is no hex digit is read as a zero.
    misspelt: (headers) =>
      !/^\d{1,14}$/.test(headers["x-signature-timestamp"] ?? "") ||
      !/^[0-9a-f]{128}$/i.test(headers["x-signature-ed25519"] ?? ""),
  },
  slack: {
    accepts: (body, headers, secret) => {
      const signature = headers["x-slack-signature"] ?? "";
      const time = Number(headers["x-slack-request-timestamp"]);
      verifySlackRequest({
        signingSecret: secret,
        body,
        headers: { "x-slack-signature": signature, "x-slack-request-timestamp": time },
      });
      return true;
    },
    differs: (laterMs) => laterMs < 0,
  },
  paddle: {
    accepts: (body, headers, secret) =>
      new Paddle("key").webhooks.isSignatureValid(body, secret, headers["paddle-signature"] ?? ""),
    differs: (laterMs) => laterMs < 0,
  },
  linear: {
    accepts: (body, headers, secret) => {
      const { webhookTimestamp } = JSON.parse(body) as { webhookTimestamp: number };
      return new LinearWebhookClient(secret).verify(
        Buffer.from(body),
        headers["linear-signature"] ?? "",
        webhookTimestamp,
      );
    },
    // The library counts to the millisecond.
    differs: (laterMs) => Math.abs(laterMs) > 60_000 && Math.abs(laterMs) < 61_000,
  },
  notion: {
    accepts: (body, headers, secret) =>
      verifyWebhookSignature({
        body,
        signature: headers["x-notion-signature"] ?? "",
        verificationToken: secret,
      }),
  },
  sanity: {
    accepts: (body, headers, secret) =>
      isValidSignature(body, headers["sanity-webhook-signature"] ?? "", secret),
    differs: whenOld(299_000),
  },
  contentful: {
    accepts: (body, headers, secret) =>
      verifyRequest(secret, { method: "POST", path: "/webhook/it", headers: { ...headers }, body }),
    // To the millisecond, and the future is forgiven.
    differs: (laterMs) => laterMs < 0 || (laterMs >= 30_000 && laterMs < 31_000),
  },
  sendgrid: {
    accepts: (body, headers, secret) => {
      const library = new EventWebhook();
      return library.verifySignature(
        library.convertPublicKeyToECDSA(secret),
        body,
        headers["x-twilio-email-event-webhook-signature"] ?? "",
        headers["x-twilio-email-event-webhook-timestamp"] ?? "",
      );
    },
    // It takes any time, and a signature that is not quite base64 or DER.
    misspelt: (headers) =>
      !/^\d{1,14}$/.test(headers["x-twilio-email-event-webhook-timestamp"] ?? "") ||
      !isDer(headers["x-twilio-email-event-webhook-signature"] ?? ""),
  },
};

const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const change = fc.record({ at, character: fc.constantFrom(...Array.from('0123456789abcdefXYZ=,. {}"')) });
const rarely = fc.option(change, { freq: 2, nil: null });
const delivery = fc.record({
  body: rarely,
  header: rarely,
  which: fc.nat({ max: 5 }),
  later: fc.constantFrom(0, 0, 0, 2000, 61_000, 299_000, 400_000, -2000),
});

/** Two whole numbers in a sequence, in base64, with nothing before, between or after. */
function isDer(signature: string): boolean {
  const bytes = Buffer.from(signature, "base64");
  const first = bytes[3] ?? 0;
  const second = bytes[first + 5] ?? 0;
  return (
    bytes.toString("base64") === signature &&
    bytes[0] === 0x30 &&
    bytes[1] === bytes.length - 2 &&
    bytes[2] === 2 &&
    bytes[first + 4] === 2 &&
    bytes.length === first + second + 6
  );
}

function put(text: string, edit: { at: number; character: string } | null): string {
  if (edit === null) return text;
  const place = Math.floor(edit.at * text.length);
  return text.slice(0, place) + edit.character + text.slice(place + 1);
}

test.each(Object.keys(libraries))(
  "%s: whatever is done to a delivery, the verdict is the official library's",
  async (name) => {
    const signer = signerFor(name, certificateFor);
    const { accepts, differs, misspelt } = libraries[name] as Library;
    const right = await signer.request(1, 1, NOW);
    const names = Object.keys(right.headers).filter((header) =>
      /signature|timestamp|svix|webhook-id/.test(header),
    );
    let now = NOW;
    await using inbox = await testInbox({
      config: signer.config,
      environment: { S: signer.keys.secret },
      clock: () => now,
    });
    const seen = { taken: 0, refused: 0 };
    try {
      await fc.assert(
        fc.asyncProperty(delivery, async (given) => {
          const edited = names[given.which % names.length] as string;
          const changed = { ...right.headers, [edited]: put(right.headers[edited] ?? "", given.header) };
          // As an HTTP server hands them on: without the white space around them.
          const headers: Headers = new globalThis.Headers(changed).toJSON();
          const body = put(Buffer.from(right.body).toString(), given.body);
          now = NOW + given.later;
          if (differs?.(given.later, headers) === true) return;
          if (misspelt?.(headers) === true) {
            const { status } = await inbox.request("/webhook/it", { method: "POST", headers, body });
            expect({ given, headers, status }).toMatchObject({ status: 401 });
            return;
          }
          setSystemTime(now);
          let official = false;
          try {
            official = (await accepts(body, headers, signer.keys.secret)) === true;
          } catch {
            // How these libraries refuse.
          } finally {
            setSystemTime();
          }
          const { status } = await inbox.request("/webhook/it", { method: "POST", headers, body });
          expect({ given, headers, body, taken: status !== 401, status }).toMatchObject({ taken: official });
          seen[official ? "taken" : "refused"]++;
        }),
        { numRuns: 250, seed: 20260101 },
      );
    } finally {
      setSystemTime();
    }
    expect(seen.taken).toBeGreaterThan(10);
    expect(seen.refused).toBeGreaterThan(50);
  },
);
