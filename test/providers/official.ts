import { setSystemTime } from "bun:test";
import { sign as signAsGitHub, verify as verifyAsGitHub } from "@octokit/webhooks-methods";
import Razorpay from "razorpay";
import { Webhook } from "standardwebhooks";
import { Stripe } from "stripe";
import type { Headers } from "../../src/event.ts";

/** What the providers' own libraries do: the oracle that hookonce is held against. */

export interface Signing {
  readonly secret: string;
  readonly id: string;
  /** Unix seconds. */
  readonly at: number;
}

export interface Judging {
  readonly secrets: readonly string[];
  /** Unix milliseconds. */
  readonly now: number;
}

export interface OfficialLibrary {
  readonly provider: "stripe" | "github" | "razorpay" | "standard-webhooks";
  readonly signatureHeader: string;
  /** Every other header that the signature depends on. */
  readonly signedHeaders: readonly string[];
  /** Two that the library takes: the one in use, and the one before it. */
  readonly secrets: readonly [current: string, old: string];
  /** A JSON body with this id and type where the provider puts them. */
  body(id: string, type: string): string;
  /** The provider's headers, the signature made by the library. */
  sign(body: string, signing: Signing): Promise<Record<string, string>>;
  /** Whether the library takes this delivery with any of the secrets. */
  accepts(body: Uint8Array, headers: Headers, judging: Judging): Promise<boolean>;
}

/** Whether `judge` comes to true for a secret; a throw is a no. */
async function any(
  secrets: readonly string[],
  judge: (secret: string) => boolean | Promise<boolean>,
): Promise<boolean> {
  for (const secret of secrets) {
    try {
      if (await judge(secret)) return true;
    } catch {
      // How these libraries refuse.
    }
  }
  return false;
}

const text = (body: Uint8Array): string => Buffer.from(body).toString();

// The verification alone, without parsing the body. Under Bun the library takes Web Crypto: only its async half works.
const { signature: stripeSignature } = Stripe.webhooks;

const stripe: OfficialLibrary = {
  provider: "stripe",
  signatureHeader: "stripe-signature",
  signedHeaders: [],
  secrets: ["whsec_b2ZmaWNpYWwgbm93", "whsec_b2ZmaWNpYWwgYmVmb3Jl"],
  body: (id, type) => JSON.stringify({ id, object: "event", type, data: { object: { note: "Café ☕" } } }),
  sign: async (payload, { secret, at }) => ({
    "stripe-signature": await Stripe.webhooks.generateTestHeaderStringAsync({
      payload,
      secret,
      timestamp: at,
    }),
  }),
  accepts: (body, headers, { secrets, now }) =>
    any(secrets, async (secret) => {
      const header = headers["stripe-signature"] ?? "";
      if (stripeSignature === null) throw new Error("stripe has no signature helper");
      return stripeSignature.verifyHeaderAsync(Buffer.from(body), header, secret, 300, undefined, now);
    }),
};

const github: OfficialLibrary = {
  provider: "github",
  signatureHeader: "x-hub-signature-256",
  signedHeaders: [],
  secrets: ["It's a Secret to Everybody", "it was another one"],
  body: (id, type) => JSON.stringify({ note: `${type} ${id}`, repository: { full_name: "octo/🐙" } }),
  sign: async (body, { secret, id }) => ({
    "x-hub-signature-256": await signAsGitHub(secret, body),
    "x-github-delivery": id,
    "x-github-event": "push",
  }),
  accepts: (body, headers, { secrets }) =>
    any(secrets, (secret) => verifyAsGitHub(secret, text(body), headers["x-hub-signature-256"] ?? "")),
};

const razorpay: OfficialLibrary = {
  provider: "razorpay",
  signatureHeader: "x-razorpay-signature",
  signedHeaders: [],
  secrets: ["123456", "ключ"],
  body: (id, type) => JSON.stringify({ entity: "event", event: type, payload: { note: `₹500 ${id}` } }),
  // Razorpay's library only verifies; GitHub's makes the same digest, with a prefix.
  sign: async (body, { secret, id }) => ({
    "x-razorpay-signature": (await signAsGitHub(secret, body)).replace("sha256=", ""),
    "x-razorpay-event-id": id,
  }),
  accepts: (body, headers, { secrets }) =>
    any(secrets, (secret) =>
      Razorpay.validateWebhookSignature(text(body), headers["x-razorpay-signature"] ?? "", secret),
    ),
};

const standardWebhooks: OfficialLibrary = {
  provider: "standard-webhooks",
  signatureHeader: "webhook-signature",
  signedHeaders: ["webhook-id", "webhook-timestamp"],
  secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
  body: (id, type) => JSON.stringify({ type, data: { note: `naïve ${id}` } }),
  sign: async (body, { secret, id, at }) => ({
    "webhook-id": id,
    "webhook-timestamp": String(at),
    "webhook-signature": new Webhook(secret).sign(id, new Date(at * 1000), body),
  }),
  accepts: (body, headers, { secrets, now }) =>
    any(secrets, (secret) => {
      setSystemTime(now);
      try {
        // Throws unless it is the provider's; that the body is JSON is not its business here.
        new Webhook(secret).verify(Buffer.from(body), { ...headers }, { jsonParse: false });
        return true;
      } finally {
        setSystemTime();
      }
    }),
};

export const officialLibraries: readonly OfficialLibrary[] = [stripe, github, razorpay, standardWebhooks];

export function libraryOf(provider: OfficialLibrary["provider"]): OfficialLibrary {
  return officialLibraries.find((library) => library.provider === provider) as OfficialLibrary;
}
