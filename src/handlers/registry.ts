import type { Database } from "bun:sqlite";
import type { Problem } from "../errors.ts";
import { findHandlers, keyOf } from "./find.ts";
import { createGates } from "./gate.ts";
import type { LoadedHandler } from "./handler.ts";
import { loadSqlHandler } from "./sql-handler.ts";
import type { loadTsHandler, OnLateError } from "./ts-handler.ts";

/** The table of handlers, made at start. */
export interface Handlers {
  /** The handler for a type: the most specific one, or null. */
  readonly for: (source: string, type: string) => LoadedHandler | null;
  readonly files: readonly { source: string; file: string }[];
}

export interface LoadedHandlers {
  readonly handlers: Handlers;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Finds, loads and checks every handler of an inbox folder against a database that has its tables. */
export async function loadHandlers(options: {
  inboxFolder: string;
  sources: readonly string[];
  connection: Database;
  onLateError: OnLateError;
}): Promise<LoadedHandlers> {
  const found = findHandlers(options.inboxFolder, options.sources);
  const problems = [...found.problems];
  const table = new Map<string, LoadedHandler>();
  const openGate = createGates(options.connection);
  for (const { source, key, file, path, language } of found.files) {
    const loaded =
      language === "sql"
        ? loadSqlHandler(options.connection, file, path)
        : await loadTs(openGate, file, path, options.onLateError);
    if (Array.isArray(loaded)) problems.push(...loaded);
    else table.set(`${source}/${key}`, loaded);
  }
  return {
    handlers: {
      for: createLookUp(table),
      files: found.files.map(({ source, file }) => ({ source, file })),
    },
    problems,
    warnings: found.warnings,
  };
}

/** With all that such a handler is supplied with, which is nothing to a start where all of them are SQL. */
async function loadTs(...args: Parameters<typeof loadTsHandler>): ReturnType<typeof loadTsHandler> {
  const { loadTsHandler } = await import("./ts-handler.ts");
  return loadTsHandler(...args);
}

/** Of each source. A provider sends some dozens of types; whoever can make up more must not fill the memory. */
const MAX_REMEMBERED = 1000;

function createLookUp(table: ReadonlyMap<string, LoadedHandler>): Handlers["for"] {
  const remembered = new Map<string, Map<string, LoadedHandler | null>>();
  return (source, type) => {
    let ofSource = remembered.get(source);
    if (ofSource === undefined) remembered.set(source, (ofSource = new Map()));
    let handler = ofSource.get(type);
    if (handler === undefined) {
      handler = lookUp(table, source, keyOf(type));
      if (ofSource.size >= MAX_REMEMBERED) ofSource.clear();
      ofSource.set(type, handler);
    }
    return handler;
  };
}

/** `issues.opened`, then `issues`, then `_any`: the last dotted part is dropped until a file is found. */
function lookUp(
  table: ReadonlyMap<string, LoadedHandler>,
  source: string,
  key: string,
): LoadedHandler | null {
  for (let rest = key; rest !== ""; rest = withoutLastPart(rest)) {
    const handler = table.get(`${source}/${rest}`);
    if (handler !== undefined) return handler;
  }
  return table.get(`${source}/_any`) ?? null;
}

function withoutLastPart(key: string): string {
  const dot = key.lastIndexOf(".");
  // Not beyond a slash: `v1.2/orders` has no more general form.
  return dot > key.lastIndexOf("/") ? key.slice(0, dot) : "";
}
