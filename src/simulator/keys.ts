import { generateKeyPairSync, randomBytes } from "node:crypto";
import type { SigningKeys } from "../providers/context.ts";
import type { KeyFormat, Scheme } from "../providers/provider.ts";
import { generateKeyPair } from "../providers/schemes/public-key.ts";

/** Keys that a scheme could have: to sign with a wrong one, or where nobody has configured any. */
export function randomKeys(scheme: Scheme): SigningKeys {
  switch (scheme.kind) {
    case "hmac":
      return { secret: secretOf(scheme.key) };
    case "public-key":
      return generateKeyPair(scheme);
    case "static":
      return { secret: scheme.secretIn === "basic" ? `hookonce:${secretOf("hex")}` : secretOf("hex") };
    case "adyen":
      return { secret: secretOf("hex") };
    case "sns":
      return { secret: `arn:aws:sns:us-east-1:000000000000:${secretOf("hex")}`, privateKey: rsaKey() };
    case "paypal":
      return { secret: secretOf("hex"), privateKey: rsaKey() };
    case "plaid":
      return { secret: `${secretOf("hex")}:${secretOf("hex")}`, privateKey: ecKey() };
    case "unsigned":
      return { secret: "" };
    case "twilio":
    case "mailgun":
    case "contentful":
    case "netlify":
      return { secret: secretOf("text") };
  }
}

/** Only the provider itself can sign so: the key is fetched from its own hosts. */
export function isSignedElsewhere({ kind }: Scheme): boolean {
  return kind === "sns" || kind === "paypal" || kind === "plaid";
}

/** Also to find a wrong signature out. (A wrong secret of SNS is another topic's ARN, and nothing is fetched for that.) */
export function fetchesItsKey(scheme: Scheme): boolean {
  return isSignedElsewhere(scheme) && scheme.kind !== "sns";
}

function secretOf(format: KeyFormat): string {
  const bytes = randomBytes(32);
  if (format === "base64") return bytes.toString("base64");
  return format.startsWith("whsec") ? `whsec_${bytes.toString("base64")}` : bytes.toString("hex");
}

function rsaKey(): string {
  return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
    format: "pem",
    type: "pkcs8",
  });
}

function ecKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return JSON.stringify({ ...privateKey.export({ format: "jwk" }), alg: "ES256", kid: "simulated" });
}
