import { asc, desc, eq, isNull, lt, sql, type SQL } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { Reader } from "../reader.ts";
import type { Rollup, SourceSeen, Span } from "../rollups.ts";
import type { Token } from "../records.ts";
import { SPAN_MS, SUMMED } from "../rollup-sums.ts";
import { audit, jobs, rollups, secrets, tokens } from "./schema.ts";

type Ledger = Pick<
  Reader,
  "rollups" | "seen" | "matchedSecrets" | "audit" | "tokens" | "token" | "jobs" | "job" | "unendedJobs"
>;

/** What is recorded beside the events. */
export function ledgerReads(db: BunSQLiteDatabase): Ledger {
  return {
    rollups(span, { since, until, source }) {
      const ms = sql.raw(String(SPAN_MS[span]));
      const columns = sql.raw(["source", ...SUMMED].join(", "));
      const sums = sql.raw(SUMMED.map((column) => `sum(${column}) as ${column}`).join(", "));
      return db
        .all<Summed>(
          sql`select at, source, ${sums} from (
            select at, ${columns} from ${rollups} where span = ${span} and at between ${since} and ${until}
            union all
            select at - at % ${ms} as at, ${columns} from ${rollups} where span = 'new')
          where at between ${since} and ${until} ${source === undefined ? sql`` : sql`and source = ${source}`}
          group by at, source order by at, source`,
        )
        .map(rollupOf);
    },
    seen: (now) =>
      // A day, hour or minute in which the clock was ahead does not show the latest delivery before that. A
      // shorter span does.
      db.all<SourceSeen>(
        sql`select source, max(last_at) as lastDeliveryAt from (
          select source, last_at from ${rollups} where span = 'new'
          union all select source, last_at from ${rollups} where span = 'day'
          union all ${seenIn("hour", now - 2 * SPAN_MS.day)}
          union all ${seenIn("minute", now - 2 * SPAN_MS.hour)})
        where last_at between 1 and ${now} group by source order by source`,
      ),
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
    unendedJobs: () =>
      db.select().from(jobs).where(isNull(jobs.endedAt)).orderBy(asc(jobs.startedAt), asc(jobs.id)).all(),
    job: (id) => db.select().from(jobs).where(eq(jobs.id, id)).get(),
  };
}

function tokenOf({ id: _id, scopes, ...token }: typeof tokens.$inferSelect): Token {
  return { ...token, scopes: JSON.parse(scopes) as string[] };
}

const seenIn = (span: Span, since: number): SQL =>
  sql`select source, last_at from ${rollups} where span = ${span} and at >= ${since}`;

type Summed = Omit<typeof rollups.$inferSelect, "span" | "lastAt">;

function rollupOf(row: Summed): Rollup {
  const { source, at, processed, duplicate, unhandled, ignored, stale, held, failed, refused, ...rest } = row;
  const { t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15 } = rest;
  const handlerTimes = [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15];
  const counts = { processed, duplicate, unhandled, ignored, stale, held, failed, refused };
  return { source, at, ...counts, handlerTimes };
}
