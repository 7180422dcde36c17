import type { Database } from "bun:sqlite";
import { createCheckpointThread } from "./checkpoint-thread.ts";
import { troubleOf } from "./sqlite-error.ts";

/**
 * So many pages in the log that are not in the database yet are worth a pass, 16 MiB. The fewer passes, the more often a page of the
 * index on random ids is changed before it is moved: at 1,000 pages a fifth slower. At 8,000 single deliveries waited 40 ms.
 */
const PASS_PAGES = 3000;

/**
 * The writer starts the log anew once all of it has been moved, which a pass beside it never quite does. From this length on, 47 MiB, what
 * the last pass has left is moved while the writer waits: when it is few pages, a few milliseconds. Until then there is one pass after the
 * other, each shorter than the last, but not for ever.
 */
const LOG_PAGES = 12_000;
const FEW_PAGES = 600;
const MOST_LOG_PAGES = 20_000;

/**
 * Moves the write-ahead log into the database from time to time. SQLite would do so by itself after a commit, and pass over the errors:
 * on a failing disk the log would grow without bound, unseen. And every delivery would wait for it, a tenth of the time when ids grow with
 * time, a third when they are random: hence the thread.
 */
export interface Checkpoint {
  /** Whether there is something to do. Takes less than 1 µs. */
  due(): boolean;
  /**
   * As much as readers allow. What is committed stays so, whatever happens here.
   *
   * @throws SQLiteError when the database can no longer be trusted; a full disk is only waited out
   */
  run(): void;
  /** Lets go of the database. */
  close(): Promise<void>;
}

/** @param onFatal hears of the same when it comes out later, in the thread */
export function createCheckpoint(db: Database, onFatal: (error: unknown) => void): Checkpoint {
  // Rows of [busy, pages in the log, pages moved], https://sqlite.org/pragma.html#pragma_wal_checkpoint
  const look = db.query("pragma wal_checkpoint(noop)");
  const move = db.query("pragma wal_checkpoint(passive)");
  const thread = createCheckpointThread(db.filename, onFatal);
  /** How long the log was when something was last done about it. A reader may have kept that from coming to much. */
  let seen = 0;
  /** Whether that was a pass, which leaves little. */
  let passed = false;

  function measure(): { log: number; rest: number } {
    const [, log, moved] = look.values()[0] as [number, number, number];
    return { log, rest: log - moved };
  }

  function moveHere(): void {
    passed = false;
    try {
      move.values();
    } catch (error) {
      if (troubleOf(error) === "fatal") throw error;
    }
  }

  return {
    due() {
      if (thread.busy) return false;
      const { log, rest } = measure();
      if (log < seen) seen = 0;
      if (passed && log >= LOG_PAGES) return rest > 0;
      return Math.min(rest, log - seen) >= PASS_PAGES;
    },
    run() {
      const { log, rest } = measure();
      seen = log;
      const few = rest <= FEW_PAGES || log >= MOST_LOG_PAGES;
      if (passed && log >= LOG_PAGES && few) moveHere();
      else if (thread.pass()) passed = true;
      else moveHere();
    },
    close: () => thread.close(),
  };
}
