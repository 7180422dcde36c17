import { existsSync, rmSync, statSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import type { Manifest } from "../backup/manifest.ts";
import { makeTemporaryFolder } from "../backup/temporary-folder.ts";
import { unpackBackup } from "../backup/unpack.ts";
import { readConfig } from "../config/load.ts";
import { createSecretLookup } from "../config/secrets.ts";
import type { Examined } from "../engines/store.ts";
import { HookonceError, type Problem } from "../errors.ts";
import { createJsonLogger } from "../logging/log.ts";
import { check } from "./check.ts";
import { openInbox } from "./open-inbox.ts";
import { createServices } from "./services.ts";
import { secretNeeds } from "./sources.ts";
import { store } from "./store.ts";

export interface CheckedBackup extends Examined {
  readonly manifest: Manifest;
  /** Why a start from it would be refused. */
  readonly startProblems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** The secrets that the config names and the backup does not hold. */
  readonly missingSecrets: readonly string[];
  /** The user's migrations that the start has applied to the copy. */
  readonly pending: readonly string[];
  readonly sources: readonly string[];
  readonly bytes: number;
}

const PREFIX = "hookonce-backup-";

/**
 * Unpacks a backup into a private temporary folder, and opens it there as a start does. Nothing is received or sent,
 * and no handler runs.
 *
 * @throws HookonceError `backup_invalid`, `file_unreadable`, `disk_full`
 */
export async function checkBackup(
  file: string,
  signal: AbortSignal,
  onStep: (step: string) => void,
): Promise<CheckedBackup> {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isFile() !== true)
    throw new HookonceError(
      "file_unreadable",
      `${file} ${found === undefined ? "does not exist" : "is not a file"}.`,
    );
  requireRoom(found.size);
  const folder = makeTemporaryFolder(tmpdir(), PREFIX);
  try {
    onStep("unpacking");
    const manifest = unpackBackup(file, folder);
    await nextStep(signal);
    const database = join(folder, manifest.database);
    onStep("reading the whole database");
    const examined = await store.examine(database);
    await nextStep(signal);
    onStep("opening it as a start does");
    const opened = examined.problems.length > 0 ? NOT_OPENED : await open(folder, database);
    const missingSecrets = existsSync(join(folder, "hookonce.toml")) ? secretsMissingIn(folder) : [];
    return { ...examined, ...opened, manifest, missingSecrets, bytes: found.size };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Handles a signal that came meanwhile. */
async function nextStep(signal: AbortSignal): Promise<void> {
  await Bun.sleep(0);
  signal.throwIfAborted();
}

function requireRoom(bytes: number): void {
  const { bavail, bsize } = statfsSync(tmpdir());
  if (bavail * bsize >= bytes) return;
  throw new HookonceError(
    "disk_full",
    `There is no room in ${tmpdir()} to unpack the backup (${Math.ceil(bytes / 1024 ** 2)} MiB). Set TMPDIR to a folder that has room.`,
  );
}

type Opened = Pick<CheckedBackup, "startProblems" | "warnings" | "pending" | "sources">;

const NOT_OPENED: Opened = { startProblems: [], warnings: [], pending: [], sources: [] };

/** Secrets are not needed, because nothing is received. */
async function open(folder: string, database: string): Promise<Opened> {
  const checked = await check(folder, { environment: null, clock: Date.now, database, forStart: true });
  const { config, sources, handlers, pending, warnings } = checked;
  const about = { warnings, pending, sources: [...sources.keys()] };
  if (config === null || checked.problems.length > 0) return { ...about, startProblems: checked.problems };
  const services = createServices();
  try {
    await openInbox(services, {
      config: { ...config, database },
      sources,
      handlers,
      log: createJsonLogger("silent", () => {}),
      clock: Date.now,
      onFatal: () => {},
      lockWaitMs: 0,
      forCommand: true,
    });
    await services.stop();
    return { ...about, startProblems: [] };
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    const { problems, message } = error;
    return { ...about, startProblems: problems.length > 0 ? problems : [{ message }] };
  }
}

function secretsMissingIn(folder: string): string[] {
  const read = readConfig(folder, secretNeeds, null);
  const lookUp = createSecretLookup(folder, {});
  return [
    ...read.secretVariables.map((name) => `env:${name}`),
    ...read.secretFiles.map((path) => `file:${path}`),
  ].filter((reference) => isAbsolute(reference.slice("file:".length)) || "problem" in lookUp(reference));
}
