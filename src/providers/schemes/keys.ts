import { HookonceError } from "../../errors.ts";
import type { SigningKeys } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { weaknessOf, weaknessOfKey } from "./weakness.ts";

/**
 * How the text of a secret becomes the key. `whsec`: base64 after an optional `whsec_` (Standard Webhooks) or
 * `v1,whsec_`, as Supabase shows it. `whsec-or-text`: the same, but only if the secret has the prefix.
 * `whsec-and-text`: either of the two, because the secret does not show which one it is. Stripe's secrets look
 * the same and are `text`.
 */
export type KeyFormat = "text" | "hex" | "base64" | "whsec" | "whsec-or-text" | "whsec-and-text";

const FORMATS: Readonly<Record<KeyFormat, string>> = {
  text: "the secret's text as it is",
  hex: "the secret, decoded from hex",
  base64: "the secret, decoded from base64",
  whsec: "the secret without whsec_, decoded from base64",
  "whsec-or-text": "the secret without whsec_, decoded from base64, or its text if it has no whsec_",
  "whsec-and-text": "the secret without whsec_, decoded from base64, or its whole text",
};

/** In words. */
export function describeFormat(format: KeyFormat): string {
  return FORMATS[format];
}

/**
 * Returns every key that the secret may mean: one, unless the provider has changed how it makes keys.
 *
 * @throws HookonceError `config_invalid`
 */
export function decodeKeys(secret: string, format: KeyFormat): Uint8Array[] {
  const keys = [decodeKey(secret, format)];
  if (format === "whsec-and-text" && isWhsec(secret)) keys.push(decodeKey(secret, "text"));
  return keys;
}

/**
 * The key to sign with.
 *
 * @throws HookonceError `config_invalid`; the message never holds the secret
 */
export function decodeKey(secret: string, format: KeyFormat): Uint8Array {
  const bytes = bytesOf(secret, format);
  if (bytes === undefined) {
    throw new HookonceError(
      "config_invalid",
      `The secret is not ${format === "hex" ? "hex" : "base64"}, but this provider's secrets are.`,
      { key: "secret" },
    );
  }
  if (bytes.byteLength === 0)
    throw new HookonceError("config_invalid", "The secret is empty: anybody could sign with it.", {
      key: "secret",
    });
  return bytes;
}

/** Why anybody could guess the secret or the key that it means. Undefined if it is not that weak, or cannot be read. */
export function weaknessAs(secret: string, format: KeyFormat): string | undefined {
  const key = bytesOf(secret, format);
  if (key === undefined || key.byteLength === 0) return undefined;
  return weaknessOf(secret) ?? weaknessOfKey(key);
}

function bytesOf(secret: string, format: KeyFormat): Uint8Array | undefined {
  switch (format) {
    case "text":
      return new TextEncoder().encode(secret);
    case "hex":
      return /^(?:[0-9a-f]{2})*$/i.test(secret) ? Buffer.from(secret, "hex") : undefined;
    case "base64":
      return decodeBase64(secret);
    case "whsec":
      return decodeBase64(secret.replace(/^(?:v1,)?whsec_/, ""));
    case "whsec-or-text":
      return bytesOf(secret, /^(?:v1,)?whsec_/.test(secret) ? "whsec" : "text");
    case "whsec-and-text":
      return bytesOf(secret, isWhsec(secret) ? "whsec" : "text");
  }
}

/** Whether it is a Standard Webhooks secret, not a text that happens to begin like one. */
function isWhsec(secret: string): boolean {
  return /^(?:v1,)?whsec_(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(secret);
}

/**
 * @returns undefined if it is not base64. Buffer would skip what it cannot read, and a secret with a typo
 * would become another key.
 */
export function decodeBase64(text: string): Buffer | undefined {
  // Four characters are three bytes, so one alone is the rest of a text that was cut.
  if (text.replace(/=+$/, "").length % 4 === 1) return undefined;
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text) ? Buffer.from(text, "base64") : undefined;
}

export function withoutPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

/** Returns a random secret of 32 bytes in this format. */
export function randomSecret(format: KeyFormat): string {
  const bytes = Buffer.from(crypto.getRandomValues(new Uint8Array(32)));
  if (format === "base64") return bytes.toString("base64");
  return format.startsWith("whsec") ? `whsec_${bytes.toString("base64")}` : bytes.toString("hex");
}

/** A random private key as PEM. */
export function randomRsaKey(): string {
  return nodeCrypto()
    .generateKeyPairSync("rsa", { modulusLength: 2048 })
    .privateKey.export({ format: "pem", type: "pkcs8" });
}

/** @throws HookonceError `config_invalid` */
export function privateKeyOf({ privateKey }: SigningKeys): string {
  if (privateKey !== undefined) return privateKey;
  throw new HookonceError(
    "config_invalid",
    "This provider signs with a private key, and a source's secret is only the public key.",
  );
}

/** The public half of a private key. Both are JWKs; the private one is JSON. */
export function publicJwkOf(privateKey: string): Readonly<Record<string, unknown>> {
  const jwk = JSON.parse(privateKey) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(jwk).filter(([name]) => !PRIVATE_MEMBERS.has(name)));
}

/** https://www.rfc-editor.org/rfc/rfc7518#section-6 */
const PRIVATE_MEMBERS = new Set(["d", "p", "q", "dp", "dq", "qi", "oth"]);
