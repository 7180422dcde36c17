import { CONFIG_FILE, type ConfiguredSource, type SecretNeeds } from "../config/load.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import type { Clock, Fetch } from "../providers/context.ts";
import { providers } from "../providers/presets.ts";
import type { Provider, Scheme, SignedRequest, TimestampRule } from "../providers/provider.ts";
import { createSource, learnsSecret, type Source, type SourceSettings } from "../providers/source.ts";
import { pointlessKeys } from "./pointless-keys.ts";

/** What the config must know of each provider. */
export const secretNeeds: ReadonlyMap<string, SecretNeeds> = new Map(
  [...providers].map(([name, provider]) => [
    name,
    {
      secret: provider.scheme.kind === "unsigned" ? "never" : learnsSecret(provider) ? "later" : "always",
      aliases: provider.aliases ?? [],
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
    const settings = settingsOf(source, provider, configured);
    const pointless = pointlessKeys(source, provider, settings.scheme ?? provider.scheme);
    for (const message of [...missingKeys(source), ...pointless]) problems.push(problemOf(source, message));
    try {
      sources.set(source.name, createSource(settings, clock, fetch));
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

function problemOf({ name, line }: ConfiguredSource, message: string): Problem {
  return { file: CONFIG_FILE, line, message: `sources.${name}: ${message}` };
}

/**
 * What a configured source is made of: its provider's preset, with what the config says otherwise.
 *
 * @param all the sources of the config, this one among them
 */
export function settingsOf(
  source: ConfiguredSource,
  provider: Provider,
  all: readonly ConfiguredSource[],
): SourceSettings {
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
    ...readsLike(source, provider, all),
  };
}

/**
 * An unsigned source that shares another's handlers and says nothing of ids and types stands in for it, as one does while developing:
 * it reads a delivery as that one does. Else those handlers would never get an event.
 */
function readsLike(
  source: ConfiguredSource,
  own: Provider,
  all: readonly ConfiguredSource[],
): Partial<SourceSettings> {
  if (source.provider !== "unsigned") return {};
  if (source.event_id !== undefined || source.type !== undefined || source.batch !== undefined) return {};
  const other = all.find(({ name }) => name === source.handlers);
  const preset = other === undefined ? undefined : providers.get(other.provider);
  if (other === undefined || preset === undefined) return {};
  const { eventId, type, batch, maxBody } = settingsOf(other, preset, all);
  const { formField } = preset;
  return {
    provider: { ...own, ...(formField === undefined ? {} : { formField }) },
    eventId: eventId ?? preset.eventId,
    type: type ?? preset.type,
    batch: batch ?? preset.batch,
    maxBody: source.max_body ?? maxBody ?? preset.maxBody,
  };
}

/** The preset's scheme, but for what the config says otherwise, key by key. */
function schemeOf(source: ConfiguredSource, preset: Scheme): Scheme {
  const { algorithm, encoding, key, secret_in: secretIn, tolerance } = source;
  if (preset.kind === "hmac") {
    return {
      ...preset,
      ...signedRequestOf(source, preset),
      algorithm: algorithm ?? preset.algorithm,
      encoding: encoding ?? preset.encoding,
      key: key ?? preset.key,
    };
  }
  if (preset.kind === "public-key") {
    // There is no base64url here: pointless-keys.ts says so.
    const known = encoding === "base64url" ? undefined : encoding;
    return { ...preset, ...signedRequestOf(source, preset), encoding: known ?? preset.encoding };
  }
  if (preset.kind === "static" && secretIn !== undefined) return { ...preset, secretIn };
  if ("tolerance" in preset && tolerance !== undefined) return { ...preset, tolerance };
  return preset;
}

function signedRequestOf(source: ConfiguredSource, preset: SignedRequest): SignedRequest {
  const { header, prefix, separator } = source;
  const timestamp = timestampOf(source, preset.timestamp);
  return {
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
