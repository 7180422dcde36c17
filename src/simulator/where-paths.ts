import { CONFIG_FILE, type ConfiguredSource } from "../config/load.ts";
import type { Problem } from "../errors.ts";
import { lookUp, nearestPath } from "../handlers/payload-paths.ts";
import { pathsRead } from "../handlers/sql-paths.ts";
import { eventTypes } from "../providers/event-types.ts";
import type { Source } from "../providers/source.ts";
import { examples } from "./examples.ts";
import { sampleEvents } from "./sample-event.ts";

/**
 * Warns of JSON paths in the `where` of `forward` that the provider's made-up events lack, if they have a similar one.
 * A misspelled path is NULL, so nothing would be sent on, and stored events cannot show it: those that no destination
 * takes are stored without their body.
 *
 * @param created the sources that can be created
 */
export function warnOfWherePaths(
  sources: readonly ConfiguredSource[],
  created: ReadonlyMap<string, Source>,
): Problem[] {
  return sources.flatMap(({ name, forward = [], lineOf }) => {
    const source = created.get(name);
    if (source === undefined) return [];
    return forward.flatMap(({ types, where }, index): Problem[] => {
      const reads = where === undefined ? [] : pathsRead(`select ${where}`);
      if (reads.length === 0) return [];
      const payloads = payloadsFor(source, types);
      return reads.flatMap(({ of, read, steps }): Problem[] => {
        if (of !== "payload" || payloads.some((one) => lookUp(one, steps) !== "missing")) return [];
        const meant = nearestPath(payloads, steps);
        if (meant === undefined) return [];
        const message = `sources.${name}.forward.where: ${read} is in no made-up event of ${source.provider.title}. Did you mean ${meant}?`;
        return [{ file: CONFIG_FILE, line: lineOf("forward", index, "where"), message }];
      });
    });
  });
}

const ID = "0".repeat(24);

/** @param types whole types, or prefixes and `*`; undefined for the usual ones */
function payloadsFor(source: Source, types: readonly string[] | undefined): unknown[] {
  const usual = examples.get(source.provider.name)?.types ?? [];
  const keys = (types ?? usual).map((type) => type.replace(/\.?\*$/, "") || "_any");
  return keys
    .flatMap((key) => sampleEvents(source, key, eventTypes, ID, 0))
    .flatMap((sample) => ("why" in sample ? [] : [sample.input.payloadJson]))
    .flatMap((json) => (json === null ? [] : [JSON.parse(json) as unknown]));
}
