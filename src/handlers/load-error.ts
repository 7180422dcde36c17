import { readFileSync, realpathSync } from "node:fs";
import { messageOf, stackOf, type Problem } from "../errors.ts";

/** `path` is absolute, `line` counts from 1. */
interface Place {
  readonly path: string;
  readonly line: number | undefined;
}

/**
 * Returns why a `.ts` handler could not be loaded, and where: in the file itself or in one that it imports.
 * Bun reports a syntax error as an AggregateError of messages with positions. For an import that fails it
 * reports only the file that contains the import.
 *
 * @param file the handler's path relative to the inbox folder
 * @param path its absolute path
 */
export function loadProblems(file: string, path: string, error: unknown): Problem[] {
  const inbox = path.slice(0, -file.length);
  const messages = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
  return messages.map((message) => {
    const text = `${messageOf(message)}${remedyFor(message)}`;
    for (const { path: at, line } of placesOf(message, path)) {
      const found = relativeTo(inbox, at);
      if (found === file) return { file, line, message: text };
      if (found !== undefined) return { file: found, line, message: `${text} (imported by ${file})` };
    }
    return { file, message: text };
  });
}

/** drizzle's tables are those of one engine, and only that engine's are supplied. */
const OTHER_ENGINE: Readonly<Record<string, string>> = {
  "drizzle-orm/sqlite-core": ". The database is on PostgreSQL, so import drizzle-orm/pg-core",
  "drizzle-orm/pg-core": ". The database is SQLite, so import drizzle-orm/sqlite-core",
};

const remedyFor = (error: unknown): string =>
  OTHER_ENGINE[(error as BunMessage | null)?.specifier ?? ""] ?? "";

/**
 * Returns where an error was thrown while a handler ran: the first place in its stack that is in the inbox
 * folder.
 *
 * @param file the handler's path relative to the inbox folder
 * @param path its absolute path
 */
export function thrownAt(file: string, path: string, thrown: unknown): string | undefined {
  const inbox = path.slice(0, -file.length);
  for (const { path: at, line } of framesOf(thrown)) {
    const found = relativeTo(inbox, at);
    if (found !== undefined) return `${found}:${line}`;
  }
  return undefined;
}

interface BunMessage {
  readonly position?: { readonly file?: string; readonly line?: number } | null;
  readonly referrer?: string;
  readonly specifier?: string;
}

/** The places the error may come from, the most likely first. */
function placesOf(error: unknown, path: string): Place[] {
  const { position, referrer, specifier } = (error ?? {}) as BunMessage;
  if (position?.line !== undefined) return [{ path: position.file ?? path, line: position.line }];
  if (referrer !== undefined && specifier !== undefined)
    return [
      { path: referrer, line: lineWith(referrer, new RegExp(`["'\`]${RegExp.escape(specifier)}["'\`]`)) },
    ];
  const name = /^Export named '(.+?)' not found/.exec(messageOf(error))?.[1];
  if (name !== undefined) return [{ path, line: lineWith(path, new RegExp(`\\b${RegExp.escape(name)}\\b`)) }];
  return framesOf(error);
}

/** How many characters of a stack are searched. */
const MAX_STACK = 64 * 1024;

function framesOf(error: unknown): Place[] {
  // The message comes first, and it may be long.
  return Array.from((stackOf(error) ?? "").slice(-MAX_STACK).matchAll(FRAME), ([, at, line]) => ({
    path: at as string,
    line: Number(line),
  }));
}

const FRAME = /(?:\(|at )(\/[^\n]*?|[A-Za-z]:[\\/][^\n]*?):(\d+):\d+\)?$/gm;

function lineWith(path: string, what: RegExp): number | undefined {
  try {
    const index = readFileSync(path, "utf8")
      .split("\n")
      .findIndex((line) => what.test(line));
    return index === -1 ? undefined : index + 1;
  } catch {
    return undefined;
  }
}

/** The path relative to the inbox folder. Undefined for files outside it, such as hookonce's own code. */
function relativeTo(folder: string, path: string): string | undefined {
  return [folder, `${realpathSync(folder)}/`].flatMap((one) =>
    path.startsWith(one) ? [path.slice(one.length).replaceAll("\\", "/")] : [],
  )[0];
}
