import type { Database } from "bun:sqlite";
import { and, count, eq, isNull, sql } from "drizzle-orm";
import { failures } from "./schema.ts";
import { prepare } from "./statement.ts";

export interface OpenFailure {
  readonly attempts: number;
  /** Unix milliseconds, of the first delivery. */
  readonly firstAt: number;
}

export interface FailedAttempt {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly handler: string | null;
  readonly code: string;
  readonly error: string;
  readonly stack: string | null;
  /** Unix milliseconds. */
  readonly at: number;
  readonly headers: string;
  readonly body: Uint8Array;
}

export type FailureStore = ReturnType<typeof createFailureStore>;

/** Events whose handler failed. Every call is part of a transaction that the caller has open. */
export function createFailureStore(connection: Database) {
  const p = sql.placeholder;
  const isThis = and(
    eq(failures.source, p("source")),
    eq(failures.eventId, p("eventId")),
    isNull(failures.settledAt),
  );

  const countOpen = prepare<Record<string, never>>(connection, (db) =>
    db.select({ open: count() }).from(failures).where(isNull(failures.settledAt)),
  );
  const find = prepare<{ source: string; eventId: string }>(connection, (db) =>
    db.select({ attempts: failures.attempts, firstAt: failures.firstAt }).from(failures).where(isThis),
  );
  const settle = prepare<{ source: string; eventId: string; at: number }>(connection, (db) =>
    db
      .update(failures)
      .set({ settledAt: sql`${p("at")}` })
      .where(isThis),
  );
  const record = prepare<Omit<FailedAttempt, never> & Record<string, string | number | Uint8Array | null>>(
    connection,
    (db) =>
      db
        .insert(failures)
        .values({
          source: p("source"),
          eventId: p("eventId"),
          type: p("type"),
          handler: p("handler"),
          code: p("code"),
          error: p("error"),
          stack: p("stack"),
          firstAt: p("at"),
          lastAt: p("at"),
          firstHeaders: p("headers"),
          firstBody: p("body"),
          lastHeaders: p("headers"),
          lastBody: p("body"),
        })
        .onConflictDoUpdate({
          target: [failures.source, failures.eventId],
          set: {
            type: sql`excluded.type`,
            handler: sql`excluded.handler`,
            code: sql`excluded.code`,
            error: sql`excluded.error`,
            stack: sql`excluded.stack`,
            attempts: sql`${failures.attempts} + 1`,
            lastAt: sql`excluded.last_at`,
            lastHeaders: sql`excluded.last_headers`,
            lastBody: sql`excluded.last_body`,
            settledAt: null,
          },
        }),
  );

  // Nearly always there are none, and then the path of a delivery is spared two look-ups. Only this process writes the table while
  // it serves (storage/lock.ts), and a failure settled elsewhere costs no more than a look-up in vain.
  let open: boolean | undefined;

  return {
    find(source: string, eventId: string): OpenFailure | undefined {
      open ??= (countOpen.rows({})[0]?.[0] as number) > 0;
      if (!open) return undefined;
      const row = find.rows({ source, eventId })[0];
      return row && { attempts: row[0] as number, firstAt: row[1] as number };
    },
    record(attempt: FailedAttempt): void {
      open = true;
      record.run({ ...attempt });
    },
    settle(source: string, eventId: string, at: number): void {
      settle.run({ source, eventId, at });
    },
  };
}
