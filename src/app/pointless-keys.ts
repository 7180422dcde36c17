import { formatDuration } from "../config/duration.ts";
import { literal } from "../config/literal.ts";
import type { ConfiguredSource } from "../config/load.ts";
import type { Provider } from "../providers/provider.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import type { SchemeKey } from "../providers/schemes/config.ts";

/** What is wrong with a key of a source. */
export interface KeyedMessage {
  /** As in TOML, without the source: `signature.header`. */
  readonly key: string;
  readonly message: string;
}

/** A key of a source, or of its `signature`. */
type Key = SchemeKey | "public_url" | "verify_token";

/**
 * Returns the keys of a source that have no effect, or that remove the protection they should give. Each is
 * an error, with its value and the remedy, because its user believes that it protects the source.
 *
 * @param scheme the provider's scheme, changed by the config
 */
export function pointlessKeys(source: ConfiguredSource, provider: Provider, scheme: Scheme): KeyedMessage[] {
  const kind = kindOf(scheme);
  const used = new Set<Key>(kind.configKeys);
  if (kind.coversUrl(scheme)) used.add("public_url");
  if (asksForToken(provider)) used.add("verify_token");
  const named = `provider = "${provider.name}"`;
  const why = (key: Key): string => {
    if (key === "allow_public") return "its deliveries are signed";
    if (key === "environment") return `${named} signs in the same way in all environments`;
    if (key === "public_url") return "the signature does not cover the URL";
    if (key === "verify_token") return `${named} never sends one`;
    return key === "tolerance" ? kind.whyNoTolerance(scheme) : `${named} does not sign that way`;
  };
  return [
    ...keysOf(source)
      .filter((key) => !used.has(key))
      .map((key) => ({
        key,
        message: `${shown(source, key)} has no effect: ${why(key)}; remove it`,
      })),
    ...kind.checkConfig(scheme, source).map(({ key, what, remedy = "remove it" }) => ({
      key,
      message: `${shown(source, key)} ${what}; ${remedy}`,
    })),
  ];
}

/** The keys in a source's config that only some schemes or providers use. */
function keysOf(source: ConfiguredSource): Key[] {
  const keys: Key[] = Object.keys(source.signature ?? {}).map(
    (key) => `signature.${key}` as `signature.${keyof NonNullable<ConfiguredSource["signature"]>}`,
  );
  for (const key of ["secret_in", "tolerance", "environment", "allow_public", "public_url"] as const)
    if (source[key] !== undefined) keys.push(key);
  if (source.verifyToken !== undefined) keys.push("verify_token");
  return keys;
}

function asksForToken({ handshakes = [] }: Provider): boolean {
  return handshakes.some(({ when }) => when.some(({ isVerifyToken }) => isVerifyToken === true));
}

/** A key and its value as they are in the config. For a secret, only the key. */
function shown(source: ConfiguredSource, key: Key): string {
  if (key === "verify_token" || key === "signature.public_key") return key;
  if (key === "tolerance") return `tolerance = ${literal(formatDuration(source.tolerance ?? 0))}`;
  const table: Readonly<Record<string, unknown>> = { ...source, ...prefixed(source.signature) };
  return `${key} = ${literal(table[key])}`;
}

function prefixed(signature: ConfiguredSource["signature"] = {}): Record<string, unknown> {
  return Object.fromEntries(Object.entries(signature).map(([key, value]) => [`signature.${key}`, value]));
}
