import type { Config } from "../config/load.ts";
import type { Source } from "../providers/source.ts";
import type { SourceRule } from "../engines/sqlite/source-rules.ts";

/** What the database stores about each source. */
export function rulesOf(config: Config, sources: ReadonlyMap<string, Source>): SourceRule[] {
  return [...sources.values()].map((source) => ({
    name: source.name,
    provider: source.provider.name,
    eventIdRule: source.eventIdRule,
    retryWindowMs: source.provider.retryWindowMs,
    renamedFrom: config.sources.find(({ name }) => name === source.name)?.renamed_from,
  }));
}
