import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import type { OutgoingRequest, VerifyContext } from "../context.ts";
import { isForm, setInBody } from "../body/payload.ts";
import type { SignatureHeader, SignedRequest, TimestampRule } from "../provider.ts";
import { compileSelector } from "../body/selector.ts";

/** What of a request is signed, put together piece by piece; and the signatures that it carries. */
export interface ReadSignature {
  readonly candidates: readonly string[];
  /** As it is signed; empty where there is none. */
  readonly timestamp: string;
  readonly id: string;
}

/** @throws HookonceError `signature_missing`, `signature_malformed`, `timestamp_missing`, `timestamp_invalid` */
export function readSignature(scheme: SignedRequest, headers: Headers): ReadSignature {
  const { signature, timestamp: rule, idHeader } = scheme;
  const given = signature.header.endsWith("*") ? joinHeaders(headers, signature) : headers[signature.header];
  if (given === undefined || given === "") {
    throw new HookonceError("signature_missing", `The header ${signature.header} is missing.`);
  }
  const candidates = partsOf(given, signature.separator, signature.prefix ?? "");
  if (candidates.length === 0) {
    throw new HookonceError(
      "signature_malformed",
      `The header ${signature.header} holds no signature${signature.prefix === undefined ? "" : ` that starts with ${signature.prefix}`}.`,
    );
  }
  const timestamp =
    rule === undefined || "body" in rule.from ? "" : readTimestamp(rule, headers, given, signature);
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

/** What follows the prefix in each part of a header that has it; empty ones are none. */
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

function placeOf({ from }: TimestampRule): string {
  if ("header" in from) return `header ${from.header}`;
  return "prefix" in from ? `${from.prefix} part of the signature header` : `time in the body, ${from.body},`;
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

function isTime({ unit }: TimestampRule, value: string): boolean {
  // 14 digits are the year 5138 in milliseconds: beyond that it is no time.
  return unit === "iso" ? RFC_3339.test(value) && !Number.isNaN(Date.parse(value)) : /^\d{1,14}$/.test(value);
}

/**
 * A check of the age, to be made only once the signature has been found right: whoever cannot sign learns nothing of our clock.
 *
 * @returns undefined where there is nothing to check
 */
export function compileAgeCheck(
  { timestamp: rule }: SignedRequest,
  { clock, parse }: VerifyContext,
): ((delivery: Delivery, timestamp: string) => void) | undefined {
  if (rule?.tolerance === undefined) return undefined;
  const { tolerance, unit, from } = rule;
  if (!("body" in from)) {
    return (_, timestamp) =>
      checkAge(
        unit === "iso" ? Date.parse(timestamp) : Number(timestamp) * (unit === "s" ? 1000 : 1),
        tolerance,
        clock(),
      );
  }
  const read = compileSelector(from.body, "absent");
  return (delivery) => {
    const value = read({ headers: delivery.headers, payload: parse(delivery).payload, body: delivery.body });
    if (value === undefined) throw new HookonceError("timestamp_missing", `The ${placeOf(rule)} is missing.`);
    const text = typeof value === "number" || typeof value === "string" ? String(value) : "";
    if (!isTime(rule, text))
      throw new HookonceError("timestamp_invalid", `The ${placeOf(rule)} is not a time.`);
    const ms = unit === "iso" ? Date.parse(text) : Number(text) * (unit === "s" ? 1000 : 1);
    checkAge(ms, tolerance, clock());
  };
}

/**
 * @param tolerance in seconds
 * @throws HookonceError `timestamp_stale`, `timestamp_in_future`
 */
export function checkAge(signedMs: number, tolerance: number, nowMs: number): void {
  // Whole seconds, as providers and their libraries count: one signed 300.9 s ago is 300 s old.
  const ageS = Math.trunc(nowMs / 1000) - Math.trunc(signedMs / 1000);
  if (Math.abs(ageS) <= tolerance) return;
  throw ageS > 0
    ? new HookonceError(
        "timestamp_stale",
        `It was signed ${ageS} s ago; ${tolerance} s are allowed. Is this machine's clock right?`,
      )
    : new HookonceError(
        "timestamp_in_future",
        `It is signed ${-ageS} s in the future; ${tolerance} s are allowed. Is this machine's clock right?`,
      );
}

const FIELDS = ["body", "timestamp", "id", "method", "url", "decoded_url"] as const;
type Field = (typeof FIELDS)[number];

/** All of one shape, so that the engine reads them the fastest. */
export interface TemplatePart {
  readonly kind: Field | "text" | "header";
  /** The text, or the header's name. */
  readonly text: string;
}

/** @throws HookonceError `config_invalid` */
export function compileTemplate({ signed, timestamp, idHeader }: SignedRequest): TemplatePart[] {
  return signed
    .split(/(\{[^}]*\})/)
    .filter((piece) => piece !== "")
    .map((piece) => {
      if (!piece.startsWith("{")) return { kind: "text", text: piece };
      const name = piece.slice(1, -1);
      if (name.startsWith("header:"))
        return { kind: "header", text: name.slice("header:".length).toLowerCase() };
      const field = FIELDS.find((one) => one === name);
      if (field === undefined) {
        throw unusable(
          signed,
          `names ${piece}; it can be {body}, {timestamp}, {id}, {method}, {url}, {decoded_url} and {header:name}`,
        );
      }
      if (field === "timestamp" && (timestamp === undefined || "body" in timestamp.from)) {
        throw unusable(signed, 'names {timestamp}: write timestamp = "header:name" in signature');
      }
      if (field === "id" && idHeader === undefined) {
        throw unusable(signed, 'names {id}: write id = "header:name" in signature');
      }
      return { kind: field, text: "" };
    });
}

/** Whether what is signed depends on the URL, which only the provider knows. */
export function signsUrl(signed: string): boolean {
  return signed.includes("{url}") || signed.includes("{decoded_url}");
}

function unusable(signed: string, why: string): HookonceError {
  return new HookonceError("config_invalid", `signature.signed = "${signed}" ${why}.`);
}

/** What one part of a template stands for in a delivery. */
export function partOf(
  part: TemplatePart,
  delivery: Delivery,
  { timestamp, id }: Omit<ReadSignature, "candidates">,
  urlOf: (delivery: Delivery) => string,
): string | Uint8Array {
  switch (part.kind) {
    case "text":
      return part.text;
    case "header":
      return delivery.headers[part.text] ?? "";
    case "body":
      return delivery.body;
    case "timestamp":
      return timestamp;
    case "id":
      return id;
    case "method":
      return delivery.method;
    case "url":
      return urlOf(delivery);
    case "decoded_url":
      return decodeSome(urlOf(delivery));
  }
}

/** The escapes that HubSpot's documentation says are decoded before signing; all others stay. */
function decodeSome(url: string): string {
  return url.replace(/%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, decodeURIComponent);
}

/**
 * In a form, where the provider signs one of its fields, that field's text. Such a form holds nothing else: what stood beside it would
 * not be signed.
 *
 * @throws HookonceError `signature_malformed`
 */
export function signedBodyOf(
  { signedFormField }: SignedRequest,
  { headers, body }: Pick<Delivery, "headers" | "body">,
): Uint8Array {
  if (signedFormField === undefined || !isForm(headers)) return body;
  const [field, ...others] = new URLSearchParams(Buffer.from(body).toString());
  if (field?.[0] !== signedFormField || others.length > 0) {
    throw new HookonceError(
      "signature_malformed",
      `The form does not consist of the one field ${signedFormField}, which is what the signature covers.`,
    );
  }
  return Buffer.from(field[1]);
}

/**
 * The other direction: puts the time and the signature where the provider does.
 *
 * @param make the signature over these parts, encoded
 */
export function signRequest(
  scheme: SignedRequest,
  request: OutgoingRequest,
  nowMs: number,
  make: (parts: readonly (string | Uint8Array)[]) => string,
): OutgoingRequest {
  const { signature, timestamp: rule, idHeader } = scheme;
  const timestamp = rule === undefined ? "" : timeAs(rule.unit, nowMs);
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
  const signedBody = signedBodyOf(scheme, { headers, body });
  const delivery: Delivery = {
    ...request,
    headers,
    body: signedBody,
    receivedAt: nowMs,
    remoteAddress: () => null,
  };
  const parts = compileTemplate(scheme).map((part) =>
    partOf(part, delivery, { timestamp, id }, () => request.url),
  );
  const value = `${signature.prefix ?? ""}${make(parts)}`;
  const time =
    rule !== undefined && "prefix" in rule.from
      ? `${rule.from.prefix}${timestamp}${signature.separator ?? ","}`
      : "";
  headers[signature.header.replace(/\*$/, "1")] = `${time}${value}`;
  return { ...request, headers, body };
}

export function timeAs(unit: TimestampRule["unit"], nowMs: number): string {
  if (unit === "iso") return new Date(nowMs).toISOString();
  return String(unit === "s" ? Math.trunc(nowMs / 1000) : nowMs);
}
