import { readTextFile } from "../config/text-file.ts";
import type { Engine, HandlerCode, Handlers, LoadedHandler } from "../engines/engine.ts";
import { unreadable, type Problem } from "../errors.ts";
import { findHandlers, type HandlerFile } from "./find.ts";
import { lookUp } from "./look-up.ts";

/**
 * The code of every handler of an inbox folder, read once. It can be bound to a rehearsal and to the
 * database.
 */
export interface HandlersRead {
  readonly code: readonly { readonly source: string; readonly key: string; readonly code: HandlerCode }[];
  /** All handlers that were found, including those with problems. */
  readonly files: Handlers["files"];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** The part of an engine that loads handlers. */
export type HandlerEngine = Pick<Engine, "loadHandler" | "handlerModules">;

/** Finds and reads the handlers. The top level of each TypeScript handler runs here. */
export async function readHandlers(
  inboxFolder: string,
  sources: readonly string[],
  engineModules: HandlerEngine["handlerModules"],
  /** Reads only these files. */
  only: (file: string) => boolean = () => true,
): Promise<HandlersRead> {
  const found = findHandlers(inboxFolder, sources);
  const problems = [...found.problems];
  const code: { source: string; key: string; code: HandlerCode }[] = [];
  for (const file of found.files) {
    if (!only(file.file)) continue;
    const read = await readCode(file, engineModules);
    if (Array.isArray(read)) problems.push(...read);
    else code.push({ source: file.source, key: file.key, code: read });
  }
  const files = found.files.map(({ source, file }) => ({ source, file }));
  return { code, files, problems, warnings: found.warnings };
}

async function readCode(
  { file, path, language }: HandlerFile,
  engineModules: HandlerEngine["handlerModules"],
): Promise<HandlerCode | Problem[]> {
  let text: string;
  try {
    text = readTextFile(path);
  } catch (error) {
    return [unreadable(file, error)];
  }
  const hash = Bun.hash(text).toString(16);
  if (language === "sql") return { language, file, hash, text };
  // Loaded only if there is such a handler, because its imports add 10 ms to a start.
  const { importHandler } = await import("./ts-module.ts");
  return importHandler(file, path, hash, engineModules);
}

export interface BoundHandlers {
  readonly handlers: Handlers;
  /** The problems for which a start is refused. */
  readonly problems: readonly Problem[];
  /**
   * Handlers that fail at each run. A start only warns about them, so that events of other types are still
   * applied.
   */
  readonly failing: readonly Problem[];
}

/** Checks each handler against the engine's tables, and returns the table of handlers. */
export async function bindHandlers(
  { code, files, problems: before }: HandlersRead,
  engine: HandlerEngine,
): Promise<BoundHandlers> {
  const problems = [...before];
  const failing: Problem[] = [];
  const table = new Map<string, LoadedHandler>();
  for (const { source, key, code: one } of code) {
    const loaded = await engine.loadHandler(one);
    if (!("hash" in loaded)) problems.push(...loaded);
    else {
      table.set(`${source}/${key}`, loaded);
      if (loaded.alwaysFails !== undefined) failing.push({ file: loaded.file, message: loaded.alwaysFails });
    }
  }
  return { handlers: { for: createLookUp(table), files }, problems, failing };
}

/**
 * How many types of one source are remembered. A provider sends dozens of types. The limit keeps made-up
 * types from filling the memory.
 */
const MAX_REMEMBERED = 1000;

function createLookUp(table: ReadonlyMap<string, LoadedHandler>): Handlers["for"] {
  const remembered = new Map<string, Map<string, LoadedHandler | null>>();
  return (source, type) => {
    let ofSource = remembered.get(source);
    if (ofSource === undefined) remembered.set(source, (ofSource = new Map()));
    let handler = ofSource.get(type);
    if (handler === undefined) {
      handler = lookUp(table, source, type);
      if (ofSource.size >= MAX_REMEMBERED) ofSource.clear();
      ofSource.set(type, handler);
    }
    return handler;
  };
}
