import { verifyWebhook as verifyClerk } from "@clerk/backend/webhooks";
import { signRequest, verifyRequest } from "@contentful/node-apps-toolkit";
import { Signature } from "@hubspot/api-client/lib/src/utils/signature.js";
import { LinearWebhookClient } from "@linear/sdk/webhooks";
import { signWebhookPayload, verifyWebhookSignature } from "@notionhq/client";
import { encodeSignatureHeader, isValidSignature } from "@sanity/webhook";
import { WorkOS } from "@workos-inc/node";
import { spyOn } from "bun:test";
import https from "node:https";
import { Readable } from "node:stream";
import OpenAI from "openai";
import { validateWebhook as validateReplicate } from "replicate";
import MessageValidator from "sns-validator";
import type { Fetch } from "../../../src/providers/context.ts";
import { URL_OF_IT } from "../preset-samples.ts";
import {
  type Arrival,
  type Library,
  looseBase64,
  misspelt,
  ofStandardWebhooks,
  takesAnyAge,
  takesTheFuture,
} from "./library.ts";

const openai = new OpenAI({ apiKey: "key" });
const workos = new WorkOS("sk_key");

const toContentful = ({ body, headers }: Arrival): Parameters<typeof verifyRequest>[1] => ({
  method: "POST",
  path: "/webhook/it",
  headers: { ...headers },
  body,
});

/** Whether Amazon's library takes a message, with the certificate that `fetch` brings. */
function acceptsAsSns(body: string, fetch: Fetch): Promise<boolean> {
  const get = (url: string, answer: (message: unknown) => void): unknown => {
    void fetch(url, {}).then(async (response) =>
      answer(Object.assign(Readable.from([await response.text()]), { statusCode: response.status })),
    );
    return { on: () => undefined };
  };
  return new Promise((resolve) => {
    const spy = spyOn(https, "get").mockImplementation(get as typeof https.get);
    new MessageValidator().validate(body, (error) => {
      spy.mockRestore();
      resolve(error === null);
    });
  });
}

export const services: Readonly<Record<string, Library>> = {
  "aws-sns": {
    signedInBody: true,
    accepts: ({ body }, _, fetch) => acceptsAsSns(body, fetch),
    // It also takes every topic, and so everybody who has one: that is in fetched-keys.test.ts.
    laxer: {
      "takes an address that ends in .pem behind its question mark": {
        covers: ({ body }) => /"SigningCertURL":"[^"?]*\?/.test(body),
        example: (right) => ({ ...right, body: right.body.replace(/(?=-simulated\.pem")/, "?") }),
      },
      "takes the names that AWS Lambda gives to fields": {
        covers: ({ body }) => body.includes('"SigningCertUrl"'),
        example: (right) => ({ ...right, body: right.body.replace("SigningCertURL", "SigningCertUrl") }),
      },
    },
  },
  linear: {
    accepts: ({ body, headers }, secret) => {
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
  hubspot: {
    signs: ({ body, headers }, clientSecret) => {
      const timestamp = Number(headers["x-hubspot-request-timestamp"]);
      const options = { signature: "", clientSecret, requestBody: body, url: URL_OF_IT, timestamp };
      return { headers: { "x-hubspot-signature-v3": Signature.getSignature("POST", "v3", options) } };
    },
    accepts: ({ body, headers }, clientSecret) =>
      Signature.isValid({
        signatureVersion: "v3",
        method: "POST",
        url: URL_OF_IT,
        clientSecret,
        requestBody: body,
        signature: headers["x-hubspot-signature-v3"] ?? "",
        timestamp: Number(headers["x-hubspot-request-timestamp"]),
      }),
    laxer: { "takes a time in the future": takesTheFuture(300_000) },
    // The library counts to the millisecond.
    differs: (laterMs) => laterMs > 300_000 && laterMs < 301_000,
  },
  notion: {
    signs: async ({ body }, verificationToken) => ({
      headers: { "x-notion-signature": await signWebhookPayload({ body, verificationToken }) },
    }),
    accepts: ({ body, headers }, secret) =>
      verifyWebhookSignature({
        body,
        signature: headers["x-notion-signature"] ?? "",
        verificationToken: secret,
      }),
  },
  sanity: {
    signs: async ({ body, headers }, secret) => {
      const at = Number(/^t=(\d+)/.exec(headers["sanity-webhook-signature"] ?? "")?.[1]);
      return { headers: { "sanity-webhook-signature": await encodeSignatureHeader(body, at, secret) } };
    },
    accepts: ({ body, headers }, secret) =>
      isValidSignature(body, headers["sanity-webhook-signature"] ?? "", secret),
    laxer: { "looks at no age": takesAnyAge(300_000) },
  },
  contentful: {
    signs: ({ body, headers, laterMs }, secret) => {
      const {
        "x-contentful-timestamp": at,
        "x-contentful-signature": _,
        "x-contentful-signed-headers": __,
        ...given
      } = headers;
      return {
        headers: { ...signRequest(secret, toContentful({ body, headers: given, laterMs }), Number(at)) },
      };
    },
    accepts: (arrival, secret) => verifyRequest(secret, toContentful(arrival)),
    laxer: { "takes a time in the future": takesTheFuture(30_000) },
    // The library counts to the millisecond.
    differs: (laterMs) => laterMs >= 30_000 && laterMs < 31_000,
  },
  clerk: {
    accepts: async ({ body, headers }, signingSecret) => {
      await verifyClerk(new Request(URL_OF_IT, { method: "POST", headers, body }), { signingSecret });
      return true;
    },
    laxer: ofStandardWebhooks("svix"),
  },
  workos: {
    signs: async ({ body, headers }, secret) => {
      const at = /^t=(\d+)/.exec(headers["workos-signature"] ?? "")?.[1] ?? "";
      const signature = await workos.webhooks.computeSignature(at, body, secret);
      return { headers: { "workos-signature": `t=${at}, v1=${signature}` } };
    },
    accepts: ({ body, headers }, secret) =>
      workos.webhooks.verifyHeader({ payload: body, sigHeader: headers["workos-signature"] ?? "", secret }),
    laxer: {
      "takes a time in the future": takesTheFuture(180_000),
      "does not look at the names of the parts, nor at what follows them": misspelt(
        "workos-signature",
        /^t=\d{1,14}, v1=[0-9a-f]{64}$/,
        (value) => value.replace("t=", "v0=").replace("v1=", "v0="),
      ),
    },
  },
  openai: {
    accepts: async ({ body, headers }, secret) => {
      await openai.webhooks.verifySignature(body, headers, secret);
      return true;
    },
    laxer: {
      "takes a signature that does not say its version": misspelt("webhook-signature", /^v1,/, (value) =>
        value.slice("v1,".length),
      ),
      "decodes what is not quite base64": looseBase64("webhook-signature", "v1,"),
    },
  },
  replicate: {
    accepts: ({ body, headers }, secret) =>
      validateReplicate({
        id: headers["webhook-id"] ?? "",
        timestamp: headers["webhook-timestamp"] ?? "",
        signature: headers["webhook-signature"] ?? "",
        body,
        secret,
      }),
    laxer: {
      "looks at no age": takesAnyAge(300_000),
      "takes a signature of any version": misspelt("webhook-signature", /^v1,[^,]*$/, (value) =>
        value.replace("v1,", "v2,"),
      ),
    },
  },
};
