import { Database } from "bun:sqlite";
import { HookonceError } from "../../errors.ts";
import { deleteMeta, readMeta, writeMeta } from "./meta.ts";
import { tableExists } from "./open.ts";

/** The mark in a database whose inbox has moved to another engine, or is moving. */

const KEY = "moved_to";

/** What is written into the database that moves. */
export interface Moved {
  readonly id: string;
  readonly to: string;
  /** Unix milliseconds. */
  readonly at: number;
}

/** Why no start is accepted on a database: its inbox has moved, or is moving. Undefined if it has not. */
export function whyMoved(connection: Database, database: string): HookonceError | undefined {
  if (!tableExists(connection, "hookonce_meta")) return undefined;
  const moved = movedIn(connection);
  if (moved === undefined) return undefined;
  return new HookonceError(
    "inbox_moved",
    `The inbox in ${database} was moved to ${moved.to} on ${new Date(moved.at).toISOString()}, and would apply events a second time. Serve the inbox folder that it was moved to. To go back before that one has received anything: sqlite3 ${database} "delete from hookonce_meta where key = '${KEY}'"`,
  );
}

export function movedIn(connection: Database): Moved | undefined {
  const text = readMeta(connection, KEY);
  return text === undefined ? undefined : (JSON.parse(text) as Moved);
}

export function markMoved(database: string, moved: Moved): void {
  change(database, (connection) => writeMeta(connection, KEY, JSON.stringify(moved)));
}

export function unmarkMoved(database: string): void {
  change(database, (connection) => deleteMeta(connection, KEY));
}

/** The same settings as the writer of a start: the mark is on the disk before anything is read. */
function change(database: string, work: (connection: Database) => void): void {
  const connection = new Database(database, { readwrite: true, create: false, strict: true });
  try {
    connection.run("pragma busy_timeout = 5000");
    connection.run("pragma synchronous = full");
    connection.run("pragma secure_delete = on");
    work(connection);
  } finally {
    connection.close(true);
  }
}
