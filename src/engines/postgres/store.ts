import type { PostgresTarget } from "../../config/postgres.ts";
import { belongsToDatabase } from "../sqlite/beside.ts";
import type { DiskUse, Store } from "../store.ts";
import { lockNode, nodeServedBy } from "./node-lock.ts";
import { openForReading, openStore } from "./open.ts";
import { rehearseStart } from "./rehearsal.ts";
import { createServer } from "./server.ts";
import { rowsOf, sql } from "./sql.ts";
import { ownFailure } from "./trouble.ts";

export const postgresStore = (target: PostgresTarget): Store => ({
  rehearse: (...plan) => rehearseStart(target, ...plan),
  lock: (options) => lockNode(target.beside, options),
  servedBy: () => nodeServedBy(target.beside),
  open: (plan, log) => openStore(target, plan, log),
  openForReading: () => openForReading(target),
  diskUse: () => diskUse(target),
  belongsTo: (path) => belongsToDatabase(path, target.beside),
  // Only the child of a check needs it.
  openTrial: async (options) => (await import("./trial.ts")).openTrial(target, options),
});

/** The disk is the server's, so nothing is known of its space. */
async function diskUse(target: PostgresTarget): Promise<DiskUse> {
  const wire = await createServer(target).connect();
  try {
    const [found] = await rowsOf<{ bytes: number }>(
      wire,
      sql`select pg_database_size(current_database()) as bytes`,
    );
    return { databaseBytes: found?.bytes ?? 0, logBytes: null, freeBytes: null };
  } catch (error) {
    throw ownFailure(error);
  } finally {
    await wire.drop();
  }
}
