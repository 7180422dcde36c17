import { existsSync, statSync } from "node:fs";
import { HookonceError } from "../../errors.ts";
import { markerPathOf, verdictPathOf } from "../marker.ts";
import { hasEntries } from "./leftover-log.ts";
import { lockTextOf, wasServed } from "./lock-text.ts";
import { realPath } from "./real-path.ts";

/**
 * Refuses to begin with an empty database in place of one that was lost. All its ids would be gone, so each
 * event that a provider still retries, or sends again, would be applied a second time.
 *
 * Each of these shows that a database was there. A first start makes none of them before the tables are in the
 * database file and synced, so a first start that is refused, stopped or killed can be repeated:
 *
 * - a log that contains more than its header,
 * - the marker of a process that did not stop cleanly, or the verdict on one of its runs,
 * - the line in the text beside the lock, which also outlives a clean stop.
 *
 * @throws HookonceError `database_missing`
 */
export function refuseLostDatabase(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size !== undefined && size > 0) return;
  const database = realPath(path);
  const [log, marker, verdict] = [`${database}-wal`, markerPathOf(database), verdictPathOf(database)];
  if (!hasEntries(log) && !existsSync(marker) && !existsSync(verdict) && !wasServed(database)) return;
  const left = [log, `${database}-shm`, marker, verdict, lockTextOf(database)].filter((each) =>
    existsSync(each),
  );
  throw new HookonceError(
    "database_missing",
    `The database ${path} ${size === undefined ? "is gone" : "is empty (0 bytes)"}, but files beside it show that hookonce has served it. With a new database, hookonce would apply events that it has already applied. Put the database or a backup of it back. Or, to begin with an empty database, delete these files: ${left.join(" ")}`,
  );
}
