import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { isForm } from "../body/form.ts";
import { headerOf, parseValuePath } from "../body/path.ts";
import { decompress, isGzip, MAX_DECOMPRESSED, parseBody, type Reading } from "../body/payload.ts";
import { FIVE_MINUTES } from "../presets/common.ts";
import { toMs, type TimestampRule } from "./age.ts";
import type { HeaderCheck } from "../context.ts";
import type { KeyProblem, SchemeConfig } from "./config.ts";
import type { Fact, Guess, SignatureHeader } from "./scheme.ts";
import { readSignature, signedBodyOf, type ReadSignature, type SignedRequest } from "./signed-request.ts";
import { signedParameter, signedParameters, signsUrl } from "./template.ts";

/** What every kind of signed request has in common. */
export const signedRequest = {
  configKeys: [
    "signature.header",
    "signature.encoding",
    "signature.prefix",
    "signature.separator",
    "signature.signed",
    "signature.timestamp",
    "signature.timestamp_unit",
    "signature.id",
    "signature.over",
    "tolerance",
  ] as const,
  configure,
  checkConfig,
  signatureHeader: ({ signature }: SignedRequest): SignatureHeader => signature,
  createHeaderCheck: (scheme: SignedRequest): HeaderCheck => {
    const parameters = signedParameters(scheme.signed);
    return ({ headers, url }) => {
      readSignature(scheme, headers);
      for (const name of parameters) signedParameter(url, name);
    };
  },
  timestampHeader: ({ timestamp }: SignedRequest): string | undefined =>
    timestamp !== undefined && "header" in timestamp.from ? timestamp.from.header : undefined,
  coversUrl: ({ signed }: SignedRequest): boolean => signsUrl(signed),
  tolerance: ({ timestamp }: SignedRequest): number | undefined => timestamp?.tolerance,
  whyNoTolerance: ({ timestamp }: SignedRequest): string =>
    timestamp === undefined ? "no time is signed" : "any age is accepted until you set one",
  withTolerance: <S extends SignedRequest>(scheme: S, seconds: number): S =>
    scheme.timestamp === undefined
      ? scheme
      : { ...scheme, timestamp: { ...scheme.timestamp, tolerance: seconds } },
  unsignedBody: ({ signed }: SignedRequest): string | undefined =>
    signed.includes("{body}")
      ? undefined
      : `it signs ${signed} and not the body, so a changed body is accepted`,
  whyNotSignedAgain: ({ signed, timestamp }: SignedRequest, kept: readonly string[]): string | undefined => {
    if (timestamp !== undefined && "body" in timestamp.from)
      return `signs a time inside the body (${timestamp.from.body})`;
    const lost = signedParameters(signed).find((name) => !kept.includes(name));
    return lost === undefined ? undefined : `signs the query parameter ${lost}, which is not stored`;
  },
  otherForms: otherCompression,
  reading: (scheme: SignedRequest, asItCame: Reading): Reading => {
    const { signedFormField, over = "raw" } = scheme;
    if (signedFormField === undefined && over === "raw") return asItCame;
    return (delivery) => {
      const { headers } = delivery;
      if (signedFormField !== undefined && isForm(headers)) {
        const signed = signedBodyOf(scheme, delivery, decompressTrusted);
        return { ...parseBody({ headers: {}, body: signed }), hashed: signed };
      }
      const body = asItCame(delivery);
      // A retry may be compressed into other bytes.
      return over === "decompressed" && isGzip(headers)
        ? { hashed: decompressTrusted(delivery), ...body }
        : body;
    };
  },
};

const decompressTrusted = (delivery: Parameters<Reading>[0]): Uint8Array =>
  decompress(delivery, MAX_DECOMPRESSED);

/** Changes the parts of a scheme that every signed request has. */
function configure<S extends SignedRequest>(preset: S, { signature = {}, tolerance }: SchemeConfig): S {
  const { header, prefix, separator, signed, id, over } = signature;
  const timestamp = timestampOf(preset, signature, tolerance);
  return {
    ...preset,
    signature: {
      ...preset.signature,
      ...(header === undefined ? {} : { header }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(separator === undefined ? {} : { separator }),
    },
    ...(signed === undefined ? {} : { signed }),
    ...(timestamp === undefined ? {} : { timestamp }),
    ...(id === undefined ? {} : { idHeader: headerOf(id) }),
    ...(over === undefined ? {} : { over }),
  };
}

function timestampOf(
  { timestamp: preset, signature }: SignedRequest,
  { header = signature.header, timestamp, timestamp_unit: unit }: NonNullable<SchemeConfig["signature"]>,
  toleranceMs: number | undefined,
): TimestampRule | undefined {
  const from = timestamp === undefined ? preset?.from : fromPath(timestamp, header);
  if (from === undefined) return undefined;
  const byDefault = preset === undefined ? FIVE_MINUTES : preset.tolerance;
  const tolerance = toleranceMs === undefined ? byDefault : toleranceMs / 1000;
  return { from, unit: unit ?? preset?.unit ?? "s", ...(tolerance === undefined ? {} : { tolerance }) };
}

function fromPath(path: string, signatureHeader: string): TimestampRule["from"] {
  const read = parseValuePath(path);
  if (read.in === "body") return { body: path };
  return read.name === signatureHeader ? { amongParts: true } : { header: read.name };
}

function checkConfig(scheme: SignedRequest, { signature = {}, tolerance }: SchemeConfig): KeyProblem[] {
  const { timestamp, signed } = scheme;
  const template = `signature.signed = ${JSON.stringify(signed)}`;
  const problems: KeyProblem[] = [];
  if (timestamp === undefined) {
    const what = "has no effect: no time is signed";
    const remedy = "name the signed time with signature.timestamp, or remove it";
    if (tolerance !== undefined) problems.push({ key: "tolerance", what, remedy });
    if (signature.timestamp_unit !== undefined)
      problems.push({ key: "signature.timestamp_unit", what, remedy });
  } else if (!signsTime(scheme, timestamp)) {
    // Anyone who has seen one delivery could send it again and again, each time with the current time.
    problems.push({
      key: signature.signed === undefined ? "signature.timestamp" : "signature.signed",
      what: "leaves the time unsigned, so anyone can send an old delivery with a new time",
      remedy: `put ${"body" in timestamp.from ? "{body}" : "{timestamp}"} into ${template}`,
    });
  }
  if (timestamp !== undefined && "amongParts" in timestamp.from && scheme.signature.separator === undefined)
    problems.push({
      key: "signature.timestamp",
      what: "is in the signature's own header, and nothing separates the two",
      remedy: 'write separator = "." in signature, or what your sender writes between them',
    });
  if (signature.id !== undefined && !signed.includes("{id}"))
    problems.push({
      key: "signature.id",
      what: `has no effect: ${template} does not contain {id}`,
      remedy: "put {id} where it is signed",
    });
  return problems;
}

function signsTime({ signed }: SignedRequest, { from }: TimestampRule): boolean {
  if (signed.includes("body" in from ? "{body}" : "{timestamp}")) return true;
  return "header" in from && signed.toLowerCase().includes(`{header:${from.header}}`);
}

function* otherCompression<S extends SignedRequest>(scheme: S, { headers }: Delivery): Generator<Guess<S>> {
  if (!isGzip(headers)) return;
  const over = scheme.over === "decompressed" ? "raw" : "decompressed";
  const covered =
    over === "raw"
      ? "as it was sent, compressed"
      : "without its compression: the provider compresses after it has signed, or a proxy does";
  yield {
    change: { scheme: { ...scheme, over } },
    what: `The signature covers the body ${covered}.`,
    remedy: `Set signature.over = "${over}" for this source.`,
  };
}

/** What the doctor lists as expected. */
export function expectedSignature(scheme: SignedRequest, algorithm: string, key?: string): Fact[] {
  const { signature, signed, idHeader, timestamp } = scheme;
  const prefix = signature.prefix === undefined ? "" : `, each signature after ${signature.prefix}`;
  return [
    { label: "header", text: `${signature.header}${prefix}` },
    { label: "algorithm", text: algorithm },
    {
      label: "signed",
      text: scheme.over === "decompressed" ? `${signed}, with the body decompressed` : signed,
    },
    ...(key === undefined ? [] : [{ label: "key", text: key }]),
    ...(idHeader === undefined ? [] : [{ label: "id", text: `the header ${idHeader}` }]),
    ...(timestamp === undefined ? [] : [{ label: "time", text: describeTime(timestamp) }]),
  ];
}

function describeTime({ from, unit, tolerance }: TimestampRule): string {
  const place =
    "header" in from
      ? `the header ${from.header}`
      : "prefix" in from
        ? `the part ${from.prefix}`
        : "amongParts" in from
          ? "a part of the same header"
          : from.body;
  const written = unit === "iso" ? "RFC 3339" : `Unix ${unit === "s" ? "seconds" : "milliseconds"}`;
  return `${place}, ${written}${tolerance === undefined ? "" : `, at most ${tolerance} s away`}`;
}

/**
 * What the doctor lists as found.
 *
 * @param expect the signatures that would be right
 */
export function foundSignature(
  scheme: SignedRequest,
  headers: Headers,
  expect: (read: ReadSignature) => readonly string[] = () => [],
): Fact[] {
  try {
    const read = readSignature(scheme, headers);
    const facts = [{ label: "signature", text: read.candidates.map(beginningOf).join(", ") }];
    const expected = expect(read);
    if (expected.length > 0) facts.push({ label: "computed", text: expected.map(beginningOf).join(", ") });
    if (scheme.timestamp !== undefined && read.timestamp !== "")
      facts.push({ label: "time", text: momentOf(scheme.timestamp, read.timestamp) });
    return facts;
  } catch (error) {
    if (error instanceof HookonceError) return [{ label: "signature", text: error.message }];
    throw error;
  }
}

/**
 * The first six characters: enough to compare, and 24 bits of 160 or more, so nobody can sign with what is
 * shown.
 */
function beginningOf(signature: string): string {
  const beginning = signature.slice(0, 6).replaceAll(/[^\u0020-\u007e]/g, "?");
  return `${beginning}… (${signature.length} characters)`;
}

function momentOf({ unit }: TimestampRule, timestamp: string): string {
  const ms = toMs(unit, timestamp);
  // Larger dates have no ISO form.
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : "not a possible time";
}
