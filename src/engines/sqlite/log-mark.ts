import type { Database } from "bun:sqlite";
import type { Checkpoint } from "./checkpoint.ts";
import { readMeta, writeMeta } from "./meta.ts";
import { troubleOf } from "./sqlite-error.ts";

/**
 * A mark in the database that shows whether a write-ahead log belongs to the file beside it
 * (leftover-log.ts). Each start makes a new mark. It is written to the file before anything else, and after
 * that to each log, before each checkpoint. Each time its count grows.
 */
export interface Mark {
  readonly id: string;
  readonly count: number;
  /** The mark of the file, while this one may not be in the file yet. */
  readonly base: string | undefined;
  /** The file contains this mark with at least this count: it was moved there before the log began. */
  readonly needs: number | undefined;
}

const KEY = "log_mark";
const NONE = "-";

/** @returns undefined if there is none: an older hookonce made the database, or an application did */
export function readMark(connection: Database): Mark | undefined {
  const [id, count, base, needs] = (readMeta(connection, KEY)?.split(" ") ?? []).map((part) =>
    part === NONE ? undefined : part,
  );
  if (id === undefined) return undefined;
  return { id, count: Number(count ?? 0), base, needs: needs === undefined ? undefined : Number(needs) };
}

function writeMark(connection: Database, { id, count, base, needs }: Mark): void {
  writeMeta(connection, KEY, `${id} ${count} ${base ?? NONE} ${needs ?? NONE}`);
}

/** Call it when the log is empty. One commit of one page. */
export function writeNewMark(connection: Database): void {
  writeMark(connection, {
    id: crypto.randomUUID(),
    count: 0,
    base: readMark(connection)?.id,
    needs: undefined,
  });
}

/** Writes the mark of this start to the log. `inFile`: the file already contains it. */
export function repeatMark(connection: Database, { inFile }: { readonly inFile: boolean }): void {
  const mark = readMark(connection);
  // SQLite does not write an unchanged page, so the count grows.
  if (mark !== undefined)
    writeMark(connection, { ...mark, count: mark.count + 1, base: inFile ? undefined : mark.base });
}

/**
 * Writes the mark again before each checkpoint, and each time SQLite has restarted the log. A log is restarted
 * only when all of it is in the file, so the mark that was written last before that must be in the file. A copy
 * of the file that was made earlier contains an older one.
 *
 * @param generation tells one log from the next at the same path, or is undefined if that is not known
 */
export function markingLog(
  connection: Database,
  checkpoint: Checkpoint,
  generation: () => string | undefined,
): Checkpoint {
  let unmarked = false;
  /** The log that contains the last mark, or a later one. */
  let markedIn = generation();

  function mark(): void {
    const before = readMark(connection);
    if (before === undefined) return;
    const now = generation();
    const isRestarted = now !== undefined && markedIn !== undefined && now !== markedIn;
    writeMark(connection, {
      ...before,
      count: before.count + 1,
      needs: isRestarted ? before.count : before.needs,
    });
    markedIn = generation();
    unmarked = false;
  }

  function tryToMark(): void {
    try {
      mark();
    } catch (error) {
      // Locked or full: the next run marks it.
      if (troubleOf(error) === "fatal") throw error;
    }
  }

  return {
    ...checkpoint,
    due() {
      const due = checkpoint.due();
      unmarked ||= checkpoint.hasRestarted();
      return due || unmarked;
    },
    run() {
      const due = checkpoint.due();
      if (due || unmarked) tryToMark();
      if (due) checkpoint.run();
    },
    truncate() {
      tryToMark();
      return checkpoint.truncate();
    },
  };
}
