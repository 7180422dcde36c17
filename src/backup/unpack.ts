import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { HookonceError, messageOf } from "../errors.ts";
import { MANIFEST, MAX_ENTRIES, MAX_MANIFEST, parseManifest, type Manifest } from "./manifest.ts";
import { recognize } from "./recognize.ts";
import { BLOCK, isTarHeader, paddingOf, readTarHeader, type TarEntry } from "./tar.ts";

/**
 * A backup may come from anywhere, so nothing in it is believed: paths and links stay in the folder, and what is
 * unpacked stays within the room that there is.
 */

/** In bytes: how much is read and written at a time. */
const PIECE = 1024 * 1024;

/** In bytes: what an entry takes on a disk besides its content, at least. */
const ENTRY = 4096;

/** As many links as Linux follows. */
const MAX_LINKS = 40;

export interface UnpackOptions {
  /** In bytes: how much may be written. */
  readonly room: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Unpacks a backup into an empty folder, and compares each file with its hash.
 *
 * @throws HookonceError `backup_invalid` if it is not a whole backup, `disk_full`; NodeJS.ErrnoException if the folder
 * cannot be written
 */
export async function unpackBackup(
  file: string,
  folder: string,
  { room, signal }: UnpackOptions,
): Promise<Manifest> {
  const descriptor = openSync(file, "r");
  try {
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
      return bytes.subarray(0, done);
    };
    refuseOthers(file, read(BLOCK));
    position = 0;
    const left = (): number => fstatSync(descriptor).size - position;
    const unpacked = createUnpacked(folder, { read, room, left, signal });
    for (let entry = readTarHeader(read); entry !== undefined; entry = readTarHeader(read))
      await unpacked.add(entry);
    return unpacked.finish();
  } catch (error) {
    throw signal?.aborted === true ? error : refusalOf(error, file);
  } finally {
    closeSync(descriptor);
  }
}

/** @throws HookonceError `backup_invalid` */
function refuseOthers(file: string, beginning: Buffer): void {
  const other = recognize(beginning);
  if (other !== undefined) throw new HookonceError("backup_invalid", `${file} ${other}`);
  if (isTarHeader(beginning)) return;
  throw new HookonceError(
    "backup_invalid",
    `${file} is not a backup: it is not a tar file, or its first bytes are damaged. To make one: hookonce backup FILE`,
  );
}

/** Errors that a hostile or damaged file causes, although the system reports them. */
const OF_THE_FILE = new Set(["EEXIST", "EISDIR", "EINVAL", "EILSEQ", "ELOOP", "ENAMETOOLONG", "ENOTDIR"]);

/** Other errors of the system are about this machine. */
function refusalOf(error: unknown, file: string): unknown {
  const { code = "", syscall } = error as NodeJS.ErrnoException;
  if (error instanceof HookonceError || (syscall !== undefined && !OF_THE_FILE.has(code))) return error;
  return new HookonceError(
    "backup_invalid",
    `${file} is not a whole backup: ${messageOf(error)}. Take another one.`,
    { cause: error },
  );
}

interface Unpacking extends UnpackOptions {
  /** Returns the next bytes, fewer only at the end. */
  readonly read: (length: number) => Buffer;
  /** How many bytes are left to be read. */
  readonly left: () => number;
}

function createUnpacked(folder: string, { read, room, left, signal }: Unpacking) {
  const seen = new Set<string>();
  const hashes = new Map<string, string>();
  const links: { readonly path: string; readonly target: string }[] = [];
  let taken = 0;

  /** @returns the path without a slash at its end */
  function accept({ path: written, kind, size }: TarEntry): string {
    const path = kind === "folder" ? written.replace(/\/$/, "") : written;
    if (path.split("/").some((name) => name === "" || name === "." || name === ".."))
      throw new Error(`it has a path outside its folder: ${written}`);
    if (seen.has(path)) throw new Error(`it has ${path} twice`);
    if (seen.add(path).size > MAX_ENTRIES) throw new Error(`it has more than ${MAX_ENTRIES} entries`);
    if (path === MANIFEST && size > MAX_MANIFEST) throw new Error(`${MANIFEST} is too large`);
    if (size > left()) throw new Error("it ends in the middle");
    taken += ENTRY + size;
    if (taken <= room) return path;
    throw new HookonceError(
      "disk_full",
      `There is no room in ${dirname(folder)} to unpack the backup (more than ${Math.floor(room / 1024 ** 2)} MiB). Set TMPDIR to a folder that has room.`,
    );
  }

  async function write(path: string, { mode, size }: TarEntry): Promise<void> {
    const descriptor = openSync(join(folder, path), "wx", (mode & 0o700) | 0o600);
    try {
      const hash = new Bun.CryptoHasher("sha256");
      for (let rest = size; rest > 0;) {
        const piece = read(Math.min(PIECE, rest));
        if (piece.length === 0) throw new Error("it ends in the middle");
        hash.update(piece);
        for (let done = 0; done < piece.length;) done += writeSync(descriptor, piece, done);
        rest -= piece.length;
        // Reads and writes block the thread. A signal is handled only between them.
        await new Promise((resolve) => void setImmediate(resolve));
        signal?.throwIfAborted();
      }
      read(paddingOf(size));
      hashes.set(path, hash.digest("hex"));
    } finally {
      closeSync(descriptor);
    }
  }

  return {
    async add(entry: TarEntry): Promise<void> {
      const path = accept(entry);
      const place = join(folder, entry.kind === "folder" ? path : dirname(path));
      mkdirSync(place, { recursive: true, mode: 0o700 });
      // There is no link while files are written, so no path leads through one.
      if (entry.kind === "link") links.push({ path, target: entry.target });
      else if (entry.kind === "file") await write(path, entry);
    },
    finish(): Manifest {
      for (const { path, target } of links) symlinkSync(target, join(folder, path));
      for (const { path } of links) {
        if (leaves(folder, path)) throw new Error(`it has a link that leads outside its folder: ${path}`);
      }
      return compared(folder, hashes);
    },
  };
}

/** Whether a path leads out of the folder, through whatever links, also if what it leads to does not exist. */
function leaves(folder: string, path: string): boolean {
  const way: string[] = [];
  const rest = path.split("/");
  let links = 0;
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (way.pop() === undefined) return true;
      continue;
    }
    way.push(name);
    const full = join(folder, ...way);
    if (lstatSync(full, { throwIfNoEntry: false })?.isSymbolicLink() !== true) continue;
    const target = readlinkSync(full);
    if (isAbsolute(target) || ++links > MAX_LINKS) return true;
    way.pop();
    rest.unshift(...target.split("/"));
  }
  return false;
}

function compared(folder: string, hashes: ReadonlyMap<string, string>): Manifest {
  if (!hashes.has(MANIFEST))
    throw new Error(`it has no ${MANIFEST}, so hookonce backup did not make it, or not to its end`);
  const manifest = parseManifest(readFileSync(join(folder, MANIFEST), "utf8"));
  const listed = new Set([MANIFEST]);
  for (const { path, sha256 } of manifest.files) {
    const hash = hashes.get(path);
    if (hash === undefined) throw new Error(`${path} is missing`);
    if (hash !== sha256) throw new Error(`${path} is damaged`);
    listed.add(path);
  }
  for (const path of hashes.keys()) {
    if (!listed.has(path)) throw new Error(`${path} was not backed up by hookonce`);
  }
  const { database } = manifest;
  if (database !== null && !listed.has(database)) throw new Error("it has no database");
  return manifest;
}
