import type { Database } from "bun:sqlite";
import { realpathSync, statSync } from "node:fs";
import { HookonceError, withCode } from "../../errors.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { NO_COUNTS } from "../rollup-counts.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";
import { freeBytes } from "./disk-space.ts";
import { writeMeta } from "./meta.ts";
import { troubleOf, unavailable } from "./sqlite-error.ts";
import type { Transaction } from "./transaction.ts";

/** The largest body that a source accepts by default, in bytes. A disk that has no room for it is full. */
const ROOM = 1024 * 1024;

/**
 * Proves that a delivery can be stored: with the statements of a delivery on the real tables, with room on
 * the disk, and with a commit.
 *
 * @returns a function that does it. It throws HookonceError `database_locked`, `disk_full`, `out_of_memory`
 *   or `storage_failed`, and whatever means that this process can no longer trust the database
 */
export function createProbe(
  connection: Database,
  transaction: Transaction,
  checkpoint: Checkpoint,
): (now: number) => void {
  const logPath = `${realpathSync(connection.filename)}-wal`;
  const tryDelivery = createTrial(connection);

  function refuseWithoutRoom(): void {
    const { used, rest } = checkpoint.size();
    const size = statSync(logPath, { throwIfNoEntry: false })?.size ?? 0;
    // SQLite writes over the log from its beginning once all of it has been moved.
    const room = freeBytes(logPath) + Math.max(0, rest === 0 ? size : size - used);
    if (room < ROOM) throw unavailable("full", new Error(`only ${room} bytes are free`));
  }

  return (now) => {
    try {
      if (!transaction.begin()) throw unavailable("busy", transaction.blockedBy);
      // First, because it makes SQLite read a schema that was changed.
      writeMeta(connection, "probed_at", String(now));
      transaction.savepoint();
      tryDelivery(now);
      transaction.rollbackToSavepoint();
      transaction.commit();
      refuseWithoutRoom();
    } catch (error) {
      transaction.rollback();
      const trouble = troubleOf(error);
      if (error instanceof HookonceError || trouble === "fatal") throw error;
      if (trouble !== "statement") throw unavailable(trouble, error);
      throw new HookonceError("storage_failed", "The database could not be written.", { cause: error });
    }
  };
}

/** No source has an empty name, so this is no event of anybody. */
const NOBODY = "";
const EVENT = "probe";

/**
 * Stores a made-up event and a failure as a delivery would. The caller undoes it.
 *
 * @returns a function that throws SQLiteError, for example if one of the tables is gone
 */
function createTrial(connection: Database): (now: number) => void {
  const sql = prepareDeliveryStatements(connection);
  const findRun = connection.query(
    "select code from hookonce_interrupted_runs where source = ? and event_id = ?",
  );
  const empty = new Uint8Array();
  return (now) => {
    findRun.values(NOBODY, EVENT);
    const [id] = sql.insertEvent.row(NOBODY, EVENT, "", now, "processed", null, 1, now, null) as [number];
    const body = sql.insertBody.insert(id, now, "{}", empty, empty);
    sql.insertResult.run(id, body, 0, 0, null, null);
    sql.countDelivery.run(id, now, 1);
    sql.insertDelivery.run(NOBODY, EVENT, 1, now, "processed", 1);
    sql.keepChangedBody.run(id, now, "{}", empty);
    sql.recordFailure.row(NOBODY, EVENT, "", null, "internal", "", null, now, "{}", empty, 0, null, null);
    sql.addToMinute.run(now, NOBODY, now, ...NO_COUNTS);
  };
}

/**
 * Tries at a start whether hookonce's tables are as they must be. The journal of the migrations alone does
 * not say so: somebody may have dropped one.
 *
 * @throws HookonceError `database_unusable`
 */
export function refuseDamagedTables(connection: Database, now: number): void {
  connection.run("begin immediate");
  try {
    createTrial(connection)(now);
  } catch (error) {
    if (troubleOf(error) !== "statement") throw error;
    const message = `hookonce's own tables in ${connection.filename} are damaged: ${withCode(error)}. Restore a copy of the database.`;
    throw new HookonceError("database_unusable", message, { cause: error });
  } finally {
    if (connection.inTransaction) connection.run("rollback");
  }
}
