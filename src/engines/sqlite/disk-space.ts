import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { DiskUse } from "../store.ts";

/** With less than this, in bytes, a disk is full: SQLite needs as much for the index of the log. */
const LITTLE = 32 * 1024;

/** Whether a file's disk has too little space for SQLite. False if that cannot be determined. */
export function hasLittleSpace(path: string): boolean {
  try {
    const { files, ffree } = statfsSync(dirname(path));
    return freeBytes(path) < LITTLE || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}

/**
 * The free space of a file's disk, in bytes.
 *
 * @throws NodeJS.ErrnoException
 */
export function freeBytes(path: string): number {
  const { bsize, bavail, bfree } = statfsSync(dirname(path));
  // A part of the disk may be kept for root.
  return bsize * (process.getuid?.() === 0 ? bfree : bavail);
}

/** How much a database takes, and how much its disk has left. */
export function diskUse(database: string): DiskUse {
  return {
    databaseBytes: bytesOf(database),
    logBytes: bytesOf(`${database}-wal`),
    freeBytes: orNull(() => freeBytes(database)),
  };
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function orNull(read: () => number): number | null {
  try {
    return read();
  } catch {
    return null;
  }
}
