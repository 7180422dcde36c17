import { closeSync, existsSync, openSync, realpathSync, rmSync, statSync } from "node:fs";
import { constants, setPriority, tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { listContents } from "../backup/contents.ts";
import { isWithin, realOf } from "../backup/paths.ts";
import { outsideImports } from "../backup/outside-imports.ts";
import { BACKUP_FOLDER, makeTemporaryFolder } from "../backup/temporary-folder.ts";
import { writeBackup } from "../backup/write-backup.ts";
import { CONFIG_FILE, readConfig } from "../config/load.ts";
import { fileAt, locationOfFlag, nameOf } from "../config/location.ts";
import { usableSettings } from "../config/usable-settings.ts";
import { nameFile } from "../engines/new-file.ts";
import { HookonceError, withCode } from "../errors.ts";
import { secretNeeds } from "./sources.ts";
import { storeOf } from "./store.ts";

export interface BackupOptions {
  readonly folder: string;
  /** The file to make. Null: standard output. */
  readonly file: string | null;
  /** Replaces the config's database. */
  readonly database: string | undefined;
  readonly secrets: boolean;
  /** Replaces a file that exists. */
  readonly overwrite: boolean;
  /** Stops the backup, and leaves nothing behind. */
  readonly signal: AbortSignal;
  /** Is told the progress of a step, in bytes. */
  readonly onProgress: (
    step: "copying the database" | "writing the backup",
    done: number,
    bytes: number,
  ) => void;
}

export interface BackedUp {
  readonly bytes: number;
  /** Null if the database is on a server, and so not in the backup. */
  readonly databaseBytes: number | null;
  /** The name of a database on a server. */
  readonly elsewhere: string | null;
  /** Besides the database. */
  readonly files: number;
  /** Files with secrets that are not in it. */
  readonly leftOut: readonly string[];
  readonly warnings: readonly string[];
}

/** Packages that hookonce supplies to handlers. */
const SUPPLIED = ["hookonce", "drizzle-orm", "zod"];

/**
 * Writes an inbox folder and a consistent copy of its database to one file, while a `serve` may be running. A
 * database on a server is left out. The file gets its name when it is complete and on the disk.
 *
 * @throws HookonceError `backup_failed`, `config_invalid`, `database_missing`, `database_locked`, `disk_full`
 */
export async function backUp(options: BackupOptions): Promise<BackedUp> {
  const folder = resolve(options.folder);
  const read = readConfig(folder, secretNeeds, null);
  const configured = read.config?.database ?? usableSettings(folder).database;
  const location = locationOfFlag(folder, options.database) ?? configured;
  if (location === null)
    throw new HookonceError(
      "config_invalid",
      `${CONFIG_FILE} does not say which database to back up. Correct it (hookonce check), or add --database.`,
    );
  const database = location.kind === "file" ? location.path : null;
  if (database !== null) refuseMissing(database);
  const file = options.file === null ? null : resolve(options.file);
  if (file !== null) refusePlace(file, folder, options.overwrite);
  // A copy of another one must not hold that of the config as it is on the disk at that moment.
  const databases = [location, configured ?? location].flatMap((one) =>
    one.kind === "file" ? [one, fileAt(realOf(one.path))] : [],
  );
  const stores = await Promise.all(databases.map(storeOf));
  const {
    contents,
    leftOut,
    warnings: doubts,
  } = listContents({
    folder,
    isOfDatabase: (path) => stores.some((one) => one.belongsTo(path)),
    secretFiles: options.secrets ? null : read.secretFiles,
  });
  const warnings = [...doubts, ...outsideImports(realpathSync(folder), contents, SUPPLIED)];
  if (read.problems.length > 0)
    warnings.push(
      `${CONFIG_FILE} has errors, so a start from this backup would be refused. See: hookonce check`,
    );
  // The thread of the copy inherits it.
  setPriority(constants.priority.PRIORITY_LOW);
  const near = file ?? database;
  const beside = near === null ? tmpdir() : dirname(near);
  return failing(file ?? beside, async () => {
    const temporary = makeTemporaryFolder(beside, BACKUP_FOLDER);
    try {
      const copy = location.kind === "file" ? join(temporary, "database") : null;
      if (location.kind === "file" && copy !== null) {
        const store = await storeOf(location);
        await store.copy(copy, {
          room: file === null ? 1 : 2,
          signal: options.signal,
          onProgress: (done, bytes) => options.onProgress("copying the database", done, bytes),
        });
      }
      const unnamed = join(temporary, "backup.tar");
      const descriptor = file === null ? 1 : openSync(unnamed, "wx", 0o600);
      let bytes: number;
      try {
        bytes = await writeBackup({
          contents,
          copy,
          descriptor,
          manifest: {
            format: 1,
            hookonce: packageJson.version,
            made_at: Date.now(),
            database: database === null ? null : memberOf(database, folder),
            database_path: nameOf(location),
            secrets: options.secrets,
            left_out: [...leftOut],
          },
          onProgress: (done, bytes) => {
            options.signal.throwIfAborted();
            options.onProgress("writing the backup", done, bytes);
          },
        });
      } finally {
        if (file !== null) closeSync(descriptor);
      }
      if (file !== null && !nameFile(unnamed, file, { replace: options.overwrite }))
        throw existsAlready(file);
      const files = contents.filter(({ kind }) => kind !== "folder").length;
      const made = { bytes, databaseBytes: copy === null ? null : statSync(copy).size };
      return { ...made, elsewhere: copy === null ? nameOf(location) : null, files, leftOut, warnings };
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
}

function refuseMissing(database: string): void {
  if ((statSync(database, { throwIfNoEntry: false })?.size ?? 0) > 0) return;
  throw new HookonceError(
    "database_missing",
    `There is no database to back up: ${database} ${existsSync(database) ? "is empty" : "does not exist"}. hookonce makes it at its first start.`,
  );
}

/** Its path in the backup. */
function memberOf(database: string, folder: string): string {
  if (!isWithin(database, folder)) return `data/${basename(database)}`;
  return relative(folder, database).replaceAll("\\", "/");
}

function refusePlace(file: string, folder: string, overwrite: boolean): void {
  const place = dirname(file);
  if (statSync(place, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new HookonceError(
      "backup_failed",
      `The folder ${place} does not exist. Make it, or name another file.`,
    );
  const root = realpathSync(folder);
  const real = join(realpathSync(place), basename(file));
  // Later backups would contain it.
  if (isWithin(real, root) && !isWithin(real, join(root, "data")))
    throw new HookonceError(
      "backup_failed",
      `${file} is in the inbox folder, so the next backup would contain this one. Name a file in another folder, or in ${join(folder, "data")}.`,
    );
  if (!overwrite && existsSync(file)) throw existsAlready(file);
  if (statSync(file, { throwIfNoEntry: false })?.isFile() === false)
    throw new HookonceError("backup_failed", `${file} is not a file. Name another one.`);
}

function existsAlready(file: string): HookonceError {
  return new HookonceError(
    "backup_failed",
    `${file} exists already. Name another file, or add --overwrite to replace it.`,
  );
}

/** Errors of the file system become errors with a code and a remedy. */
async function failing<Result>(place: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | null)?.code;
    if (code === "ENOSPC" || code === "EDQUOT")
      throw new HookonceError(
        "disk_full",
        `There is no room for the backup at ${place}. Nothing was left there.`,
        {
          cause: error,
        },
      );
    if (error instanceof Error && "syscall" in error)
      throw new HookonceError("backup_failed", `The backup cannot be made: ${withCode(error)}.`, {
        cause: error,
      });
    throw error;
  }
}
