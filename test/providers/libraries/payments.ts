import HmacValidator from "@adyen/api-library/lib/src/utils/hmacValidator.js";
import { Paddle } from "@paddle/paddle-node-sdk";
import { webhooks as polar } from "@polar-sh/sdk/2026-10";
import "@shopify/shopify-api/adapters/web-api";
import { ApiVersion, LogSeverity, type Shopify, shopifyApi } from "@shopify/shopify-api";
import { Webhook as Coinbase } from "coinbase-commerce-node";
import { sign as signAsGitHub } from "@octokit/webhooks-methods";
import { SignatureValidator } from "mollie-api-typescript/utils/webhooks/index.js";
import { BraintreeGateway, Environment } from "braintree";
import Razorpay from "razorpay";
import { Webhook } from "standardwebhooks";
import { Stripe } from "stripe";
// The package exports nothing but its index, which takes a second to load.
import { WebhooksHelper } from "../../../node_modules/square/wrapper/WebhooksHelper.js";
import {
  type Arrival,
  isBase64,
  type Library,
  looseBase64,
  misspelt,
  TIME,
  verifiesTheText,
  acceptsFutureTimes,
  withHeader,
} from "./library.ts";

/** @param secret PUBLIC_KEY:PRIVATE_KEY */
export function braintreeGateway(secret: string): BraintreeGateway {
  const [publicKey = "", privateKey = ""] = secret.split(":");
  return new BraintreeGateway({
    environment: Environment.Sandbox,
    merchantId: "merchant",
    publicKey,
    privateKey,
  });
}

const adyen = new HmacValidator();

interface AdyenBody {
  notificationItems: { NotificationRequestItem: AdyenItem }[];
}

type AdyenItem = Parameters<HmacValidator["validateHMAC"]>[0];

function itemsOf(body: string): AdyenItem[] {
  return (JSON.parse(body) as AdyenBody).notificationItems.map((item) => item.NotificationRequestItem);
}

/** The same body, with another signature in each item. */
function signItems(body: string, signatureOf: (item: AdyenItem) => string): string {
  const all = JSON.parse(body) as AdyenBody;
  for (const { NotificationRequestItem: item } of all.notificationItems)
    item.additionalData = { ...item.additionalData, hmacSignature: signatureOf(item) };
  return JSON.stringify(all);
}

const signatureOf = (item: AdyenItem): string => item.additionalData?.["hmacSignature"] ?? "";

/** Shopify's library, for deliveries whose headers start with this prefix. */
function shopify(prefix: string): Library {
  const apis = new Map<string, Shopify>();
  return {
    headers: { [`${prefix}-shop-domain`]: "a.myshopify.com", [`${prefix}-api-version`]: "2026-10" },
    accepts: async ({ url, body, headers }, secret) => {
      const api =
        apis.get(secret) ??
        shopifyApi({
          apiKey: "key",
          apiSecretKey: secret,
          apiVersion: ApiVersion.July26,
          hostName: "hooks.example.test",
          isEmbeddedApp: false,
          logger: { level: LogSeverity.Error },
        });
      apis.set(secret, api);
      const rawRequest = new Request(url, { method: "POST", headers, body });
      return (await api.webhooks.validate({ rawBody: body, rawRequest })).valid;
    },
    stricter: {
      "requires the id of the delivery": {
        covers: ({ headers }) => headers[`${prefix}-webhook-id`] === undefined,
        example: (valid) => {
          const { [`${prefix}-webhook-id`]: _, ...headers } = valid.headers;
          return { ...valid, headers };
        },
      },
    },
  };
}

async function acceptsAsPolar({ body, headers }: Arrival, secret: string): Promise<boolean> {
  try {
    await polar.validateEvent(body, { ...headers }, secret);
  } catch (error) {
    // After the signature it checks whether it knows the type, which is not what we test.
    if (error instanceof polar.PolarWebhookVerificationError) return false;
  }
  return true;
}

/** The library counts milliseconds, and decodes each of several signatures in its own way. */
const asPolarAlone: Library["notCompared"] = ({ headers, laterMs }) =>
  (laterMs > 300_000 && laterMs < 301_000) || (headers["webhook-signature"] ?? "").includes(" ");

const polarIsLaxer: Library["laxer"] = {
  "drops what follows a second comma": misspelt(
    "webhook-signature",
    /^[^ ,]*,[^ ,]*(?: [^ ,]*,[^ ,]*)*$/,
    (value) => `${value},junk`,
  ),
  "rounds a time down to the second before it verifies it": misspelt(
    "webhook-timestamp",
    TIME,
    (value) => `${value}.5`,
  ),
  "decodes malformed base64": looseBase64("webhook-signature", "v1,"),
};

/** The values of one part of a header such as `t=1,v1=ab,v1=cd`. */
function partsOf({ headers }: Arrival, name: string): string[] {
  return (headers["stripe-signature"] ?? "")
    .split(",")
    .filter((part) => part.startsWith(`${name}=`))
    .map((part) => part.slice(name.length + 1));
}

const hasTwoTimes = (arrival: Arrival): boolean => partsOf(arrival, "t").length > 1;
const readAsParseInt = (time: string): boolean =>
  String(Number.parseInt(time, 10)) !== time && /^\s*[+-]?\d/.test(time);
/** A second before the valid signature's, which comes first or last. */
const otherTime = (value: string): string => `t=${Number(/t=(\d+)/.exec(value)?.[1]) - 1}`;
const stripeHeader =
  (change: (value: string) => string) =>
  (valid: Arrival): Arrival =>
    withHeader(valid, "stripe-signature", change);
const stripe = Stripe.webhooks.signature;

export const payments: Readonly<Record<string, Library>> = {
  braintree: {
    signedInBody: true,
    accepts: async ({ body }, secret) => {
      // Without the &, it would leave out a question mark at the beginning, which is part of a name.
      const form = new URLSearchParams(`&${body}`);
      const [signature, ...others] = form.getAll("bt_signature");
      const [payload, ...more] = form.getAll("bt_payload");
      // A framework passes repeated fields as an array, which the library refuses.
      if (others.length > 0 || more.length > 0) return false;
      await braintreeGateway(secret).webhookNotification.parse(signature ?? "", payload ?? "");
      return true;
    },
  },
  stripe: {
    signs: async ({ body, headers }, secret) => ({
      headers: {
        "stripe-signature": await Stripe.webhooks.generateTestHeaderStringAsync({
          payload: body,
          secret,
          timestamp: Number(/t=(\d+)/.exec(headers["stripe-signature"] ?? "")?.[1]),
        }),
      },
    }),
    accepts: ({ body, bytes, headers }, secret) =>
      stripe?.verifyHeaderAsync(bytes ?? Buffer.from(body), headers["stripe-signature"] ?? "", secret, 300),
    laxer: {
      "accepts a time in the future": acceptsFutureTimes(300_000),
      "reads the time like parseInt": {
        covers: (arrival) => partsOf(arrival, "t").some(readAsParseInt),
        example: stripeHeader((value) => value.replace(/t=(\d+)/, "t=$1.5 or so")),
      },
      "ignores a zero before the time": {
        covers: (arrival) => partsOf(arrival, "t").some(readAsParseInt),
        example: stripeHeader((value) => value.replace("t=", "t=0")),
      },
      "takes the last of two times": {
        covers: hasTwoTimes,
        example: stripeHeader((value) => `${otherTime(value)},${value}`),
      },
      "drops what follows a second equals sign": {
        covers: (arrival) => partsOf(arrival, "v1").some((value) => /^[0-9a-f]{64}=/.test(value)),
        example: stripeHeader((value) => `${value}=junk`),
      },
      "reads bytes that are not UTF-8 as U+FFFD": verifiesTheText,
      "drops a byte order mark": {
        covers: ({ body }) => body.startsWith("\uFEFF"),
        example: (valid) => ({ ...valid, body: `\uFEFF${valid.body}` }),
      },
    },
    stricter: {
      "takes the last of two times": {
        covers: hasTwoTimes,
        example: stripeHeader((value) => `${value},${otherTime(value)}`),
      },
    },
  },
  razorpay: {
    // Razorpay's library cannot sign. GitHub's makes the same digest, with a prefix.
    signs: async ({ body }, secret) => ({
      headers: { "x-razorpay-signature": (await signAsGitHub(secret, body)).replace("sha256=", "") },
    }),
    accepts: ({ body, bytes, headers }, secret) =>
      Razorpay.validateWebhookSignature(
        new TextDecoder().decode(bytes ?? Buffer.from(body)),
        headers["x-razorpay-signature"] ?? "",
        secret,
      ),
    laxer: { "reads bytes that are not UTF-8 as U+FFFD": verifiesTheText },
  },
  paddle: {
    tolerance: "5s",
    accepts: ({ body, headers }, secret) =>
      new Paddle("key").webhooks.isSignatureValid(body, secret, headers["paddle-signature"] ?? ""),
    laxer: {
      "accepts a time in the future": acceptsFutureTimes(5000),
      "drops what follows a second equals sign": {
        covers: ({ headers }) =>
          /(?:^|;)(?:ts=[^;=]*|h1=[0-9a-f]{64})=/.test(headers["paddle-signature"] ?? ""),
        example: (valid) => withHeader(valid, "paddle-signature", (value) => `${value}=junk`),
      },
    },
    // The library counts milliseconds.
    notCompared: ({ laterMs }) => laterMs > 5000 && laterMs < 6000,
  },
  polar: { accepts: acceptsAsPolar, laxer: polarIsLaxer, notCompared: asPolarAlone },
  "polar, with a secret made before September 2026": {
    preset: "polar",
    secret: "whsec_ovyN6cPrTv56AApvzCaJno08SSmGJmgbWilb33N2JuK",
    signs: ({ body, headers }, secret) => {
      const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
      const webhook = new Webhook(Buffer.from(secret).toString("base64"));
      return { headers: { "webhook-signature": webhook.sign(headers["webhook-id"] ?? "", at, body) } };
    },
    accepts: acceptsAsPolar,
    laxer: polarIsLaxer,
    notCompared: asPolarAlone,
  },
  square: {
    accepts: ({ url, body, headers }, secret) =>
      WebhooksHelper.verifySignature({
        requestBody: body,
        signatureHeader: headers["x-square-hmacsha256-signature"] ?? "",
        signatureKey: secret,
        notificationUrl: url,
      }),
  },
  mollie: {
    signs: async ({ body }, secret) => ({
      headers: { "x-mollie-signature": `sha256=${await SignatureValidator.createSignature(body, secret)}` },
    }),
    accepts: ({ body, headers }, secret) =>
      SignatureValidator.validate(body, secret, (headers["x-mollie-signature"] ?? "").split(", ")),
    laxer: {
      "accepts a signature without its prefix": misspelt("x-mollie-signature", /^sha256=/, (value) =>
        value.slice("sha256=".length),
      ),
    },
  },
  "coinbase-commerce": {
    signs: ({ body }, secret) => ({
      headers: { "x-cc-webhook-signature": Coinbase.computeSignature(body, secret) },
    }),
    accepts: ({ body, headers }, secret) =>
      Coinbase.verifySigHeader(body, headers["x-cc-webhook-signature"] ?? "", secret),
  },
  adyen: {
    signedInBody: true,
    signs: ({ body }, secret) => ({ body: signItems(body, (item) => adyen.calculateHmac(item, secret)) }),
    accepts: ({ body }, secret) => {
      const items = itemsOf(body);
      return items.length > 0 && items.every((item) => adyen.validateHMAC(item, secret));
    },
    laxer: {
      "decodes malformed base64": {
        covers: ({ body }) => {
          try {
            return itemsOf(body).some((item) => !isBase64(signatureOf(item)));
          } catch {
            return false;
          }
        },
        example: (valid) => ({
          ...valid,
          body: signItems(valid.body, (item) => ` ${signatureOf(item)}`),
        }),
      },
    },
  },
  "adyen-platform": {
    signs: ({ body }, secret) => ({ headers: { hmacsignature: adyen.calculateHmac(body, secret) } }),
    accepts: ({ body, headers }, secret) =>
      adyen.validateHMACSignature(secret, headers["hmacsignature"] ?? "", body),
    laxer: {
      "decodes malformed base64": {
        covers: ({ headers }) => !isBase64(headers["hmacsignature"] ?? ""),
        example: (valid) => withHeader(valid, "hmacsignature", (value) => value.replace(/=$/, "")),
      },
    },
  },
  shopify: shopify("x-shopify"),
  "shopify-events": shopify("shopify"),
};
