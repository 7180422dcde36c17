import { readdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { unreadable, type Problem } from "../errors.ts";

export interface HandlerFile {
  readonly source: string;
  /** The part of the path that is matched with the event's type: `issues.opened`, `orders/create`, `_any`. */
  readonly key: string;
  /** The path relative to the inbox folder, with `/` on every system. */
  readonly file: string;
  readonly path: string;
  readonly language: "sql" | "ts";
}

export interface FoundHandlers {
  readonly files: readonly HandlerFile[];
  readonly problems: readonly Problem[];
  /** Not errors, but perhaps not what the user meant. */
  readonly warnings: readonly Problem[];
}

/** Characters that become `_` in the key of a type. A handler's file name must not contain them. */
const NOT_IN_NAMES = /[^A-Za-z0-9._/-]/gu;

/**
 * The key under which a type is looked up. A type never becomes a path: the slash before Slack's `/weather`
 * becomes `_`.
 */
export function keyOf(type: string): string {
  return type.replace(/^\//, "_").replace(NOT_IN_NAMES, "_");
}

/**
 * Reads `handlers/`, which has a folder for each source with a file for each type. `lib/` and `*.test.ts` are
 * not handlers.
 */
export function findHandlers(inboxFolder: string, sources: readonly string[]): FoundHandlers {
  const files: HandlerFile[] = [];
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  for (const { name, isFolder } of entriesOf(join(inboxFolder, "handlers"), "handlers", problems)) {
    if (name === "lib") continue;
    const file = `handlers/${name}`;
    if (!isFolder) {
      if (languageOf(name) !== undefined) {
        problems.push({
          file,
          message: "a handler belongs in its source's folder. Move it to handlers/<source>/<type>.sql or .ts",
        });
      }
    } else if (!sources.includes(name)) {
      warnings.push({
        file,
        message: `no source is named "${name}", so nothing in this folder ever runs. Rename or remove the folder`,
      });
    } else {
      collect(inboxFolder, name, "", [], files, problems);
    }
  }
  problems.push(...twice(files));
  return { files, problems, warnings };
}

function collect(
  inbox: string,
  source: string,
  under: string,
  /** The real paths of the folders above this one. A link may lead back to one of them. */
  around: readonly string[],
  files: HandlerFile[],
  problems: Problem[],
): void {
  const folder = join(inbox, "handlers", source, under);
  const here = `handlers/${source}${under === "" ? "" : `/${under}`}`;
  const real = realpathSync(folder);
  if (around.includes(real)) {
    problems.push({ file: here, message: "leads back to a folder above it. Remove the link" });
    return;
  }
  for (const { name, isFolder } of entriesOf(folder, here, problems)) {
    const relative = under === "" ? name : `${under}/${name}`;
    const file = `handlers/${source}/${relative}`;
    if (isFolder) {
      collect(inbox, source, relative, [...around, real], files, problems);
      continue;
    }
    if (/\.(?:test|d)\.ts$/.test(name)) continue;
    const language = languageOf(name);
    if (language === undefined) {
      if (/\.(?:[cm]?js|jsx|tsx|[cm]ts)$/.test(name))
        problems.push({
          file,
          message: "only .sql and .ts files are handlers. Rename the file, or move it to handlers/lib/",
        });
      continue;
    }
    const key = relative.replace(/\.(?:sql|ts)$/, "");
    if (key !== keyOf(key)) {
      problems.push({
        file,
        message: `this name matches no event type. Rename the file to ${keyOf(key)}.${language}`,
      });
      continue;
    }
    files.push({ source, key, file, path: join(folder, name), language });
  }
}

function twice(files: readonly HandlerFile[]): Problem[] {
  const seen = new Map<string, HandlerFile>();
  const problems: Problem[] = [];
  for (const file of files) {
    const where = `${file.source}/${file.key}`;
    const other = seen.get(where);
    if (other !== undefined) {
      problems.push({
        file: file.file,
        message: `${other.file} is for the same type, and an event runs only one handler. Keep one of the two files`,
      });
    }
    seen.set(where, file);
  }
  return problems;
}

function languageOf(name: string): "sql" | "ts" | undefined {
  return name.endsWith(".sql") ? "sql" : name.endsWith(".ts") ? "ts" : undefined;
}

function entriesOf(folder: string, file: string, problems: Problem[]): { name: string; isFolder: boolean }[] {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") problems.push(unreadable(file, error));
  }
  return names
    .filter((name) => !name.startsWith("."))
    .sort()
    .flatMap((name) => {
      try {
        // stat follows links. A link without a target is ignored.
        const found = statSync(join(folder, name), { throwIfNoEntry: false });
        return found === undefined ? [] : [{ name, isFolder: found.isDirectory() }];
      } catch (error) {
        problems.push(unreadable(`${file}/${name}`, error));
        return [];
      }
    });
}
