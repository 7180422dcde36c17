import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { RowQuery } from "../trial.ts";

/** How many rows a query reads for a run of a statement, and for all of its runs. */
const MAX_ROWS = 100;
const MAX_ROWS_OF_ALL = 1000;

/** Reads rows before each run of a statement. */
export interface RowReads {
  /** @param bound the values of the statement's parameters, as SQLite numbers them */
  read(bound: readonly unknown[]): void;
  /** By query. */
  rows(): unknown[][][];
}

export function createRowReads(db: Database, queries: readonly RowQuery[]): RowReads {
  const reads = queries.map(({ sql }) => ({ sql, rows: [] as unknown[][], isRefused: false }));
  return {
    read(bound) {
      for (const one of reads) {
        const limit = Math.min(MAX_ROWS, MAX_ROWS_OF_ALL - one.rows.length);
        if (one.isRefused || limit === 0) continue;
        try {
          const statement = db.query(`select * from (${one.sql}\n) limit ${limit}`);
          const values = bound.slice(0, statement.paramsCount).map((value) => value ?? null);
          one.rows.push(...statement.values(...(values as SQLQueryBindings[])));
        } catch {
          // For example, a subquery that needs a column from outside. Any other error is that of the statement.
          one.isRefused = true;
        }
      }
    },
    rows: () => reads.map(({ rows }) => rows),
  };
}
