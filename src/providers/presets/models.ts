import type { Provider } from "../provider.ts";
import { DAYS, SECONDS, STANDARD_WEBHOOKS } from "./common.ts";

/** AI models. */
export const models: readonly Provider[] = [
  {
    name: "openai",
    title: "OpenAI",
    docs: "https://platform.openai.com/docs/guides/webhooks",
    checkedAgainst: "npm openai 7.57.0",
    scheme: { ...STANDARD_WEBHOOKS, key: "whsec-or-text" },
    eventId: "header:webhook-id",
    eventIdSigned: true,
    type: "body:$.type",
    timeoutMs: 20 * SECONDS,
    retryWindowMs: 3 * DAYS,
    signsRetries: true,
    retries: "for up to 72 h",
    unverified: "retries",
  },
  {
    name: "anthropic",
    title: "Anthropic",
    docs: "https://platform.claude.com/docs/en/managed-agents/webhooks",
    checkedAgainst: "npm @anthropic-ai/sdk 1.12.0, November 2026",
    scheme: STANDARD_WEBHOOKS,
    eventId: "header:webhook-id",
    eventIdSigned: true,
    type: ["body:$.data.type", "body:$.type"],
    timeoutMs: 15 * SECONDS,
    retryWindowMs: 4 * DAYS,
    signsRetries: true,
    unverified: "the documentation page; timeout and retries; the shape of the body",
  },
  {
    name: "replicate",
    title: "Replicate",
    docs: "https://replicate.com/docs/topics/webhooks/verify-webhook",
    checkedAgainst: "npm replicate 1.4.0",
    scheme: STANDARD_WEBHOOKS,
    eventId: "header:webhook-id",
    eventIdSigned: true,
    type: "body:$.status",
    timeoutMs: 15 * SECONDS,
    retryWindowMs: 1 * DAYS,
    signsRetries: true,
    unverified: "timeout and retries",
  },
];
