import { and, count, eq, isNull, sql } from "drizzle-orm";
import { failures } from "./schema.ts";
import { db, p, write } from "./write-query.ts";

/** The statements of failures.ts, written like those of event-queries.macro.ts. */
export function failureQueries() {
  const isThis = and(
    eq(failures.source, p("source")),
    eq(failures.eventId, p("eventId")),
    isNull(failures.settledAt),
  );
  return {
    countOpen: write(db.select({ open: count() }).from(failures).where(isNull(failures.settledAt))),
    find: write(
      db.select({ attempts: failures.attempts, firstAt: failures.firstAt }).from(failures).where(isThis),
    ),
    settle: write(
      db
        .update(failures)
        .set({ settledAt: sql`${p("at")}` })
        .where(isThis),
    ),
    record: write(
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
    ),
  };
}
