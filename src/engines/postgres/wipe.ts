import { TEXT_PLACES } from "../forget.ts";
import { tableOf } from "./forget.ts";
import type { Server } from "./server.ts";
import { rowsOf, sql } from "./sql.ts";
import { ownFailure } from "./trouble.ts";
import type { Wire } from "./wire.ts";

/** How long to wait for the transactions of others, and how often to look meanwhile, in milliseconds. */
const WAIT_MS = 5000;
const LOOK_MS = 50;

/** VACUUM reads whole tables, and answers when it is done. */
const LIMITS = { silenceMs: 3_600_000 } as const;

// Without its indexes, it would leave the entries of a few rows, which have the ids. To shorten a file it would lock
// its table.
const VACUUM = `vacuum (index_cleanup on, truncate off) ${[...TEXT_PLACES.map((place) => tableOf(place)[0]), "hookonce.deliveries"].join(", ")}`;

/**
 * What was erased stays in the files of the tables until VACUUM removes it, and VACUUM removes nothing that an open
 * transaction may still read.
 *
 * @returns a function that does it. It returns false if another transaction is open for longer than some seconds. Then
 *   autovacuum removes the rest after its end
 */
export function createWipe(server: Server, waitMs: number = WAIT_MS): () => Promise<boolean> {
  return async () => {
    const wire = await server.connect(LIMITS);
    try {
      const isAlone = await waitForOthers(wire, waitMs);
      await wire.script(VACUUM);
      return isAlone;
    } catch (error) {
      throw ownFailure(error);
    } finally {
      await wire.drop();
    }
  };
}

/** @returns whether every transaction in this database that began before this call has ended */
async function waitForOthers(wire: Wire, waitMs: number): Promise<boolean> {
  const [now] = await rowsOf<{ xid: string }>(wire, sql`select pg_current_xact_id()::xid::text as xid`);
  const until = performance.now() + waitMs;
  for (;;) {
    const others = await rowsOf(
      wire,
      sql`select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
          and age(backend_xmin) > age(${now?.xid ?? "0"}::text::xid) limit 1`,
    );
    if (others.length === 0) return true;
    if (performance.now() > until) return false;
    await Bun.sleep(LOOK_MS);
  }
}
