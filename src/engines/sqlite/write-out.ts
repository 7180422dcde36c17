import { FFIType } from "bun:ffi";
import { fstatSync } from "node:fs";
import { openLibc } from "../libc.ts";

/**
 * In bytes. The disk needs a few milliseconds for one piece. In that time the writer can commit its next
 * transaction.
 */
const PIECE = 1024 * 1024;

/**
 * The last END bytes of the file hold what was appended lately, and are cut into pieces of PIECE bytes.
 * Everything before is cut into at most PIECES_BEFORE pieces: a few scattered pages are written faster
 * together than one after the other.
 */
const END = 64 * 1024 * 1024;
const PIECES_BEFORE = 32;

/**
 * SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER,
 * https://man7.org/linux/man-pages/man2/sync_file_range.2.html
 */
const WRITE_AND_WAIT = 7;

/**
 * Tells the kernel to write a file's dirty pages to the disk, one piece after the other. An fsync alone would
 * hand the disk all of them at once, 12 MiB after a pass, and a sync of another file would wait 20 ms behind
 * it. This makes nothing durable: an fsync must follow, and finds little left to do.
 *
 * @throws Error if the disk fails. It must not be ignored: the fsync afterwards would no longer report the
 * failure.
 */
export type WriteOut = () => void;

/** @returns undefined if the system has no sync_file_range: only Linux has it */
export function createWriteOut(descriptor: number): WriteOut | undefined {
  const syncRange = findSyncRange();
  if (syncRange?.(descriptor, 0n, 1n, WRITE_AND_WAIT) !== 0) return undefined;
  return () => {
    for (const [from, length] of piecesOf(fstatSync(descriptor).size)) {
      if (syncRange(descriptor, BigInt(from), BigInt(length), WRITE_AND_WAIT) !== 0) {
        throw new Error("sync_file_range of the database file failed");
      }
    }
  };
}

type SyncRange = (descriptor: number, from: bigint, length: bigint, flags: number) => number;

function findSyncRange(): SyncRange | undefined {
  return openLibc({
    sync_file_range: { args: [FFIType.i32, FFIType.i64, FFIType.i64, FFIType.u32], returns: FFIType.i32 },
  })?.sync_file_range;
}

/** Cuts a file of `size` bytes into pieces, in order and without gaps. Exported for its test. */
export function* piecesOf(size: number): Generator<[from: number, length: number]> {
  const end = Math.max(0, size - END);
  const before = Math.max(PIECE, Math.ceil(end / PIECES_BEFORE));
  for (let from = 0; from < end; from += before) yield [from, Math.min(before, end - from)];
  for (let from = end; from < size; from += PIECE) yield [from, PIECE];
}
