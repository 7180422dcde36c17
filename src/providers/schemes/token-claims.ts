import type { Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { TOKEN_ALGORITHMS, type TokenAlgorithm } from "./key-set.ts";
import { headerIn, type Fact, type SignatureHeader } from "./scheme.ts";

/**
 * The sender proves who it is with a JWT (RFC 7519) that its issuer has signed with a private key. The public keys
 * are fetched from one URL, which the config names. Google, Microsoft and others send these.
 */
export interface TokenScheme {
  readonly kind: "jwt";
  readonly signature: SignatureHeader;
  /** Undefined: any of {@link TOKEN_ALGORITHMS}. */
  readonly algorithm?: TokenAlgorithm;
  readonly jwksUrl: string;
  readonly issuer: readonly string[];
  readonly audience: readonly string[];
  /** The text that a claim must have. `sha256:body` is the hash of the body in hex. */
  readonly claims: Readonly<Record<string, string>>;
  /**
   * How far the time of signing may be from now, in seconds. Without it, the token itself says how long it is
   * valid.
   */
  readonly tolerance?: number;
}

/** What can be read of a token without its key, before a body or a key is fetched, and for the doctor. */

export const BODY_HASH = "sha256:body";

/** In characters. A header that Bun accepts has at most 16 KiB, with all other headers. */
const MAX_TOKEN = 8 * 1024;

export function wrongClaim(name: string): HookonceError {
  return new HookonceError("signature_mismatch", `The token's ${name} is not what this source expects.`);
}

export function textOf(claim: unknown): string {
  return typeof claim === "string" || typeof claim === "number" || typeof claim === "boolean"
    ? String(claim)
    : "";
}

export interface ReadToken {
  readonly text: string;
  readonly alg: TokenAlgorithm;
  readonly kid: string | undefined;
}

/**
 * Refuses what shows without a key: another algorithm, issuer or audience. Nothing is fetched for such a token.
 *
 * @throws HookonceError `signature_missing`, `signature_malformed`, `signature_mismatch`
 */
export function readToken(scheme: TokenScheme, headers: Headers): ReadToken {
  const text = tokenIn(scheme, headers);
  const [header, payload] = unverified(text) ?? [];
  if (header === undefined || payload === undefined) throw malformed(scheme, "is not a token (JWT)");
  const { alg, kid } = header;
  const allowed = scheme.algorithm === undefined ? TOKEN_ALGORITHMS : [scheme.algorithm];
  const known = allowed.find((one) => one === alg);
  if (known === undefined)
    throw malformed(scheme, `is not a token that is signed with ${allowed.join(" or ")}`);
  if (kid !== undefined && typeof kid !== "string") throw malformed(scheme, "names a key that is not text");
  if (!scheme.issuer.includes(textOf(payload["iss"]))) throw wrongClaim("iss (its issuer)");
  if (!audiencesOf(payload).some((one) => scheme.audience.includes(one)))
    throw wrongClaim("aud (its audience)");
  return { text, alg: known, kid };
}

/** The token without its prefix. `Bearer` may be written in capitals or not (RFC 9110, 11.1). */
function tokenIn(scheme: TokenScheme, headers: Headers): string {
  const { header, prefix = "" } = scheme.signature;
  const given = headerIn(headers, header);
  if (given.length > MAX_TOKEN) throw malformed(scheme, `is longer than ${MAX_TOKEN} characters`);
  if (given.slice(0, prefix.length).toLowerCase() !== prefix.toLowerCase())
    throw malformed(scheme, `does not begin with ${JSON.stringify(prefix)}`);
  return given.slice(prefix.length);
}

function malformed({ signature }: TokenScheme, what: string): HookonceError {
  return new HookonceError("signature_malformed", `The header ${signature.header} ${what}.`);
}

type Claims = Readonly<Record<string, unknown>>;

/** @returns undefined if it is not a token */
function unverified(text: string): [header: Claims, payload: Claims] | undefined {
  const [, header, payload] = /^([\w-]+)\.([\w-]+)\.(?:[\w-]*|\[redacted\])$/.exec(text) ?? [];
  const read = [header, payload].map(claimsIn);
  return read[0] === undefined || read[1] === undefined ? undefined : [read[0], read[1]];
}

function claimsIn(part: string | undefined): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? "", "base64url").toString());
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Claims)
      : undefined;
  } catch {
    return undefined;
  }
}

function audiencesOf({ aud }: Claims): string[] {
  return [aud].flat().filter((one): one is string => typeof one === "string");
}

export function expectedFacts(scheme: TokenScheme): Fact[] {
  const { signature, algorithm, jwksUrl, issuer, audience, claims } = scheme;
  return [
    {
      label: "header",
      text: `${signature.header}${signature.prefix === "" ? "" : `, after ${JSON.stringify(signature.prefix)}`}`,
    },
    { label: "algorithm", text: algorithm ?? TOKEN_ALGORITHMS.join(" or ") },
    { label: "keys", text: jwksUrl },
    { label: "issuer", text: issuer.join(" or ") },
    { label: "audience", text: audience.join(" or ") },
    ...Object.entries(claims).map(([label, text]) => ({ label, text })),
  ];
}

export function foundFacts(scheme: TokenScheme, headers: Headers): Fact[] {
  const read = readUnverified(scheme, headers);
  if (read === undefined) return [];
  const [{ alg, kid }, payload] = read;
  const names = ["iss", "aud", "iat", "exp", ...Object.keys(scheme.claims)];
  return [
    { label: "algorithm", text: shown(alg) },
    { label: "key", text: shown(kid) },
    ...names
      .filter((name) => payload[name] !== undefined)
      .map((name) => ({
        label: name,
        text: name === "iat" || name === "exp" ? moment(payload[name]) : shown(payload[name]),
      })),
  ];
}

function readUnverified(
  scheme: TokenScheme,
  headers: Headers,
): [header: Claims, payload: Claims] | undefined {
  try {
    return unverified(tokenIn(scheme, headers));
  } catch (error) {
    if (error instanceof HookonceError) return undefined;
    throw error;
  }
}

/** Makes text of others safe for a terminal. */
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "missing").slice(0, 200).replaceAll(/[^\u0020-\u007e]/g, "?");
}

function moment(seconds: unknown): string {
  return typeof seconds === "number" && Math.abs(seconds) <= 8.64e12
    ? new Date(seconds * 1000).toISOString()
    : shown(seconds);
}

const wrong = (
  key: string,
  found: unknown,
  expected: readonly string[],
): { what: string; remedy: string } => ({
  what: `The token's ${key} is ${shown(found)}, and this source expects ${expected.map((one) => JSON.stringify(one)).join(" or ")}.`,
  remedy: `If it is the right one, set signature.${key} for this source. Otherwise the token was made for somebody else.`,
});

/** What the token itself shows to be wrong. */
export function* wrongClaims(
  scheme: TokenScheme,
  headers: Headers,
): Generator<{ what: string; remedy: string }> {
  const given = headers[scheme.signature.header];
  const { prefix = "" } = scheme.signature;
  if (given !== undefined && given.slice(0, prefix.length).toLowerCase() !== prefix.toLowerCase()) {
    const [, other = "", token = ""] = /^([\w-]+ )?(.*)$/s.exec(given) ?? [];
    if (unverified(token) !== undefined)
      yield {
        what: `The token in ${scheme.signature.header} comes ${other === "" ? "without a prefix" : `after ${JSON.stringify(other)}`}, and this source expects ${JSON.stringify(prefix)} before it.`,
        remedy: `Set signature.prefix = ${JSON.stringify(other)} for this source, or make the sender write ${JSON.stringify(prefix)}.`,
      };
    return;
  }
  const [header, payload] = readUnverified(scheme, headers) ?? [];
  if (header === undefined || payload === undefined) return;
  const { iss, aud } = payload;
  const allowed = scheme.algorithm === undefined ? TOKEN_ALGORITHMS : [scheme.algorithm];
  if (!allowed.some((one) => one === header["alg"])) yield wrong("algorithm", header["alg"], allowed);
  if (!scheme.issuer.includes(textOf(iss))) yield wrong("issuer", iss, scheme.issuer);
  if (!audiencesOf(payload).some((one) => scheme.audience.includes(one)))
    yield wrong("audience", aud, scheme.audience);
  for (const [name, expected] of Object.entries(scheme.claims)) {
    if (expected !== BODY_HASH && textOf(payload[name]) !== expected)
      yield wrong(`claims.${name}`, payload[name], [expected]);
  }
}
