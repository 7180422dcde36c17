import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** The tables of what is recorded beside the events. */

const count = () => integer().notNull().default(0);

/**
 * How deliveries were answered and how long handlers took. The transactions of the deliveries write minutes of
 * the span `new`. A job moves them to the other spans, which are only ever added to, so a wrong clock damages
 * no sum.
 */
export const rollups = sqliteTable(
  "hookonce_rollups",
  {
    span: text({ enum: ["new", "minute", "hour", "day"] }).notNull(),
    /** When the minute, hour or day begins. */
    at: integer().notNull(),
    source: text().notNull(),
    /** The latest delivery that was not refused. */
    lastAt: integer("last_at").notNull().default(0),
    processed: count(),
    duplicate: count(),
    unhandled: count(),
    ignored: count(),
    failed: count(),
    refused: count(),
    stale: count(),
    held: count(),
    /** Runs of handlers that took up to each of HANDLER_TIMES_US (handler-times.ts). */
    t0: count(),
    t1: count(),
    t2: count(),
    t3: count(),
    t4: count(),
    t5: count(),
    t6: count(),
    t7: count(),
    t8: count(),
    t9: count(),
    t10: count(),
    t11: count(),
    t12: count(),
    t13: count(),
    t14: count(),
    t15: count(),
  },
  (table) => [primaryKey({ columns: [table.span, table.at, table.source] })],
);

/** How many bytes of payloads each source has stored, as far as retention has counted them. */
export const storedBytes = sqliteTable("hookonce_stored_bytes", {
  source: text().primaryKey(),
  bytes: integer().notNull(),
});

/** Which of a source's secrets verified a delivery last. */
export const secrets = sqliteTable(
  "hookonce_secrets",
  {
    source: text().notNull(),
    /** As the config names it, never its value. */
    secret: text().notNull(),
    at: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.source, table.secret] })],
);

/** Tokens for the page and the API. */
export const tokens = sqliteTable(
  "hookonce_tokens",
  {
    id: integer().primaryKey(),
    name: text().notNull(),
    /** SHA-256 of the token, in hex. */
    hash: text().notNull(),
    /** JSON array. */
    scopes: text().notNull(),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at"),
    revokedAt: integer("revoked_at"),
  },
  (table) => [
    uniqueIndex("hookonce_tokens_hash").on(table.hash),
    uniqueIndex("hookonce_tokens_name")
      .on(table.name)
      .where(sql`${table.revokedAt} is null`),
  ],
);

/**
 * What people have changed. Written in the transaction that makes the change, or before a job changes its first
 * event. A line is removed after 400 days if there are 10,000 later ones.
 */
export const audit = sqliteTable(
  "hookonce_audit",
  {
    id: integer().primaryKey(),
    at: integer().notNull(),
    actor: text().notNull(),
    action: text().notNull(),
    target: text().notNull(),
    reason: text(),
    /** The job that did it. */
    job: text(),
    /** How many events or messages the job has changed so far. */
    count: integer(),
  },
  (table) => [
    uniqueIndex("hookonce_audit_job")
      .on(table.job)
      .where(sql`${table.job} is not null`),
  ],
);

/**
 * Jobs that change many events. One that has not ended goes on at the next start. Of those that have ended, the
 * latest 1,000 are kept, unless they found nothing to change.
 */
export const jobs = sqliteTable(
  "hookonce_jobs",
  {
    id: text().primaryKey(),
    action: text().notNull(),
    actor: text().notNull(),
    startedAt: integer("started_at").notNull(),
    endedAt: integer("ended_at"),
    /** JSON. */
    request: text().notNull(),
    /** JSON. */
    progress: text().notNull(),
  },
  (table) => [index("hookonce_jobs_started_at").on(table.startedAt)],
);

/** What `[alerts]` has told a destination, or is about to. */
export const alerts = sqliteTable("hookonce_alerts", {
  /** What it is about, as JSON. */
  key: text().primaryKey(),
  /** When its condition began. */
  since: integer().notNull(),
  seenAt: integer("seen_at").notNull(),
  /** When the message was written that it has begun. */
  beganAt: integer("began_at"),
  /** Since when its condition is not seen any more. */
  goneAt: integer("gone_at"),
});
