import { HookonceError } from "../../errors.ts";
import type { Headers } from "../../event.ts";
import { isForm } from "../body/form.ts";
import { isMultipart } from "../body/multipart.ts";
import { setInBody } from "../body/payload.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { createComparison } from "./comparison.ts";
import { decodeKey, describeFormat, randomSecret } from "./keys.ts";
import { defineKind, withOwnTolerance } from "./scheme.ts";
import { withoutRepetition } from "./signed-fields.ts";
import { checkAge } from "./age.ts";

/**
 * Mailgun signs a time and a token. It sends both in the body, with the signature. The rest of the body is
 * not signed.
 * https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
 */
export interface MailgunScheme {
  readonly kind: "mailgun";
  /** In seconds. */
  readonly tolerance: number;
}

export const mailgun = defineKind<MailgunScheme>({
  ...withOwnTolerance,
  kind: "mailgun",
  proof: "shared-key",
  createVerifier,
  sign,
  describe: () => "HMAC-SHA256 in hex over a time and a token",
  describeKey: () => describeFormat("text"),
  makeKeys: () => ({ secret: randomSecret("text") }),
  reading: (_, asItCame) => withoutRepetition(asItCame),
  unsignedBody: () => "it signs a time and a token but not the body, so a changed body is accepted",
});

/**
 * @returns a function that throws `signature_missing`, `signature_mismatch`, `timestamp_stale` or
 * `timestamp_in_future`
 */
function createVerifier({ tolerance }: MailgunScheme, { secrets, clock, parse }: VerifyContext): Verify {
  const keys = secrets.map((secret) => decodeKey(secret, "text"));
  const equal = createComparison(64);
  return (delivery) => {
    const { timestamp, token, signature } = partsOf(parse(delivery).payload, isFormOf(delivery.headers));
    if (!keys.some((key) => equal(signature, digest(key, timestamp + token)))) {
      throw new HookonceError(
        "signature_mismatch",
        "The signature does not match. The secret must be the HTTP webhook signing key, not an API key.",
      );
    }
    checkAge(Number(timestamp) * 1000, tolerance, clock());
  };
}

function sign(
  _: MailgunScheme,
  request: OutgoingRequest,
  { secret, nowMs }: SigningContext,
): OutgoingRequest {
  const timestamp = String(Math.trunc(nowMs / 1000));
  const token = crypto.randomUUID().replaceAll("-", "").padEnd(50, "0");
  const signature = digest(decodeKey(secret, "text"), timestamp + token);
  const values = { timestamp, token, signature };
  if (!isFormOf(request.headers)) return { ...request, body: setInBody(request, "body:$.signature", values) };
  let { body } = request;
  for (const [name, value] of Object.entries(values))
    body = setInBody({ ...request, body }, `body:$.${name}`, value);
  return { ...request, body };
}

function digest(key: Uint8Array, text: string): string {
  return new Bun.CryptoHasher("sha256", key).update(text).digest("hex");
}

/** Mailgun sends events as JSON, and the mail of a route as a form. */
function isFormOf(headers: Headers): boolean {
  return isForm(headers) || isMultipart(headers);
}

/** In JSON they are in the object `signature`. In a form they are fields. */
function partsOf(payload: unknown, inForm: boolean): { timestamp: string; token: string; signature: string } {
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
      inForm
        ? "The form has no signature. Mailgun's routes send it in the fields timestamp, token and signature."
        : "The body has no signature. Mailgun sends { timestamp, token, signature } under signature.",
    );
  }
  return { timestamp, token, signature };
}
