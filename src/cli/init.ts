import { lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { HookonceError, messageOf } from "../errors.ts";
import { editorTypes } from "../templates/editor-types.ts";
import { inboxFiles } from "../templates/inbox-files.ts";

/**
 * Paths relative to the folder, with `/`. The types for the editor are many files, and stand here as one:
 * `.hookonce/types/`.
 */
export interface InitResult {
  /** Made, or in the case of the types: brought up to date. */
  written: string[];
  /** Was there already and has been left as it was. */
  kept: string[];
}

const typesFolder = ".hookonce/types";

/**
 * Makes an inbox folder, or adds to one what it lacks. A file that exists is never written to, except below
 * `.hookonce/types`, which is hookonce's own: there an upgraded hookonce replaces what has changed.
 *
 * Looks at everything before it writes anything. Throws `folder_not_empty` when something other than a plain file or
 * folder stands where one is wanted, symbolic links among them, since what they lead to is not ours to write;
 * `disk_full` or `storage_failed` when the file system refuses. The folder itself may be a link.
 */
export function writeInbox(folder: string): InitResult {
  const types = Object.entries(editorTypes()).map(([path, text]) => ({
    path: `${typesFolder}/${path}`,
    text,
  }));
  const paths = [...inboxFiles, ...types].map(({ path }) => path);
  try {
    refuseWhatIsInTheWay(folder, paths);
    mkdirSync(folder, { recursive: true });
    for (const path of foldersAbove(paths)) mkdirSync(join(folder, path), { recursive: true });

    const result: InitResult = { written: [], kept: [] };
    for (const { path, text, secret } of inboxFiles) {
      const isNew = create(join(folder, path), text, secret === true ? 0o600 : 0o666);
      (isNew ? result.written : result.kept).push(path);
    }
    const changed = types.filter(({ path, text }) => refresh(join(folder, path), text));
    (changed.length > 0 ? result.written : result.kept).push(`${typesFolder}/`);
    return result;
  } catch (error) {
    throw asHookonceError(error);
  }
}

function refuseWhatIsInTheWay(folder: string, paths: readonly string[]): void {
  const self = statSync(folder, { throwIfNoEntry: false });
  if (self === undefined) {
    const link = lstatSync(folder, { throwIfNoEntry: false });
    if (link !== undefined) throw inTheWay(folder, "a symbolic link to nothing", "folder");
    return;
  }
  if (!self.isDirectory()) throw inTheWay(folder, "a file", "folder");

  // Folders first and from the top, since nothing can be said of what stands below a file.
  const folders = foldersAbove(paths).map((path) => ({ path, kind: "folder" as const }));
  const files = paths.map((path) => ({ path, kind: "file" as const }));
  for (const { path, kind } of [...folders, ...files]) {
    const found = lstatSync(join(folder, path), { throwIfNoEntry: false });
    if (found === undefined) continue;
    if (found.isSymbolicLink()) throw inTheWay(join(folder, path), "a symbolic link", kind);
    if (kind === "folder" && !found.isDirectory()) throw inTheWay(join(folder, path), "a file", kind);
    if (kind === "file" && !found.isFile()) {
      throw inTheWay(join(folder, path), found.isDirectory() ? "a folder" : "a special file", kind);
    }
  }
}

/** Each folder that the paths go through, the upper ones first. */
function foldersAbove(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let above = dirname(path); above !== "."; above = dirname(above)) folders.add(above);
  }
  return [...folders].sort();
}

function inTheWay(path: string, found: string, kind: "file" | "folder"): HookonceError {
  return new HookonceError(
    "folder_not_empty",
    `${path} is ${found}, and hookonce init wants a ${kind} there: move it away, or init another folder. Nothing was written.`,
    { problems: [{ file: path, message: `${found} where a ${kind} is wanted` }] },
  );
}

/** False when there is something of that name. Exclusive, so that nothing is overwritten even if it has just come. */
function create(path: string, text: string, mode: number): boolean {
  try {
    writeFileSync(path, text, { flag: "wx", mode });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** True when it wrote: the file was not there or was another. */
function refresh(path: string, text: string): boolean {
  if (create(path, text, 0o666)) return true;
  if (readFileSync(path, "utf8") === text) return false;
  writeFileSync(path, text);
  return true;
}

function asHookonceError(error: unknown): HookonceError {
  if (error instanceof HookonceError) return error;
  return new HookonceError(
    codeOf(error) === "ENOSPC" ? "disk_full" : "storage_failed",
    `hookonce init could not write the folder: ${messageOf(error)}`,
    { cause: error },
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** What `hookonce init` prints: what there is now, and what to type next. */
export function initSummary({ written, kept }: InitResult, folder: string): string {
  const width = Math.max(...written.map((path) => path.length));
  const lines =
    written.length === 0
      ? [`Nothing to write: ${folder} has it all.`]
      : [`Wrote to ${folder}:`, ...written.map((path) => `  ${path.padEnd(width)}  ${purposeOf(path)}`)];
  if (written.length > 0 && kept.length > 0) lines.push(`Left as they were: ${kept.join(", ")}`);

  lines.push("", "Start it:", `  hookonce serve ${shellWord(folder)}`);
  // A hookonce.toml of the user's own may listen elsewhere and have no source that takes this.
  if (written.includes("hookonce.toml")) {
    lines.push(
      "and, from another terminal, send it an event. Twice, if you like: it counts once.",
      `  curl -H 'content-type: application/json' -d '${JSON.stringify(firstEvent)}' http://127.0.0.1:8787/webhook`,
    );
  }
  return `${lines.join("\n")}\n`;
}

const firstEvent = { event_id: "evt_1", type: "credit.added", customer: "ada", cents: 500 };

function purposeOf(path: string): string {
  return inboxFiles.find((file) => file.path === path)?.purpose ?? "for your editor: nothing to install";
}

/** As one word of a POSIX shell that is no option. */
export function shellWord(text: string): string {
  const word = text.startsWith("-") ? `./${text}` : text;
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
