import { fstatSync, readSync } from "node:fs";
import { readLogIndex, type LogIndex } from "./log-index.ts";

/** SQLite's own descriptors of the files that it has open. */
export interface Descriptors {
  readonly database: number;
  readonly log: number;
  readonly index: number;
}

/** Which file no longer contains what SQLite wrote to it. */
export type Overwritten = "database" | "log";

// https://sqlite.org/fileformat2.html#walformat
const LOG_HEADER_BYTES = 32;
const LOG_HEADER_SALTS = 16;
const FRAME_HEADER_BYTES = 24;
const FRAME_SALTS = 8;
const SALTS_BYTES = 8;
const NOTHING = Buffer.alloc(0);

/** How many pages of the database to compare. */
const PAGES = 8;

/** How often to look again, because another process may have restarted the log between two reads. */
const TRIES = 3;

interface Place {
  readonly position: number;
  readonly bytes: Buffer;
}

/** What a look found. The next one compares with it. */
interface Seen {
  readonly index: LogIndex;
  /** When the database was written to last, in nanoseconds. */
  readonly modified: bigint;
  /** What the database contains at some places. */
  readonly places: readonly Place[];
}

export interface ContentWatch {
  /**
   * Takes about 6 µs. Returns the files that do not contain what SQLite wrote.
   *
   * @throws whatever the system says if they cannot be read
   */
  look(): readonly Overwritten[];
  /** The same, but does nothing if the database was not written to since the last look: 2 µs. */
  lookIfWritten(): readonly Overwritten[];
}

/**
 * Notices that another program truncates or overwrites the database or its log in place, for example
 * `cp backup.db hookonce.db`. The files are still at their paths then.
 *
 * - The log: its header and its last frame must carry the salts that the index has, and the frame that was
 *   last before must be unchanged.
 * - The database: only checkpoints write to it. If it was written to while none was begun, some of its pages
 *   are compared with what they were: the first one, and those that the last checkpoint moved last.
 *
 * An overwrite that begins and ends during one checkpoint is not noticed.
 */
export function watchContent(files: Descriptors): ContentWatch {
  const logHeader = Buffer.alloc(LOG_HEADER_BYTES);
  let seen: Seen | undefined;
  // These are used again for each look: with new ones, a busy server takes 10 MB more.
  let lastFrame: Buffer = NOTHING;
  let nextFrame: Buffer = NOTHING;
  let againFrame: Buffer = NOTHING;

  /** @param into is used again if it is large enough */
  function frameAt(frameNumber: number, { pageSize }: LogIndex, into: Buffer): Buffer {
    const length = FRAME_HEADER_BYTES + pageSize;
    const frame = into.length === length ? into : Buffer.alloc(length);
    // What is missing at the end of the file is zero, as in a hole.
    frame.fill(0, readSync(files.log, frame, 0, length, LOG_HEADER_BYTES + (frameNumber - 1) * length));
    return frame;
  }

  function saltsOfLog(): string {
    const length = readSync(files.log, logHeader, 0, LOG_HEADER_BYTES, 0);
    return logHeader.toString("hex", LOG_HEADER_SALTS, Math.min(length, LOG_HEADER_SALTS + SALTS_BYTES));
  }

  /** Reads the last frame into `nextFrame`. */
  function isLogIntact(index: LogIndex): boolean {
    if (index.frames === 0) return true;
    nextFrame = frameAt(index.frames, index, nextFrame);
    if (saltsOfLog() !== index.salts || !hasSalts(nextFrame, index)) return false;
    if (seen === undefined || seen.index.frames === 0 || seen.index.salts !== index.salts) return true;
    if (seen.index.frames === index.frames) return nextFrame.equals(lastFrame);
    againFrame = frameAt(seen.index.frames, index, againFrame);
    return againFrame.equals(lastFrame);
  }

  function isDatabaseIntact(index: LogIndex, modified: bigint): boolean {
    if (seen === undefined || !isSameCheckpoint(seen.index, index) || modified === seen.modified) return true;
    return seen.places.every((place) =>
      read(files.database, place.position, index.pageSize).equals(place.bytes),
    );
  }

  function placesOf(index: LogIndex): readonly Place[] {
    if (seen !== undefined && isSameCheckpoint(seen.index, index)) return seen.places;
    const { frames, moved, attempted, pageSize } = index;
    // A checkpoint is writing now, so nothing can be compared before it ends.
    if (moved < attempted) return [];
    const pages = new Set([1]);
    for (let n = 1; n <= Math.min(frames, PAGES / 2); n++) pages.add(pageOf(n, index));
    for (let n = moved; n > 0 && pages.size < PAGES; n--) pages.add(pageOf(n, index));
    return [...pages].map((page) => {
      const position = (page - 1) * pageSize;
      return { position, bytes: read(files.database, position, pageSize) };
    });
  }

  function pageOf(frameNumber: number, index: LogIndex): number {
    againFrame = frameAt(frameNumber, index, againFrame);
    return Math.max(1, againFrame.readUInt32BE(0));
  }

  const modifiedAt = (): bigint => fstatSync(files.database, { bigint: true }).mtimeNs;

  function look(): readonly Overwritten[] {
    const problems: Overwritten[] = [];
    for (let tried = 0; tried < TRIES; tried++) {
      const index = readLogIndex(files.index);
      if (index === undefined) return [];
      const modified = modifiedAt();
      problems.length = 0;
      if (!isLogIntact(index)) problems.push("log");
      if (!isDatabaseIntact(index, modified)) problems.push("database");
      if (problems.length > 0) continue;
      seen = { index, modified, places: placesOf(index) };
      [lastFrame, nextFrame] = [nextFrame, lastFrame];
      return [];
    }
    return problems;
  }

  return { look, lookIfWritten: () => (modifiedAt() === seen?.modified ? [] : look()) };
}

/** Less than `length` at the end of the file. */
function read(descriptor: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(0, readSync(descriptor, bytes, 0, length, position));
}

function hasSalts(frame: Buffer, { salts }: LogIndex): boolean {
  return frame.toString("hex", FRAME_SALTS, FRAME_SALTS + SALTS_BYTES) === salts;
}

/** Whether no checkpoint has begun between the two, and none has ended. */
function isSameCheckpoint(a: LogIndex, b: LogIndex): boolean {
  return a.salts === b.salts && a.moved === b.moved && a.attempted === b.attempted;
}
