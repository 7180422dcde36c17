import { messageOf } from "../../errors.ts";
import type { ObservedRun } from "../trial.ts";

/** How many different statements of a run are noted. */
const MAX_STATEMENTS = 1000;

/** For how many runs of a statement the values are kept. */
const MAX_RUNS = 1000;

/** A statement that a handler runs. */
export interface Watched {
  readonly sql: string;
  /** In the handler's file; null if code has made it. */
  readonly line: number | null;
}

/**
 * Runs a statement of a handler that is tried, and notes it.
 *
 * @param bound the values of its parameters, in the order of their numbers
 * @param rowsOf how many rows it has changed, or returned if it changes none
 */
export type Observe = <Result>(
  statement: Watched,
  bound: readonly unknown[],
  work: () => Promise<Result>,
  rowsOf: (result: Result) => number,
) => Promise<Result>;

interface Noted extends Watched {
  runs: number;
  rows: number;
  us: number;
  error: string | null;
  readonly bound: (readonly unknown[])[];
}

/** Notes the statements that handlers run. */
export interface Observation {
  readonly observe: Observe;
  /** Forgets what was noted before. */
  begin(): void;
  noted(): Pick<ObservedRun, "statements" | "bound" | "rowsRead">;
}

export function createObservation(): Observation {
  let noted = new Map<string, Noted>();

  function noteOf(statement: Watched): Noted {
    const key = `${statement.line}:${statement.sql}`;
    let one = noted.get(key);
    if (one === undefined) {
      one = { ...statement, runs: 0, rows: 0, us: 0, error: null, bound: [] };
      if (noted.size < MAX_STATEMENTS) noted.set(key, one);
    }
    return one;
  }

  return {
    async observe(statement, bound, work, rowsOf) {
      const one = noteOf(statement);
      if (one.bound.length < MAX_RUNS) one.bound.push(bound);
      const began = performance.now();
      try {
        const result = await work();
        one.rows += rowsOf(result);
        return result;
      } catch (error) {
        one.error = messageOf(error);
        throw error;
      } finally {
        one.runs++;
        one.us += Math.round((performance.now() - began) * 1000);
      }
    },
    begin() {
      noted = new Map();
    },
    noted() {
      const all = [...noted.values()];
      return {
        statements: all.map(({ sql, line, runs, rows, us, error }) => ({ sql, line, runs, rows, us, error })),
        bound: all.flatMap(({ sql, line, bound }) => bound.map((one) => ({ sql, line, bound: one }))),
        rowsRead: [],
      };
    },
  };
}
