import type { Database } from "bun:sqlite";
import type { Checkpoint } from "./checkpoint.ts";
import { readMeta, writeMeta } from "./meta.ts";
import { troubleOf } from "./sqlite-error.ts";

/**
 * A mark in the database that shows whether a write-ahead log belongs to the file beside it
 * (leftover-log.ts). Each start makes a new mark. It is written to the file before anything else, and to each
 * log after that. If the marks differ, the file is a copy from before that start, and the log must not get
 * into it.
 */
export interface Mark {
  readonly id: string;
  /** The mark of the file, while this one may not be in the file yet. */
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

/** Writes the page with the mark to the log again. `inFile`: the file already contains the mark. */
export function repeatMark(connection: Database, { inFile }: { readonly inFile: boolean }): void {
  const [id = "", count = "0", base = ""] = readMeta(connection, KEY)?.split(" ") ?? [];
  // SQLite does not write an unchanged page.
  writeMeta(connection, KEY, `${id} ${Number(count) + 1} ${inFile ? "" : base}`.trimEnd());
}

/** Writes the mark again each time SQLite has restarted the log. */
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
