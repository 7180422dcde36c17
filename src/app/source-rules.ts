import type { Config } from "../config/load.ts";
import type { Source } from "../providers/source.ts";
import type { SourceRule } from "../engines/store.ts";
import { isForDevelopment } from "./unsigned-sources.ts";

/** What the database stores about each source. */
export function rulesOf(config: Pick<Config, "sources">, sources: ReadonlyMap<string, Source>): SourceRule[] {
  return [...sources.values()].map((source) => ({
    name: source.name,
    provider: source.provider.name,
    eventIdRule: source.eventIdRule,
    earlierRules: source.earlierRules,
    // While developing, no provider retries. So the sample source that `init` wrote can be removed at any time.
    retryWindowMs: isForDevelopment(source) ? 0 : source.retryWindowMs,
    holdAfter: source.holdAfter,
    renamedFrom: config.sources.find(({ name }) => name === source.name)?.renamed_from,
  }));
}

/** The destinations that the config has. */
export function destinationNames({ destinations }: Pick<Config, "destinations">): ReadonlySet<string> {
  return new Set(destinations.map(({ name }) => name));
}

/**
 * Returns the sources by the names under which their events are stored. Until a start has renamed a source,
 * its events are stored under the name in its `renamed_from`.
 */
export function byStoredName(
  sources: ReadonlyMap<string, Source>,
  { sources: configured }: Pick<Config, "sources">,
): ReadonlyMap<string, Source> {
  const all = new Map(sources);
  for (const { name, renamed_from: renamedFrom } of configured) {
    const source = sources.get(name);
    if (renamedFrom !== undefined && source !== undefined) all.set(renamedFrom, source);
  }
  return all;
}
