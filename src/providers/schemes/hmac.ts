import type { Delivery } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { FIVE_MINUTES } from "../presets/common.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { compileAgeCheck } from "./age.ts";
import { createComparison } from "./comparison.ts";
import { decodeKey, decodeKeys, describeFormat, randomSecret, weaknessAs, type KeyFormat } from "./keys.ts";
import { defineKind, type Fact, type Guess } from "./scheme.ts";
import {
  readSignature,
  signedBodyOf,
  signRequest,
  type Parts,
  type SignedRequest,
} from "./signed-request.ts";
import { expectedSignature, foundSignature, signedRequest } from "./signed-request-kind.ts";
import { compileTemplate, partOf, signsSecret } from "./template.ts";

/**
 * An HMAC over the text that `signed` describes. Nearly every provider signs like this. If the text contains
 * the secret, the signature is a plain hash of it.
 */
export interface HmacScheme extends SignedRequest {
  readonly kind: "hmac";
  readonly algorithm: HmacAlgorithm;
  readonly encoding: "hex" | "base64" | "base64url";
  readonly key: KeyFormat;
  /** A signature in hex may have capitals. The official libraries of the providers refuse them. */
  readonly anyCase?: true;
}

const HASHES = ["md5", "sha1", "sha256", "sha512"] as const;
export type HmacAlgorithm = (typeof HASHES)[number];

export const hmac = defineKind<HmacScheme>({
  ...signedRequest,
  kind: "hmac",
  proof: "shared-key",
  configKeys: [...signedRequest.configKeys, "signature.algorithm", "signature.secret_encoding"],
  checkConfig: (scheme, config) => {
    const problems = signedRequest.checkConfig(scheme, config);
    const { algorithm } = config.signature ?? {};
    if (algorithm !== undefined && !HASHES.some((one) => one === algorithm)) {
      const what = "cannot be used: it signs with a private key, and this source has a shared secret";
      problems.unshift({ key: "signature.algorithm", what, remedy: `write one of ${HASHES.join(", ")}` });
    }
    return problems;
  },
  configure: (preset, config) => {
    const scheme = signedRequest.configure(preset, config);
    const { algorithm, encoding, secret_encoding: key } = config.signature ?? {};
    return {
      ...scheme,
      algorithm: HASHES.find((one) => one === algorithm) ?? scheme.algorithm,
      encoding: encoding ?? scheme.encoding,
      key: key ?? scheme.key,
    };
  },
  createVerifier,
  sign,
  describe: (scheme) => `${nameOf(scheme)} over ${scheme.signed}`,
  describeKey: ({ key }) => describeFormat(key),
  weakness: ({ key }, secret) => weaknessAs(secret, key),
  makeKeys: ({ key }) => ({ secret: randomSecret(key) }),
  expectedFacts: (scheme) =>
    expectedSignature(scheme, `${nameOf(scheme)}, in ${scheme.encoding}`, describeFormat(scheme.key)),
  foundFacts,
  otherKeys,
  otherForms,
});

/**
 * @returns a function that throws `signature_missing`, `signature_malformed`, `signature_mismatch`,
 *   `timestamp_missing`, `timestamp_invalid`, `timestamp_stale` or `timestamp_in_future`
 */
function createVerifier(scheme: HmacScheme, context: VerifyContext): Verify {
  const keys = context.secrets.flatMap((secret) => decodeKeys(secret, scheme.key));
  const template = compileTemplate(scheme);
  const checkAge = compileAgeCheck(scheme.timestamp, context);
  const isAsReceived = scheme.signedFormField === undefined && scheme.over !== "decompressed";
  const equal = createComparison(new Bun.CryptoHasher(scheme.algorithm).digest(scheme.encoding).length);
  const foldsCase = scheme.anyCase === true && scheme.encoding === "hex";

  return (delivery) => {
    const read = readSignature(scheme, delivery.headers);
    const body = isAsReceived ? delivery.body : signedBodyOf(scheme, delivery, context.decompress);
    for (const key of keys) {
      const hasher = hasherFor(scheme, key);
      for (const part of template) {
        if (part.kind === "body") hasher.update(body);
        else if (part.kind === "secret") hasher.update(key);
        else hasher.update(partOf(part, delivery, read, context.urlOf));
      }
      const expected = hasher.digest(scheme.encoding);
      for (const candidate of read.candidates) {
        if (!equal(foldsCase ? candidate.toLowerCase() : candidate, expected)) continue;
        checkAge?.(delivery, read.timestamp);
        return;
      }
    }
    throw new HookonceError(
      "signature_mismatch",
      keys.length === 0
        ? "No secret is configured for this source yet, so no signature can match. Set the source's secret and restart."
        : "The signature does not match: wrong secret, or a body that was changed on the way.",
    );
  };
}

function sign(
  scheme: HmacScheme,
  request: OutgoingRequest,
  { secret, secrets, nowMs }: SigningContext,
): OutgoingRequest {
  const keys =
    secrets !== undefined && scheme.signature.several === true
      ? secrets.flatMap((one) => decodeKeys(one, scheme.key))
      : [decodeKey(secret, scheme.key)];
  const signers = keys.map((key) => ({
    secret: key,
    make: (parts: Parts) => {
      const hasher = hasherFor(scheme, key);
      for (const part of parts) hasher.update(part);
      return hasher.digest(scheme.encoding);
    },
  }));
  return signRequest(scheme, request, nowMs, signers);
}

/** CryptoHasher takes 1.4 µs for a body of 1.2 kB, node's createHmac 4.2 µs. */
function hasherFor({ algorithm, signed }: HmacScheme, key: Uint8Array): Bun.CryptoHasher {
  return signsSecret(signed) ? new Bun.CryptoHasher(algorithm) : new Bun.CryptoHasher(algorithm, key);
}

function nameOf({ algorithm, signed }: Pick<HmacScheme, "algorithm" | "signed">): string {
  const name = algorithm.toUpperCase();
  return signsSecret(signed) ? name : `HMAC-${name}`;
}

function foundFacts(
  scheme: HmacScheme,
  delivery: Delivery,
  { secrets, urlOf, decompress }: Pick<VerifyContext, "secrets" | "urlOf" | "decompress">,
): Fact[] {
  return foundSignature(scheme, delivery.headers, (read) => {
    const signed = { ...delivery, body: signedBodyOf(scheme, delivery, decompress) };
    const template = compileTemplate(scheme);
    return secrets.flatMap((secret) => {
      try {
        return decodeKeys(secret, scheme.key).map((key) => {
          const hasher = hasherFor(scheme, key);
          for (const part of template) hasher.update(partOf(part, signed, { ...read, secret: key }, urlOf));
          return hasher.digest(scheme.encoding);
        });
      } catch (error) {
        if (error instanceof HookonceError) return [];
        throw error;
      }
    });
  });
}

/** The right secret, decoded differently. */
function* otherKeys(scheme: HmacScheme, secrets: readonly string[]): Generator<Guess<HmacScheme>> {
  for (const key of ["text", "base64", "hex", "whsec"] as const) {
    if (key === scheme.key) continue;
    const what = `the key is ${describeFormat(key)}; this source uses ${describeFormat(scheme.key)}.`;
    for (const secret of secrets) {
      yield {
        change: { scheme: { ...scheme, key }, secrets: [secret] },
        what: `The secret is right but decoded wrongly: ${what}`,
        remedy: `Set signature.secret_encoding = "${key}" for this source. If its provider is not the one in the config, set the right provider instead.`,
        half: { what: `The secret is decoded wrongly: ${what}` },
      };
    }
  }
}

/**
 * The same bytes in another encoding, or another hash: for sources whose scheme is in the config, and for
 * senders that the user wrote.
 */
function* otherForms(scheme: HmacScheme, delivery: Delivery): Generator<Guess<HmacScheme>> {
  const { header, prefix } = scheme.signature;
  const given = delivery.headers[header];
  if (given === undefined) return;
  const { prefix: _, separator: __, ...bare } = scheme.signature;
  if (prefix !== undefined) {
    yield {
      change: { scheme: { ...scheme, signature: bare } },
      what: `The signature in ${header} lacks its prefix ${prefix}`,
      remedy: `Make the sender write ${prefix} before it, or set signature.prefix = "" for this source.`,
    };
  } else {
    const found = /^[a-z][a-z0-9-]*[=,:]/i.exec(given)?.[0];
    if (found !== undefined) {
      yield {
        change: { scheme: { ...scheme, signature: { ...bare, prefix: found } } },
        what: `The signature in ${header} has the prefix ${found}, which this source takes for part of the signature.`,
        remedy: `Set signature.prefix = "${found}" for this source.`,
      };
    }
  }
  for (const encoding of ["hex", "base64", "base64url"] as const) {
    if (encoding === scheme.encoding) continue;
    yield {
      change: { scheme: { ...scheme, encoding } },
      ...rightBut(`written in ${encoding} instead of ${scheme.encoding}.`),
      remedy: `Set signature.encoding = "${encoding}" for this source, or make the sender write ${scheme.encoding}.`,
    };
  }
  if (scheme.encoding === "hex" && scheme.anyCase !== true) {
    const start = prefix ?? "";
    const lower = given.startsWith(start)
      ? start + given.slice(start.length).toLowerCase()
      : given.toLowerCase();
    yield {
      change: { delivery: { ...delivery, headers: { ...delivery.headers, [header]: lower } } },
      ...rightBut("written in capitals."),
      remedy:
        'Make the sender write it in lower case, or describe the sender with provider = "hmac", which accepts capitals.',
    };
  }
  for (const algorithm of ["sha1", "sha256", "sha512", "md5"] as const) {
    if (algorithm === scheme.algorithm) continue;
    yield {
      change: { scheme: { ...scheme, algorithm } },
      what: `It is signed with ${nameOf({ ...scheme, algorithm })}, not ${nameOf(scheme)}.`,
      remedy: `Set signature.algorithm = "${algorithm}" for this source, or change the sender's.`,
    };
  }
  yield* otherHashes(scheme);
  yield* timeInHeader(scheme, given);
  yield* timeInAnotherHeader(scheme, delivery);
  yield* signedRequest.otherForms(scheme, delivery);
  if (scheme.signed !== "{body}") {
    yield {
      change: { scheme: { ...scheme, signed: "{body}" } },
      what: `Only the body is signed, not ${scheme.signed}.`,
      remedy:
        'Change the sender, or set signature.signed = "{body}" for this source. Without a signed time, anyone can send an old delivery again.',
    };
  }
}

/** A plain hash instead of an HMAC, or the other way round. */
function* otherHashes(scheme: HmacScheme): Generator<Guess<HmacScheme>> {
  const { signed } = scheme;
  const keyed = signed.replaceAll("{secret}", "");
  const plain = ["", ".", ":", "|", "-", "_"].flatMap((between) => [
    `{secret}${between}${keyed}`,
    `${keyed}${between}{secret}`,
  ]);
  const others = (signsSecret(signed) ? [keyed, ...plain] : plain).filter((one) => one !== signed);
  for (const other of others) {
    if (other === "") continue;
    const changed = { ...scheme, signed: other };
    yield {
      change: { scheme: changed },
      what: `It is ${signsSecret(other) ? "a plain hash" : "a keyed hash"}, ${nameOf(changed)} over ${other}, not ${nameOf(scheme)} over ${signed}.`,
      remedy: `Set signature.signed = "${other}" for this source.`,
    };
  }
}

/** The time is in the signature's header, before or after the signature. */
function* timeInHeader(scheme: HmacScheme, given: string): Generator<Guess<HmacScheme>> {
  const { signature, timestamp } = scheme;
  const [, first, before, after, last] = /^(\d{10,13})([.,;:])|([.,;:])(\d{10,13})$/.exec(given) ?? [];
  const separator = before ?? after;
  const time = first ?? last;
  if (timestamp !== undefined || separator === undefined || time === undefined) return;
  const unit = time.length > 11 ? "ms" : "s";
  for (const signed of [
    `{timestamp}${separator}{body}`,
    "{timestamp}.{body}",
    "{timestamp}{body}",
    "{body}{timestamp}",
  ]) {
    yield {
      change: {
        scheme: {
          ...scheme,
          signed,
          signature: { ...signature, separator },
          timestamp: { from: { amongParts: true }, unit, tolerance: FIVE_MINUTES },
        },
      },
      what: `The header ${signature.header} also holds the time, which is signed.`,
      remedy: `Set signature.timestamp = "header:${signature.header}", timestamp_unit = "${unit}", separator = "${separator}" and signed = "${signed}" for this source.`,
    };
  }
}

/** The most headers with a time that are tried. */
const MAX_TIMES = 4;

/** The time is in another header, as Grafana writes it if its timestamp header is set. */
function* timeInAnotherHeader(scheme: HmacScheme, { headers }: Delivery): Generator<Guess<HmacScheme>> {
  if (scheme.timestamp !== undefined) return;
  const times = Object.entries(headers).filter(([, value]) => /^\d{10}(?:\d{3})?$/.test(value));
  for (const [header, value] of times.slice(0, MAX_TIMES)) {
    const unit = value.length > 10 ? "ms" : "s";
    const unitKey = unit === "ms" ? ', timestamp_unit = "ms"' : "";
    for (const signed of [
      "{timestamp}:{body}",
      "{timestamp}.{body}",
      "{timestamp}{body}",
      "{body}{timestamp}",
    ]) {
      yield {
        change: {
          scheme: { ...scheme, signed, timestamp: { from: { header }, unit, tolerance: FIVE_MINUTES } },
        },
        what: `The time in the header ${header} is signed as well: ${signed}, not ${scheme.signed}.`,
        remedy: `Set signature.timestamp = "header:${header}"${unitKey} and signed = "${signed}" for this source.`,
      };
    }
  }
}

function rightBut(what: string): Required<Pick<Guess<HmacScheme>, "what" | "half">> {
  return { what: `The signature is right but ${what}`, half: { what: `The signature is ${what}` } };
}
