import { lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { HookonceError, messageOf } from "../errors.ts";
import { editorTypes } from "../templates/editor-types.ts";
import { inboxFiles } from "../templates/inbox-files.ts";

/**
 * Paths are relative to the folder and use `/`. The editor's types are many files, listed as one:
 * `.hookonce/types/`.
 */
export interface InitResult {
  /** Made; the types also if they were brought up to date. */
  written: string[];
  /** Existed already, and was left unchanged. */
  kept: string[];
}

const typesFolder = ".hookonce/types";

/**
 * Makes an inbox folder, or adds the files that an existing one lacks. It never writes to a file that exists,
 * except below `.hookonce/types`: those files are hookonce's own, and a newer hookonce replaces the ones that
 * have changed. The folder itself may be a symbolic link.
 *
 * Checks every path before it writes anything.
 *
 * @throws HookonceError `folder_not_empty` if something other than a regular file or folder has the name of
 * one that is needed, symbolic links included, because their targets are not ours to write; `disk_full` or
 * `storage_failed` if the file system refuses
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

  // Folders first, from the top: a path below a file cannot be examined.
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

/** Every parent folder of these paths, the outer ones first. */
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
    `${path} is ${found}, but hookonce init needs a ${kind} there. Move it away, or choose another folder. Nothing was written.`,
    { problems: [{ file: path, message: `is ${found}, but must be a ${kind}` }] },
  );
}

/** @returns false if the name is taken. Uses `wx`, so that a file made in the meantime is not overwritten. */
function create(path: string, text: string, mode: number): boolean {
  try {
    writeFileSync(path, text, { flag: "wx", mode });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** @returns whether it wrote: the file was missing, or had another text */
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
    `hookonce init cannot write to the folder: ${messageOf(error)}`,
    { cause: error },
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** What `hookonce init` prints: the files it made, and the commands to type next. */
export function initSummary({ written, kept }: InitResult, folder: string): string {
  const width = Math.max(...written.map((path) => path.length));
  const lines =
    written.length === 0
      ? [`Nothing to write: ${folder} is complete.`]
      : [`Wrote to ${folder}:`, ...written.map((path) => `  ${path.padEnd(width)}  ${purposeOf(path)}`)];
  if (written.length > 0 && kept.length > 0) lines.push(`Left unchanged: ${kept.join(", ")}`);

  lines.push(
    "",
    "Start hookonce (--dev, because the source in it is unsigned):",
    `  hookonce serve --dev ${shellWord(folder)}`,
  );
  // The user's own hookonce.toml may listen elsewhere, and may have no source that accepts this event.
  if (written.includes("hookonce.toml")) {
    lines.push(
      "Then send it an event from another terminal. Send it twice: it is applied once.",
      `  curl -H 'content-type: application/json' -d '${JSON.stringify(firstEvent)}' http://127.0.0.1:8787/webhook`,
    );
  }
  return `${lines.join("\n")}\n`;
}

const firstEvent = { event_id: "evt_1", type: "credit.added", customer: "ada", cents: 500 };

function purposeOf(path: string): string {
  return inboxFiles.find((file) => file.path === path)?.purpose ?? "types for your editor";
}

/** Quotes a text so that a shell reads it as one word, and the command does not read it as an option. */
export function shellWord(text: string): string {
  const word = text.startsWith("-") ? `./${text}` : text;
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
