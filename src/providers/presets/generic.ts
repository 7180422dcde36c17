import type { Provider } from "../provider.ts";
import { BODY_SHA256, DAYS, SECONDS, STANDARD_WEBHOOKS, SVIX } from "./common.ts";

const EVENT_ID = { event_id: 'event_id = "body:$.id"' };
const TYPE = { type: 'type = "body:$.type"' };

/** Schemes that belong to no provider in particular. */
export const generic: readonly Provider[] = [
  {
    name: "unsigned",
    title: "Unsigned, for trying things out",
    docs: "README.md, Sources",
    scheme: { kind: "unsigned" },
    needs: TYPE,
    eventId: "body:$.event_id",
    eventIdSigned: false,
    type: "body:$.type",
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 1 * DAYS, // nobody retries for longer while trying things out
  },
  {
    name: "hmac",
    title: "HMAC, spelled out in the config",
    aliases: ["generic", "custom"],
    docs: "README.md, Sources",
    scheme: { ...BODY_SHA256, signature: { header: "" } },
    needs: { "signature.header": 'signature = { header = "x-signature" }', ...EVENT_ID, ...TYPE },
    eventId: "body:$.id",
    eventIdSigned: false,
    type: "body:$.type",
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 3 * DAYS,
  },
  {
    name: "static",
    title: "A secret that is sent as it is, spelled out in the config",
    aliases: ["basic-auth", "token"],
    docs: "README.md, Sources",
    scheme: { kind: "static", secretIn: "header:authorization" },
    needs: { secret_in: 'secret_in = "header:x-secret"', ...EVENT_ID, ...TYPE },
    eventId: "body:$.id",
    eventIdSigned: false,
    type: "body:$.type",
    timeoutMs: 10 * SECONDS,
    retryWindowMs: 3 * DAYS,
  },
  {
    name: "standard-webhooks",
    title: "Standard Webhooks",
    docs: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    scheme: STANDARD_WEBHOOKS,
    eventId: "header:webhook-id",
    eventIdSigned: true,
    type: "body:$.type",
    timeoutMs: 15 * SECONDS,
    retryWindowMs: 4 * DAYS, // the recommended schedule adds up to 75 h
    retries: "recommended: after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h",
  },
  {
    name: "standard-webhooks-asymmetric",
    title: "Standard Webhooks, signed with a private key (v1a)",
    docs: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    scheme: {
      ...STANDARD_WEBHOOKS,
      kind: "public-key",
      algorithm: "ed25519",
      key: "whpk",
      signature: { header: "webhook-signature", separator: " ", prefix: "v1a," },
    },
    secretIs: "the public key, whpk_…",
    eventId: "header:webhook-id",
    eventIdSigned: true,
    type: "body:$.type",
    timeoutMs: 15 * SECONDS,
    retryWindowMs: 4 * DAYS,
  },
  {
    name: "svix",
    title: "Svix",
    docs: "https://docs.svix.com/receiving/verifying-payloads/how-manual",
    scheme: SVIX,
    eventId: "header:svix-id",
    eventIdSigned: true,
    type: "body:$.type",
    timeoutMs: 15 * SECONDS,
    retryWindowMs: 3 * DAYS,
    retries: "eight attempts over about 28 h",
  },
];
