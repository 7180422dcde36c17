import type { Provider } from "./provider.ts";

const SECONDS = 1000;
const HOURS = 3600 * SECONDS;
const DAYS = 24 * HOURS;
const MIB = 1024 * 1024;

/** In seconds either way: what Stripe, Slack and the Standard Webhooks specification recommend. */
const FIVE_MINUTES = 300;

const presets: readonly Provider[] = [
  {
    name: "unsigned",
    title: "Unsigned, for trying things out",
    docs: "README.md, Sources",
    scheme: { kind: "unsigned" },
    eventId: "body:$.event_id",
    eventIdSigned: false,
    type: "body:$.type",
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 0,
  },
  {
    name: "stripe",
    title: "Stripe",
    docs: "https://docs.stripe.com/webhooks#verify-manually",
    scheme: {
      kind: "hmac",
      algorithm: "sha256",
      encoding: "hex",
      key: "text", // with its whsec_, as it stands
      signature: { header: "stripe-signature", separator: ",", prefix: "v1=" },
      signed: "{timestamp}.{body}",
      timestamp: { from: { prefix: "t=" }, unit: "s", tolerance: FIVE_MINUTES },
    },
    eventId: "body:$.id",
    eventIdSigned: true,
    type: "body:$.type",
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 3 * DAYS,
  },
  {
    name: "github",
    title: "GitHub",
    docs: "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
    scheme: {
      kind: "hmac",
      algorithm: "sha256",
      encoding: "hex",
      key: "text",
      signature: { header: "x-hub-signature-256", prefix: "sha256=" },
      signed: "{body}",
    },
    eventId: "header:x-github-delivery",
    eventIdSigned: false,
    type: { join: ["header:x-github-event", "body:$.action"], with: "." },
    formField: "payload",
    maxBody: 25 * MIB,
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 3 * DAYS, // for as long as a delivery can be redelivered by hand
  },
  {
    name: "razorpay",
    title: "Razorpay",
    docs: "https://razorpay.com/docs/webhooks/validate-test/",
    scheme: {
      kind: "hmac",
      algorithm: "sha256",
      encoding: "hex",
      key: "text",
      signature: { header: "x-razorpay-signature" },
      signed: "{body}",
    },
    eventId: "header:x-razorpay-event-id",
    eventIdSigned: false,
    type: "body:$.event",
    timeoutMs: 5 * SECONDS,
    retryWindowMs: 1 * DAYS,
  },
  {
    name: "standard-webhooks",
    title: "Standard Webhooks",
    docs: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    scheme: {
      kind: "hmac",
      algorithm: "sha256",
      encoding: "base64",
      key: "whsec",
      signature: { header: "webhook-signature", separator: " ", prefix: "v1," },
      signed: "{id}.{timestamp}.{body}",
      timestamp: { from: { header: "webhook-timestamp" }, unit: "s", tolerance: FIVE_MINUTES },
      idHeader: "webhook-id",
    },
    eventId: "header:webhook-id",
    eventIdSigned: true,
    type: "body:$.type",
    timeoutMs: 15 * SECONDS,
    retryWindowMs: 4 * DAYS, // the recommended schedule adds up to 75 h
  },
  {
    name: "hmac",
    title: "HMAC, spelled out in the config",
    docs: "README.md, Sources",
    scheme: {
      kind: "hmac",
      algorithm: "sha256",
      encoding: "hex",
      key: "text",
      signature: { header: "" }, // the config must say
      signed: "{body}",
    },
    eventId: "body:$.id",
    eventIdSigned: false,
    type: "body:$.type",
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 3 * DAYS,
  },
];

/** Every provider by its name in the config. */
export const providers: ReadonlyMap<string, Provider> = new Map(
  presets.map((preset) => [preset.name, preset]),
);
