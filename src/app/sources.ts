import { CONFIG_FILE, type ConfiguredSource, type SecretNeeds } from "../config/load.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import type { Clock, Fetch } from "../providers/context.ts";
import { parseValuePath } from "../providers/body/path.ts";
import { providers } from "../providers/presets.ts";
import { FIVE_MINUTES } from "../providers/presets/common.ts";
import type { Provider } from "../providers/provider.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import type { TimestampRule } from "../providers/schemes/age.ts";
import type { SignedRequest } from "../providers/schemes/signed-request.ts";
import { createSource, learnsSecret, type Source, type SourceSettings } from "../providers/source.ts";
import { headerOf } from "./path-problems.ts";
import { standsIn } from "./missing-keys.ts";
import { pointlessKeys } from "./pointless-keys.ts";

/** What the config must know of each provider. */
export const secretNeeds: ReadonlyMap<string, SecretNeeds> = new Map(
  [...providers].map(([name, provider]) => [
    name,
    {
      secret:
        kindOf(provider.scheme).proof === "none" ? "never" : learnsSecret(provider) ? "later" : "always",
      aliases: provider.aliases ?? [],
    },
  ]),
);

/** Creates the sources of the config. Problems are collected instead of thrown. */
export function createSources(
  configured: readonly ConfiguredSource[],
  clock: Clock,
  fetch?: Fetch,
): { sources: Map<string, Source>; problems: Problem[] } {
  const sources = new Map<string, Source>();
  const problems: Problem[] = [];
  for (const source of configured) {
    const provider = providers.get(source.provider);
    if (provider === undefined) continue; // config/source-checks.ts has reported it
    const settings = settingsOf(source, provider, configured);
    const pointless = pointlessKeys(source, provider, settings.scheme ?? provider.scheme);
    for (const message of pointless) problems.push(problemOf(source, message));
    try {
      sources.set(source.name, createSource(settings, clock, fetch));
    } catch (error) {
      if (!(error instanceof HookonceError)) throw error;
      problems.push(problemOf(source, messageOf(error)));
    }
  }
  return { sources, problems };
}

function problemOf({ name, line }: ConfiguredSource, message: string): Problem {
  return { file: CONFIG_FILE, line, message: `sources.${name}: ${message}` };
}

/**
 * The settings of a source: its provider's preset, changed by the config.
 *
 * @param all the sources of the config, this one included
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
 * A source that stands in for another one reads ids, types and batches as the other does. Otherwise the
 * shared handlers would not get their events.
 */
function readsLike(
  source: ConfiguredSource,
  own: Provider,
  all: readonly ConfiguredSource[],
): Partial<SourceSettings> {
  if (!standsIn(source)) return {};
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

/** The preset's scheme, changed key by key as the config says. */
function schemeOf(source: ConfiguredSource, preset: Scheme): Scheme {
  const { signature = {}, secret_in: secretIn } = source;
  const tolerance = toleranceOf(source);
  if (preset.kind === "hmac") {
    return {
      ...preset,
      ...signedRequestOf(source, preset),
      algorithm: signature.algorithm ?? preset.algorithm,
      encoding: signature.encoding ?? preset.encoding,
      key: signature.secret_encoding ?? preset.key,
    };
  }
  if (preset.kind === "public-key") {
    // Public keys have no base64url. pointless-keys.ts reports it.
    const encoding = signature.encoding === "base64url" ? undefined : signature.encoding;
    return { ...preset, ...signedRequestOf(source, preset), encoding: encoding ?? preset.encoding };
  }
  if (preset.kind === "static" && secretIn !== undefined) return { ...preset, secretIn };
  if ("tolerance" in preset && tolerance !== undefined) return { ...preset, tolerance };
  return preset;
}

function signedRequestOf(source: ConfiguredSource, preset: SignedRequest): SignedRequest {
  const { header, prefix, separator, signed, id } = source.signature ?? {};
  const timestamp = timestampOf(source, preset.timestamp);
  return {
    signature: {
      ...preset.signature,
      ...(header === undefined ? {} : { header }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(separator === undefined ? {} : { separator }),
    },
    signed: signed ?? preset.signed,
    ...(timestamp === undefined ? {} : { timestamp }),
    ...(id === undefined ? {} : { idHeader: headerOf(id) }),
  };
}

function timestampOf(source: ConfiguredSource, preset: TimestampRule | undefined): TimestampRule | undefined {
  const { timestamp, timestamp_unit: unit } = source.signature ?? {};
  const from = timestamp === undefined ? preset?.from : fromPath(timestamp);
  if (from === undefined) return undefined;
  const tolerance = toleranceOf(source) ?? (preset === undefined ? FIVE_MINUTES : preset.tolerance);
  return { from, unit: unit ?? preset?.unit ?? "s", ...(tolerance === undefined ? {} : { tolerance }) };
}

function fromPath(path: string): TimestampRule["from"] {
  const read = parseValuePath(path);
  return read.in === "header" ? { header: read.name } : { body: path };
}

/** In seconds. */
function toleranceOf({ tolerance }: ConfiguredSource): number | undefined {
  return tolerance === undefined ? undefined : tolerance / 1000;
}
