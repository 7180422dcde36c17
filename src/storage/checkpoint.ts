import type { Database } from "bun:sqlite";
import { troubleOf } from "./sqlite-error.ts";

/** SQLite's own default. 4,000 and 16,000 were no faster, and made single deliveries wait 120 ms. */
const MAX_PAGES = 1000;
const MIN_PAGES = 125;

/**
 * Deliveries wait while a checkpoint runs. On a slow disk, or in a database so large that its pages lie far apart, 1,000 pages take
 * 100 ms: there it is done more often, with less to do. In milliseconds.
 */
const LONG_MS = 20;
const SHORT_MS = 5;

/**
 * Moves the write-ahead log into the database from time to time. SQLite would do so by itself after a commit, and pass over the errors:
 * on a failing disk the log would grow without bound, unseen.
 */
export interface Checkpoint {
  /** Whether enough has been written since the last one. Takes less than 1 µs. */
  due(): boolean;
  /**
   * As much as readers allow. What is committed stays so, whatever happens here.
   *
   * @throws SQLiteError when the database can no longer be trusted; a full disk is only waited out
   */
  run(): void;
}

/** @param now the monotonic clock, in milliseconds */
export function createCheckpoint(db: Database, now = () => performance.now()): Checkpoint {
  // Rows of [busy, pages in the log, pages moved], https://sqlite.org/pragma.html#pragma_wal_checkpoint
  const look = db.prepare("pragma wal_checkpoint(noop)");
  const move = db.prepare("pragma wal_checkpoint(passive)");
  let pages = MAX_PAGES;
  return {
    due() {
      const [, logged, moved] = look.values()[0] as [number, number, number];
      return logged - moved >= pages;
    },
    run() {
      const startedAt = now();
      try {
        move.values();
      } catch (error) {
        if (troubleOf(error) === "fatal") throw error;
      }
      const took = now() - startedAt;
      if (took > LONG_MS) pages = Math.max(MIN_PAGES, pages / 2);
      else if (took < SHORT_MS) pages = Math.min(MAX_PAGES, pages * 2);
    },
  };
}
