import { PgDialect, PgTransaction, type PgDatabase } from "drizzle-orm/pg-core";
import { PgRemoteDatabase, type PgRemoteQueryResultHKT } from "drizzle-orm/pg-proxy";
import { PgRemoteSession, type RemoteCallback } from "drizzle-orm/pg-proxy";
import { HookonceError } from "../../errors.ts";
import { leavingGate } from "../late-error.ts";
import type { GatedClient } from "./gate.ts";

// Shared, because it has no state.
const dialect = new PgDialect();

type NoSchema = Record<string, never>;

/**
 * The `db` of one run: drizzle over PostgreSQL, inside the event's transaction. It throws once the handler has ended.
 */
export type HandlerDatabase = PgDatabase<PgRemoteQueryResultHKT, NoSchema>;

/** Makes the `db` of one run: drizzle over that run's gate. */
export function createHandlerDatabase(client: GatedClient): HandlerDatabase {
  return new HandlerPgDatabase(dialect, new GatedSession(client, 0), undefined);
}

/** Names the remedy for the methods that only drizzle for SQLite has. */
class HandlerPgDatabase extends PgRemoteDatabase {
  run = onlyOnSqlite("run");
  all = onlyOnSqlite("all");
  get = onlyOnSqlite("get");
  values = onlyOnSqlite("values");
}

function onlyOnSqlite(name: string): () => never {
  return () => {
    const message = `db.${name} is for SQLite. On PostgreSQL, write await db.execute(sql\`…\`), which returns the rows.`;
    throw leavingGate(new HookonceError("statement_refused", message));
  };
}

/** drizzle's session for any driver, except that its transactions are savepoints: hookonce begins and commits. */
class GatedSession extends PgRemoteSession<NoSchema, NoSchema> {
  constructor(
    private readonly gated: GatedClient,
    private readonly depth: number,
  ) {
    const callback: RemoteCallback = async (text, values: unknown[], method) => ({
      rows: await gated.query(text, values, method === "execute" ? "objects" : "arrays"),
    });
    super(callback, dialect, undefined);
  }

  override transaction<Result>(work: (tx: never) => Promise<Result>): Promise<Result> {
    const inner = new GatedSession(this.gated, this.depth + 1);
    return this.gated.savepoint(this.depth, () => work(new GatedTransaction(inner) as never));
  }
}

class GatedTransaction extends PgTransaction<PgRemoteQueryResultHKT, NoSchema, NoSchema> {
  constructor(private readonly inner: GatedSession) {
    super(dialect, inner as never, undefined);
  }

  override transaction<Result>(work: (tx: never) => Promise<Result>): Promise<Result> {
    return this.inner.transaction(work);
  }
}
