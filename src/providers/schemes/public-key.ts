import type { KeyObject } from "node:crypto";
import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { nodeCrypto } from "../node-modules.ts";
import { compileAgeCheck } from "./age.ts";
import { decodeBase64, privateKeyOf, withoutPrefix } from "./keys.ts";
import { defineKind, PRIVATE_KEY, type Guess } from "./scheme.ts";
import {
  readSignature,
  signedBodyOf,
  signRequest,
  type Parts,
  type ReadSignature,
  type SignedRequest,
} from "./signed-request.ts";
import { expectedSignature, foundSignature, signedRequest } from "./signed-request-kind.ts";
import { compileTemplate, partOf, signsSecret } from "./template.ts";

/** The provider signs with a private key, and the secret is the public key. */
export interface PublicKeyScheme extends SignedRequest {
  readonly kind: "public-key";
  readonly algorithm: Algorithm;
  readonly encoding: "hex" | "base64";
  /**
   * `raw-hex` and `whpk` (base64 after an optional `whpk_`): the 32 bytes of an ed25519 key. `spki`: PEM, or
   * base64 of a DER structure.
   */
  readonly key: "raw-hex" | "whpk" | "spki";
}

/** RSA with PKCS #1 v1.5 padding, and ECDSA with DER-encoded signatures. */
const ALGORITHMS = ["ed25519", "ecdsa-sha256", "rsa-sha1", "rsa-sha256", "rsa-sha512"] as const;
type Algorithm = (typeof ALGORITHMS)[number];

export const publicKey = defineKind<PublicKeyScheme>({
  ...signedRequest,
  kind: "public-key",
  proof: "key-pair",
  configKeys: [...signedRequest.configKeys, "signature.algorithm", "signature.public_key"],
  configure: (preset, config) => {
    const scheme = signedRequest.configure(preset, config);
    const { encoding = preset.encoding, algorithm } = config.signature ?? {};
    // checkConfig refuses what is not used here.
    return {
      ...scheme,
      encoding: encoding === "base64url" ? preset.encoding : encoding,
      algorithm: ALGORITHMS.find((one) => one === algorithm) ?? preset.algorithm,
    };
  },
  checkConfig: (scheme, config) => {
    const problems = signedRequest.checkConfig(scheme, config);
    if (signsSecret(scheme.signed))
      problems.push({
        key: "signature.signed",
        what: "names {secret}, but this provider signs with a private key",
        remedy: "leave out {secret}",
      });
    const { encoding, algorithm } = config.signature ?? {};
    if (encoding === "base64url") {
      const what = "cannot be used: signatures made with a private key are hex or base64";
      problems.unshift({ key: "signature.encoding", what });
    }
    if (algorithm !== undefined && !ALGORITHMS.some((one) => one === algorithm)) {
      const what = "cannot be used: these signatures are made with a private key";
      problems.unshift({ key: "signature.algorithm", what, remedy: `write one of ${ALGORITHMS.join(", ")}` });
    }
    return problems;
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
  whyNotSignedAgain: () => PRIVATE_KEY,
  describe: ({ algorithm, signed }) => `${NAMES[algorithm]} over ${signed}`,
  describeKey: ({ key }) => KEYS[key],
  // What is not a key is refused, and so is a weak one.
  weakness: () => undefined,
  makeKeys: generateKeyPair,
  expectedFacts: (scheme) => expectedSignature(scheme, `${NAMES[scheme.algorithm]}, in ${scheme.encoding}`),
  foundFacts: (scheme, { headers }) => foundSignature(scheme, headers),
  otherForms,
});

const NAMES: Readonly<Record<Algorithm, string>> = {
  ed25519: "Ed25519",
  "ecdsa-sha256": "ECDSA-SHA256",
  "rsa-sha1": "RSA-SHA1",
  "rsa-sha256": "RSA-SHA256",
  "rsa-sha512": "RSA-SHA512",
};

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
  if (keys.some(isSmallOrder))
    throw new HookonceError(
      "config_invalid",
      "The secret is a public key for which anybody can sign: zeros, or another point of small order. Copy the provider's public key.",
      { key: "secret" },
    );
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
  const make = (parts: Parts): string => sign(digestOf(scheme), join(parts), key).toString(scheme.encoding);
  return signRequest(scheme, request, context.nowMs, [{ make }]);
}

/** Makes a key pair for tests. The source is configured with `secret`, and `privateKey` signs. */
export function generateKeyPair(scheme: PublicKeyScheme): { secret: string; privateKey: string } {
  const { publicKey, privateKey } = pairOf(scheme.algorithm);
  return {
    secret: textOf(scheme, publicKey),
    privateKey: privateKey.export({ format: "pem", type: "pkcs8" }),
  };
}

function pairOf(algorithm: Algorithm): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  const { generateKeyPairSync } = nodeCrypto();
  if (algorithm === "ed25519") return generateKeyPairSync("ed25519");
  if (algorithm === "ecdsa-sha256") return generateKeyPairSync("ec", { namedCurve: "P-256" });
  return generateKeyPairSync("rsa", { modulusLength: 2048 });
}

function digestOf({ algorithm }: PublicKeyScheme): string | null {
  return algorithm === "ed25519" ? null : (algorithm.split("-")[1] ?? null);
}

/** The `asymmetricKeyType` of a key for this algorithm. */
function keyTypeOf({ algorithm }: PublicKeyScheme): string {
  if (algorithm === "ed25519") return algorithm;
  return algorithm === "ecdsa-sha256" ? "ec" : "rsa";
}

/** In bits. A shorter RSA key can be factored. */
const MIN_RSA_KEY = 1024;

function publicKeyOf(scheme: PublicKeyScheme, secret: string): KeyObject {
  const { createPublicKey } = nodeCrypto();
  if (secret.includes("PRIVATE KEY")) {
    throw new HookonceError(
      "config_invalid",
      "The secret is a private key, but only the provider may have that: configure its public key.",
      { key: "secret" },
    );
  }
  try {
    if (scheme.key === "spki") {
      const der = secret.includes("-----") ? undefined : decodeBase64(secret.replace(/\s/g, ""));
      const key = createPublicKey(der === undefined ? secret : { key: der, format: "der", type: "spki" });
      if (key.asymmetricKeyType !== keyTypeOf(scheme)) throw new Error("another kind of key");
      const { modulusLength = MIN_RSA_KEY } = key.asymmetricKeyDetails ?? {};
      if (modulusLength < MIN_RSA_KEY) throw new Error("too short");
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
    if (secret.includes("-----BEGIN ") && !secret.includes("-----END "))
      throw new HookonceError(
        "config_invalid",
        "The secret is a PEM that is cut off. In .env, put the whole key in quotation marks, or keep it in a file: file:key.pem.",
        { cause, key: "secret" },
      );
    const wanted = {
      "raw-hex": "64 hex digits",
      whpk: "32 bytes in base64, after whpk_",
      spki: `a public key for ${NAMES[scheme.algorithm]}, as PEM or in base64`,
    }[scheme.key];
    throw new HookonceError(
      "config_invalid",
      `The secret is not a public key of this provider, which is ${wanted}.`,
      { cause, key: "secret" },
    );
  }
}

/**
 * The points of small order on the curve of Ed25519, without the sign bit, in hex, as libsodium lists them
 * (ge25519_has_small_order). For such a key, signatures can be made without a private key: for the key of zeros,
 * one message in four is verified by a signature of zeros.
 */
const SMALL_ORDER = new Set([
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
]);

function isSmallOrder(key: KeyObject): boolean {
  if (key.asymmetricKeyType !== "ed25519") return false;
  const bytes = Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
  bytes[31] = (bytes[31] ?? 0) & 0x7f;
  return SMALL_ORDER.has(bytes.toString("hex"));
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

/** Another encoding, or another hash with the same key. */
function* otherForms(scheme: PublicKeyScheme, delivery: Delivery): Generator<Guess<PublicKeyScheme>> {
  const encoding = scheme.encoding === "hex" ? "base64" : "hex";
  yield {
    change: { scheme: { ...scheme, encoding } },
    what: `The signature is right but written in ${encoding} instead of ${scheme.encoding}.`,
    remedy: `Set signature.encoding = "${encoding}" for this source.`,
    half: { what: `The signature is written in ${encoding} instead of ${scheme.encoding}.` },
  };
  for (const algorithm of ALGORITHMS) {
    if (algorithm === scheme.algorithm || keyTypeOf({ ...scheme, algorithm }) !== keyTypeOf(scheme)) continue;
    yield {
      change: { scheme: { ...scheme, algorithm } },
      what: `It is signed with ${NAMES[algorithm]}, not ${NAMES[scheme.algorithm]}.`,
      remedy: `Set signature.algorithm = "${algorithm}" for this source.`,
    };
  }
  yield* signedRequest.otherForms(scheme, delivery);
}
