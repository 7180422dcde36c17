import type { StatusJson } from "../http/admin/shapes.ts";
import { visible } from "../logging/visible.ts";
import { ago } from "./moments.ts";

/** The processes that use the database. None if it is this one alone. */
export function nodeLines({ nodes, now }: Pick<StatusJson, "nodes" | "now">): string[] {
  if (nodes.length < 2) return [];
  return [
    `${nodes.length} nodes use this database:`,
    ...nodes.map(({ name, version, config, handlers, last_seen_at: seenAt, silent }) => {
      const loaded =
        version === null ? "is starting" : `hookonce ${version}, config ${config}, handlers ${handlers}`;
      return `  ${visible(name)}: ${loaded}${silent ? `, last seen ${ago(seenAt, now)}` : ""}`;
    }),
  ];
}
