import type { Database } from "bun:sqlite";
import type { Checkpoint } from "./checkpoint.ts";
import { troubleOf } from "./sqlite-error.ts";

/**
 * Takes 0.1 ms if there is nothing to count, else some ms for each table: it looks at 2,000 rows of each
 * index.
 */
export const OPTIMIZE = "pragma optimize";

/**
 * SQLite plans with its last row counts. A stop after the first event counts one row, and with that count a
 * handler's join scans both tables, however much they grow before the next stop. So each checkpoint also
 * counts the tables that have grown tenfold.
 */
export function countingRows(connection: Database, checkpoint: Checkpoint): Checkpoint {
  return {
    ...checkpoint,
    run() {
      try {
        connection.run(OPTIMIZE);
      } catch (error) {
        // Locked or full: the next checkpoint counts.
        if (troubleOf(error) === "fatal") throw error;
      }
      checkpoint.run();
    },
  };
}
