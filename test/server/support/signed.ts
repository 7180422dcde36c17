import { createHmac } from "node:crypto";

/**
 * Secrets of the test sources, long and distinctive enough that a match in an answer or a log line is a leak.
 */
export const secrets = {
  STRIPE_WEBHOOK_SECRET: "whsec_9hTqV0stripe0secret0of0the0tests",
  GITHUB_WEBHOOK_SECRET: "github0secret0of0the0tests0Zk3",
} as const;

export const signedSources = `
[sources.stripe]
provider = "stripe"
secret   = "env:STRIPE_WEBHOOK_SECRET"

[sources.github]
provider = "github"
secret   = "env:GITHUB_WEBHOOK_SECRET"
`;

/** Signs a body with a new timestamp, as Stripe does for each delivery. */
export function stripeSignature(body: string | Uint8Array, atMs = Date.now()): string {
  const seconds = Math.floor(atMs / 1000);
  const signed = createHmac("sha256", secrets.STRIPE_WEBHOOK_SECRET).update(`${seconds}.`).update(body);
  return `t=${seconds},v1=${signed.digest("hex")}`;
}

export function githubSignature(body: string | Uint8Array): string {
  return `sha256=${createHmac("sha256", secrets.GITHUB_WEBHOOK_SECRET).update(body).digest("hex")}`;
}
