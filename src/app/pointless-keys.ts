import { formatDuration } from "../config/duration.ts";
import { literal } from "../config/literal.ts";
import type { ConfiguredSource } from "../config/load.ts";
import type { SignatureConfig } from "../config/schema.ts";
import type { Provider } from "../providers/provider.ts";
import type { Scheme } from "../providers/schemes.ts";
import { coversUrl } from "../providers/verifier.ts";

type SignatureKey = `signature.${keyof SignatureConfig}`;
type Key = keyof ConfiguredSource | SignatureKey;

/** How the parts of a signed request stand. */
const SIGNATURE_KEYS: readonly SignatureKey[] = [
  "signature.header",
  "signature.encoding",
  "signature.prefix",
  "signature.separator",
  "signature.signed",
  "signature.timestamp",
  "signature.timestamp_unit",
  "signature.id",
];

const HMAC_KEYS: readonly SignatureKey[] = ["signature.algorithm", "signature.secret_encoding"];

/**
 * What a source says and nothing looks at, or what undoes what it is there for. Each with its value and the remedy: whoever wrote it
 * believes that it protects.
 *
 * @param scheme the provider's, with what the source says otherwise
 */
export function pointlessKeys(source: ConfiguredSource, provider: Provider, scheme: Scheme): string[] {
  const { title } = provider;
  const problems: string[] = [];
  const pointless = (keys: readonly Key[], why: string, remedy?: string): void => {
    for (const key of keys) {
      if (valueOf(source, key) !== undefined)
        problems.push(
          `${nameOf(key)} means nothing here: ${why}; ${remedy ?? `leave out ${shown(source, key)}`}`,
        );
    }
  };
  const otherScheme = `${title} does not sign so`;
  if (scheme.kind !== "hmac" && scheme.kind !== "public-key") pointless(SIGNATURE_KEYS, otherScheme);
  if (scheme.kind !== "hmac") pointless(HMAC_KEYS, otherScheme);
  if (scheme.kind === "public-key" && source.signature?.encoding === "base64url")
    pointless(["signature.encoding"], "a public key's signatures are hex or base64");
  if (scheme.kind !== "static") pointless(["secret_in"], otherScheme);
  if (scheme.kind !== "plaid") pointless(["environment"], otherScheme);
  if (scheme.kind !== "unsigned") pointless(["allow_public"], "its deliveries are signed");
  if (!coversUrl(scheme)) pointless(["public_url"], "the URL is not signed");
  if (!asksForToken(provider)) pointless(["verifyToken"], `${title} never sends one`);

  if (scheme.kind !== "hmac" && scheme.kind !== "public-key") {
    if (!("tolerance" in scheme)) pointless(["tolerance"], "no time is signed");
    return problems;
  }
  const { timestamp, signed } = scheme;
  if (timestamp === undefined) {
    const remedy = scheme.kind === "hmac" ? "name the signed time with signature.timestamp" : undefined;
    pointless(["tolerance", "signature.timestamp_unit"], "no time is signed", remedy);
  } else if (!signsTime(scheme)) {
    // Whoever has seen one delivery could send it for ever, with the time of the day.
    const key = source.signature?.signed === undefined ? "signature.timestamp" : "signature.signed";
    problems.push(
      `${shown(source, key)} leaves the time unsigned: anybody can make an old delivery new; put {timestamp} into signature.signed = ${JSON.stringify(signed)}`,
    );
  }
  if (source.signature?.id !== undefined && !signed.includes("{id}"))
    pointless(
      ["signature.id"],
      `signature.signed = ${JSON.stringify(signed)} names no {id}`,
      "put {id} where it is signed",
    );
  return problems;
}

function signsTime({ timestamp, signed }: Extract<Scheme, { kind: "hmac" | "public-key" }>): boolean {
  if (timestamp === undefined || "body" in timestamp.from || signed.includes("{timestamp}")) return true;
  return "header" in timestamp.from && signed.toLowerCase().includes(`{header:${timestamp.from.header}}`);
}

function asksForToken({ handshakes = [] }: Provider): boolean {
  return handshakes.some(({ when }) => when.some(({ isVerifyToken }) => isVerifyToken === true));
}

/** As it stands in the config, but for secrets. */
function shown(source: ConfiguredSource, key: Key): string {
  if (key === "verifyToken") return nameOf(key);
  const value = valueOf(source, key);
  return `${key} = ${literal(key === "tolerance" ? formatDuration(Number(value)) : value)}`;
}

function nameOf(key: Key): string {
  return key === "verifyToken" ? "verify_token" : key;
}

/** @param key of the source, or of its `signature`: `signature.header` */
function valueOf(source: ConfiguredSource, key: Key): unknown {
  const table: Readonly<Record<string, unknown>> = key.startsWith("signature.")
    ? { ...source.signature }
    : { ...source };
  return table[key.replace("signature.", "")];
}
