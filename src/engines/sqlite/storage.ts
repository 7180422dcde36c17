import type { Database } from "bun:sqlite";
import { HookonceError } from "../../errors.ts";
import { createEventStore, type EventStore } from "./events.ts";
import { createFailureStore, type FailureStore } from "./failures.ts";
import { takeOverLogSync, type LogSync } from "./log-sync.ts";
import { createCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { createTransaction, type Transaction } from "./transaction.ts";
import { troubleOf, unavailable } from "./sqlite-error.ts";

/** What the inbox needs of a database, and all that it may use. */
export interface Storage {
  readonly transaction: Transaction;
  readonly events: EventStore;
  readonly failures: FailureStore;
  readonly checkpoint: Checkpoint;
  /** To be waited for after a commit, before anybody is told of it. Undefined where COMMIT is durable by itself. */
  readonly sync: LogSync | undefined;
  /**
   * Writes one row durably, to see whether writing works.
   *
   * @throws HookonceError `database_locked`, `disk_full`, `out_of_memory`, `storage_failed`
   */
  probe(now: number): void;
  /** Moves the WAL into the database and closes it. With no room for that the WAL stays, and nothing is lost. */
  close(): Promise<void>;
}

/**
 * @param connection migrated, and nobody else's
 * @param onFatal hears what comes out between calls: the database can no longer be trusted in this process
 */
export function createStorage(connection: Database, onFatal: (error: unknown) => void): Storage {
  const transaction = createTransaction(connection);
  const probe = connection.query(
    "insert into hookonce_meta (key, value) values ('probed_at', ?) on conflict (key) do update set value = excluded.value",
  );
  const checkpoint = createCheckpoint(connection, onFatal);
  const createdByUs = readMeta(connection, "created_by") === "hookonce";
  // An application that shares its database reads what is committed: let nothing be there that a power cut could take back.
  const sync = createdByUs ? takeOverLogSync(connection) : undefined;
  return {
    transaction,
    events: createEventStore(connection),
    failures: createFailureStore(connection),
    // Somebody else's database is not ours to leave statistics in (sqlite_stat1).
    checkpoint: createdByUs ? countingRows(connection, checkpoint) : checkpoint,
    sync,
    probe(now) {
      try {
        probe.run(String(now));
        sync?.now();
      } catch (error) {
        if (error instanceof HookonceError) throw error;
        const trouble = troubleOf(error);
        if (trouble === "statement")
          throw new HookonceError("storage_failed", "The database cannot be written.", { cause: error });
        throw unavailable(trouble, error);
      }
    },
    async close() {
      await checkpoint.close();
      try {
        if (createdByUs) connection.run(OPTIMIZE);
        connection.run("pragma wal_checkpoint(truncate)");
      } catch (error) {
        if (troubleOf(error) === "fatal") throw error;
      } finally {
        connection.close(true);
      }
    },
  };
}

/** Takes 0.1 ms when there is nothing to count, else some ms for a table: it looks at 2,000 rows of each index. */
const OPTIMIZE = "pragma optimize";

/**
 * SQLite plans by the rows that it has counted, and a stop after the first event counts one: by that a handler's join looks through
 * both tables, however much they grow before the next stop. So with every checkpoint those are counted anew that have grown tenfold.
 */
function countingRows(connection: Database, checkpoint: Checkpoint): Checkpoint {
  return {
    ...checkpoint,
    run() {
      try {
        connection.run(OPTIMIZE);
      } catch (error) {
        // Locked or full: the next one counts.
        if (troubleOf(error) === "fatal") throw error;
      }
      checkpoint.run();
    },
  };
}

export function readMeta(connection: Database, key: string): string | undefined {
  return connection.query("select value from hookonce_meta where key = ?").values(key)[0]?.[0] as
    | string
    | undefined;
}

export function writeMeta(connection: Database, key: string, value: string): void {
  connection
    .query(
      "insert into hookonce_meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
    )
    .run(key, value);
}
