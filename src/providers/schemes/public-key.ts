import type { KeyObject } from "node:crypto";
import type { Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { compileAgeCheck } from "./age.ts";
import { decodeBase64, privateKeyOf, withoutPrefix } from "./keys.ts";
import { defineKind } from "./scheme.ts";
import {
  readSignature,
  signedBodyOf,
  signRequest,
  type ReadSignature,
  type SignedRequest,
} from "./signed-request.ts";
import { expectedSignature, foundSignature, signedRequest } from "./signed-request-kind.ts";
import { compileTemplate, partOf, signsSecret } from "./template.ts";

/** The provider signs with a private key, and the secret is the public key. */
export interface PublicKeyScheme extends SignedRequest {
  readonly kind: "public-key";
  readonly algorithm: "ed25519" | "ecdsa-sha256";
  readonly encoding: "hex" | "base64";
  /**
   * `raw-hex` and `whpk` (base64 after an optional `whpk_`): the 32 bytes of an ed25519 key. `spki`: base64
   * of a DER structure.
   */
  readonly key: "raw-hex" | "whpk" | "spki";
}

export const publicKey = defineKind<PublicKeyScheme>({
  ...signedRequest,
  kind: "public-key",
  proof: "key-pair",
  configure: (preset, config) => {
    const scheme = signedRequest.configure(preset, config);
    const { encoding } = config.signature ?? {};
    // checkConfig refuses base64url.
    return encoding === undefined || encoding === "base64url" ? scheme : { ...scheme, encoding };
  },
  checkConfig: (scheme, config) => {
    const problems = signedRequest.checkConfig(scheme, config);
    if (signsSecret(scheme.signed))
      problems.push({
        key: "signature.signed",
        what: "names {secret}, but this provider signs with a private key",
        remedy: "leave out {secret}",
      });
    if (config.signature?.encoding !== "base64url") return problems;
    const what = "cannot be used: signatures made with a private key are hex or base64";
    return [{ key: "signature.encoding", what }, ...problems];
  },
  createVerifier,
  createHeaderCheck: (scheme) => {
    const check = signedRequest.createHeaderCheck(scheme);
    return (head) => {
      check(head);
      readSignatures(scheme, head.headers);
    };
  },
  sign,
  describe: ({ algorithm, signed }) => `${algorithm === "ed25519" ? "Ed25519" : "ECDSA"} over ${signed}`,
  describeKey: ({ key }) => KEYS[key],
  makeKeys: generateKeyPair,
  expectedFacts: (scheme) => expectedSignature(scheme, `${scheme.algorithm}, in ${scheme.encoding}`),
  foundFacts: (scheme, { headers }) => foundSignature(scheme, headers),
});

const KEYS: Readonly<Record<PublicKeyScheme["key"], string>> = {
  "raw-hex": "the secret's 64 hex digits, which are the 32 bytes of a public key",
  whpk: "the secret without whpk_, decoded from base64: the 32 bytes of a public key",
  spki: "the public key in base64, or as PEM",
};

/**
 * A header may hold several signatures while a key is rotated, usually two. Each is verified over the whole
 * body, which takes 6 ms per MiB, and a header has room for 170.
 */
const MAX_SIGNATURES = 3;

/** @returns a function that throws the same codes as that of hmac.ts */
function createVerifier(scheme: PublicKeyScheme, context: VerifyContext): Verify {
  const keys = context.secrets.map((secret) => publicKeyOf(scheme, secret));
  const template = compileTemplate(scheme);
  const checkAge = compileAgeCheck(scheme.timestamp, context);
  const { verify } = nodeCrypto();

  return (delivery) => {
    const read = readSignatures(scheme, delivery.headers);
    const signed = { ...delivery, body: signedBodyOf(scheme, delivery, context.decompress) };
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

function readSignatures(scheme: PublicKeyScheme, headers: Headers): ReadSignature {
  const read = readSignature(scheme, headers);
  if (read.candidates.length <= MAX_SIGNATURES) return read;
  throw new HookonceError(
    "signature_malformed",
    `The header ${scheme.signature.header} holds more than ${MAX_SIGNATURES} signatures.`,
  );
}

/** The private key is PEM, as {@link generateKeyPair} makes it. */
function sign(scheme: PublicKeyScheme, request: OutgoingRequest, context: SigningContext): OutgoingRequest {
  const { createPrivateKey, sign } = nodeCrypto();
  const key = createPrivateKey(privateKeyOf(context));
  return signRequest(scheme, request, context.nowMs, (parts) =>
    sign(digestOf(scheme), join(parts), key).toString(scheme.encoding),
  );
}

/** Makes a key pair for tests. The source is configured with `secret`, and `privateKey` signs. */
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
      `The secret is not a public key of this provider, which is ${wanted}.`,
      { cause },
    );
  }
}

function textOf(scheme: PublicKeyScheme, key: KeyObject): string {
  if (scheme.key === "spki") return key.export({ format: "der", type: "spki" }).toString("base64");
  const raw = Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
  return scheme.key === "raw-hex" ? raw.toString("hex") : `whpk_${raw.toString("base64")}`;
}

/** Accepts one spelling only. A decoder would ignore characters that are missing or left over at the end. */
function decodeSignature(text: string, encoding: "hex" | "base64"): Buffer | undefined {
  if (encoding === "base64") {
    const bytes = Buffer.from(text, "base64");
    return bytes.toString("base64") === text ? bytes : undefined;
  }
  return /^(?:[0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, "hex") : undefined;
}

function join(parts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
}
