import { rmSync, statfsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "../backup/manifest.ts";
import { makeTemporaryFolder } from "../backup/temporary-folder.ts";
import { unpackBackup } from "../backup/unpack.ts";
import { fileAt } from "../config/location.ts";
import { HookonceError } from "../errors.ts";
import { NOT_OPENED, START_BACKUP, type BackupOrder, type BackupStarted } from "./backup-process.ts";
import { askChild, type ChildOrder } from "./child-process.ts";

export interface CheckedBackup extends BackupStarted {
  readonly manifest: Manifest;
  readonly bytes: number;
}

const PREFIX = "hookonce-backup-";

/** How long a start may take, in milliseconds, and what each MiB of the database adds: it is read as a whole. */
const MAX_START_MS = 60_000;
const PER_MIB_MS = 250;

/** What user code may see of the environment: no secret. */
const PASSED = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "SystemRoot", "TEMP"];

/**
 * Unpacks a backup into a private temporary folder, and opens it there as a start does, in a child process: that loads
 * its TypeScript files, whose top level may do anything. Nothing is received or sent, and no handler runs.
 *
 * @param options only tests pass these
 * @throws HookonceError `backup_invalid`, `file_unreadable`, `disk_full`
 */
export async function checkBackup(
  file: string,
  signal: AbortSignal,
  onStep: (step: string) => void,
  options: { readonly maxMs?: number; readonly command?: readonly string[] } = {},
): Promise<CheckedBackup> {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isFile() !== true)
    throw new HookonceError(
      "file_unreadable",
      `${file} ${found === undefined ? "does not exist" : "is not a file"}.`,
    );
  const folder = makeTemporaryFolder(tmpdir(), PREFIX);
  try {
    onStep("unpacking");
    const { bavail, bsize } = statfsSync(folder);
    const manifest = await unpackBackup(file, folder, { room: bavail * bsize, signal });
    // Without its database, it cannot be started.
    if (manifest.database === null) return { ...NOT_STARTED, manifest, bytes: found.size };
    const database = fileAt(join(folder, manifest.database));
    onStep("opening it as a start does");
    const size = manifest.files.find(({ path }) => path === manifest.database)?.size ?? 0;
    const order: Omit<BackupOrder, keyof ChildOrder> = { folder, database };
    const answer = await askChild(START_BACKUP, order, {
      signal,
      command: options.command,
      maxMs: (options.maxMs ?? MAX_START_MS) + PER_MIB_MS * Math.ceil(size / 1024 ** 2),
      environment: Object.fromEntries(
        PASSED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
      ),
    });
    signal.throwIfAborted();
    const started: BackupStarted =
      "found" in answer
        ? (answer.found as BackupStarted)
        : { ...NOT_STARTED, startProblems: [{ message: answer.why }] };
    return { ...started, manifest, bytes: found.size };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const NOT_STARTED: BackupStarted = { ...NOT_OPENED, problems: [], events: 0, newestAt: null };
