import type { Database } from "bun:sqlite";
import { readSync, realpathSync } from "node:fs";
import { descriptorsOf } from "./descriptors.ts";

/**
 * What the index of the write-ahead log (`-shm`) says. All processes that have the database open share it.
 * https://sqlite.org/walformat.html#the_wal_index_file_format
 */
export interface LogIndex {
  /** How many frames of the log are committed. */
  readonly frames: number;
  /** In bytes. */
  readonly pageSize: number;
  /** The eight bytes that the log's header and each of its frames repeat, in hexadecimal. */
  readonly salts: string;
  /** How many frames have been moved into the database. */
  readonly moved: number;
  /** More than `moved` while a checkpoint writes to the database, and after one that was killed. */
  readonly attempted: number;
}

const VERSION = 3_007_000;
const HEADER_BYTES = 48;
const MOVED = 96;
const ATTEMPTED = 128;
const BYTES = 136;

/** How often to read a header that another process is just writing. */
const TRIES = 3;

const bytes = Buffer.alloc(BYTES);

/**
 * Takes 1 µs.
 *
 * @param descriptor SQLite's own. Closing another one would drop SQLite's locks
 * @returns undefined if the header has no known form, or another process is writing it
 */
export function readLogIndex(descriptor: number): LogIndex | undefined {
  for (let tried = 0; tried < TRIES; tried++) {
    if (readSync(descriptor, bytes, 0, BYTES, 0) < BYTES) return undefined;
    const second = bytes.subarray(HEADER_BYTES, 2 * HEADER_BYTES);
    if (bytes.compare(second, 0, HEADER_BYTES, 0, HEADER_BYTES) !== 0) continue;
    // Written in the byte order of the machine. All that Bun runs on are little-endian.
    if (bytes.readUInt32LE(0) !== VERSION) return undefined;
    const size = bytes.readUInt16LE(14);
    return {
      frames: bytes.readUInt32LE(16),
      pageSize: size === 1 ? 65_536 : size,
      salts: bytes.toString("hex", 32, 40),
      moved: bytes.readUInt32LE(MOVED),
      attempted: bytes.readUInt32LE(ATTEMPTED),
    };
  }
  return undefined;
}

/**
 * Returns a function that tells the log as it is now from earlier ones at the same path: SQLite gives it new
 * salts each time it restarts it. The function returns undefined if the index cannot be read.
 *
 * @param connection in WAL mode, and has read from the database
 */
export function generationOf(connection: Database): () => string | undefined {
  const [descriptor] = descriptorsOf(`${realpathSync(connection.filename)}-shm`);
  return () => (descriptor === undefined ? undefined : readLogIndex(descriptor)?.salts);
}
