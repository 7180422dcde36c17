import type { Database } from "bun:sqlite";
import { HookonceError } from "../errors.ts";
import { createEventStore, type EventStore } from "./events.ts";
import { createFailureStore, type FailureStore } from "./failures.ts";
import { createCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { createTransaction, type Transaction } from "./transaction.ts";
import { troubleOf, unavailable } from "./sqlite-error.ts";

/** What the inbox needs of a database, and all that it may use. */
export interface Storage {
  readonly transaction: Transaction;
  readonly events: EventStore;
  readonly failures: FailureStore;
  readonly checkpoint: Checkpoint;
  /**
   * Writes one row durably, to see whether writing works.
   *
   * @throws HookonceError `database_locked`, `disk_full`, `out_of_memory`, `storage_failed`
   */
  probe(now: number): void;
  /** Moves the WAL into the database and closes it. With no room for that the WAL stays, and nothing is lost. */
  close(): void;
}

/** @param connection migrated, and nobody else's */
export function createStorage(connection: Database): Storage {
  const transaction = createTransaction(connection);
  const probe = connection.prepare(
    "insert into hookonce_meta (key, value) values ('probed_at', ?) on conflict (key) do update set value = excluded.value",
  );
  const createdByUs = readMeta(connection, "created_by") === "hookonce";
  return {
    transaction,
    events: createEventStore(connection),
    failures: createFailureStore(connection),
    checkpoint: createCheckpoint(connection),
    probe(now) {
      try {
        probe.run(String(now));
      } catch (error) {
        const trouble = troubleOf(error);
        if (trouble === "statement")
          throw new HookonceError("storage_failed", "The database cannot be written.", { cause: error });
        throw unavailable(trouble, error);
      }
    },
    close() {
      // In somebody else's database `optimize` would leave statistics (sqlite_stat1) that are not ours to make.
      try {
        if (createdByUs) connection.run("pragma optimize");
        connection.run("pragma wal_checkpoint(truncate)");
      } catch (error) {
        if (troubleOf(error) === "fatal") throw error;
      } finally {
        connection.close();
      }
    },
  };
}

export function readMeta(connection: Database, key: string): string | undefined {
  return connection.prepare("select value from hookonce_meta where key = ?").values(key)[0]?.[0] as
    | string
    | undefined;
}

export function writeMeta(connection: Database, key: string, value: string): void {
  connection
    .prepare(
      "insert into hookonce_meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
    )
    .run(key, value);
}
