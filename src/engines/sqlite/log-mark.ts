import type { Database } from "bun:sqlite";
import type { Checkpoint } from "./checkpoint.ts";
import { readMeta, writeMeta } from "./meta.ts";
import { troubleOf } from "./sqlite-error.ts";

/**
 * A mark in the database that tells whether a write-ahead log belongs to the file beside it (leftover-log.ts). Each
 * start makes a new one. It is in the file before anything else is written, and from then on in each log as well. So if
 * the two differ, the file is a copy from before that start, and the log must not get into it.
 */
export interface Mark {
  readonly id: string;
  /** The mark of the file, as long as this one may not be in it yet. */
  readonly base: string | undefined;
}

const KEY = "log_mark";

/** @returns undefined if there is none: an older hookonce made the database, or an application did */
export function readMark(connection: Database): Mark | undefined {
  const [id, , base] = readMeta(connection, KEY)?.split(" ") ?? [];
  return id === undefined ? undefined : { id, base };
}

/** Call it when the log is empty. One commit of one page. */
export function writeNewMark(connection: Database): void {
  const base = readMark(connection)?.id ?? "";
  writeMeta(connection, KEY, `${crypto.randomUUID()} 0 ${base}`.trimEnd());
}

/** Puts the page with the mark into the log once more. `inFile`: the file has the mark by now. */
export function repeatMark(connection: Database, { inFile }: { readonly inFile: boolean }): void {
  const [id = "", count = "0", base = ""] = readMeta(connection, KEY)?.split(" ") ?? [];
  // SQLite writes no page that stays the same.
  writeMeta(connection, KEY, `${id} ${Number(count) + 1} ${inFile ? "" : base}`.trimEnd());
}

/** Repeats the mark each time SQLite has started the log anew. */
export function markingLog(connection: Database, checkpoint: Checkpoint): Checkpoint {
  let unmarked = false;
  return {
    ...checkpoint,
    due() {
      const due = checkpoint.due();
      unmarked ||= checkpoint.hasRestarted();
      return due || unmarked;
    },
    run() {
      if (unmarked) {
        try {
          repeatMark(connection, { inFile: false });
          unmarked = false;
        } catch (error) {
          // Locked or full: the next run marks it.
          if (troubleOf(error) === "fatal") throw error;
        }
      }
      if (checkpoint.due()) checkpoint.run();
    },
  };
}
