import { CONFIG_FILE, type ConfiguredSource, type ReadConfig } from "../config/load.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import { compileBatch } from "../providers/body/batch.ts";
import { compileSelector, isList, type Selector } from "../providers/body/selector.ts";

/** Every selector of a source that cannot be read, each on its own line. */
export function selectorProblems(source: ConfiguredSource, lineOf: ReadConfig["lineOf"]): Problem[] {
  const { name, event_id: eventId, type, batch } = source;
  const tried: [key: string, compile: () => unknown][] = [
    ...partsOf(eventId).map((part) => ["event_id", () => compileSelector(part, "absent")] as const),
    ...partsOf(type).map((part) => ["type", () => compileSelector(part, "skip")] as const),
    ...[batch ?? []].flat().map((path) => ["batch", () => compileBatch([path])] as const),
  ].map(([key, compile]) => [key, compile]);
  return tried.flatMap(([key, compile]) => {
    try {
      compile();
      return [];
    } catch (error) {
      if (!(error instanceof HookonceError)) throw error;
      return [
        {
          file: CONFIG_FILE,
          line: lineOf(name, key),
          message: `sources.${name}.${key}: ${messageOf(error)}`,
        },
      ];
    }
  });
}

function partsOf(selector: Selector | undefined): Selector[] {
  if (selector === undefined) return [];
  if (typeof selector === "string") return [selector];
  if ("key_beside" in selector) return [selector];
  return isList(selector) ? selector.flatMap(partsOf) : [...selector.join];
}
