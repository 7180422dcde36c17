import type { Database } from "bun:sqlite";
import { messageOf } from "../../errors.ts";
import type { ObservedRun, RowQuery } from "../trial.ts";
import { createRowReads, type RowReads } from "./row-reads.ts";
import { directAccess, type AllowedStatement, type StatementAccess } from "./gate.ts";

/** How many different statements of a run are noted. */
const MAX_STATEMENTS = 1000;

/** For how many runs of a statement the values are kept. */
const MAX_RUNS = 1000;

interface Noted {
  readonly sql: string;
  readonly parameters: readonly string[];
  readonly line: number | null;
  runs: number;
  rows: number;
  us: number;
  error: string | null;
  readonly bound: (readonly unknown[])[];
  readonly reads: RowReads;
}

/** Notes the statements that handlers run. */
export interface Observation {
  /** @param isFile whether the lines of the statements are those of the handler's file */
  readonly access: (isFile: boolean) => StatementAccess;
  /** Forgets what was noted before. */
  begin(): void;
  noted(): Pick<ObservedRun, "statements" | "bound" | "rowsRead">;
  /** How long it read rows, in microseconds. */
  readUs(): number;
}

/** @param ownChanges how many of the changes that SQLite counts are not the handler's */
export function createObservation(
  db: Database,
  ownChanges: () => number,
  rowQueries: (sql: string) => readonly RowQuery[] = () => [],
): Observation {
  const direct = directAccess(db);
  let noted = new Map<string, Noted>();
  let readUs = 0;

  const totalChanges = (): number => direct.totalChanges() - ownChanges();

  function observed(allowed: AllowedStatement, text: string, line: number | null): AllowedStatement {
    const { statement, reads, writesView, parameters } = allowed;
    type Values = Parameters<typeof statement.run>;
    const note = <Result>(values: Values, work: () => Result, rowsOf: (result: Result) => number): Result => {
      const one = noteOf(text, parameters, line);
      const bound = valuesIn(values, parameters);
      if (one.bound.length < MAX_RUNS) one.bound.push(bound);
      const beganReading = performance.now();
      one.reads.read(bound);
      readUs += Math.round((performance.now() - beganReading) * 1000);
      const before = writesView ? totalChanges() : 0;
      const began = performance.now();
      let result: Result;
      try {
        result = work();
      } catch (error) {
        one.error = messageOf(error);
        throw error;
      } finally {
        one.runs++;
        one.us += Math.round((performance.now() - began) * 1000);
      }
      one.rows += writesView ? totalChanges() - before : rowsOf(result);
      return result;
    };
    return {
      ...allowed,
      statement: {
        run: (...values) =>
          reads
            ? note(
                values,
                () => nothingChanged(statement.values(...values)),
                ({ rows }) => rows,
              )
            : note(
                values,
                () => statement.run(...values),
                ({ changes }) => changes,
              ),
        all: (...values) => note(values, () => statement.all(...values), count),
        get: (...values) =>
          note(
            values,
            () => statement.get(...values),
            (row) => (row === null || row === undefined ? 0 : 1),
          ),
        values: (...values) => note(values, () => statement.values(...values), count),
        safeIntegers: (on) => statement.safeIntegers(on),
      } as AllowedStatement["statement"],
    };
  }

  function noteOf(text: string, parameters: readonly string[], line: number | null): Noted {
    const key = `${line}:${text}`;
    let one = noted.get(key);
    if (one === undefined) {
      const reads = createRowReads(db, rowQueries(text));
      one = { sql: text, parameters, line, runs: 0, rows: 0, us: 0, error: null, bound: [], reads };
      if (noted.size < MAX_STATEMENTS) noted.set(key, one);
    }
    return one;
  }

  return {
    access: (isFile) => ({
      totalChanges,
      prepare: (statement) =>
        observed(direct.prepare(statement), statement.text, isFile ? statement.line : null),
    }),
    begin() {
      noted = new Map();
      readUs = 0;
    },
    noted() {
      const all = [...noted.values()];
      return {
        statements: all.map(({ sql, line, runs, rows, us, error }) => ({ sql, line, runs, rows, us, error })),
        bound: all.flatMap(({ sql, line, bound }) => bound.map((one) => ({ sql, line, bound: one }))),
        rowsRead: all.map(({ sql, line, reads }) => ({ sql, line, rows: reads.rows() })),
      };
    },
    readUs: () => readUs,
  };
}

const count = (rows: readonly unknown[]): number => rows.length;

/** What `run` returns for a statement that only reads. */
function nothingChanged(rows: readonly unknown[]) {
  return { changes: 0, lastInsertRowid: 0, rows: rows.length };
}

/** The values in the order in which SQLite numbers the parameters. */
function valuesIn(values: readonly unknown[], parameters: readonly string[]): readonly unknown[] {
  const [first] = values;
  const isNamed =
    values.length === 1 && typeof first === "object" && first !== null && !ArrayBuffer.isView(first);
  if (!isNamed) return values;
  if (Array.isArray(first)) return first;
  const named = first as Readonly<Record<string, unknown>>;
  return parameters.map((name) => named[name.slice(1)] ?? named[name]);
}
