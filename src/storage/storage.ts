import type { Database } from "bun:sqlite";
import { HookonceError } from "../errors.ts";
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
    checkpoint,
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
      // In somebody else's database `optimize` would leave statistics (sqlite_stat1) that are not ours to make.
      try {
        if (createdByUs) connection.run("pragma optimize");
        connection.run("pragma wal_checkpoint(truncate)");
      } catch (error) {
        if (troubleOf(error) === "fatal") throw error;
      } finally {
        connection.close(true);
      }
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
