import { markerPathOf, verdictPathOf } from "../marker.ts";
import { lockFileOf, lockTextOf, wantedFileOf } from "./lock-text.ts";

/** What follows the path of the database in the names of its files: SQLite's, hookonce's, and the socket. */
const SUFFIXES = new Set([
  "",
  "-wal",
  "-shm",
  "-journal",
  ".copying",
  ".copying-journal",
  ".sock",
  lockFileOf(""),
  lockTextOf(""),
  wantedFileOf(""),
  markerPathOf(""),
  verdictPathOf(""),
]);

/** A copy before a migration, and the log of another database that a start has put aside. */
const DATED = /^(?:\.before-|-wal\.left-)[\w-]+$/;

/** Whether a path is that of a database, or of a file that SQLite or hookonce makes beside it. */
export function belongsToDatabase(path: string, database: string): boolean {
  if (!path.startsWith(database)) return false;
  const suffix = path.slice(database.length);
  return SUFFIXES.has(suffix) || DATED.test(suffix);
}
