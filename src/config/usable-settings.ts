import { join } from "node:path";
import { ADDRESS, parseAddress } from "./address.ts";
import { readLocation } from "./database-problems.ts";
import { writtenLocation, type DatabaseLocation } from "./location.ts";
import { nearest } from "./nearest.ts";
import { DEFAULT_DATABASE, DEFAULT_LISTEN, tableOf } from "./schema.ts";
import { CONFIG_FILE } from "./schema-problems.ts";
import { readTextFile } from "./text-file.ts";
import { readToml, TomlError } from "./toml.ts";

/** The usable settings of a config that has problems. */
export interface UsableSettings {
  /** Null if it is not clear which database is meant. */
  readonly database: DatabaseLocation | null;
  readonly convertToWal: boolean;
  /** The default if it cannot be read. */
  readonly listen: { readonly hostname: string; readonly port: number };
}

/**
 * Reads the settings of a `hookonce.toml` with problems. A wrong database would make every handler look
 * wrong, so it is null rather than a guess: if the value is not a path, if the key seems to be misspelled or
 * in the wrong table, or if its line is not TOML.
 */
export function usableSettings(inboxFolder: string): UsableSettings {
  const { value, dropped } = readAround(join(inboxFolder, CONFIG_FILE));
  const { database, convert_to_wal: convertToWal, listen, ...others } = tableOf(value);
  const isMeantElsewhere = [...keysIn(others), ...dropped.flatMap(keyOf)].some(isLikeDatabase);
  const path = database ?? (value === undefined || isMeantElsewhere ? null : DEFAULT_DATABASE);
  return {
    database: usableLocation(inboxFolder, path),
    // A start converts the database only if it is allowed. That cannot be judged here.
    convertToWal: typeof convertToWal === "boolean" ? convertToWal : true,
    listen: parseAddress(typeof listen === "string" && ADDRESS.test(listen) ? listen : DEFAULT_LISTEN),
  };
}

function usableLocation(inboxFolder: string, written: unknown): DatabaseLocation | null {
  const location = writtenLocation(inboxFolder, written);
  return location !== null && readLocation(location).problems.length === 0 ? location : null;
}

/** The most lines without valid TOML that are skipped before reading stops. */
const MAX_DROPPED = 20;

/** Reads the file without the lines that are not TOML. `value` is undefined if nothing can be read. */
function readAround(path: string): { value: unknown; dropped: readonly string[] } {
  const dropped: string[] = [];
  let lines: string[];
  try {
    lines = readTextFile(path).split("\n");
  } catch {
    return { value: undefined, dropped };
  }
  while (dropped.length < MAX_DROPPED) {
    try {
      return { value: readToml(lines.join("\n")).value, dropped };
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      dropped.push(lines[error.line - 1] ?? "");
      lines[error.line - 1] = "";
    }
  }
  return { value: undefined, dropped };
}

function keysIn(value: unknown): string[] {
  const entries = Object.entries(tableOf(value));
  return [...entries.map(([key]) => key), ...entries.flatMap(([, inner]) => keysIn(inner))];
}

/** The key of a line that could not be read. */
function keyOf(line: string): string[] {
  const key = /^\s*"?([\w-]+)/.exec(line)?.[1];
  return key === undefined ? [] : [key];
}

function isLikeDatabase(key: string): boolean {
  return nearest(key, ["database"], "") !== "";
}
