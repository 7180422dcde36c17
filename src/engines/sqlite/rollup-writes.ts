import type { Database } from "bun:sqlite";
import type { HookonceError } from "../../errors.ts";
import type { Job, JobResult } from "../engine.ts";
import { addedBy, COLUMNS } from "../rollup-counts.ts";

/**
 * One statement for each source and minute of a batch. The row is new until a job adds it to its minute, hour
 * and day (rollup-sums.ts).
 */
export const ADD_TO_MINUTE = `
  insert into hookonce_rollups (span, at, source, last_at, ${COLUMNS.join(", ")})
  values ('new', ?1, ?2, ?3, ${COLUMNS.map((_, index) => `?${index + 4}`).join(", ")})
  on conflict (span, at, source) do update set last_at = max(last_at, excluded.last_at),
  ${COLUMNS.map((column) => `${column} = ${column} + excluded.${column}`).join(", ")}`;

/** Counts what a batch did, in its own transaction. */
export interface RollupWrites {
  add(jobs: readonly Job[], results: readonly (JobResult | HookonceError)[]): void;
}

export function createRollupWrites(db: Database): RollupWrites {
  const statement = db.query(ADD_TO_MINUTE);
  return {
    add(jobs, results) {
      for (const { source, minute, lastAt, counts } of addedBy(jobs, results))
        statement.run(minute, source, lastAt, ...counts);
    },
  };
}
