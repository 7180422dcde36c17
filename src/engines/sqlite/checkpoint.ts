import type { Database } from "bun:sqlite";
import { createCheckpointThread } from "./checkpoint-thread.ts";
import { readPragma } from "./open.ts";
import { troubleOf } from "./sqlite-error.ts";

/**
 * A pass starts when this many pages of the log are not in the database yet (12 MiB). Fewer passes are
 * cheaper, because with random ids a page of the index changes several times before it is moved: with 1,000
 * pages, throughput is a fifth lower. With 8,000 pages, single deliveries waited 40 ms.
 */
const PASS_PAGES = 3000;

/**
 * SQLite restarts the log from its beginning only after all of it has been moved, and a pass that runs while
 * the writer writes never moves all of it. Once the log has LOG_PAGES (47 MiB), the writer itself moves what
 * the last pass left, as soon as that is at most FEW_PAGES: a few milliseconds. Until then passes follow each
 * other, each shorter than the one before. At MOST_LOG_PAGES the writer moves the rest, however large it is.
 */
const LOG_PAGES = 12_000;
const FEW_PAGES = 600;
const MOST_LOG_PAGES = 20_000;

/**
 * Once bytes in the database were rewritten, the log still has what they were. It is emptied after this time, in
 * milliseconds, and not at once: on a busy server each delivered message may rewrite some.
 */
const EMPTY_AFTER_MS = 60_000;

/**
 * Moves the write-ahead log into the database from time to time. SQLite could do this itself after a commit,
 * but it ignores errors: on a failing disk the log would grow without bound and without a message. It would
 * also block every delivery: for a tenth of the time if ids grow with time, for a third if they are random.
 * So a thread does it.
 */
export interface Checkpoint {
  /** Whether `run` has something to do. Takes less than 1 µs. */
  due(): boolean;
  /** The next run moves the log, however short it is. Only that makes the file shorter if it has fewer pages. */
  want(): void;
  /** The log is emptied within a minute or two, as soon as no reader needs it. */
  wantEmpty(): void;
  /**
   * Starts a pass in the thread or moves the rest of the log here, as far as readers allow. Committed data
   * stays committed whatever happens.
   *
   * @throws SQLiteError if this process can no longer trust the database. A full disk does not throw: a later
   * run moves the rest.
   */
  run(): void;
  /**
   * Empties the log now. Returns false if a pass is under way, or a reader needs the log: call it again soon. It is
   * emptied later in any case.
   *
   * @throws as `run`
   */
  truncate(): boolean;
  /**
   * The length of the log when it was measured last, and how much of it was not in the database, in bytes.
   */
  size(): { readonly used: number; readonly rest: number };
  /** Whether SQLite has restarted the log since the last call. */
  hasRestarted(): boolean;
  /** Ends the checkpoint thread and closes its connection. */
  close(): Promise<void>;
}

/** @param onFatal is called if this process can no longer trust the database and the thread finds out */
export function createCheckpoint(
  db: Database,
  onFatal: (error: unknown) => void,
  emptyAfterMs = EMPTY_AFTER_MS,
): Checkpoint {
  // Rows of [busy, pages in the log, pages moved], https://sqlite.org/pragma.html#pragma_wal_checkpoint
  const look = db.query("pragma wal_checkpoint(noop)");
  const move = db.query("pragma wal_checkpoint(passive)");
  const empty = db.query("pragma wal_checkpoint(truncate)");
  const thread = createCheckpointThread(db.filename, onFatal);
  // A page of the log has a header of 24 bytes: https://sqlite.org/fileformat2.html#walformat
  const frame = (readPragma(db, "page_size") as number) + 24;
  /** Length of the log, in pages, at the last run. A reader may have held that run back. */
  let seen = 0;
  /** As they were measured last, in pages. */
  let latest = { log: 0, rest: 0 };
  let restarted = false;
  /** Whether the last run was a pass in the thread, which leaves few pages. */
  let passed = false;
  let wanted = false;
  /** When the log is to be emptied, on the monotonic clock. */
  let emptyAt: number | undefined;

  const isEmptyingDue = (): boolean => emptyAt !== undefined && performance.now() >= emptyAt;

  function measure(): { log: number; rest: number } {
    const [, log, moved] = look.values()[0] as [number, number, number];
    if (log < latest.log) restarted = true;
    latest = { log, rest: log - moved };
    return latest;
  }

  function moveHere(): void {
    passed = false;
    try {
      move.values();
    } catch (error) {
      if (troubleOf(error) === "fatal") throw error;
    }
  }

  function emptyHere(): void {
    passed = false;
    emptyAt = performance.now() + emptyAfterMs;
    try {
      const [busy] = empty.values()[0] as [number];
      if (busy === 0) emptyAt = undefined;
    } catch (error) {
      if (troubleOf(error) === "fatal") throw error;
    }
  }

  return {
    due() {
      if (thread.busy) return false;
      const { log, rest } = measure();
      if (log < seen) seen = 0;
      if (wanted && rest > 0) return true;
      if (isEmptyingDue()) return true;
      if (passed && log >= LOG_PAGES) return rest > 0;
      return Math.min(rest, log - seen) >= PASS_PAGES;
    },
    want() {
      wanted = true;
    },
    wantEmpty() {
      emptyAt ??= performance.now() + emptyAfterMs;
    },
    run() {
      const { log, rest } = measure();
      // The thread moves most of it first, if there is much.
      if (isEmptyingDue() && (passed || rest <= FEW_PAGES)) {
        emptyHere();
        return;
      }
      wanted = false;
      seen = log;
      const few = rest <= FEW_PAGES || log >= MOST_LOG_PAGES;
      if (passed && log >= LOG_PAGES && few) moveHere();
      else if (thread.pass()) passed = true;
      else moveHere();
    },
    truncate() {
      if (thread.busy) return false;
      // The writer waits only for the few pages that a pass leaves.
      if (measure().rest > FEW_PAGES && thread.pass()) {
        passed = true;
        return false;
      }
      emptyHere();
      return measure().log === 0;
    },
    size: () => ({ used: latest.log * frame, rest: latest.rest * frame }),
    hasRestarted() {
      const was = restarted;
      restarted = false;
      return was;
    },
    close: () => thread.close(),
  };
}
