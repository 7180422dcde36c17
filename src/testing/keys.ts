import { settingsOf } from "../app/sources.ts";
import type { ConfiguredSource } from "../config/load.ts";
import type { SigningKeys } from "../providers/context.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import type { SourceSettings } from "../providers/source.ts";
import { randomKeys } from "../providers/verifier.ts";

/** How a source reads its deliveries, and the keys with which a test signs them. */
export interface SigningSource {
  readonly settings: SourceSettings;
  readonly scheme: Scheme;
  readonly keys: SigningKeys;
}

/**
 * Made once for each scheme, because an RSA key takes 100 ms. Sources whose providers publish their keys also share
 * them if their schemes differ, for example in the audience: the same URL must serve the keys of both.
 */
const made = new Map<string, SigningKeys>();

/** The schemes that have keys. */
const used = new Map<string, Scheme>();

function keysFor(scheme: Scheme): SigningKeys {
  const { kind, proof } = kindOf(scheme);
  const id = proof === "fetched-key" ? kind : JSON.stringify(scheme);
  let keys = made.get(id);
  if (keys === undefined) made.set(id, (keys = randomKeys(scheme)));
  used.set(JSON.stringify(scheme), scheme);
  return keys;
}

/** @param all the sources of the config; without them, a source that replaces another one reads as itself */
export function signingSource(
  source: ConfiguredSource,
  all: readonly ConfiguredSource[] = [],
): SigningSource {
  // The config's schema has refused other names.
  const preset = providers.get(source.provider) as Provider;
  const settings = settingsOf(source, preset, all);
  const scheme = settings.scheme ?? preset.scheme;
  return { settings, scheme, keys: keysFor(scheme) };
}

/** Made-up secrets in place of those that the config names, so that a test needs none of them. */
export function secretsOf(source: ConfiguredSource): Pick<ConfiguredSource, "secrets" | "verifyToken"> {
  const { secret } = signingSource(source).keys;
  return {
    secrets: secret === "" ? [] : [secret],
    verifyToken: source.verifyToken === undefined ? undefined : "made-up-verify-token",
  };
}

/** Answers when a source fetches its provider's key, in place of the network. */
export async function fetchKey(url: string): Promise<Response> {
  for (const scheme of used.values()) {
    const served = kindOf(scheme).servedKey(scheme, keysFor(scheme), url);
    if (served !== undefined) return new Response(served);
  }
  throw new Error("a test inbox uses no network");
}
