import { CONFIG_FILE, type ConfiguredSource } from "../config/load.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import type { Clock } from "../providers/hmac.ts";
import { providers } from "../providers/presets.ts";
import type { HmacScheme, Provider } from "../providers/provider.ts";
import { createSource, type Source } from "../providers/source.ts";

/** Turns what the config says of each source into a source that receives. Collects what is wrong instead of throwing. */
export function createSources(
  configured: readonly ConfiguredSource[],
  clock: Clock,
): { sources: Map<string, Source>; problems: Problem[] } {
  const sources = new Map<string, Source>();
  const problems: Problem[] = [];
  for (const source of configured) {
    const provider = providers.get(source.provider);
    if (provider === undefined) continue; // the config's own check has said so
    for (const message of missingKeys(source)) problems.push(problemOf(source, message));
    try {
      sources.set(source.name, createSource(settingsOf(source, provider), clock));
    } catch (error) {
      if (!(error instanceof HookonceError)) throw error;
      problems.push(problemOf(source, messageOf(error)));
    }
  }
  return { sources, problems };
}

/** `hmac` has no provider behind it that would say these. */
function missingKeys(source: ConfiguredSource): string[] {
  if (source.provider !== "hmac") return [];
  return (["header", "event_id", "type"] as const)
    .filter((key) => source[key] === undefined)
    .map((key) => `${key} is missing: provider = "hmac" has no preset that says it`);
}

function problemOf({ name, line }: ConfiguredSource, message: string): Problem {
  return { file: CONFIG_FILE, line, message: `sources.${name}: ${message}` };
}

function settingsOf(source: ConfiguredSource, provider: Provider): Parameters<typeof createSource>[0] {
  return {
    name: source.name,
    provider,
    secrets: source.secrets,
    scheme: provider.scheme.kind === "hmac" ? schemeOf(source, provider.scheme) : undefined,
    eventId: source.event_id,
    type: source.type,
    maxBody: source.max_body,
    allowPublic: source.allow_public,
    unhandled: source.unhandled,
    requireChange: source.require_change,
    sameBody: source.same_body,
  };
}

/** The preset's scheme, but for what the config says otherwise. */
function schemeOf(source: ConfiguredSource, preset: HmacScheme): HmacScheme {
  const { header, prefix, separator, timestamp_header: timestampHeader } = source;
  const from = timestampHeader === undefined ? preset.timestamp?.from : { header: timestampHeader };
  return {
    kind: "hmac",
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
    ...(from === undefined
      ? {}
      : {
          timestamp: {
            from,
            unit: source.timestamp_unit ?? preset.timestamp?.unit ?? "s",
            tolerance: source.tolerance ?? preset.timestamp?.tolerance ?? 300,
          },
        }),
    ...(source.id_header === undefined
      ? preset.idHeader === undefined
        ? {}
        : { idHeader: preset.idHeader }
      : { idHeader: source.id_header }),
  };
}
