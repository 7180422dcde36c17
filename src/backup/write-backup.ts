import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  openSync,
  readlinkSync,
  readSync,
  statSync,
  writeSync,
} from "node:fs";
import { HookonceError } from "../errors.ts";
import type { Content } from "./contents.ts";
import { MANIFEST, MAX_ENTRIES, type Manifest } from "./manifest.ts";
import { paddingOf, TAR_END, tarHeader, type TarEntry } from "./tar.ts";

/** In bytes: how much is read and written at a time. */
const PIECE = 1024 * 1024;

/**
 * In bytes: after so many, the file is synced. A sync of all of it at the end would hold up those of deliveries on the
 * same disk.
 */
const SYNC_EVERY = 8 * PIECE;

export interface BackupParts {
  readonly contents: readonly Content[];
  /** The finished copy of the database. Null if the manifest names none. */
  readonly copy: string | null;
  readonly manifest: Omit<Manifest, "files">;
  /** Where to write. */
  readonly descriptor: number;
  /** Hears from time to time how much of the database is written, of how much, in bytes. */
  readonly onProgress?: ((done: number, bytes: number) => void) | undefined;
}

/**
 * Writes a backup: a tar file with the inbox folder, the copy of the database, and a manifest with the hash of each
 * file. Only a piece of it is in memory.
 *
 * @returns its size in bytes
 * @throws NodeJS.ErrnoException, HookonceError `backup_failed` if a file changes while it is read
 */
export async function writeBackup(parts: BackupParts): Promise<number> {
  // The database, the manifest and their folders come to these.
  if (parts.contents.length > MAX_ENTRIES - 100)
    throw new HookonceError(
      "backup_failed",
      `The inbox folder has ${parts.contents.length} files and folders, and a backup has room for ${MAX_ENTRIES}. Move away what hookonce does not need.`,
    );
  const sink = createSink(parts.descriptor);
  const files: Manifest["files"] = [];
  const folders = new Set<string>();

  function writeHeader(entry: Pick<TarEntry, "path" | "kind"> & Partial<TarEntry>): void {
    sink.write(tarHeader({ mode: 0o755, size: 0, changedAt: parts.manifest.made_at, target: "", ...entry }));
  }

  function writeFoldersAbove(path: string): void {
    const names = path.split("/").slice(0, -1);
    for (let depth = 1; depth <= names.length; depth++) {
      const folder = names.slice(0, depth).join("/");
      if (folders.has(folder)) continue;
      folders.add(folder);
      writeHeader({ path: `${folder}/`, kind: "folder", mode: 0o700 });
    }
  }

  async function writeFile(
    { path, from }: Pick<Content, "path" | "from">,
    { mode, onProgress }: { readonly mode?: number; readonly onProgress?: BackupParts["onProgress"] } = {},
  ): Promise<void> {
    const descriptor = openSync(from, "r");
    try {
      const { size, mode: ownMode, mtimeMs: changedAt } = fstatSync(descriptor);
      writeHeader({ path, kind: "file", mode: mode ?? ownMode & 0o777, size, changedAt });
      const hash = new Bun.CryptoHasher("sha256");
      const piece = Buffer.allocUnsafe(PIECE);
      for (let done = 0; done < size;) {
        const length = readSync(descriptor, piece, 0, Math.min(PIECE, size - done), done);
        if (length === 0)
          throw new HookonceError(
            "backup_failed",
            `${from} became shorter while it was copied. Run the backup again.`,
          );
        done += length;
        hash.update(piece.subarray(0, length));
        sink.write(piece.subarray(0, length));
        onProgress?.(done, size);
        await yieldToSignals();
      }
      sink.write(Buffer.alloc(paddingOf(size)));
      files.push({ path, size, sha256: hash.digest("hex") });
    } finally {
      closeSync(descriptor);
    }
  }

  for (const { path, kind, from } of parts.contents) {
    if (kind === "file") await writeFile({ path, from });
    else if (kind === "link") writeHeader({ path, kind, mode: 0o777, target: readlinkSync(from) });
    else {
      folders.add(path);
      writeHeader({ path: `${path}/`, kind, mode: statSync(from).mode & 0o777 });
    }
  }
  const { database } = parts.manifest;
  if (database !== null && parts.copy !== null) {
    writeFoldersAbove(database);
    await writeFile({ path: database, from: parts.copy }, { mode: 0o600, onProgress: parts.onProgress });
  }
  writeFoldersAbove(MANIFEST);
  const manifest = Buffer.from(
    `${JSON.stringify({ ...parts.manifest, files } satisfies Manifest, null, 1)}\n`,
  );
  writeHeader({ path: MANIFEST, kind: "file", mode: 0o600, size: manifest.length });
  sink.write(manifest);
  sink.write(Buffer.alloc(paddingOf(manifest.length)));
  sink.write(TAR_END);
  return sink.written();
}

/** Reads and writes block the thread. A signal is handled only between them. */
const yieldToSignals = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

function createSink(descriptor: number): { write(bytes: Buffer): void; written(): number } {
  const isFile = fstatSync(descriptor).isFile();
  let written = 0;
  let unsynced = 0;
  return {
    write(bytes) {
      for (let done = 0; done < bytes.length;) done += writeSome(descriptor, bytes.subarray(done));
      written += bytes.length;
      unsynced += bytes.length;
      if (!isFile || unsynced < SYNC_EVERY) return;
      fdatasyncSync(descriptor);
      unsynced = 0;
    },
    written: () => written,
  };
}

/** Another process may have made a pipe non-blocking. Then the pipe may have no room for a moment. */
function writeSome(descriptor: number, bytes: Buffer): number {
  try {
    return writeSync(descriptor, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    Bun.sleepSync(5);
    return 0;
  }
}
