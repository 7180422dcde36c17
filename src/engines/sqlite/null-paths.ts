import type { Database } from "bun:sqlite";
import type { HandlerInput } from "../engine.ts";

const STRING = "'(?:[^']|'')*'";

/** Comments, string literals, and a parameter that is read with `->`, `->>` or json_extract(). */
const READS = new RegExp(
  [
    String.raw`--[^\n]*|/\*[^]*?(?:\*/|$)`,
    String.raw`(?<read>:(?:payload|headers)(?:\s*->>?\s*(?:${STRING}|\d+))+)`,
    String.raw`(?<call>\bjson_extract\s*\(\s*:(?:payload|headers)\s*,\s*${STRING}\s*\))`,
    STRING,
    `"(?:[^"]|"")*"`,
  ].join("|"),
  "gi",
);

/**
 * Finds the JSON paths of a SQL handler that lead to nothing in this event, or to null. Only literal paths
 * are read.
 *
 * @returns each as it is written in the handler, once
 */
export function nullPaths(db: Database, sql: string, input: HandlerInput): string[] {
  const reads = Array.from(sql.matchAll(READS), ({ groups }) => groups?.["read"] ?? groups?.["call"] ?? "");
  return [...new Set(reads)].filter((read) => read !== "" && isNull(db, read, input));
}

function isNull(db: Database, read: string, { payloadJson, headersJson }: HandlerInput): boolean {
  const value = read.toLowerCase().includes(":payload") ? payloadJson : headersJson;
  try {
    // A path that is no path is an error, which the handler's own run reports.
    return db.query(`select (${read}) is null`).values(value)[0]?.[0] === 1;
  } catch {
    return false;
  }
}
