import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { HookonceError, messageOf } from "../errors.ts";
import { isWithin } from "./paths.ts";
import { MANIFEST, parseManifest, type Manifest } from "./manifest.ts";
import { paddingOf, readTarHeader, type TarEntry } from "./tar.ts";

/** In bytes: how much is read and written at a time. */
const PIECE = 1024 * 1024;

/**
 * Unpacks a backup into an empty folder, and compares each file with its hash.
 *
 * @param onProgress hears from time to time how much of the file is read, of how much, in bytes
 * @throws HookonceError `backup_invalid` if it is not a whole backup; NodeJS.ErrnoException if the folder cannot be
 * written
 */
export function unpackBackup(
  file: string,
  folder: string,
  onProgress: (done: number, bytes: number) => void = () => {},
): Manifest {
  const descriptor = openSync(file, "r");
  try {
    const { size } = fstatSync(descriptor);
    const hashes = new Map<string, string>();
    let position = 0;
    const read = (length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      let done = 0;
      while (done < length) {
        const some = readSync(descriptor, bytes, done, length - done, position);
        if (some === 0) break;
        done += some;
        position += some;
      }
      onProgress(position, size);
      return bytes.subarray(0, done);
    };
    refusing(file, () => {
      for (let entry = readTarHeader(read); entry !== undefined; entry = readTarHeader(read))
        unpackEntry(entry, folder, read, hashes);
    });
    return refusing(file, () => compared(folder, hashes));
  } finally {
    closeSync(descriptor);
  }
}

/** Errors of the system are about this machine, and all others about the file. */
function refusing<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error && "syscall" in error) throw error;
    throw new HookonceError(
      "backup_invalid",
      `${file} is not a whole backup: ${messageOf(error)}. Take another one.`,
      { cause: error },
    );
  }
}

function unpackEntry(
  { path, kind, mode, size, target }: TarEntry,
  folder: string,
  read: (length: number) => Buffer,
  hashes: Map<string, string>,
): void {
  const full = join(folder, path);
  if (isAbsolute(path) || !isWithin(full, folder))
    throw new Error(`it has a path outside its folder: ${path}`);
  if (kind === "folder") {
    mkdirSync(full, { recursive: true, mode: 0o700 });
    return;
  }
  if (kind === "link") {
    if (isAbsolute(target) || !isWithin(join(dirname(full), target), folder))
      throw new Error(`it has a link that leads outside its folder: ${path}`);
    symlinkSync(target, full);
    return;
  }
  const descriptor = openSync(full, "wx", mode & 0o700);
  try {
    const hash = new Bun.CryptoHasher("sha256");
    for (let left = size; left > 0;) {
      const piece = read(Math.min(PIECE, left));
      if (piece.length === 0) throw new Error("it ends in the middle");
      hash.update(piece);
      for (let done = 0; done < piece.length;) done += writeSync(descriptor, piece, done);
      left -= piece.length;
    }
    read(paddingOf(size));
    hashes.set(path, hash.digest("hex"));
  } finally {
    closeSync(descriptor);
  }
}

function compared(folder: string, hashes: ReadonlyMap<string, string>): Manifest {
  if (!hashes.has(MANIFEST)) throw new Error(`it has no ${MANIFEST}, which hookonce writes last`);
  const manifest = parseManifest(readFileSync(join(folder, MANIFEST), "utf8"));
  for (const { path, sha256 } of manifest.files) {
    const hash = hashes.get(path);
    if (hash === undefined) throw new Error(`${path} is missing`);
    if (hash !== sha256) throw new Error(`${path} is damaged`);
  }
  if (!manifest.files.some(({ path }) => path === manifest.database)) throw new Error("it has no database");
  return manifest;
}
