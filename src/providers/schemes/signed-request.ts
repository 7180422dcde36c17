import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { formEntries, isForm } from "../body/form.ts";
import { decompress, MAX_DECOMPRESSED, setInBody } from "../body/payload.ts";
import type { OutgoingRequest, VerifyContext } from "../context.ts";
import { fromMs, isTime, placeOf, type TimestampRule } from "./age.ts";
import type { SignatureHeader } from "./scheme.ts";
import { compileTemplate, partOf, signedParameters, type Template } from "./template.ts";

/**
 * Which parts of a request are signed, and where the signature is. Most providers sign like this, with a
 * shared key or a key pair.
 */
export interface SignedRequest extends Template {
  readonly signature: SignatureHeader;
  /** Whether `{body}` means the bytes as received (the default), or without their compression. */
  readonly over?: "raw" | "decompressed";
  /** In a form, `{body}` means the text of this field. */
  readonly signedFormField?: string;
}

/** The signatures that a request carries, and the signed values beside the body. */
export interface ReadSignature {
  readonly candidates: readonly string[];
  /** As it is signed; empty if there is none. */
  readonly timestamp: string;
  readonly id: string;
}

/**
 * @throws HookonceError `signature_missing`, `signature_malformed`, `timestamp_missing`, `timestamp_invalid`
 */
export function readSignature(scheme: SignedRequest, headers: Headers): ReadSignature {
  const { signature, timestamp: rule, idHeader } = scheme;
  const given = signature.header.endsWith("*") ? joinHeaders(headers, signature) : headers[signature.header];
  if (given === undefined || given === "") {
    throw new HookonceError("signature_missing", `The header ${signature.header} is missing.`);
  }
  const among =
    rule !== undefined && "amongParts" in rule.from ? timeAmong(rule, given, signature) : undefined;
  const candidates = among?.candidates ?? partsOf(given, signature.separator, signature.prefix ?? "");
  if (candidates.length === 0) {
    throw new HookonceError(
      "signature_malformed",
      `The header ${signature.header} holds no signature${signature.prefix === undefined ? "" : ` that starts with ${signature.prefix}`}.`,
    );
  }
  const timestamp =
    rule === undefined || "body" in rule.from
      ? ""
      : (among?.time ?? readTimestamp(rule, headers, given, signature));
  const id = idHeader === undefined ? "" : (headers[idHeader] ?? "");
  if (idHeader !== undefined && id === "") {
    throw new HookonceError(
      "signature_malformed",
      `The header ${idHeader} is missing, and the signature covers it.`,
    );
  }
  return { candidates, timestamp, id };
}

function joinHeaders(headers: Headers, { header, separator }: SignatureHeader): string {
  const start = header.slice(0, -1);
  const found = Object.keys(headers).filter((name) => name.startsWith(start));
  return found.map((name) => headers[name]).join(separator);
}

/** What follows the prefix in each part of a header that has it. Empty parts do not count. */
function partsOf(given: string, separator: string | undefined, prefix: string): string[] {
  const parts: string[] = [];
  for (let start = 0; start <= given.length;) {
    const found = separator === undefined ? -1 : given.indexOf(separator, start);
    const end = found === -1 ? given.length : found;
    if (end > start + prefix.length && given.startsWith(prefix, start)) {
      parts.push(given.slice(start + prefix.length, end));
    }
    start = end + (separator?.length ?? 1);
  }
  return parts;
}

/** The first part of a header that is a time, with or without a name before it, and the signatures beside it. */
function timeAmong(
  rule: TimestampRule,
  given: string,
  { separator, prefix = "" }: SignatureHeader,
): { readonly time: string | undefined; readonly candidates: readonly string[] } {
  const parts = partsOf(given, separator, "");
  const isSignature = (part: string): boolean => prefix !== "" && part.startsWith(prefix);
  const times = parts.map((part) => (isSignature(part) ? "" : part.replace(/^[a-z][\w-]*=/i, "")));
  // Times since 2001 have at least ten characters. Shorter numbers are versions and names of keys.
  const at = times.findIndex((time) => time.length >= 10 && isTime(rule, time));
  const others = parts.filter((part, index) => index !== at && part.startsWith(prefix));
  return { time: times[at], candidates: others.map((part) => part.slice(prefix.length)) };
}

function readTimestamp(
  rule: TimestampRule,
  headers: Headers,
  given: string,
  { separator }: SignatureHeader,
): string {
  const { from } = rule;
  const value =
    "header" in from
      ? headers[from.header]
      : "prefix" in from
        ? partsOf(given, separator, from.prefix)[0]
        : undefined;
  if (value === undefined || value === "") {
    throw new HookonceError("timestamp_missing", `The ${placeOf(rule)} is missing.`);
  }
  if (!isTime(rule, value)) {
    throw new HookonceError("timestamp_invalid", `The ${placeOf(rule)} is not a time.`);
  }
  return value;
}

/**
 * The bytes that `{body}` means. If the provider signs one field of its forms, they are that field's text.
 * The form must then have no other field, because nothing would sign it.
 *
 * @throws HookonceError `signature_malformed`, and what `decompressed` throws
 */
export function signedBodyOf(
  { signedFormField, over }: SignedRequest,
  delivery: Pick<Delivery, "headers" | "body">,
  decompressed: VerifyContext["decompress"],
): Uint8Array {
  const body = over === "decompressed" ? decompressed(delivery) : delivery.body;
  if (signedFormField === undefined || !isForm(delivery.headers)) return body;
  const [field, ...others] = formEntries(Buffer.from(body).toString());
  if (field?.[0] !== signedFormField || others.length > 0) {
    throw new HookonceError(
      "signature_malformed",
      `The form must consist of the one field ${signedFormField}, because the signature covers nothing else.`,
    );
  }
  return Buffer.from(field[1]);
}

/**
 * Signs a request: adds the time and the signature where the provider adds them.
 *
 * @param make makes the signature over these parts, and encodes it
 * @param secret the key, for a plain hash
 */
export function signRequest(
  scheme: SignedRequest,
  request: OutgoingRequest,
  nowMs: number,
  make: (parts: readonly (string | Uint8Array)[]) => string,
  secret?: Uint8Array,
): OutgoingRequest {
  const { signature, timestamp: rule, idHeader } = scheme;
  const timestamp = rule === undefined ? "" : fromMs(rule.unit, nowMs);
  let { body } = request;
  const headers: Record<string, string> = { ...request.headers };
  if (rule !== undefined && "body" in rule.from) {
    body = setInBody(
      request,
      rule.from.body,
      rule.unit === "iso" ? timestamp : Number(timestamp),
      scheme.signedFormField,
    );
  } else if (rule !== undefined && "header" in rule.from) headers[rule.from.header] = timestamp;
  const id = idHeader === undefined ? "" : (headers[idHeader] ??= crypto.randomUUID());
  const signedBody = signedBodyOf(scheme, { headers, body }, (one) => decompress(one, MAX_DECOMPRESSED));
  const url = withParameters(request.url, signedParameters(scheme.signed));
  const delivery: Delivery = {
    ...request,
    url,
    headers,
    body: signedBody,
    receivedAt: nowMs,
    remoteAddress: () => null,
  };
  const parts = compileTemplate(scheme).map((part) =>
    partOf(part, delivery, { timestamp, id, ...(secret === undefined ? {} : { secret }) }, () => url),
  );
  const value = `${signature.prefix ?? ""}${make(parts)}`;
  const before =
    rule === undefined
      ? undefined
      : "prefix" in rule.from
        ? rule.from.prefix
        : "amongParts" in rule.from
          ? ""
          : undefined;
  const time = before === undefined ? "" : `${before}${timestamp}${signature.separator ?? ","}`;
  headers[signature.header.replace(/\*$/, "1")] = `${time}${value}`;
  return { ...request, url, headers, body };
}

/** Adds a random value for each parameter that the URL lacks, as a provider would send one. */
function withParameters(url: string, names: readonly string[]): string {
  if (names.length === 0) return url;
  const made = new URL(url);
  for (const name of names)
    if (!made.searchParams.has(name)) made.searchParams.set(name, crypto.randomUUID());
  return made.href;
}
