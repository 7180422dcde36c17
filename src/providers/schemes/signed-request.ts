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
  const at = indexOfTime(rule, parts, prefix);
  const others = parts.filter((part, index) => index !== at && part.startsWith(prefix));
  return {
    time: at === -1 ? undefined : withoutName(parts[at] ?? ""),
    candidates: others.map((part) => part.slice(prefix.length)),
  };
}

function indexOfTime(rule: TimestampRule, parts: readonly string[], prefix: string): number {
  const isSignature = (part: string): boolean => prefix !== "" && part.startsWith(prefix);
  const times = parts.map((part) => (isSignature(part) ? "" : withoutName(part)));
  // Times since 2001 have at least ten characters. Shorter numbers are versions and names of keys.
  return times.findIndex((time) => time.length >= 10 && isTime(rule, time));
}

/** The name before the value of a part, with its equals sign. */
function nameIn(part: string): string {
  return /^[a-z][\w-]*=/i.exec(part)?.[0] ?? "";
}

function withoutName(part: string): string {
  return part.slice(nameIn(part).length);
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

/** What is signed, piece by piece. */
export type Parts = readonly (string | Uint8Array)[];

/** Makes one of the signatures of a request. */
export interface Signer {
  /** Makes the signature over these parts, and encodes it. */
  readonly make: (parts: Parts) => string;
  /** The key, for a plain hash. */
  readonly secret?: Uint8Array;
}

/**
 * Signs a request: adds the time and the signatures where the provider adds them, or replaces those that are
 * there.
 *
 * @param signers one, unless the provider writes several signatures
 */
export function signRequest(
  scheme: SignedRequest,
  request: OutgoingRequest,
  nowMs: number,
  signers: readonly Signer[],
): OutgoingRequest {
  const { timestamp: rule, idHeader } = scheme;
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
  const template = compileTemplate(scheme);
  const signatures = signers.map(({ make, secret }) => {
    const values = { timestamp, id, ...(secret === undefined ? {} : { secret }) };
    return make(template.map((part) => partOf(part, delivery, values, () => url)));
  });
  return { ...request, url, headers: withSignatures(scheme, headers, timestamp, signatures), body };
}

/** These headers with the time and the signatures in them. */
function withSignatures(
  { signature, timestamp: rule }: SignedRequest,
  headers: Headers,
  time: string,
  signatures: readonly string[],
): Record<string, string> {
  const { header, prefix = "" } = signature;
  const values = signatures.map((one) => `${prefix}${one}`);
  if (!header.endsWith("*"))
    return { ...headers, [header]: headerValue(signature, rule, headers[header], time, values) };
  const start = header.slice(0, -1);
  const others = Object.entries(headers).filter(([name]) => !name.startsWith(start));
  return Object.fromEntries([...others, ...values.map((value, index) => [`${start}${index + 1}`, value])]);
}

/**
 * The signature's header.
 *
 * @param before what is in it. The time and the parts that are no signatures keep their places
 */
function headerValue(
  { separator, prefix = "" }: SignatureHeader,
  rule: TimestampRule | undefined,
  before: string | undefined,
  time: string,
  values: readonly string[],
): string {
  const from = rule?.from ?? { header: "" };
  const hasTime = "prefix" in from || "amongParts" in from;
  const name = "prefix" in from ? from.prefix : "";
  const parts = separator === undefined ? [] : (before?.split(separator) ?? []);
  const timeAt = !hasTime
    ? -1
    : name === ""
      ? indexOfTime(rule as TimestampRule, parts, prefix)
      : parts.findIndex((part) => part.startsWith(name));
  const first = parts.findIndex((part, index) => index !== timeAt && part.startsWith(prefix));
  if (first === -1 || hasTime !== (timeAt !== -1))
    return [...(hasTime ? [`${name}${time}`] : []), ...values].join(separator ?? ",");
  return parts
    .flatMap((part, index) => {
      if (index === timeAt) return [`${name === "" ? nameIn(part) : name}${time}`];
      if (index === first) return values;
      return part.startsWith(prefix) ? [] : [part];
    })
    .join(separator);
}

/** Adds a random value for each parameter that the URL lacks, as a provider would send one. */
function withParameters(url: string, names: readonly string[]): string {
  if (names.length === 0) return url;
  const made = new URL(url);
  for (const name of names)
    if (!made.searchParams.has(name)) made.searchParams.set(name, crypto.randomUUID());
  return made.href;
}
