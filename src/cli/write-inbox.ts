import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { CONFIG_FILE } from "../config/load.ts";
import { rawSources, tableOf } from "../config/schema.ts";
import { isPostgres, nameOf, writtenLocation, type DatabaseLocation } from "../config/location.ts";
import { readTextFile } from "../config/text-file.ts";
import { readToml, TomlError } from "../config/toml.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { providers } from "../providers/presets.ts";
import { kindOf } from "../providers/schemes.ts";
import { editorTypes } from "../templates/editor-types.ts";
import {
  inboxFiles,
  inboxFilesFor,
  inboxFilesForPostgres,
  type InboxFile,
} from "../templates/inbox-files.ts";

/**
 * Paths are relative to the folder and use `/`. The editor's types are many files, listed as one:
 * `.hookonce/types/`.
 */
export interface InitResult {
  /** What was made. Includes the types if they were updated. */
  written: string[];
  /** What existed already and was left unchanged. */
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
 * @param database the application's own, as hookonce.toml will name it. Without it, and for PostgreSQL, samples are
 *   written, too
 * @throws HookonceError `folder_not_empty` if `migrations/` or `handlers/` belong to something else, because
 * hookonce would run what is in them; or if something other than a regular file or folder has the name of one
 * that is needed, symbolic links included, because hookonce must not write to their targets; `disk_full` or
 * `storage_failed` if the file system refuses
 */
export function writeInbox(folder: string, database?: string): InitResult {
  const dialect = isOnPostgres(folder, database) ? "postgres" : "sqlite";
  const types = Object.entries(editorTypes(dialect)).map(([path, text]) => ({
    path: `${typesFolder}/${path}`,
    text,
  }));
  try {
    const wanted = filesFor(folder, database).filter(
      ({ path, sample, optional }) =>
        (sample !== true || isSampleWanted(folder, path)) &&
        (optional !== true || isFileOrNothing(folder, path)),
    );
    const paths = [...wanted, ...types].map(({ path }) => path);
    refuseWhatIsInTheWay(folder, paths);
    refuseForeignFolders(folder);
    if (database !== undefined) refuseOtherDatabase(folder, database);
    mkdirSync(folder, { recursive: true });
    for (const path of foldersAbove(paths)) mkdirSync(join(folder, path), { recursive: true });

    const result: InitResult = { written: [], kept: [] };
    for (const { path, text, secret } of wanted) {
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

/** Whether the folder is, or will be, for a database on PostgreSQL. */
function isOnPostgres(folder: string, database: string | undefined): boolean {
  return database === undefined ? databaseIn(folder)?.kind === "postgres" : isPostgres(database);
}

function filesFor(folder: string, database: string | undefined): readonly InboxFile[] {
  const present = databaseIn(folder);
  const url = database ?? (present?.kind === "postgres" ? present.urls[0] : undefined);
  if (url === undefined) return inboxFiles;
  return isPostgres(url) ? inboxFilesForPostgres(url, variablesIn(url)) : inboxFilesFor(url);
}

/** The variables that a URL of PostgreSQL names, for .env. */
function variablesIn(url: string): string[] {
  return Array.from(url.matchAll(/(?:^|[?&]password=)env:(\w+)/g), ([, name = ""]) => name);
}

/** Without a hookonce.toml, what is in these folders was made by something else. */
function refuseForeignFolders(folder: string): void {
  if (existsSync(join(folder, CONFIG_FILE))) return;
  for (const name of ["migrations", "handlers"]) {
    const [first] = entriesOf(join(folder, name));
    if (first === undefined) continue;
    const how = name === "migrations" ? "apply its files to its database" : "run its files as handlers";
    const path = join(folder, name);
    throw new HookonceError(
      "folder_not_empty",
      `${path} (with ${first} in it) is not hookonce's: there is no ${CONFIG_FILE} beside it, and hookonce would ${how}. Choose another folder, as in hookonce init ${join(folder, "hookonce")}. To use an application's own SQLite database: hookonce init --database FILE. Nothing was written.`,
    );
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return [];
    throw error;
  }
}

/**
 * Samples are for a folder that has no migrations and handlers yet. An application's own database never gets
 * the sample tables, even when `init` is run again.
 */
function isSampleWanted(folder: string, path: string): boolean {
  if (existsSync(join(folder, path))) return true;
  const isUsed = ["migrations", "handlers"].some((name) => entriesOf(join(folder, name)).length > 0);
  if (isUsed && existsSync(join(folder, CONFIG_FILE))) return false;
  const database = databaseIn(folder);
  return database?.kind !== "file" || !relative(resolve(folder), database.path).startsWith("..");
}

function isFileOrNothing(folder: string, path: string): boolean {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return true;
  return lstatSync(join(folder, path), { throwIfNoEntry: false })?.isFile() !== false;
}

function refuseOtherDatabase(folder: string, database: string): void {
  const path = join(folder, CONFIG_FILE);
  const present = databaseIn(folder);
  const wanted = writtenLocation(resolve(folder), database);
  if (!existsSync(path) || (present && nameOf(present)) === (wanted && nameOf(wanted))) return;
  throw new HookonceError(
    "folder_not_empty",
    `${path} exists, and it does not name this database. Set it there: database = ${JSON.stringify(database)}. Nothing was written.`,
  );
}

/** The database that an existing hookonce.toml names. */
function databaseIn(folder: string): DatabaseLocation | undefined {
  return writtenLocation(resolve(folder), configIn(folder)["database"]) ?? undefined;
}

/** Whether a source in hookonce.toml is unsigned, so that only `serve --dev` serves it. */
export function hasUnsignedSource(folder: string): boolean {
  return rawSources(configIn(folder)).some(([, source]) => {
    const { provider, allow_public: allowPublic } = tableOf(source);
    const preset = typeof provider === "string" ? providers.get(provider) : undefined;
    return preset !== undefined && kindOf(preset.scheme).proof === "none" && allowPublic !== true;
  });
}

/** Returns hookonce.toml as far as it can be read, or an empty table. */
function configIn(folder: string): Readonly<Record<string, unknown>> {
  try {
    return tableOf(readToml(readTextFile(join(folder, CONFIG_FILE))).value);
  } catch (error) {
    if (error instanceof TomlError || codeOf(error) !== undefined) return {};
    throw error;
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
