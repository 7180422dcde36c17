import { HookonceError } from "../errors.ts";
import { decodeKeys } from "../providers/schemes/keys.ts";
import type {
  HmacScheme,
  PublicKeyScheme,
  Scheme,
  SignedRequest,
  TimestampRule,
} from "../providers/provider.ts";
import { compileTemplate, partOf, readSignature, signedBodyOf } from "../providers/schemes/signed-request.ts";
import { coversUrl } from "../providers/verifier.ts";
import type { Fact } from "./diagnosis.ts";
import { isMissing, signatureHeaderOf } from "./headers.ts";
import { formatInWords } from "./secrets.ts";
import type { Examined } from "./trial.ts";

/** Schemes that are code of their own, in words. */
const IN_WORDS: Partial<Record<Scheme["kind"], string>> = {
  twilio:
    "HMAC-SHA1 in base64 over the URL and the sorted fields of the form (or the URL, which holds a hash of the body)",
  mailgun: "HMAC-SHA256 in hex over time and token; all three stand in the body",
  adyen: "HMAC-SHA256 in base64 over fields of each item, which carries it itself",
  contentful: "HMAC-SHA256 in hex over method, path, the headers it names, and body",
  netlify: "a JWT (HS256) with the hash of the body",
  plaid: "a JWT (ES256) with the hash of the body",
  sns: "RSA over fields of the body, by a certificate of Amazon's",
  paypal: "RSA over headers and a checksum of the body, by a certificate of PayPal's",
  unsigned: "no signature: whoever reaches it from this machine is believed",
};

/** What the source takes. */
export function expectedOf({ scheme, settings, secrets }: Examined): Fact[] {
  const facts: Fact[] = [];
  const header = signatureHeaderOf(scheme);
  const add = (label: string, text: string): void => void facts.push({ label, text });
  if (scheme.kind === "hmac" || scheme.kind === "public-key") {
    const prefix = scheme.signature.prefix;
    add("header", `${header ?? ""}${prefix === undefined ? "" : `, each signature after ${prefix}`}`);
    add("algorithm", algorithmOf(scheme));
    add("signed", scheme.signed);
    if (scheme.kind === "hmac") add("key", formatInWords(scheme.key));
    if (scheme.idHeader !== undefined) add("id", `the header ${scheme.idHeader}`);
    if (scheme.timestamp !== undefined) add("time", timeInWords(scheme.timestamp));
  } else if (scheme.kind === "static") {
    add("secret in", scheme.secretIn === "basic" ? "authorization, as user:password" : scheme.secretIn);
  } else {
    if (header !== undefined) add("header", header);
    add("scheme", IN_WORDS[scheme.kind] ?? scheme.kind);
    if ("tolerance" in scheme) add("time", `at most ${scheme.tolerance} s away`);
  }
  if (coversUrl(scheme))
    add("URL", settings.publicUrl === undefined ? "public_url is not set" : withoutQuery(settings.publicUrl));
  if (scheme.kind !== "unsigned")
    add(
      "secret",
      secrets.length === 0
        ? "none is configured"
        : secrets.length === 1
          ? "one is configured"
          : `${secrets.length} are configured; any may match`,
    );
  return facts;
}

function algorithmOf(scheme: HmacScheme | PublicKeyScheme): string {
  const name = scheme.kind === "hmac" ? `HMAC-${scheme.algorithm.toUpperCase()}` : scheme.algorithm;
  return `${name}, in ${scheme.encoding}`;
}

function timeInWords({ from, unit, tolerance }: TimestampRule): string {
  const place =
    "header" in from ? `the header ${from.header}` : "prefix" in from ? `the part ${from.prefix}` : from.body;
  const written = unit === "iso" ? "RFC 3339" : `Unix ${unit === "s" ? "seconds" : "milliseconds"}`;
  return `${place}, ${written}${tolerance === undefined ? "" : `, at most ${tolerance} s away`}`;
}

/** What the request brought. */
export function foundIn(examined: Examined): Fact[] {
  const { scheme, delivery } = examined;
  const facts: Fact[] = [];
  const add = (label: string, text: string): void => void facts.push({ label, text });
  const header = signatureHeaderOf(scheme);
  if (header !== undefined) add(header, isMissing(examined) ? "missing" : "there");
  if ((scheme.kind === "hmac" || scheme.kind === "public-key") && !isMissing(examined)) {
    for (const { label, text } of signatureFacts(scheme, examined)) add(label, text);
  }
  if (coversUrl(scheme)) add("requested", withoutQuery(delivery.url));
  add("body", bodyInWords(examined));
  return facts;
}

function signatureFacts(scheme: HmacScheme | PublicKeyScheme, examined: Examined): Fact[] {
  try {
    const { candidates, timestamp } = readSignature(scheme, examined.delivery.headers);
    const facts = [{ label: "signature", text: candidates.map((one) => beginningOf(one)).join(", ") }];
    const expected = scheme.kind === "hmac" ? beginnings(scheme, examined) : [];
    if (expected.length > 0) facts.push({ label: "computed", text: expected.join(", ") });
    if (timestamp !== "") facts.push({ label: "time", text: momentOf(scheme.timestamp, timestamp) });
    return facts;
  } catch (error) {
    if (error instanceof HookonceError) return [{ label: "signature", text: error.message }];
    throw error;
  }
}

/** What each secret would make of it; only the beginning, so that nobody can sign with what is shown. */
function beginnings(scheme: HmacScheme, { delivery, secrets, urlOf }: Examined): string[] {
  const read = readSignature(scheme, delivery.headers);
  const signed = { ...delivery, body: signedBodyOf(scheme, delivery) };
  const template = compileTemplate(scheme satisfies SignedRequest);
  return secrets.flatMap((secret) => {
    try {
      return decodeKeys(secret, scheme.key).map((key) => {
        const hasher = new Bun.CryptoHasher(scheme.algorithm, key);
        for (const part of template) hasher.update(partOf(part, signed, read, urlOf));
        return beginningOf(hasher.digest(scheme.encoding));
      });
    } catch (error) {
      if (error instanceof HookonceError) return [];
      throw error;
    }
  });
}

/** The first six characters: enough to compare, and 24 bits of 160 or more. */
function beginningOf(signature: string): string {
  return `${printable(signature.slice(0, 6))}… (${signature.length} characters)`;
}

function momentOf(rule: TimestampRule | undefined, timestamp: string): string {
  const ms =
    rule?.unit === "iso" ? Date.parse(timestamp) : Number(timestamp) * (rule?.unit === "s" ? 1000 : 1);
  // Beyond this a date has no ISO form.
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : "no time that there is";
}

function bodyInWords({ delivery: { body, headers } }: Examined): string {
  const traits = [
    `${body.byteLength} ${body.byteLength === 1 ? "byte" : "bytes"}`,
    headers["content-type"] === undefined ? "no content type" : printable(headers["content-type"]),
  ];
  if (body.at(-1) === 10) traits.push("with a line break at its end");
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) traits.push("with a byte order mark");
  return traits.join(", ");
}

/** For a terminal: what others wrote must not move its cursor. */
function printable(text: string): string {
  return text.slice(0, 200).replaceAll(/[^\u0020-\u007e]/g, "?");
}

function withoutQuery(url: string): string {
  return printable(url.replace(/[?#].*$/, ""));
}
