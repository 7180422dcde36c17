import { EventWebhook } from "@sendgrid/eventwebhook";
import { verifySlackRequest } from "@slack/bolt";
import { AwsLambdaReceiver } from "@zoom/rivet/meetings";
import { spyOn } from "bun:test";
import { verifyKey } from "discord-interactions";
import { Resend } from "resend";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook } from "svix";
import twilio from "twilio";
import {
  isBase64,
  type Library,
  misspelt,
  ofStandardWebhooks,
  TIME,
  acceptsAnyAge,
  acceptsFutureTimes,
  withHeader,
} from "./library.ts";

/** Whether the text is base64 of a DER sequence of two integers and nothing else. */
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

/** As Express reads a form: a field that is given more than once is an array. */
function fieldsOf(body: string): Record<string, string | string[]> {
  // Without the &, it would leave out a question mark at the beginning, which is part of a name.
  const form = new URLSearchParams(`&${body}`);
  return Object.fromEntries(
    [...form.keys()].map((name) => {
      const values = form.getAll(name);
      return [name, values.length === 1 ? (values[0] ?? "") : values];
    }),
  );
}

/** Supabase's documentation removes the v1, before it calls the library. */
const standardOf = (secret: string): StandardWebhook => new StandardWebhook(secret.replace(/^v1,/, ""));

export const messaging: Readonly<Record<string, Library>> = {
  "standard-webhooks": {
    signs: ({ body, headers }, secret) => {
      const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
      const signature = new StandardWebhook(secret).sign(headers["webhook-id"] ?? "", at, body);
      return { headers: { "webhook-signature": signature } };
    },
    accepts: ({ body, headers }, secret) => {
      new StandardWebhook(secret).verify(body, { ...headers }, { jsonParse: false });
      return true;
    },
    laxer: ofStandardWebhooks("webhook"),
  },
  supabase: {
    signs: ({ body, headers }, secret) => {
      const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
      const signature = standardOf(secret).sign(headers["webhook-id"] ?? "", at, body);
      return { headers: { "webhook-signature": signature } };
    },
    accepts: ({ body, headers }, secret) => {
      standardOf(secret).verify(body, { ...headers }, { jsonParse: false });
      return true;
    },
    laxer: {
      ...ofStandardWebhooks("webhook"),
      // A comma and a blank separate two signatures, for hookonce as well.
      "drops what follows a second comma": {
        covers: ({ headers }) => /(?:^| )v1,[\w+/]{43}=,(?! )/.test(headers["webhook-signature"] ?? ""),
        example: (valid) => withHeader(valid, "webhook-signature", (value) => `${value},junk`),
      },
      "separates signatures at a space": {
        covers: ({ headers }) => /[^,] /.test(headers["webhook-signature"] ?? ""),
        example: (valid) => withHeader(valid, "webhook-signature", (value) => `${value} v1,AAAA`),
      },
    },
  },
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
    signs: ({ url, body }, secret) => ({
      headers: {
        "x-twilio-signature": twilio.getExpectedTwilioSignature(secret, url, fieldsOf(body)),
      },
    }),
    accepts: ({ url, body, headers }, secret) => {
      const signature = headers["x-twilio-signature"] ?? "";
      return url.includes("bodySHA256=")
        ? twilio.validateRequestWithBody(secret, signature, url, body)
        : twilio.validateRequest(secret, signature, url, fieldsOf(body));
    },
  },
  discord: {
    accepts: ({ body, headers }, secret) =>
      verifyKey(body, headers["x-signature-ed25519"] ?? "", headers["x-signature-timestamp"] ?? "", secret),
    laxer: {
      "accepts any text as a time, as long as it is signed": misspelt("x-signature-timestamp", /^\d{1,14}$/),
      "reads a character that is not a hex digit as zero": misspelt(
        "x-signature-ed25519",
        /^[0-9a-f]{128}$/i,
      ),
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
      "accepts a time in the future": acceptsFutureTimes(300_000),
      "reads the time as a number": misspelt("x-slack-request-timestamp", TIME, (value) => `0${value}`),
      "drops what follows a second equals sign": misspelt(
        "x-slack-signature",
        /^v0=[^=]*$/,
        (value) => `${value}=junk`,
      ),
    },
  },
  zoom: {
    tolerance: "5m",
    accepts: async ({ body, headers }, secret) => {
      // The library prints every delivery.
      using _ = spyOn(console, "debug").mockImplementation(() => undefined);
      const receive = new AwsLambdaReceiver({ webhooksSecretToken: secret }).start();
      const event = { body, headers, isBase64Encoded: false } as Parameters<typeof receive>[0];
      return (await receive(event, {})).statusCode === 200;
    },
    laxer: {
      "ignores the age": acceptsAnyAge(300_000),
      "verifies the body as it would serialize it": {
        covers: ({ body }) => {
          try {
            return JSON.stringify(JSON.parse(body)) !== body;
          } catch {
            return false;
          }
        },
        example: (valid) => ({ ...valid, body: JSON.stringify(JSON.parse(valid.body), null, 2) }),
      },
      "reads the time as a number": misspelt("x-zm-request-timestamp", TIME, (value) => `${value}.0`),
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
      "accepts any text as a time, as long as it is signed": misspelt(
        "x-twilio-email-event-webhook-timestamp",
        /^\d{1,14}$/,
      ),
      "accepts malformed base64 and DER": {
        covers: ({ headers }) => !isDer(headers["x-twilio-email-event-webhook-signature"] ?? ""),
        example: (valid) =>
          withHeader(valid, "x-twilio-email-event-webhook-signature", (value) => `${value}=`),
      },
    },
  },
};
