import type { Database } from "bun:sqlite";
import { BunSQLiteDatabase, SQLiteBunSession } from "drizzle-orm/bun-sqlite";
import { SQLiteSyncDialect, SQLiteTransaction, type BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import type { GatedClient } from "./gate.ts";

// Shared, because it has no state and takes half of the time to make a database.
const dialect = new SQLiteSyncDialect();

export interface RunResult {
  /**
   * How many rows this statement inserted, updated or deleted. For a view: what its INSTEAD OF trigger
   * changed.
   */
  changes: number;
  lastInsertRowid: number | bigint;
}

/**
 * The `db` of one call: drizzle over SQLite, inside the event's transaction. It throws once the handler has
 * returned.
 */
export type HandlerDatabase = BaseSQLiteDatabase<"sync", RunResult>;

type NoSchema = Record<string, never>;

/** Makes the `db` of one call: drizzle over that call's gate. */
export function createHandlerDatabase(client: GatedClient): HandlerDatabase {
  const session = new GatedSession(client);
  const db = new BunSQLiteDatabase("sync", dialect, session, undefined);
  return Object.assign(db, { $client: client }) as unknown as HandlerDatabase;
}

/**
 * drizzle's own session, except that its transactions are savepoints, because hookonce begins and commits the
 * transaction.
 */
class GatedSession extends SQLiteBunSession<NoSchema, NoSchema> {
  constructor(private readonly gated: GatedClient) {
    // The gate offers the part of a Database that the session uses.
    super(gated as unknown as Database, dialect, undefined);
  }

  override transaction<Result>(work: (tx: never) => Result): Result {
    return this.gated.savepoint(() => work(new GatedTransaction(this.gated, this) as never));
  }
}

class GatedTransaction extends SQLiteTransaction<"sync", RunResult, NoSchema, NoSchema> {
  constructor(
    private readonly gated: GatedClient,
    session: GatedSession,
  ) {
    super("sync", dialect, session as never, undefined);
    Object.assign(this, { $client: gated });
  }

  override transaction<Result>(work: (tx: never) => Result): Result {
    return this.gated.savepoint(() => work(this as never));
  }
}
