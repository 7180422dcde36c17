import { dlopen, FFIType } from "bun:ffi";
import { fstatSync } from "node:fs";

/** In bytes. Some milliseconds of the disk: the writer makes its next transaction meanwhile. */
const PIECE = 1024 * 1024;

/**
 * What was appended lately lies at the end, in pieces of that size. What is before it is cut into no more than so many: a few pages here and
 * there are written sooner together than one after the other.
 */
const END = 64 * 1024 * 1024;
const PIECES_BEFORE = 32;

/** SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER, https://man7.org/linux/man-pages/man2/sync_file_range.2.html */
const WRITE_AND_WAIT = 7;

/**
 * Has the kernel write what a file's pages hold to the disk, one piece after the other. An fsync hands all of it to the disk at once, 12 MiB
 * after a pass, and whoever syncs another file meanwhile waits behind that: 20 ms. It makes nothing durable: the fsync is still to be made,
 * and finds little left to do.
 *
 * @throws Error when the disk fails. The fsync would not say so any more
 */
export type WriteOut = () => void;

/** @returns undefined where there is no such call (Linux has it) */
export function createWriteOut(descriptor: number): WriteOut | undefined {
  const syncRange = findSyncRange();
  if (syncRange?.(descriptor, 0n, 1n, WRITE_AND_WAIT) !== 0) return undefined;
  return () => {
    for (const [from, length] of piecesOf(fstatSync(descriptor).size)) {
      if (syncRange(descriptor, BigInt(from), BigInt(length), WRITE_AND_WAIT) !== 0) {
        throw new Error("sync_file_range failed");
      }
    }
  };
}

type SyncRange = (descriptor: number, from: bigint, length: bigint, flags: number) => number;

function findSyncRange(): SyncRange | undefined {
  for (const library of ["libc.so.6", `libc.musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`]) {
    try {
      const { symbols } = dlopen(library, {
        sync_file_range: {
          args: [FFIType.i32, FFIType.i64, FFIType.i64, FFIType.u32],
          returns: FFIType.i32,
        },
      });
      return symbols.sync_file_range;
    } catch {
      // Another libc, or none that has it.
    }
  }
  return undefined;
}

/** Of a file, all of it and in its order. Exported for a test. */
export function* piecesOf(size: number): Generator<[from: number, length: number]> {
  const end = Math.max(0, size - END);
  const before = Math.max(PIECE, Math.ceil(end / PIECES_BEFORE));
  for (let from = 0; from < end; from += before) yield [from, Math.min(before, end - from)];
  for (let from = end; from < size; from += PIECE) yield [from, PIECE];
}
