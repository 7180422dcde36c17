import type { Delivery } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { createComparison } from "./comparison.ts";
import type { OutgoingRequest, VerifyContext } from "../context.ts";
import { decodeKey } from "./keys.ts";
import { setInBody } from "../body/payload.ts";
import type { MailgunScheme } from "../provider.ts";
import { checkAge } from "./signed-request.ts";

/**
 * Mailgun signs a time and a token, and sends all three in the body; the rest of the body is not signed.
 * https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
 *
 * @returns a function that throws `signature_missing`, `signature_mismatch`, `timestamp_stale` or `timestamp_in_future`
 */
export function createMailgunVerifier(
  { tolerance }: MailgunScheme,
  { secrets, clock, parse }: VerifyContext,
): (delivery: Delivery) => void {
  const keys = secrets.map((secret) => decodeKey(secret, "text"));
  const equal = createComparison(64);
  return (delivery) => {
    const { timestamp, token, signature } = partsOf(parse(delivery).payload);
    if (!keys.some((key) => equal(signature, digest(key, timestamp + token)))) {
      throw new HookonceError(
        "signature_mismatch",
        "The signature does not match: it is made with the HTTP webhook signing key, not with an API key.",
      );
    }
    checkAge(Number(timestamp) * 1000, tolerance, clock());
  };
}

/** Signs as Mailgun does: into the body. */
export function signMailgun(request: OutgoingRequest, secret: string, nowMs: number): OutgoingRequest {
  const timestamp = String(Math.trunc(nowMs / 1000));
  const token = crypto.randomUUID().replaceAll("-", "").padEnd(50, "0");
  const signature = digest(decodeKey(secret, "text"), timestamp + token);
  return { ...request, body: setInBody(request, "body:$.signature", { timestamp, token, signature }) };
}

function digest(key: Uint8Array, text: string): string {
  return new Bun.CryptoHasher("sha256", key).update(text).digest("hex");
}

/** In an object of their own, or, in a form, as fields. */
function partsOf(payload: unknown): { timestamp: string; token: string; signature: string } {
  const fields = (payload ?? {}) as Record<string, unknown>;
  const nested = fields["signature"];
  const { timestamp, token, signature } = (
    typeof nested === "object" && nested !== null ? nested : fields
  ) as Record<string, unknown>;
  if (
    typeof timestamp !== "string" ||
    !/^\d{1,11}$/.test(timestamp) ||
    typeof token !== "string" ||
    token === "" ||
    typeof signature !== "string"
  ) {
    throw new HookonceError(
      "signature_missing",
      "The body holds no signature: { timestamp, token, signature } under signature.",
    );
  }
  return { timestamp, token, signature };
}
