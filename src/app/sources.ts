import { CONFIG_FILE, type ConfiguredSource, type SecretNeeds } from "../config/load.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import type { Clock, Fetch } from "../providers/context.ts";
import { providers } from "../providers/presets.ts";
import type { HmacScheme, Provider, Scheme, TimestampRule } from "../providers/provider.ts";
import { createSource, learnsSecret, type Source, type SourceSettings } from "../providers/source.ts";

/** What the config must know of each provider. */
export const secretNeeds: ReadonlyMap<string, SecretNeeds> = new Map(
  [...providers].map(([name, provider]) => [
    name,
    {
      secret: provider.scheme.kind === "unsigned" ? "never" : learnsSecret(provider) ? "later" : "always",
    },
  ]),
);

/** Turns what the config says of each source into a source that receives. Collects what is wrong instead of throwing. */
export function createSources(
  configured: readonly ConfiguredSource[],
  clock: Clock,
  fetch?: Fetch,
): { sources: Map<string, Source>; problems: Problem[] } {
  const sources = new Map<string, Source>();
  const problems: Problem[] = [];
  for (const source of configured) {
    const provider = providers.get(source.provider);
    if (provider === undefined) continue; // the config's own check has said so
    for (const message of [...missingKeys(source), ...pointlessKeys(source, provider)])
      problems.push(problemOf(source, message));
    try {
      sources.set(source.name, createSource(settingsOf(source, provider), clock, fetch));
    } catch (error) {
      if (!(error instanceof HookonceError)) throw error;
      problems.push(problemOf(source, messageOf(error)));
    }
  }
  return { sources, problems };
}

/** `hmac` and `static` have no provider behind them that would say these. */
function missingKeys(source: ConfiguredSource): string[] {
  const needed =
    source.provider === "hmac"
      ? (["header", "event_id", "type"] as const)
      : source.provider === "static"
        ? (["secret_in", "event_id", "type"] as const)
        : [];
  return needed
    .filter((key) => source[key] === undefined)
    .map((key) => `${key} is missing: provider = "${source.provider}" has no preset that says it`);
}

const HMAC_KEYS = [
  "header",
  "algorithm",
  "encoding",
  "prefix",
  "separator",
  "signed",
  "timestamp_header",
  "timestamp_body",
  "timestamp_unit",
  "id_header",
  "key",
] as const;

/** Keys that this kind of scheme would not look at. */
function pointlessKeys(source: ConfiguredSource, { scheme, title }: Provider): string[] {
  const pointless: (keyof ConfiguredSource)[] = [
    ...(scheme.kind === "hmac" ? [] : HMAC_KEYS),
    ...(scheme.kind === "hmac" || scheme.kind === "public-key" || "tolerance" in scheme
      ? []
      : (["tolerance"] as const)),
    ...(scheme.kind === "static" ? [] : (["secret_in"] as const)),
    ...(scheme.kind === "plaid" ? [] : (["environment"] as const)),
  ];
  return pointless
    .filter((key) => source[key] !== undefined)
    .map((key) => `${key} means nothing here: ${title} does not sign so`);
}

function problemOf({ name, line }: ConfiguredSource, message: string): Problem {
  return { file: CONFIG_FILE, line, message: `sources.${name}: ${message}` };
}

/** What a configured source is made of: its provider's preset, with what the config says otherwise. */
export function settingsOf(source: ConfiguredSource, provider: Provider): SourceSettings {
  return {
    name: source.name,
    provider,
    secrets: source.secrets,
    scheme: schemeOf(source, provider.scheme),
    eventId: source.event_id,
    type: source.type,
    batch: source.batch === undefined ? undefined : [source.batch].flat(),
    maxBody: source.max_body,
    allowPublic: source.allow_public,
    unhandled: source.unhandled,
    requireChange: source.require_change,
    sameBody: source.same_body,
    handlers: source.handlers,
    publicUrl: source.public_url,
    verifyToken: source.verifyToken,
    environment: source.environment,
  };
}

/** The preset's scheme, but for what the config says otherwise, key by key. */
function schemeOf(source: ConfiguredSource, preset: Scheme): Scheme {
  if (preset.kind === "hmac") return hmacOf(source, preset);
  if (preset.kind === "static" && source.secret_in !== undefined)
    return { ...preset, secretIn: source.secret_in };
  if (preset.kind === "public-key" && preset.timestamp !== undefined && source.tolerance !== undefined)
    return { ...preset, timestamp: { ...preset.timestamp, tolerance: source.tolerance } };
  if ("tolerance" in preset && source.tolerance !== undefined)
    return { ...preset, tolerance: source.tolerance };
  return preset;
}

function hmacOf(source: ConfiguredSource, preset: HmacScheme): HmacScheme {
  const { header, prefix, separator } = source;
  const timestamp = timestampOf(source, preset.timestamp);
  return {
    ...preset,
    algorithm: source.algorithm ?? preset.algorithm,
    encoding: source.encoding ?? preset.encoding,
    key: source.key ?? preset.key,
    signature: {
      ...preset.signature,
      ...(header === undefined ? {} : { header }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(separator === undefined ? {} : { separator }),
    },
    signed: source.signed ?? preset.signed,
    ...(timestamp === undefined ? {} : { timestamp }),
    ...(source.id_header === undefined ? {} : { idHeader: source.id_header }),
  };
}

function timestampOf(source: ConfiguredSource, preset: TimestampRule | undefined): TimestampRule | undefined {
  const from =
    source.timestamp_header !== undefined
      ? { header: source.timestamp_header }
      : source.timestamp_body !== undefined
        ? { body: source.timestamp_body }
        : preset?.from;
  if (from === undefined) return undefined;
  const tolerance = source.tolerance ?? (preset === undefined ? 300 : preset.tolerance);
  return {
    from,
    unit: source.timestamp_unit ?? preset?.unit ?? "s",
    ...(tolerance === undefined ? {} : { tolerance }),
  };
}
