import { escape } from "node:querystring";
import type { Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { createComparison } from "./comparison.ts";
import { decodeKey, describeFormat, randomSecret } from "./keys.ts";
import { defineKind, headerIn, withOwnTolerance } from "./scheme.ts";
import { checkAge } from "./age.ts";

/**
 * Contentful signs the method, the path, the headers that it lists, and the body.
 * https://www.contentful.com/developers/docs/webhooks/request-verification/
 */
export interface ContentfulScheme {
  readonly kind: "contentful";
  /** In seconds. */
  readonly tolerance: number;
}

export const contentful = defineKind<ContentfulScheme>({
  ...withOwnTolerance,
  kind: "contentful",
  proof: "shared-key",
  createVerifier,
  createHeaderCheck:
    () =>
    ({ headers }) =>
      void readHeaders(headers),
  sign,
  describe: () => "HMAC-SHA256 in hex over method, path, the headers it names, and body",
  describeKey: () => describeFormat("text"),
  makeKeys: () => ({ secret: randomSecret("text") }),
  signatureHeader: () => ({ header: SIGNATURE }),
  timestampHeader: () => TIMESTAMP,
  coversUrl: () => true,
});

const SIGNATURE = "x-contentful-signature";
const SIGNED_HEADERS = "x-contentful-signed-headers";
const TIMESTAMP = "x-contentful-timestamp";

/**
 * @returns a function that throws `signature_missing`, `signature_malformed`, `signature_mismatch`,
 *   `timestamp_missing`, `timestamp_invalid`, `timestamp_stale` or `timestamp_in_future`
 */
function createVerifier({ tolerance }: ContentfulScheme, { secrets, clock, urlOf }: VerifyContext): Verify {
  const keys = secrets.map((secret) => decodeKey(secret, "text"));
  const equal = createComparison(64);
  return (delivery) => {
    const { headers } = delivery;
    const { given, timestamp, names } = readHeaders(headers);
    const request = { method: delivery.method, url: urlOf(delivery), headers, body: delivery.body };
    if (!keys.some((key) => equal(given, digest(key, request, names)))) {
      throw new HookonceError(
        "signature_mismatch",
        "The signature does not match: wrong secret, a URL that is not public_url, or a request that was changed on the way.",
      );
    }
    checkAge(Number(timestamp), tolerance, clock());
  };
}

/**
 * @throws HookonceError `signature_missing`, `signature_malformed`, `timestamp_missing`, `timestamp_invalid`
 */
function readHeaders(headers: Headers): { given: string; timestamp: string; names: string[] } {
  const given = headerIn(headers, SIGNATURE);
  const timestamp = headers[TIMESTAMP] ?? "";
  if (timestamp === "") throw new HookonceError("timestamp_missing", `The header ${TIMESTAMP} is missing.`);
  if (!/^\d{1,14}$/.test(timestamp))
    throw new HookonceError("timestamp_invalid", `The header ${TIMESTAMP} is not a time.`);
  const names = (headers[SIGNED_HEADERS] ?? "").split(",");
  if (!names.includes(TIMESTAMP) || !names.includes(SIGNED_HEADERS)) {
    throw new HookonceError(
      "signature_malformed",
      `The header ${SIGNED_HEADERS} must list itself and the timestamp header, so that the signature covers them.`,
    );
  }
  return { given, timestamp, names };
}

/**
 * Signs all headers of the request, as Contentful does with its own; or those that it signed, because a proxy
 * or the sender of the request may change others.
 */
function sign(
  _: ContentfulScheme,
  request: OutgoingRequest,
  { secret, nowMs }: SigningContext,
): OutgoingRequest {
  const before = request.headers[SIGNED_HEADERS]
    ?.split(",")
    .filter((name) => Object.hasOwn(request.headers, name));
  const names = [...new Set([...(before ?? Object.keys(request.headers)), SIGNED_HEADERS, TIMESTAMP])].sort();
  const headers: Record<string, string> = {
    ...request.headers,
    [SIGNED_HEADERS]: names.join(","),
    [TIMESTAMP]: String(nowMs),
  };
  headers[SIGNATURE] = digest(decodeKey(secret, "text"), { ...request, headers }, names);
  return { ...request, headers };
}

function digest(key: Uint8Array, request: OutgoingRequest, names: readonly string[]): string {
  const { pathname, search } = new URL(request.url);
  // Encoded twice, as in Contentful's own library.
  const path = encodeURI(search === "" ? pathname : `${pathname}?${escape(search.slice(1))}`);
  return new Bun.CryptoHasher("sha256", key)
    .update(`${request.method}\n${path}\n${canonical(request.headers, names)}\n`)
    .update(request.body)
    .digest("hex");
}

function canonical(headers: Headers, names: readonly string[]): string {
  return [...names]
    .sort()
    .filter((name) => Object.hasOwn(headers, name))
    .map((name) => `${name}:${headers[name]?.trim() ?? ""}`)
    .join(";");
}
