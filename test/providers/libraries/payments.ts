import HmacValidator from "@adyen/api-library/lib/src/utils/hmacValidator.js";
import { Paddle } from "@paddle/paddle-node-sdk";
import { webhooks as polar } from "@polar-sh/sdk/2026-10";
import "@shopify/shopify-api/adapters/web-api";
import { ApiVersion, LogSeverity, type Shopify, shopifyApi } from "@shopify/shopify-api";
import { Webhook as Coinbase } from "coinbase-commerce-node";
import { SignatureValidator } from "mollie-api-typescript/utils/webhooks/index.js";
import { Webhook } from "standardwebhooks";
// The package exports nothing but its index, which takes a second to load.
import { WebhooksHelper } from "../../../node_modules/square/wrapper/WebhooksHelper.js";
import { URL_OF_IT } from "../preset-samples.ts";
import {
  type Arrival,
  isBase64,
  type Library,
  looseBase64,
  misspelt,
  takesTheFuture,
  withHeader,
} from "./library.ts";

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

/** What Shopify's library makes of a delivery with these names of headers. */
function shopify(prefix: string): Library {
  let api: Shopify | undefined;
  return {
    headers: { [`${prefix}-shop-domain`]: "a.myshopify.com", [`${prefix}-api-version`]: "2026-10" },
    accepts: async ({ body, headers }, secret) => {
      api ??= shopifyApi({
        apiKey: "key",
        apiSecretKey: secret,
        apiVersion: ApiVersion.July26,
        hostName: "hooks.example.test",
        isEmbeddedApp: false,
        logger: { level: LogSeverity.Error },
      });
      const rawRequest = new Request(URL_OF_IT, { method: "POST", headers, body });
      return (await api.webhooks.validate({ rawBody: body, rawRequest })).valid;
    },
  };
}

async function acceptsAsPolar({ body, headers }: Arrival, secret: string): Promise<boolean> {
  try {
    await polar.validateEvent(body, { ...headers }, secret);
  } catch (error) {
    // Past the signature it looks whether it knows the type, which is not its business here.
    if (error instanceof polar.PolarWebhookVerificationError) return false;
  }
  return true;
}

const laxities: Library["laxer"] = {
  "drops what follows a second comma": misspelt(
    "webhook-signature",
    /^[^ ,]*,[^ ,]*(?: [^ ,]*,[^ ,]*)*$/,
    (value) => `${value},junk`,
  ),
  "rounds a time down to the second that it then verifies": misspelt(
    "webhook-timestamp",
    /^\d{1,14}$/,
    (value) => `${value}.5`,
  ),
  "decodes what is not quite base64": looseBase64("webhook-signature", "v1,"),
};

export const payments: Readonly<Record<string, Library>> = {
  paddle: {
    accepts: ({ body, headers }, secret) =>
      new Paddle("key").webhooks.isSignatureValid(body, secret, headers["paddle-signature"] ?? ""),
    laxer: { "takes a time in the future": takesTheFuture(5000) },
  },
  polar: { accepts: acceptsAsPolar, laxer: laxities },
  "polar, with a secret made before September 2026": {
    preset: "polar",
    secret: "whsec_ovyN6cPrTv56AApvzCaJno08SSmGJmgbWilb33N2JuK",
    signs: ({ body, headers }, secret) => {
      const at = new Date(Number(headers["webhook-timestamp"]) * 1000);
      const webhook = new Webhook(Buffer.from(secret).toString("base64"));
      return { headers: { "webhook-signature": webhook.sign(headers["webhook-id"] ?? "", at, body) } };
    },
    accepts: acceptsAsPolar,
    laxer: laxities,
  },
  square: {
    accepts: ({ body, headers }, secret) =>
      WebhooksHelper.verifySignature({
        requestBody: body,
        signatureHeader: headers["x-square-hmacsha256-signature"] ?? "",
        signatureKey: secret,
        notificationUrl: URL_OF_IT,
      }),
  },
  mollie: {
    signs: async ({ body }, secret) => ({
      headers: { "x-mollie-signature": `sha256=${await SignatureValidator.createSignature(body, secret)}` },
    }),
    accepts: ({ body, headers }, secret) =>
      SignatureValidator.validate(body, secret, (headers["x-mollie-signature"] ?? "").split(", ")),
    laxer: {
      "takes a signature without its prefix": misspelt("x-mollie-signature", /^sha256=/, (value) =>
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
      "decodes what is not quite base64": {
        covers: ({ body }) => {
          try {
            return itemsOf(body).some((item) => !isBase64(signatureOf(item)));
          } catch {
            return false;
          }
        },
        example: (right) => ({
          ...right,
          body: signItems(right.body, (item) => ` ${signatureOf(item)}`),
        }),
      },
    },
  },
  "adyen-platform": {
    signs: ({ body }, secret) => ({ headers: { hmacsignature: adyen.calculateHmac(body, secret) } }),
    accepts: ({ body, headers }, secret) =>
      adyen.validateHMACSignature(secret, headers["hmacsignature"] ?? "", body),
    laxer: {
      "decodes what is not quite base64": {
        covers: ({ headers }) => !isBase64(headers["hmacsignature"] ?? ""),
        example: (right) => withHeader(right, "hmacsignature", (value) => value.replace(/=$/, "")),
      },
    },
  },
  shopify: shopify("x-shopify"),
  "shopify-events": shopify("shopify"),
};
