/**
 * How an inbox moves from one engine to another: its tables are read in the order of this list, a page at a time, and
 * written with their ids. What is written and where to go on are committed together, so an interrupted move goes on
 * where it was.
 */

export type ColumnKind = "integer" | "boolean" | "text" | "bytes";

export interface MovedTable {
  /** As on PostgreSQL. On SQLite it begins with hookonce_. */
  readonly name: string;
  /** The columns of its primary key, in the order in which it is read. */
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, ColumnKind>>;
}

export type MovedValue = number | string | Uint8Array | null;

/** In the order of the columns. A boolean is 0 or 1. */
export type MovedRow = readonly MovedValue[];

/** Where to go on: in which table, and behind which key. */
export interface MoveCursor {
  readonly table: string;
  readonly after: readonly (number | string)[];
}

export interface MovePage {
  readonly table: MovedTable;
  readonly rows: readonly MovedRow[];
  /** Behind the last row. */
  readonly cursor: MoveCursor;
}

/** The inbox that moves. Nothing serves it meanwhile. */
export interface MoveOut {
  /**
   * Marks the database, so that from now on no start is accepted on it: its events would be applied in both places.
   *
   * @param to the name of the other database
   * @param now Unix milliseconds
   * @returns what identifies this move, and whether it begins now
   * @throws HookonceError `inbox_moved` if it moves to another database
   */
  begin(to: string, now: number): { readonly move: string; readonly isNew: boolean };
  /** Removes the mark, because the other database has refused the inbox. */
  takeBack(): void;
  /** What there is, by table. */
  totals(): MoveTotals;
  /** Sources that are not paused. */
  openSources(): readonly string[];
  /** @returns undefined if none is left */
  page(after: MoveCursor | undefined): MovePage | undefined;
  close(): void;
}

/** The place that an inbox moves to. */
export interface MoveIn {
  /**
   * @param move what identifies it
   * @returns how far an earlier attempt has come
   * @throws HookonceError `move_refused` if it is not empty, is served, or if another inbox moves to it
   */
  begin(move: string): Promise<MoveProgress>;
  /** @throws HookonceError `move_refused` if another command moves the same inbox to it */
  write(page: MovePage): Promise<void>;
  /**
   * From then on a start is accepted.
   *
   * @param totals of the inbox that moved
   * @throws HookonceError `move_refused` if the totals differ here
   */
  finish(totals: MoveTotals): Promise<void>;
  close(): Promise<void>;
}

export interface MoveProgress {
  /** Undefined: nothing is written yet. */
  readonly cursor: MoveCursor | undefined;
  readonly rows: number;
  /** The move ended, but the command was not told. */
  readonly isDone: boolean;
}

/** How many rows each table has, and how many bytes their bodies have. */
export type MoveTotals = ReadonlyMap<string, { readonly rows: number; readonly bytes: number }>;

/** What `totals` adds up. The other values may change: a NUL becomes U+FFFD, and a missing hash is added. */
export function bytesOfRow({ columns }: MovedTable): string {
  const sizes = Object.keys(columns)
    .filter((column) => columns[column] === "bytes" && column !== "sha256")
    .map((column) => `coalesce(octet_length("${column}"), 0)`);
  return sizes.join(" + ") || "0";
}

const integers = (...names: readonly string[]): Record<string, ColumnKind> => kinds("integer", names);
const texts = (...names: readonly string[]): Record<string, ColumnKind> => kinds("text", names);
const bytes = (...names: readonly string[]): Record<string, ColumnKind> => kinds("bytes", names);
const booleans = (...names: readonly string[]): Record<string, ColumnKind> => kinds("boolean", names);

function kinds(kind: ColumnKind, names: readonly string[]): Record<string, ColumnKind> {
  return Object.fromEntries(names.map((name) => [name, kind]));
}

const HANDLER_TIMES = Array.from({ length: 16 }, (_, index) => `t${index}`);

/** Facts that are not about the file of a database. */
export const MOVED_META = ["hidden_ids", "discarded_by_retention", "counted_bodies"] as const;

/**
 * Everything but the journals of migrations. The events come last but for what belongs to them: the tables before them
 * are small.
 */
export const MOVED_TABLES: readonly MovedTable[] = [
  { name: "meta", key: ["key"], columns: texts("key", "value") },
  {
    name: "sources",
    key: ["name"],
    columns: { ...texts("name", "provider", "event_id_rule"), ...integers("retry_window_ms") },
  },
  {
    name: "source_states",
    key: ["name"],
    columns: {
      ...texts("name", "state", "reason"),
      ...integers("since", "until", "ran_place", "ran_failure"),
      ...booleans("stop_on_failure"),
    },
  },
  { name: "failing_sources", key: ["name"], columns: { ...texts("name"), ...integers("failures") } },
  {
    name: "destinations",
    key: ["name"],
    columns: { ...texts("name", "state", "reason"), ...integers("since") },
  },
  {
    name: "tokens",
    key: ["id"],
    columns: {
      ...integers("id", "created_at", "expires_at", "revoked_at"),
      ...texts("name", "hash", "scopes"),
    },
  },
  {
    name: "secrets",
    key: ["source", "secret"],
    columns: { ...texts("source", "secret"), ...integers("at") },
  },
  { name: "stored_bytes", key: ["source"], columns: { ...texts("source"), ...integers("bytes") } },
  {
    name: "alerts",
    key: ["key"],
    columns: { ...texts("key"), ...integers("since", "seen_at", "began_at", "gone_at") },
  },
  {
    name: "audit",
    key: ["id"],
    columns: { ...integers("id", "at", "count"), ...texts("actor", "action", "target", "reason", "job") },
  },
  {
    name: "jobs",
    key: ["id"],
    columns: {
      ...texts("id", "action", "actor", "request", "progress"),
      ...integers("started_at", "ended_at"),
    },
  },
  {
    name: "rollups",
    key: ["span", "at", "source"],
    columns: {
      ...texts("span", "source"),
      ...integers("at", "last_at", "processed", "duplicate", "unhandled", "ignored", "failed", "refused"),
      ...integers("stale", "held", ...HANDLER_TIMES),
    },
  },
  {
    name: "interrupted_runs",
    key: ["source", "event_id"],
    columns: { ...texts("source", "event_id", "handler_hash", "code"), ...integers("ends") },
  },
  {
    name: "positions",
    key: ["source", "rule", "key"],
    columns: texts("source", "rule", "key", "version", "event_id"),
  },
  {
    name: "failures",
    key: ["id"],
    columns: {
      ...integers("id", "attempts", "deliveries", "first_at", "last_at", "position", "settled_at", "retries"),
      ...integers("next_at", "failed_answers", "accepted_at", "event"),
      ...texts("source", "event_id", "type", "handler", "handler_hash", "code", "error", "stack"),
      ...texts("first_headers", "last_headers"),
      ...bytes("first_body", "last_body"),
      ...booleans("element"),
    },
  },
  {
    name: "events",
    key: ["id"],
    columns: {
      ...integers("id", "received_at", "deliveries", "last_delivery_at", "changed_bodies", "era", "change"),
      ...integers("applied_at"),
      ...texts("source", "event_id", "type", "outcome", "handler"),
      ...bytes("body_sha256"),
    },
  },
  {
    name: "bodies",
    key: ["id"],
    columns: {
      ...integers("id", "received_at", "redacted"),
      ...texts("headers"),
      ...bytes("bytes", "sha256"),
    },
  },
  {
    name: "results",
    key: ["event"],
    columns: {
      ...integers("event", "body", "rows_changed", "duration_us", "replays"),
      ...texts("reply", "handler_hash", "replayed_by", "reason"),
      ...booleans("element"),
    },
  },
  {
    name: "deliveries",
    key: ["source", "event_id", "era", "number"],
    columns: {
      ...texts("source", "event_id", "outcome"),
      ...integers("era", "number", "at"),
      ...booleans("changed_body"),
    },
  },
  {
    name: "changed_bodies",
    key: ["event"],
    columns: { ...integers("event", "received_at"), ...texts("headers"), ...bytes("body") },
  },
  {
    name: "messages",
    key: ["id"],
    columns: {
      ...integers("id", "event", "created_at", "next_at", "attempts", "tries", "since", "settled_at"),
      ...integers("last_status"),
      ...texts("message_id", "destination", "source", "event_id", "type", "state", "last_error", "headers"),
      ...texts("run", "reason"),
      ...bytes("body"),
    },
  },
  {
    name: "attempts",
    key: ["message", "number"],
    columns: { ...integers("message", "number", "at", "ms", "status"), ...texts("error", "answer") },
  },
  {
    name: "enqueued",
    key: ["id"],
    columns: {
      ...integers("id"),
      ...texts("destination", "message_id", "headers"),
      ...bytes("body"),
      ...booleans("is_bytes"),
    },
  },
];
