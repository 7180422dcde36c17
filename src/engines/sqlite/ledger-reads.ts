import { and, asc, desc, eq, gte, lt, max } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { Reader, Rollup } from "../reader.ts";
import type { Token } from "../records.ts";
import { audit, jobs, rollups, secrets, tokens } from "./schema.ts";

type Ledger = Pick<
  Reader,
  "rollups" | "seen" | "matchedSecrets" | "audit" | "tokens" | "token" | "jobs" | "job"
>;

/** What is recorded beside the events. */
export function ledgerReads(db: BunSQLiteDatabase): Ledger {
  return {
    rollups: (span, { since, source }) =>
      db
        .select()
        .from(rollups)
        .where(
          and(
            eq(rollups.span, span),
            gte(rollups.at, since),
            source === undefined ? undefined : eq(rollups.source, source),
          ),
        )
        .orderBy(asc(rollups.at), asc(rollups.source))
        .all()
        .map(rollupOf),
    seen() {
      const latest = new Map<string, number>();
      // A day lacks the last minute, and minutes are kept only for some days.
      for (const span of ["day", "minute"] as const) {
        const rows = db
          .select({ source: rollups.source, at: max(rollups.lastAt) })
          .from(rollups)
          .where(eq(rollups.span, span))
          .groupBy(rollups.source)
          .all();
        for (const { source, at } of rows) latest.set(source, Math.max(at ?? 0, latest.get(source) ?? 0));
      }
      return [...latest]
        .filter(([, lastDeliveryAt]) => lastDeliveryAt > 0)
        .map(([source, lastDeliveryAt]) => ({ source, lastDeliveryAt }));
    },
    matchedSecrets: () => db.select().from(secrets).orderBy(asc(secrets.source), asc(secrets.secret)).all(),
    audit: (before, limit) =>
      db
        .select()
        .from(audit)
        .where(before === undefined ? undefined : lt(audit.id, before))
        .orderBy(desc(audit.id))
        .limit(limit)
        .all(),
    tokens: () => db.select().from(tokens).orderBy(asc(tokens.id)).all().map(tokenOf),
    token(hash) {
      const row = db.select().from(tokens).where(eq(tokens.hash, hash)).get();
      return row === undefined ? undefined : tokenOf(row);
    },
    jobs: (limit) => db.select().from(jobs).orderBy(desc(jobs.startedAt), desc(jobs.id)).limit(limit).all(),
    job: (id) => db.select().from(jobs).where(eq(jobs.id, id)).get(),
  };
}

function tokenOf({ id: _id, scopes, ...token }: typeof tokens.$inferSelect): Token {
  return { ...token, scopes: JSON.parse(scopes) as string[] };
}

function rollupOf(row: typeof rollups.$inferSelect): Rollup {
  const { source, at, processed, duplicate, unhandled, ignored, failed, refused, ...rest } = row;
  const { t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15 } = rest;
  const handlerTimes = [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15];
  return { source, at, processed, duplicate, unhandled, ignored, failed, refused, handlerTimes };
}
