import { EACH, jsonPath, lookUp, nearestPath, valuesAt, type Found } from "./payload-paths.ts";
import { columnQueries } from "./column-queries.ts";
import { jsonReads, type JsonRead } from "./sql-paths.ts";

/** A statement that has run. */
export interface BoundStatement {
  readonly sql: string;
  /** Of its first word, in the handler's file; null if code has made it. */
  readonly line: number | null;
  /** What its parameters were, as SQLite numbers them. */
  readonly bound: readonly unknown[];
}

/** A read of JSON that returned NULL. */
export interface NullPath {
  /** As written in the statement, in one line. */
  readonly read: string;
  /** In the handler's file; null if code has made the statement. */
  readonly line: number | null;
  /** Whether the JSON has no value there, or null, or the payload is not JSON. */
  readonly found: "missing" | "null" | "not_json";
  readonly path: string;
  /** The path that was probably meant; null if none is near. */
  readonly meant: string | null;
  /** Of how many elements of a list the read returned NULL; null if it reads no list. */
  readonly elements: { readonly null: number; readonly of: number } | null;
  /** The same for the rows of a table; null if the read is not of a column. */
  readonly rows: { readonly null: number; readonly of: number } | null;
}

/** What the queries of `columnQueries()` returned before the runs of a statement. */
export interface StatementRows extends Omit<BoundStatement, "bound"> {
  readonly rows: readonly (readonly (readonly unknown[])[])[];
}

/** The reads of JSON in statements that returned NULL. Each is named once, however often its statement has run. */
export function nullPathsIn(statements: readonly BoundStatement[]): NullPath[] {
  const found = new Map<string, NullPath>();
  const readsOf = remembered(jsonReads);
  const valueOf = remembered(parsed);
  for (const { sql, line, bound } of statements) {
    for (const read of readsOf(sql)) {
      const key = `${line}:${read.line}:${read.read}`;
      if (found.has(key)) continue;
      const value = valueOf(bound[read.index]);
      const isNotJson = read.of === "payload" && bound[read.index] === null;
      if (isNotJson) found.set(key, withoutJson(read, line));
      const one = value === undefined ? undefined : nullPath(read, value, line);
      if (one !== undefined) found.set(key, one);
    }
  }
  return [...found.values()];
}

/** The reads of JSON in columns that returned NULL in some of the rows that a statement read. */
export function nullColumnPathsIn(statements: readonly StatementRows[]): NullPath[] {
  return statements.flatMap(({ sql, line, rows }) =>
    columnQueries(sql).flatMap(({ reads }, query) =>
      reads.flatMap((read, index) => {
        // The reads have the last columns.
        const values = (rows[query] ?? []).map((row) => parsed(row.at(index - reads.length)));
        const known = values.filter((value) => value !== undefined);
        const lost = lostIn(known, read, line);
        if (lost === undefined) return [];
        const { counts, ...path } = lost;
        return [{ ...path, elements: null, rows: counts }];
      }),
    ),
  );
}

type Read = Pick<JsonRead, "read" | "line" | "steps" | "keepsNull">;

/** A loop runs one statement up to a thousand times, most often with the same payload. */
function remembered<Given, Result>(work: (given: Given) => Result): (given: Given) => Result {
  const results = new Map<Given, Result>();
  return (given) => {
    if (!results.has(given)) results.set(given, work(given));
    return results.get(given) as Result;
  };
}

/** @returns undefined if it is not JSON. SQLite then tells the handler so */
function parsed(value: unknown): unknown {
  if (typeof value !== "string") return undefined;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return undefined;
  }
}

function withoutJson({ read, line: below, steps }: JsonRead, line: number | null): NullPath {
  const where = line === null ? null : line + below - 1;
  const path = jsonPath(steps.slice(steps.lastIndexOf(EACH) + 1));
  return {
    read: read.replaceAll(/\s+/g, " "),
    line: where,
    found: "not_json",
    path,
    meant: null,
    elements: null,
    rows: null,
  };
}

function nullPath(read: JsonRead, value: unknown, line: number | null): NullPath | undefined {
  // In the elements of a list, the path begins at the element.
  const from = read.steps.lastIndexOf(EACH) + 1;
  const lost = lostIn(valuesAt(value, read.steps.slice(0, from)), read, line);
  if (lost === undefined) return undefined;
  const { counts, ...path } = lost;
  return { ...path, elements: from > 0 ? counts : null, rows: null };
}

interface Lost extends Omit<NullPath, "elements" | "rows"> {
  readonly counts: NonNullable<NullPath["rows"]>;
}

/** @returns undefined if the read returned NULL for none of the values */
function lostIn(values: readonly unknown[], read: Read, line: number | null): Lost | undefined {
  const steps = read.steps.slice(read.steps.lastIndexOf(EACH) + 1);
  const lost = values
    .map((one) => ({ one, found: lookUp(one, steps) }))
    .filter(({ one, found }) => found === "missing" || (found === "null" && !isKept(read, one, steps)));
  if (lost.length === 0) return undefined;
  const found: Exclude<Found, "found"> = lost.some((one) => one.found === "missing") ? "missing" : "null";
  // What some values have is the path that was meant, and an index is no name that could be misspelled.
  const isLooked = lost.length === values.length && found === "missing" && typeof steps.at(-1) === "string";
  return {
    read: read.read.replaceAll(/\s+/g, " "),
    line: line === null ? null : line + read.line - 1,
    found,
    path: jsonPath(steps),
    meant: isLooked ? (nearestPath(values, steps) ?? null) : null,
    counts: { null: lost.length, of: values.length },
  };
}

/** Whether a null is returned as text. It is not if it is further up: `$.a.b` of `{"a": null}` is NULL. */
function isKept({ keepsNull }: Read, value: unknown, steps: Read["steps"]): boolean {
  return keepsNull && lookUp(value, steps.slice(0, -1)) !== "null";
}
