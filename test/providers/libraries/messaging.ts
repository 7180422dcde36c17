import { EventWebhook } from "@sendgrid/eventwebhook";
import { verifySlackRequest } from "@slack/bolt";
import { AwsLambdaReceiver } from "@zoom/rivet/meetings";
import { spyOn } from "bun:test";
import { verifyKey } from "discord-interactions";
import { Resend } from "resend";
import { Webhook } from "svix";
import twilio from "twilio";
import { URL_OF_IT } from "../preset-samples.ts";
import {
  isBase64,
  type Library,
  misspelt,
  ofStandardWebhooks,
  takesAnyAge,
  takesTheFuture,
  withHeader,
} from "./library.ts";

/** Two whole numbers in a sequence, in base64, with nothing before, between or after. */
function isDer(signature: string): boolean {
  const bytes = Buffer.from(signature, "base64");
  const first = bytes[3] ?? 0;
  const second = bytes[first + 5] ?? 0;
  return (
    isBase64(signature) &&
    bytes[0] === 0x30 &&
    bytes[1] === bytes.length - 2 &&
    bytes[2] === 2 &&
    bytes[first + 4] === 2 &&
    bytes.length === first + second + 6
  );
}

const fieldsOf = (body: string): Record<string, string> => Object.fromEntries(new URLSearchParams(body));

export const messaging: Readonly<Record<string, Library>> = {
  svix: {
    signs: ({ body, headers }, secret) => {
      const at = new Date(Number(headers["svix-timestamp"]) * 1000);
      return { headers: { "svix-signature": new Webhook(secret).sign(headers["svix-id"] ?? "", at, body) } };
    },
    accepts: ({ body, headers }, secret) => (new Webhook(secret).verify(body, { ...headers }), true),
    laxer: ofStandardWebhooks("svix"),
  },
  resend: {
    accepts: ({ body, headers }, secret) => {
      new Resend("re_key").webhooks.verify({
        payload: body,
        headers: {
          id: headers["svix-id"] ?? "",
          timestamp: headers["svix-timestamp"] ?? "",
          signature: headers["svix-signature"] ?? "",
        },
        webhookSecret: secret,
      });
      return true;
    },
    laxer: ofStandardWebhooks("svix"),
  },
  twilio: {
    signs: ({ body }, secret) => ({
      headers: {
        "x-twilio-signature": twilio.getExpectedTwilioSignature(secret, URL_OF_IT, fieldsOf(body)),
      },
    }),
    accepts: ({ body, headers }, secret) =>
      twilio.validateRequest(secret, headers["x-twilio-signature"] ?? "", URL_OF_IT, fieldsOf(body)),
  },
  discord: {
    accepts: ({ body, headers }, secret) =>
      verifyKey(body, headers["x-signature-ed25519"] ?? "", headers["x-signature-timestamp"] ?? "", secret),
    laxer: {
      "takes anything for a time, as long as it is signed": misspelt("x-signature-timestamp", /^\d{1,14}$/),
      "reads what is no hex digit as a zero": misspelt("x-signature-ed25519", /^[0-9a-f]{128}$/i),
    },
  },
  slack: {
    accepts: ({ body, headers }, secret) => {
      const signature = headers["x-slack-signature"] ?? "";
      const time = Number(headers["x-slack-request-timestamp"]);
      verifySlackRequest({
        signingSecret: secret,
        body,
        headers: { "x-slack-signature": signature, "x-slack-request-timestamp": time },
      });
      return true;
    },
    laxer: {
      "takes a time in the future": takesTheFuture(300_000),
      "drops what follows a second equals sign": misspelt(
        "x-slack-signature",
        /^v0=[^=]*$/,
        (value) => `${value}=junk`,
      ),
    },
  },
  zoom: {
    accepts: async ({ body, headers }, secret) => {
      // It prints every delivery.
      using _ = spyOn(console, "debug").mockImplementation(() => undefined);
      const receive = new AwsLambdaReceiver({ webhooksSecretToken: secret }).start();
      const event = { body, headers, isBase64Encoded: false } as Parameters<typeof receive>[0];
      return (await receive(event, {})).statusCode === 200;
    },
    laxer: {
      "looks at no age": takesAnyAge(300_000),
      "verifies the body as it would write it": {
        covers: ({ body }) => {
          try {
            return JSON.stringify(JSON.parse(body)) !== body;
          } catch {
            return false;
          }
        },
        example: (right) => ({ ...right, body: JSON.stringify(JSON.parse(right.body), null, 2) }),
      },
      "reads the time as a number": misspelt("x-zm-request-timestamp", /^\d{1,14}$/, (value) => `${value}.0`),
    },
  },
  sendgrid: {
    accepts: ({ body, headers }, secret) => {
      const library = new EventWebhook();
      return library.verifySignature(
        library.convertPublicKeyToECDSA(secret),
        body,
        headers["x-twilio-email-event-webhook-signature"] ?? "",
        headers["x-twilio-email-event-webhook-timestamp"] ?? "",
      );
    },
    laxer: {
      "takes anything for a time, as long as it is signed": misspelt(
        "x-twilio-email-event-webhook-timestamp",
        /^\d{1,14}$/,
      ),
      "takes what is not quite base64 or DER": {
        covers: ({ headers }) => !isDer(headers["x-twilio-email-event-webhook-signature"] ?? ""),
        example: (right) =>
          withHeader(right, "x-twilio-email-event-webhook-signature", (value) => `${value}=`),
      },
    },
  },
};
