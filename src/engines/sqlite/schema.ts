import { sql } from "drizzle-orm";
import { blob, index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/**
 * hookonce's own tables. `drizzle/` is generated from this file (`bun run db:generate`).
 * Times are Unix milliseconds. Every name starts with `hookonce_`: the database may be somebody's application's own.
 */

/**
 * The raw bytes and headers of each delivery that brought an event, once however many events it brought. A table of its own keeps
 * `hookonce_events` narrow: in one table with the body, a page holds two rows instead of forty and a database is 40 % larger.
 */
export const deliveries = sqliteTable("hookonce_deliveries", {
  id: integer().primaryKey(),
  receivedAt: integer("received_at").notNull(),
  /** JSON text, lower-case names, secrets replaced. */
  headers: text().notNull(),
  body: blob({ mode: "buffer" }).notNull(),
});

/** The guest list, and what became of each event on it. */
export const events = sqliteTable(
  "hookonce_events",
  {
    id: integer().primaryKey(),
    source: text().notNull(),
    eventId: text("event_id").notNull(),
    type: text().notNull(),
    /** Of the first delivery. */
    receivedAt: integer("received_at").notNull(),
    outcome: text({ enum: ["processed", "unhandled"] }).notNull(),
    /** The file that was run, relative to the inbox folder. */
    handler: text(),
    rowsChanged: integer("rows_changed").notNull().default(0),
    /** Of the handler, in microseconds. */
    durationUs: integer("duration_us").notNull().default(0),
    /** How often it was delivered, failed attempts included. */
    deliveries: integer().notNull().default(1),
    lastDeliveryAt: integer("last_delivery_at").notNull(),
    /** How many later deliveries had another body; the latest one is in `hookonce_changed_bodies`. */
    changedBodies: integer("changed_bodies").notNull().default(0),
    deliveryId: integer("delivery_id"),
    /** What its handler had answered, as JSON of a Reply: a duplicate gets the same. */
    reply: text(),
    /** SHA-256 of the body, kept only for a source with `same_body = "duplicate"`. */
    bodySha256: blob("body_sha256", { mode: "buffer" }),
  },
  (table) => [
    // In this order and unhashed, so that ids which grow with time keep neighbouring pages.
    uniqueIndex("hookonce_events_source_event_id").on(table.source, table.eventId),
    index("hookonce_events_body_sha256")
      .on(table.source, table.bodySha256)
      .where(sql`${table.bodySha256} is not null`),
    // What is still owed: short, however long the guest list grows.
    index("hookonce_events_unhandled")
      .on(table.source, table.type)
      .where(sql`${table.outcome} = 'unhandled'`),
  ],
);

/** The latest body of an event that came again with another one. */
export const changedBodies = sqliteTable("hookonce_changed_bodies", {
  event: integer().primaryKey(),
  receivedAt: integer("received_at").notNull(),
  headers: text().notNull(),
  body: blob({ mode: "buffer" }).notNull(),
});

/** Events whose handler failed: rolled back and not on the list. Settled when a later delivery succeeds. */
export const failures = sqliteTable(
  "hookonce_failures",
  {
    id: integer().primaryKey(),
    source: text().notNull(),
    eventId: text("event_id").notNull(),
    type: text().notNull(),
    handler: text(),
    code: text().notNull(),
    error: text().notNull(),
    stack: text(),
    attempts: integer().notNull().default(1),
    firstAt: integer("first_at").notNull(),
    lastAt: integer("last_at").notNull(),
    firstHeaders: text("first_headers").notNull(),
    firstBody: blob("first_body", { mode: "buffer" }).notNull(),
    lastHeaders: text("last_headers").notNull(),
    lastBody: blob("last_body", { mode: "buffer" }).notNull(),
    settledAt: integer("settled_at"),
  },
  (table) => [
    uniqueIndex("hookonce_failures_source_event_id").on(table.source, table.eventId),
    index("hookonce_failures_open")
      .on(table.lastAt)
      .where(sql`${table.settledAt} is null`),
  ],
);

/** Each source's rule for event ids: changing it would empty the guest list for retries in flight. */
export const sources = sqliteTable("hookonce_sources", {
  name: text().primaryKey(),
  provider: text().notNull(),
  eventIdRule: text("event_id_rule").notNull(),
  retryWindowMs: integer("retry_window_ms").notNull(),
});

/** Small facts about this database, such as whether hookonce created it. */
export const meta = sqliteTable("hookonce_meta", {
  key: text().primaryKey(),
  value: text().notNull(),
});
