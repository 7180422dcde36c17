import { HookonceError } from "../../errors.ts";
import { createComparison } from "./comparison.ts";
import type { OutgoingRequest, VerifyContext } from "../context.ts";
import { decodeKey, decodeKeys } from "./keys.ts";
import type { HmacScheme } from "../provider.ts";
import {
  compileAgeCheck,
  compileTemplate,
  partOf,
  readSignature,
  signedBodyOf,
  signRequest,
} from "./signed-request.ts";
import type { Delivery } from "../../event.ts";

/**
 * The one engine behind every keyed-hash scheme.
 *
 * @returns a function that throws unless the delivery is signed: `signature_missing`, `signature_malformed`, `signature_mismatch`,
 *   `timestamp_missing`, `timestamp_invalid`, `timestamp_stale`, `timestamp_in_future`
 * @throws HookonceError `config_invalid` for a secret or template that cannot be used
 */
export function createHmacVerifier(scheme: HmacScheme, context: VerifyContext): (delivery: Delivery) => void {
  const keys = context.secrets.flatMap((secret) => decodeKeys(secret, scheme.key));
  const template = compileTemplate(scheme);
  const checkAge = compileAgeCheck(scheme, context);
  const equal = createComparison(new Bun.CryptoHasher(scheme.algorithm).digest(scheme.encoding).length);

  return (delivery) => {
    const read = readSignature(scheme, delivery.headers);
    const body = scheme.signedFormField === undefined ? delivery.body : signedBodyOf(scheme, delivery);
    for (const key of keys) {
      // CryptoHasher takes 1.4 µs for a 1.2 kB body, node's createHmac 4.2 µs.
      const hasher = new Bun.CryptoHasher(scheme.algorithm, key);
      for (const part of template) {
        if (part.kind === "body") hasher.update(body);
        else hasher.update(partOf(part, delivery, read, context.urlOf));
      }
      const expected = hasher.digest(scheme.encoding);
      for (const candidate of read.candidates) {
        if (!equal(candidate, expected)) continue;
        checkAge?.(delivery, read.timestamp);
        return;
      }
    }
    throw new HookonceError(
      "signature_mismatch",
      keys.length === 0
        ? "No secret is configured for this source yet, so no signature can be right: name it as the source's secret, and restart."
        : "The signature does not match: wrong secret, or a body that was changed on the way.",
    );
  };
}

/** Signs as the provider does. */
export function signHmac(
  scheme: HmacScheme,
  request: OutgoingRequest,
  secret: string,
  nowMs: number,
): OutgoingRequest {
  const key = decodeKey(secret, scheme.key);
  return signRequest(scheme, request, nowMs, (parts) => {
    const hasher = new Bun.CryptoHasher(scheme.algorithm, key);
    for (const part of parts) hasher.update(part);
    return hasher.digest(scheme.encoding);
  });
}
