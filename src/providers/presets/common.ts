/** What many presets have in common. Times are in milliseconds, sizes in bytes. */

export const SECONDS = 1000;
export const MINUTES = 60 * SECONDS;
export const HOURS = 3600 * SECONDS;
export const DAYS = 24 * HOURS;
export const MIB = 1024 * 1024;

/** In seconds, in either direction: what Stripe, Slack and the Standard Webhooks specification recommend. */
export const FIVE_MINUTES = 300;

/** HMAC-SHA256 of the body in hex, keyed with the secret's text: the most common scheme. */
export const BODY_SHA256 = {
  kind: "hmac",
  algorithm: "sha256",
  encoding: "hex",
  key: "text",
  signed: "{body}",
} as const;

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
export const STANDARD_WEBHOOKS = {
  kind: "hmac",
  algorithm: "sha256",
  encoding: "base64",
  key: "whsec",
  signature: { header: "webhook-signature", separator: " ", prefix: "v1,", several: true },
  signed: "{id}.{timestamp}.{body}",
  timestamp: { from: { header: "webhook-timestamp" }, unit: "s", tolerance: FIVE_MINUTES },
  idHeader: "webhook-id",
} as const;

/** The same with Svix's own headers. */
export const SVIX = {
  ...STANDARD_WEBHOOKS,
  signature: { header: "svix-signature", separator: " ", prefix: "v1,", several: true },
  timestamp: { from: { header: "svix-timestamp" }, unit: "s", tolerance: FIVE_MINUTES },
  idHeader: "svix-id",
} as const;
