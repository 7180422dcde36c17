import { HookonceError } from "../../errors.ts";
import { formEntries, isForm } from "../body/form.ts";
import type { ParsedBody } from "../body/payload.ts";
import type { OutgoingRequest, SigningContext, Verify, VerifyContext } from "../context.ts";
import { createComparison, isSecret } from "./comparison.ts";
import { decodeKey, describeFormat, randomSecret } from "./keys.ts";
import { defineKind, headerIn } from "./scheme.ts";

/**
 * Twilio signs the URL it called followed by the sorted fields of a form. For any other body the URL holds a
 * hash of it (`bodySHA256`).
 * https://www.twilio.com/docs/usage/webhooks/webhooks-security
 */
export interface TwilioScheme {
  readonly kind: "twilio";
}

export const twilio = defineKind<TwilioScheme>({
  kind: "twilio",
  proof: "shared-key",
  createVerifier,
  sign,
  describe: () =>
    "HMAC-SHA1 in base64 over the URL and the sorted fields of a form, or over the URL, which holds a hash of any other body",
  describeKey: () => describeFormat("text"),
  makeKeys: () => ({ secret: randomSecret("text") }),
  signatureHeader: () => ({ header: HEADER }),
  coversUrl: () => true,
  reading: (_, asItCame) => (delivery) =>
    isForm(delivery.headers) ? readForm(delivery.body) : asItCame(delivery),
});

const HEADER = "x-twilio-signature";

/** @returns a function that throws `signature_missing` or `signature_mismatch` */
function createVerifier(_: TwilioScheme, { secrets, urlOf }: VerifyContext): Verify {
  const keys = secrets.map((secret) => decodeKey(secret, "text"));
  const equal = createComparison(28);
  return (delivery) => {
    const given = headerIn(delivery.headers, HEADER);
    const url = urlOf(delivery);
    const hash = new URL(url).searchParams.get("bodySHA256");
    const byGet = delivery.method === "GET";
    const form = !byGet && isForm(delivery.headers);
    const fields = form ? textOf(delivery.body) : "";
    // The method and the content type are not signed. A form without fields is a delivery by GET, or one with
    // JSON, that somebody sends again: its signature would fit.
    const mayFit =
      hash === null ? byGet || fields !== "" : !byGet && !form && isSecret(hash, sha256(delivery.body));
    if (mayFit) {
      for (const candidate of spellingsOf(url)) {
        for (const key of keys) if (equal(given, digest(key, candidate + fields))) return;
      }
    }
    throw new HookonceError(
      "signature_mismatch",
      "The signature does not match: wrong auth token, a URL that is not public_url, or a body that was changed on the way.",
    );
  };
}

/** The URL of a JSON body gets its hash. */
function sign(_: TwilioScheme, request: OutgoingRequest, { secret }: SigningContext): OutgoingRequest {
  const form = isForm(request.headers);
  const url = new URL(request.url);
  if (!form) url.searchParams.set("bodySHA256", sha256(request.body));
  const signature = digest(decodeKey(secret, "text"), url.href + (form ? textOf(request.body) : ""));
  return { ...request, url: url.href, headers: { ...request.headers, [HEADER]: signature } };
}

function digest(key: Uint8Array, text: string): string {
  return new Bun.CryptoHasher("sha1", key).update(text).digest("base64");
}

function sha256(body: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(body).digest("hex");
}

function textOf(body: Uint8Array): string {
  return signedFields(body)
    .flatMap(([name, values]) => values.map((value) => name + value))
    .join("");
}

/** The fields of a form as Twilio signs them: sorted, and equal values of one name only once. */
function signedFields(body: Uint8Array): [name: string, values: string[]][] {
  const fields = new Map<string, Set<string>>();
  for (const [name, value] of formEntries(Buffer.from(body).toString())) {
    fields.set(name, (fields.get(name) ?? new Set()).add(value));
  }
  return [...fields].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, values]) => [name, [...values].sort()]);
}

/** Reads only what is signed: the body is neither inflated nor taken for JSON, whatever it begins with. */
function readForm(body: Uint8Array): ParsedBody {
  const fields = signedFields(body).map(([name, values]) => [name, values.length === 1 ? values[0] : values]);
  const payload: unknown = Object.fromEntries(fields);
  const json = JSON.stringify(payload);
  return { payload, json, problem: null, hashed: json };
}

/**
 * The ways in which Twilio may have written the URL: with its default port or without, and with these
 * characters of the query as they are. Bun and proxies escape them.
 */
function spellingsOf(url: string): Set<string> {
  const query = url.indexOf("?");
  const base = query === -1 ? url : url.slice(0, query);
  const escaped = query === -1 ? "" : url.slice(query);
  const queries = [
    escaped,
    escaped.replaceAll("%27", "'"),
    escaped.replaceAll(/%(?:22|27|3C|3E)/gi, decodeURIComponent),
    legacyOf(escaped),
  ];
  return new Set(queries.flatMap((one) => withAndWithoutPort(base + one)));
}

/** As Node's querystring module writes it. Twilio's own library accepts that, because some of its servers use it. */
function legacyOf(query: string): string {
  if (query.length < 2) return query;
  const { parse, stringify } = require("node:querystring") as typeof import("node:querystring");
  return `?${stringify(parse(query.slice(1), "&", "=", { maxKeys: 0 }))}`;
}

function withAndWithoutPort(url: string): string[] {
  const [, scheme, host, port, rest] = /^(https?:\/\/)([^/?#:]+)(:\d+)?(.*)$/i.exec(url) ?? [];
  if (scheme === undefined || host === undefined || rest === undefined) return [url];
  const standard = scheme.toLowerCase() === "https://" ? ":443" : ":80";
  return [`${scheme}${host}${rest}`, `${scheme}${host}${port ?? standard}${rest}`];
}
