import { HookonceError } from "../../errors.ts";
import { rowsOf, sql } from "./sql.ts";
import type { Wire } from "./wire.ts";

/** What the server's settings make of an answered 200. */
export interface Durability {
  /** In one line. */
  readonly promise: string;
  /** What weakens it; undefined if nothing does. */
  readonly warning: string | undefined;
}

/**
 * Reads the settings that the promise depends on. hookonce itself sets `synchronous_commit = on` for each of its
 * commits, so that setting of the server does not matter.
 *
 * @throws HookonceError `database_unusable` if the server does not wait for its disk
 */
export async function readDurability(wire: Wire): Promise<Durability> {
  const [settings] = await rowsOf<{ fsync: string; pages: string; standbys: string }>(
    wire,
    sql`select current_setting('fsync') as fsync, current_setting('full_page_writes') as pages,
      current_setting('synchronous_standby_names') as standbys`,
  );
  const { fsync = "on", pages = "on", standbys = "" } = settings ?? {};
  if (fsync !== "on")
    throw new HookonceError(
      "database_unusable",
      "The database server has fsync = off: a power cut damages the database, and answered events are lost. Set fsync = on in postgresql.conf.",
    );
  return {
    promise:
      standbys === ""
        ? "An answered 200 survives a power cut. It does not survive the loss of the primary's disk: there is no synchronous standby (synchronous_standby_names is empty)."
        : `An answered 200 survives a power cut, and the loss of the primary: each commit waits for a standby (synchronous_standby_names = '${standbys}').`,
    warning:
      pages === "on"
        ? undefined
        : "The database server has full_page_writes = off: a power cut may damage the database, unless its file system writes whole pages.",
  };
}
