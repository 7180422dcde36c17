/**
 * The tar format as far as a backup needs it, written and read in pieces: files, folders and symbolic links, with pax
 * headers for long names (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html).
 *
 * Why no package: Bun.Archive keeps a whole archive in memory. tar 7.5.23 loses names with a line break, and those
 * with other alphabets if they lie across two chunks, so it would call a whole backup damaged. tar-stream 3.2.2 brings
 * twelve packages, with 5 MB for another runtime. Which paths and links are accepted is not the format's matter in
 * either: see unpack.ts.
 */

export const BLOCK = 512;

export type TarKind = "file" | "folder" | "link";

export interface TarEntry {
  /** Relative, with `/`. */
  readonly path: string;
  readonly kind: TarKind;
  readonly mode: number;
  /** In bytes; 0 unless it is a file. */
  readonly size: number;
  /** Unix milliseconds. */
  readonly changedAt: number;
  /** Where a link leads, as it is written in it; else "". */
  readonly target: string;
}

const TYPES = { file: "0", folder: "5", link: "2" } as const;
const KINDS: Readonly<Record<string, TarKind>> = { "0": "file", "\0": "file", "5": "folder", "2": "link" };

/** The type of a header that belongs to the next entry. */
const PAX = "x";

/** In bytes. It has a path and the target of a link, and Linux has none that is longer than 4 KiB. */
const MAX_PAX = 32 * 1024;

/** Where each field of a header is: its first byte and its length. */
const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkname: [157, 100],
  magic: [257, 8],
  prefix: [345, 155],
} as const;

type Field = keyof typeof FIELDS;

/** What follows the last entry. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

/** How many zeros follow the content of a file. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** The header of an entry. Owner and group are root, who unpacks the backup and gives the files to their user. */
export function tarHeader(entry: TarEntry): Buffer {
  const { path, target } = entry;
  const records = [...paxRecord("path", path), ...paxRecord("linkpath", target)].join("");
  if (records === "") return header(entry, TYPES[entry.kind]);
  const pax = Buffer.from(records);
  const about = { ...entry, path: "PaxHeader", target: "", mode: 0o600, size: pax.length };
  return Buffer.concat([
    header(about, PAX),
    pax,
    Buffer.alloc(paddingOf(pax.length)),
    header(entry, TYPES[entry.kind]),
  ]);
}

/** `LENGTH key=value\n`, where LENGTH counts its own digits. None if the header has room for the value. */
function paxRecord(key: string, value: string): string[] {
  const bytes = Buffer.byteLength(value);
  if (bytes <= FIELDS.name[1] && bytes === value.length) return [];
  const rest = ` ${key}=${value}\n`;
  const count = Buffer.byteLength(rest);
  let length = count + 1;
  while (count + String(length).length !== length) length++;
  return [`${length}${rest}`];
}

function header({ path, target, mode, size, changedAt }: TarEntry, type: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  const text = (field: Field, value: string): void => {
    const [at, length] = FIELDS[field];
    block.set(Buffer.from(value).subarray(0, length), at);
  };
  const number = (field: Field, value: number): void => {
    const [at, length] = FIELDS[field];
    const octal = value.toString(8).padStart(length - 1, "0");
    if (octal.length < length) return text(field, octal);
    // 8 GiB and more: in binary, with the first bit set.
    block.writeBigUInt64BE(BigInt(value), at + length - 8);
    block[at] = 0x80;
  };
  text("name", path);
  number("mode", mode);
  number("uid", 0);
  number("gid", 0);
  number("size", size);
  number("mtime", Math.max(0, Math.floor(changedAt / 1000)));
  text("type", type);
  text("linkname", target);
  text("magic", "ustar\x0000");
  const [at] = FIELDS.checksum;
  block.write(`${checksumOf(block).toString(8).padStart(6, "0")}\0 `, at, "latin1");
  return block;
}

/** The sum of all bytes, with blanks in the place of the sum itself. */
function checksumOf(block: Buffer): number {
  const [at, length] = FIELDS.checksum;
  return sumOf(block) - sumOf(block.subarray(at, at + length)) + 0x20 * length;
}

const sumOf = (bytes: Buffer): number => bytes.reduce((all, byte) => all + byte, 0);

export function isTarHeader(block: Buffer): boolean {
  return block.length === BLOCK && numberIn(block, "checksum") === checksumOf(block);
}

function textIn(block: Buffer, field: Field): string {
  const [at, length] = FIELDS[field];
  return block.toString("utf8", at, at + length).replace(/\0.*$/s, "");
}

function numberIn(block: Buffer, field: Field): number {
  const [at, length] = FIELDS[field];
  if (block[at] === 0x80) return Number(block.readBigUInt64BE(at + length - 8));
  return Number.parseInt(textIn(block, field), 8);
}

/**
 * Reads the header of the next entry.
 *
 * @param read returns the next bytes, fewer only at the end
 * @param records what a pax header before it says
 * @returns undefined at the end of the archive
 * @throws Error if this is not the header of an entry
 */
export function readTarHeader(
  read: (length: number) => Buffer,
  records?: ReadonlyMap<string, string>,
): TarEntry | undefined {
  const block = read(BLOCK);
  if (block.length < BLOCK) throw new Error("it ends in the middle");
  if (block.every((byte) => byte === 0)) {
    if (records !== undefined) throw new Error("it ends in the middle");
    return undefined;
  }
  const text = (field: Field): string => textIn(block, field);
  const type = block.toString("latin1", FIELDS.type[0], FIELDS.type[0] + 1);
  const size = numberIn(block, "size");
  if (!isTarHeader(block) || !Number.isSafeInteger(size) || size < 0)
    throw new Error("it is damaged, or it is not a tar file");
  if (type === PAX) {
    if (records !== undefined || size > MAX_PAX) throw new Error("it has a header that no backup has");
    return readTarHeader(read, readPax(read(size + paddingOf(size)).subarray(0, size)));
  }
  const kind = KINDS[type];
  if (kind === undefined) throw new Error(`it has an entry of the type "${type}", which no backup has`);
  const prefix = text("prefix");
  return {
    path: records?.get("path") ?? (prefix === "" ? text("name") : `${prefix}/${text("name")}`),
    kind,
    mode: numberIn(block, "mode") & 0o777,
    size: kind === "file" ? size : 0,
    changedAt: numberIn(block, "mtime") * 1000,
    target: records?.get("linkpath") ?? text("linkname"),
  };
}

function readPax(bytes: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const length = Number.parseInt(bytes.toString("latin1", at, at + 20), 10);
    if (!(length > 0)) throw new Error("it is damaged");
    const [, key = "", value = ""] =
      /^\d+ ([^=]+)=(.*)\n$/s.exec(bytes.toString("utf8", at, at + length)) ?? [];
    // The content is then another one than its size says: parts of a file with holes.
    if (key === "size" || key.startsWith("GNU.sparse.")) throw new Error("it has a file that no backup has");
    records.set(key, value);
    at += length;
  }
  return records;
}
