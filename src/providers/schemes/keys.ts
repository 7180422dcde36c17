import { HookonceError } from "../../errors.ts";
import type { KeyFormat } from "../provider.ts";

/**
 * Every key that the secret may stand for: one, but where a provider has changed how it makes them.
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
      `The secret is not ${format === "hex" ? "hex" : "base64"}, which this provider's secrets are.`,
    );
  }
  if (bytes.byteLength === 0)
    throw new HookonceError("config_invalid", "The secret is empty: anybody could sign with it.");
  return bytes;
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
      return decodeBase64(withoutPrefix(secret, "whsec_"));
    case "whsec-or-text":
      return bytesOf(secret, secret.startsWith("whsec_") ? "whsec" : "text");
    case "whsec-and-text":
      return bytesOf(secret, isWhsec(secret) ? "whsec" : "text");
  }
}

/** Whether it is one of Standard Webhooks, and not a text that only begins so. */
function isWhsec(secret: string): boolean {
  return /^whsec_(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(secret);
}

/** @returns undefined for what is no base64: Buffer would pass over it, and a secret with a typo must not become another key */
export function decodeBase64(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text) ? Buffer.from(text, "base64") : undefined;
}

export function withoutPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}
