import type { Reply } from "../event.ts";
import type { HandlerOutput } from "./handler-output.ts";

/** What a handler does while it is tried: it runs in a transaction that is rolled back. */

/** How many rows of one of the user's tables were changed. */
export interface ChangedTable {
  readonly table: string;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/**
 * A value of the database. Long text is cut, and a large integer is written as its digits. A blob of SQLite is
 * written as `x'…'`, and what PostgreSQL has besides numbers and text is written as PostgreSQL writes it.
 */
export type ShownValue = string | number | null;

export interface ChangedRow {
  readonly change: "inserted" | "updated" | "deleted";
  /** By column; null if the row was inserted. */
  readonly before: Readonly<Record<string, ShownValue>> | null;
  /** Null if the row was deleted. */
  readonly after: Readonly<Record<string, ShownValue>> | null;
  /** The columns that differ. */
  readonly changed: readonly string[];
}

/** The changed rows of a table. If there are many, only some of them. */
export interface ChangedRows extends ChangedTable {
  readonly rows: readonly ChangedRow[];
}

/** A statement, with all its runs. */
export interface RunStatement {
  readonly sql: string;
  /** In the handler's file; null if the statement was made by code. */
  readonly line: number | null;
  readonly runs: number;
  /** Rows that were changed, or returned by a SELECT. */
  readonly rows: number;
  /** In microseconds. */
  readonly us: number;
  /** Null if it did not fail. */
  readonly error: string | null;
}

/** What a statement was given, as SQLite numbers its parameters. */
export interface BoundValues extends Pick<RunStatement, "sql" | "line"> {
  readonly bound: readonly unknown[];
}

/** Rows to read before a statement runs. */
export interface RowQuery {
  /** Its parameters are numbered as those of the statement. */
  readonly sql: string;
}

/** What the queries for a statement returned before its first runs. */
export interface ReadRows extends Pick<RunStatement, "sql" | "line"> {
  /** By query, in the order of `TrialOptions.rowQueries`. Empty for a query that SQLite refuses. */
  readonly rows: readonly (readonly (readonly unknown[])[])[];
}

/** A message that a run would send. */
export interface ObservedMessage {
  readonly destination: string;
  readonly id: string;
  /** The first line of what a handler enqueued. Null if the event itself would be sent. */
  readonly body: string | null;
}

/** At most so many messages of a run are shown. */
export const MAX_MESSAGES = 100;

/** In characters. */
const MAX_BODY = 500;

export function firstLine(body: Uint8Array | string): string {
  const text = typeof body === "string" ? body : Buffer.from(body.subarray(0, 4 * MAX_BODY)).toString();
  return (text.trimStart().split("\n", 1)[0] ?? "").slice(0, MAX_BODY).toWellFormed();
}

export interface ObservedRun {
  /** Another one than that of the given body if an event with its id is stored. */
  readonly eventId: string;
  /** False if the event's body is not stored. */
  readonly ran: boolean;
  /** What the handler threw; undefined if it did not fail. */
  readonly error: unknown;
  readonly rowsChanged: number;
  /** In microseconds. */
  readonly durationUs: number;
  readonly reply: Reply | null;
  /** Empty if the handler failed. */
  readonly tables: readonly ChangedRows[];
  /** At most a hundred. Empty if the handler failed. */
  readonly messages: readonly ObservedMessage[];
  readonly statements: readonly RunStatement[];
  /** What the statements were given, for the first runs of each. */
  readonly bound: readonly BoundValues[];
  readonly rowsRead: readonly ReadRows[];
  readonly output: readonly HandlerOutput[];
}
