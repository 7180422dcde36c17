import type { KeyObject } from "node:crypto";
import type { Delivery } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import type { OutgoingRequest, VerifyContext } from "../context.ts";
import { decodeBase64, withoutPrefix } from "./keys.ts";
import { nodeCrypto } from "../node-modules.ts";
import type { PublicKeyScheme } from "../provider.ts";
import {
  compileAgeCheck,
  compileTemplate,
  partOf,
  readSignature,
  signedBodyOf,
  signRequest,
} from "./signed-request.ts";

/**
 * Signatures that the provider makes with a private key.
 *
 * @returns a function that throws as that of createHmacVerifier does
 * @throws HookonceError `config_invalid` for a key that cannot be used
 */
export function createPublicKeyVerifier(
  scheme: PublicKeyScheme,
  context: VerifyContext,
): (delivery: Delivery) => void {
  const keys = context.secrets.map((secret) => publicKeyOf(scheme, secret));
  const template = compileTemplate(scheme);
  const checkAge = compileAgeCheck(scheme, context);
  const { verify } = nodeCrypto();

  return (delivery) => {
    const read = readSignature(scheme, delivery.headers);
    const signed = { ...delivery, body: signedBodyOf(scheme, delivery) };
    const message = join(template.map((part) => partOf(part, signed, read, context.urlOf)));
    for (const candidate of read.candidates) {
      const signature = decodeSignature(candidate, scheme.encoding);
      if (signature === undefined) continue;
      for (const key of keys) {
        if (!verify(digestOf(scheme), message, key, signature)) continue;
        checkAge?.(delivery, read.timestamp);
        return;
      }
    }
    throw new HookonceError(
      "signature_mismatch",
      "The signature does not match: wrong public key, or a body that was changed on the way.",
    );
  };
}

/** @param privateKey as {@link generateKeyPair} makes it, or PEM */
export function signWithPrivateKey(
  scheme: PublicKeyScheme,
  request: OutgoingRequest,
  privateKey: string,
  nowMs: number,
): OutgoingRequest {
  const { createPrivateKey, sign } = nodeCrypto();
  const key = createPrivateKey(privateKey);
  return signRequest(scheme, request, nowMs, (parts) =>
    sign(digestOf(scheme), join(parts), key).toString(scheme.encoding),
  );
}

/** A pair for the simulator: what a source is configured with, and what signs. */
export function generateKeyPair(scheme: PublicKeyScheme): { secret: string; privateKey: string } {
  const { generateKeyPairSync } = nodeCrypto();
  const { publicKey, privateKey } =
    scheme.algorithm === "ed25519"
      ? generateKeyPairSync("ed25519")
      : generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    secret: textOf(scheme, publicKey),
    privateKey: privateKey.export({ format: "pem", type: "pkcs8" }),
  };
}

function digestOf({ algorithm }: PublicKeyScheme): "sha256" | null {
  return algorithm === "ed25519" ? null : "sha256";
}

function publicKeyOf(scheme: PublicKeyScheme, secret: string): KeyObject {
  const { createPublicKey } = nodeCrypto();
  try {
    if (scheme.key === "spki") {
      const der = decodeBase64(secret.replace(/-----[^-]+-----|\s/g, ""));
      const key = createPublicKey({ key: der ?? Buffer.of(), format: "der", type: "spki" });
      if (key.asymmetricKeyType !== "ec") throw new Error("another kind of key");
      return key;
    }
    const raw =
      scheme.key === "raw-hex"
        ? Buffer.from(/^[0-9a-f]{64}$/i.test(secret) ? secret : "", "hex")
        : decodeBase64(withoutPrefix(secret, "whpk_"));
    if (raw?.byteLength !== 32) throw new Error("not 32 bytes");
    return createPublicKey({
      key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") },
      format: "jwk",
    });
  } catch (cause) {
    const wanted = {
      "raw-hex": "64 hex digits",
      whpk: "32 bytes in base64, after whpk_",
      spki: "the public key in base64",
    }[scheme.key];
    throw new HookonceError(
      "config_invalid",
      `The secret is not what this provider calls its public key: ${wanted}.`,
      { cause },
    );
  }
}

function textOf(scheme: PublicKeyScheme, key: KeyObject): string {
  if (scheme.key === "spki") return key.export({ format: "der", type: "spki" }).toString("base64");
  const raw = Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
  return scheme.key === "raw-hex" ? raw.toString("hex") : `whpk_${raw.toString("base64")}`;
}

function decodeSignature(text: string, encoding: "hex" | "base64"): Buffer | undefined {
  // In one spelling only: a decoder passes over what is missing at the end, or too much.
  if (encoding === "base64") {
    const bytes = Buffer.from(text, "base64");
    return bytes.toString("base64") === text ? bytes : undefined;
  }
  return /^(?:[0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, "hex") : undefined;
}

function join(parts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
}
