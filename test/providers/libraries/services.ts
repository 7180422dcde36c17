import { verifyWebhook as verifyClerk } from "@clerk/backend/webhooks";
import { signRequest, verifyRequest } from "@contentful/node-apps-toolkit";
import { Signature } from "@hubspot/api-client/lib/src/utils/signature.js";
import { LinearWebhookClient } from "@linear/sdk/webhooks";
import { signWebhookPayload, verifyWebhookSignature } from "@notionhq/client";
import { sign as signAsGitHub, verify as verifyAsGitHub } from "@octokit/webhooks-methods";
import { encodeSignatureHeader, isValidSignature } from "@sanity/webhook";
import { WorkOS } from "@workos-inc/node";
import { spyOn } from "bun:test";
import https from "node:https";
import { Readable } from "node:stream";
import OpenAI from "openai";
import { validateWebhook as validateReplicate } from "replicate";
import MessageValidator from "sns-validator";
import type { Fetch } from "../../../src/providers/context.ts";
import {
  type Arrival,
  type Library,
  looseBase64,
  misspelt,
  ofStandardWebhooks,
  TIME,
  withHeader,
  acceptsAnyAge,
  acceptsFutureTimes,
} from "./library.ts";

const openai = new OpenAI({ apiKey: "key" });
const workos = new WorkOS("sk_key");

const toContentful = ({ url, body, headers }: Arrival): Parameters<typeof verifyRequest>[1] => ({
  method: "POST",
  path: url.slice(new URL(url).origin.length),
  headers: { ...headers },
  body,
});

/** Whether Amazon's library accepts a message, with the certificate that `fetch` returns. */
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
  github: {
    signs: async ({ body }, secret) => ({
      headers: { "x-hub-signature-256": await signAsGitHub(secret, body) },
    }),
    accepts: ({ body, headers }, secret) =>
      verifyAsGitHub(secret, body, headers["x-hub-signature-256"] ?? ""),
  },
  "aws-sns": {
    signedInBody: true,
    accepts: ({ body }, _, fetch) => acceptsAsSns(body, fetch),
    // The library also accepts messages of every topic, and so of everybody who has one:
    // fetched-keys.test.ts.
    laxer: {
      "accepts a certificate URL that ends in .pem only in its query": {
        covers: ({ body }) => /"SigningCertURL":"[^"?]*\?/.test(body),
        example: (valid) => ({ ...valid, body: valid.body.replace(/(?=-simulated\.pem")/, "?") }),
      },
      "accepts the field names of AWS Lambda": {
        covers: ({ body }) => body.includes('"SigningCertUrl"'),
        example: (valid) => ({ ...valid, body: valid.body.replace("SigningCertURL", "SigningCertUrl") }),
      },
    },
    stricter: {
      "reads a URL by older rules than the web's": {
        covers: ({ body }) => /"SigningCertURL":"https:(?:\/?|\/{3,})\w/.test(body),
        example: (valid) => ({
          ...valid,
          body: valid.body.replace('CertURL":"https://', 'CertURL":"https:/'),
        }),
      },
    },
  },
  linear: {
    tolerance: "60s",
    accepts: ({ body, headers }, secret) => {
      const { webhookTimestamp } = JSON.parse(body) as { webhookTimestamp: number };
      return new LinearWebhookClient(secret).verify(
        Buffer.from(body),
        headers["linear-signature"] ?? "",
        webhookTimestamp,
      );
    },
    // The library counts milliseconds.
    notCompared: ({ laterMs }) => Math.abs(laterMs) > 60_000 && Math.abs(laterMs) < 61_000,
  },
  hubspot: {
    signs: ({ url, body, headers }, clientSecret) => {
      const timestamp = Number(headers["x-hubspot-request-timestamp"]);
      const options = { signature: "", clientSecret, requestBody: body, url, timestamp };
      return { headers: { "x-hubspot-signature-v3": Signature.getSignature("POST", "v3", options) } };
    },
    accepts: ({ url, body, headers }, clientSecret) =>
      Signature.isValid({
        signatureVersion: "v3",
        method: "POST",
        url,
        clientSecret,
        requestBody: body,
        signature: headers["x-hubspot-signature-v3"] ?? "",
        timestamp: Number(headers["x-hubspot-request-timestamp"]),
      }),
    laxer: {
      "accepts a time in the future": acceptsFutureTimes(300_000),
      "reads the time as a number": misspelt("x-hubspot-request-timestamp", TIME, (value) => `0${value}`),
    },
    // The library counts milliseconds.
    notCompared: ({ laterMs }) => laterMs > 300_000 && laterMs < 301_000,
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
    tolerance: "5m",
    signs: async ({ body, headers }, secret) => {
      const at = Number(/^t=(\d+)/.exec(headers["sanity-webhook-signature"] ?? "")?.[1]);
      return { headers: { "sanity-webhook-signature": await encodeSignatureHeader(body, at, secret) } };
    },
    accepts: ({ body, headers }, secret) =>
      isValidSignature(body, headers["sanity-webhook-signature"] ?? "", secret),
    laxer: { "ignores the age": acceptsAnyAge(300_000) },
    stricter: {
      "refuses more than one time and one signature": {
        covers: ({ headers }) => (headers["sanity-webhook-signature"] ?? "").split(",").length > 2,
        example: (valid) => withHeader(valid, "sanity-webhook-signature", (value) => `${value},t=1`),
      },
    },
  },
  contentful: {
    tolerance: "30s",
    signs: (request, secret) => {
      const {
        "x-contentful-timestamp": at,
        "x-contentful-signature": _,
        "x-contentful-signed-headers": __,
        ...headers
      } = request.headers;
      return { headers: { ...signRequest(secret, toContentful({ ...request, headers }), Number(at)) } };
    },
    accepts: (arrival, secret) => verifyRequest(secret, toContentful(arrival)),
    laxer: {
      "accepts a time in the future": acceptsFutureTimes(30_000),
      "reads the time like parseInt": misspelt("x-contentful-timestamp", TIME, (value) => `${value} or so`),
    },
    // The library counts milliseconds.
    notCompared: ({ laterMs }) => laterMs >= 30_000 && laterMs < 31_000,
  },
  clerk: {
    accepts: async ({ url, body, headers }, signingSecret) => {
      await verifyClerk(new Request(url, { method: "POST", headers, body }), { signingSecret });
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
      "accepts a time in the future": acceptsFutureTimes(180_000),
      "ignores the names of the parts and what follows them": misspelt(
        "workos-signature",
        /^t=\d{1,14}, v1=[0-9a-f]{64}$/,
        (value) => value.replace("t=", "v0=").replace("v1=", "v0="),
      ),
    },
    // The library counts milliseconds, and hookonce accepts any of several signatures.
    notCompared: ({ headers, laterMs }) =>
      (laterMs > 180_000 && laterMs < 181_000) || (headers["workos-signature"] ?? "").split(",").length > 2,
  },
  openai: {
    accepts: async ({ body, headers }, secret) => {
      await openai.webhooks.verifySignature(body, headers, secret);
      return true;
    },
    laxer: {
      "accepts a signature without its version": misspelt("webhook-signature", /^v1,/, (value) =>
        value.slice("v1,".length),
      ),
      "decodes malformed base64": looseBase64("webhook-signature", "v1,"),
    },
    // hookonce accepts any of several signatures.
    notCompared: ({ headers }) => (headers["webhook-signature"] ?? "").includes(" "),
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
      "ignores the age": acceptsAnyAge(300_000),
      "accepts a signature of any version": misspelt("webhook-signature", /^v1,[^,]*$/, (value) =>
        value.replace("v1,", "v2,"),
      ),
    },
    // hookonce accepts any of several signatures.
    notCompared: ({ headers }) => (headers["webhook-signature"] ?? "").includes(" "),
  },
};
