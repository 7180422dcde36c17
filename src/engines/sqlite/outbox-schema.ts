import { sql } from "drizzle-orm";
import { blob, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/** The tables of what is sent on. */

/** What is to be sent to a destination, written in the transaction of its event. */
export const messages = sqliteTable(
  "hookonce_messages",
  {
    /** The order written. Never used again: an attempt may end after its message was removed. */
    id: integer().primaryKey({ autoIncrement: true }),
    /** The same at each attempt: `msg_…`, or the id that a handler gave it. */
    messageId: text("message_id").notNull(),
    destination: text().notNull(),
    /** The row of its event. Null if another process enqueued it. */
    event: integer(),
    /** Of its event; empty if another process enqueued it. */
    source: text().notNull().default(""),
    eventId: text("event_id").notNull().default(""),
    type: text().notNull().default(""),
    state: text({
      enum: ["waiting", "sending", "interrupted", "delivered", "dead", "discarded"],
    }).notNull(),
    createdAt: integer("created_at").notNull(),
    /** When it is to be sent next. Kept when it is settled. */
    nextAt: integer("next_at").notNull(),
    /** How often it was sent. */
    attempts: integer().notNull().default(0),
    /** How often it was sent since `since`: when it was written, or sent again by somebody. */
    tries: integer().notNull().default(0),
    since: integer().notNull(),
    settledAt: integer("settled_at"),
    /** The HTTP status or the exit code of the last attempt. */
    lastStatus: integer("last_status"),
    lastError: text("last_error"),
    /** JSON of the headers that were enqueued with it. Null if the event itself is sent. */
    headers: text(),
    /** What was enqueued: text or bytes. Null if the event itself is sent. */
    body: blob({ mode: "buffer" }),
    /** JSON of the process that runs its command, while it is `sending`. */
    run: text(),
    /** Why it was discarded. */
    reason: text(),
  },
  (table) => [
    uniqueIndex("hookonce_messages_message_id").on(table.destination, table.messageId),
    // What is due, and how much is waiting since when, without reading a row.
    index("hookonce_messages_due")
      .on(table.destination, table.nextAt, table.id, table.createdAt)
      .where(sql`${table.state} in ('waiting', 'interrupted')`),
    // Lists and counts of what is rare.
    index("hookonce_messages_state")
      .on(table.state, table.destination, table.id)
      .where(sql`${table.state} in ('sending', 'dead', 'discarded')`),
    index("hookonce_messages_event")
      .on(table.event)
      .where(sql`${table.event} is not null`),
  ],
);

/** The latest ten attempts to send a message. */
export const attempts = sqliteTable(
  "hookonce_attempts",
  {
    /** The message's row. */
    message: integer().notNull(),
    /** Counts the attempts of the message from 1. */
    number: integer().notNull(),
    at: integer().notNull(),
    /** How long it took, in milliseconds. */
    ms: integer().notNull(),
    /** The HTTP status or the exit code. */
    status: integer(),
    error: text(),
    /** The first 4 kB of the answer, or the last 4 kB of the output. */
    answer: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.message, table.number] })],
);

/**
 * What handlers and other processes insert through the view `hookonce_outbox`. It becomes a message in the same
 * transaction, or within a second if another process inserted it.
 */
export const enqueued = sqliteTable("hookonce_enqueued", {
  /** Never used again, so that the rows of a transaction come after all earlier ones. */
  id: integer().primaryKey({ autoIncrement: true }),
  destination: text().notNull(),
  body: blob({ mode: "buffer" }).notNull(),
  messageId: text("message_id"),
  headers: text(),
});

/** Destinations that somebody or hookonce has paused. */
export const destinations = sqliteTable("hookonce_destinations", {
  name: text().primaryKey(),
  state: text({ enum: ["open", "paused"] }).notNull(),
  /** Why it is paused. */
  reason: text(),
  since: integer().notNull(),
});
