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
 * Reads `handlers/`, which has a folder for each source with a file for each type. `lib/`, `<source>/fixtures/`
 * and `*.test.ts` are not handlers. Every other file that will not run is named, except those of editors and systems.
 */
export function findHandlers(inboxFolder: string, sources: readonly string[]): FoundHandlers {
  const files: HandlerFile[] = [];
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const found = { files, problems, warnings };
  for (const entry of entriesOf(join(inboxFolder, "handlers"), "handlers", problems)) {
    const { name, kind } = entry;
    if (name === "lib") continue;
    const file = `handlers/${name}`;
    if (kind === "folder" && !sources.includes(name)) {
      warnings.push({
        file,
        message: `no source is named "${name}", so nothing in this folder ever runs. Rename or remove the folder`,
      });
    } else if (kind === "folder") {
      collect(inboxFolder, name, "", [], found);
    } else if (kind === "file" && languageOf(name) !== undefined) {
      problems.push({
        file,
        message: "a handler belongs in its source's folder. Move it to handlers/<source>/<type>.sql or .ts",
      });
    } else {
      warnings.push(...whyNot(file, entry));
    }
  }
  problems.push(...twice(files));
  return found;
}

function collect(
  inbox: string,
  source: string,
  under: string,
  /** The real paths of the folders above this one. A link may lead back to one of them. */
  around: readonly string[],
  found: { readonly files: HandlerFile[]; readonly problems: Problem[]; readonly warnings: Problem[] },
): void {
  const { files, problems, warnings } = found;
  const folder = join(inbox, "handlers", source, under);
  const here = `handlers/${source}${under === "" ? "" : `/${under}`}`;
  const real = realpathSync(folder);
  if (around.includes(real)) {
    problems.push({ file: here, message: "leads back to a folder above it. Remove the link" });
    return;
  }
  for (const entry of entriesOf(folder, here, problems)) {
    const { name, kind } = entry;
    const relative = under === "" ? name : `${under}/${name}`;
    const file = `handlers/${source}/${relative}`;
    if (kind === "folder") {
      if (under === "" && name === "fixtures") continue;
      collect(inbox, source, relative, [...around, real], found);
      continue;
    }
    if (/\.(?:test|d)\.ts$/.test(name)) continue;
    const language = languageOf(name);
    if (kind !== "file" || language === undefined) {
      if (kind === "file" && /\.(?:[cm]?js|jsx|tsx|[cm]ts)$/.test(name))
        problems.push({
          file,
          message: "only .sql and .ts files are handlers. Rename the file, or move it to handlers/lib/",
        });
      else warnings.push(...whyNot(file, entry));
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

/** Files that editors, systems and package managers leave in any folder. */
const JUNK =
  /~$|^#.*#$|\.(?:sw[a-z]|bak|orig|rej|tmp|crdownload)$|^(?:Thumbs\.db|desktop\.ini|Icon\r|tsconfig\.json|package\.json|package-lock\.json|bun\.lockb?)$/i;

/** Why a file that is neither a handler nor a problem will not run, as a warning. */
function whyNot(file: string, { name, kind }: Entry): Problem[] {
  if (JUNK.test(name)) return [];
  const lower = name.replace(/\.[^.]*$/, (extension) => extension.toLowerCase());
  const message =
    kind === "nothing"
      ? "this link leads to nothing. Correct or remove it"
      : kind === "other"
        ? "this is neither a file nor a folder. Remove it"
        : languageOf(lower) === undefined
          ? "only .sql and .ts files are handlers. Move the file out of handlers/, or to handlers/lib/"
          : `the ending of a handler must be in lower case. Rename the file to ${lower}`;
  return [{ file, message: `never runs: ${message}` }];
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

interface Entry {
  readonly name: string;
  /** What it is, or where a link leads. */
  readonly kind: "file" | "folder" | "nothing" | "other";
}

function entriesOf(folder: string, file: string, problems: Problem[]): Entry[] {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") problems.push(unreadable(file, error));
  }
  return names
    .filter((name) => !name.startsWith(".") && name !== "node_modules")
    .sort()
    .flatMap((name) => {
      try {
        return [{ name, kind: kindOf(join(folder, name)) }];
      } catch (error) {
        problems.push(unreadable(`${file}/${name}`, error));
        return [];
      }
    });
}

/** Reading a pipe or a device would wait for ever. */
function kindOf(path: string): Entry["kind"] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "nothing";
  return found.isDirectory() ? "folder" : found.isFile() ? "file" : "other";
}
