import { sql } from "drizzle-orm";
import { blob, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

export * from "./ledger-schema.ts";
export * from "./outbox-schema.ts";

/**
 * hookonce's own tables. `drizzle/` is generated from this file (`bun run db:generate`). Times are Unix
 * milliseconds. Every name starts with `hookonce_`, because the database may belong to the user's
 * application.
 */

/**
 * Headers and raw bytes of each delivery that brought an event. A batch is stored once, however many events
 * it brought. A separate table keeps `hookonce_events` narrow: with the body in it, a page holds 2 rows
 * instead of 40, and the database is 40 % larger.
 */
export const bodies = sqliteTable("hookonce_bodies", {
  /** Of a new row, the id of the first event that it brings. */
  id: integer().primaryKey(),
  receivedAt: integer("received_at").notNull(),
  /** JSON text, lower-case names, secrets replaced. */
  headers: text().notNull(),
  bytes: blob({ mode: "buffer" }).notNull(),
  /** SHA-256 of the bytes as received. Null in rows that an older version wrote. */
  sha256: blob({ mode: "buffer" }),
  /** How many values `redact` has replaced. Null if it is as received. */
  redacted: integer(),
});

/** The recorded events. The unique index on (source, event_id, era) decides whether an event is new. */
export const events = sqliteTable(
  "hookonce_events",
  {
    /** The order received. */
    id: integer().primaryKey(),
    source: text().notNull(),
    eventId: text("event_id").notNull(),
    type: text().notNull(),
    /** Of the first delivery. */
    receivedAt: integer("received_at").notNull(),
    outcome: text({
      enum: ["processed", "imported", "ignored", "stale", "discarded", "unhandled", "held"],
    }).notNull(),
    /** The file that ran, relative to the inbox folder. */
    handler: text(),
    /** How often it was delivered, failed attempts included. */
    deliveries: integer().notNull().default(1),
    lastDeliveryAt: integer("last_delivery_at").notNull(),
    /** How many later deliveries had another body; the latest one is in `hookonce_changed_bodies`. */
    changedBodies: integer("changed_bodies").notNull().default(0),
    /** SHA-256 of the event's own bytes, kept only for a source with `same_body = "duplicate"`. */
    bodySha256: blob("body_sha256", { mode: "buffer" }),
    /**
     * 0, or the row's id once the window of its id is over and the same id may come again (`dedup_window`). So
     * at most one event of each id has era 0, and every look-up by id takes that one.
     */
    era: integer().notNull().default(0),
    /** Counts the changes of outcomes of all events, up to the last one of this event. Null until then. */
    change: integer(),
    /**
     * When the window of an event begins that had been unhandled or had failed: when it was applied, or when a delivery
     * made it held. Null if its first delivery applied or held it: the window begins at `received_at`.
     */
    appliedAt: integer("applied_at"),
  },
  (table) => [
    // The columns are in this order and not hashed, so that ids that grow with time stay on neighbouring
    // pages.
    uniqueIndex("hookonce_events_source_event_id").on(table.source, table.eventId, table.era),
    index("hookonce_events_body_sha256")
      .on(table.source, table.bodySha256)
      .where(sql`${table.bodySha256} is not null`),
    // Owed events in the order received. This index stays short however many events are recorded. With `or` and not
    // `in`, SQLite also uses it for one of the two outcomes.
    index("hookonce_events_owed")
      .on(table.id)
      .where(sql`${table.outcome} = 'unhandled' or ${table.outcome} = 'held'`),
    // The next event of a source that resumes, and how many there are of each type.
    index("hookonce_events_held")
      .on(table.source, table.id, table.type)
      .where(sql`${table.outcome} = 'held'`),
    // Owed events of one type are counted, and the types are found, without those of the other types.
    index("hookonce_events_owed_types")
      .on(table.source, table.type, table.eventId)
      .where(sql`${table.outcome} = 'unhandled'`),
    // Lists show the newest first, and go back to any time.
    index("hookonce_events_received_at").on(table.receivedAt),
    // Lists of one outcome that is rare.
    index("hookonce_events_not_processed")
      .on(table.outcome, table.receivedAt)
      .where(sql`${table.outcome} <> 'processed'`),
    // Who follows the events reads what has changed since the last look.
    index("hookonce_events_change")
      .on(table.change)
      .where(sql`${table.change} is not null`),
  ],
);

/** One row for each event that is stored with its body, inserted after its handler. */
export const results = sqliteTable(
  "hookonce_results",
  {
    /** The event's id. */
    event: integer().primaryKey(),
    /**
     * The row of `hookonce_bodies` that brought it. Retention removes that row, and this one stays. 0 for a test
     * event that was ignored.
     */
    body: integer().notNull(),
    rowsChanged: integer("rows_changed").notNull().default(0),
    /** How long the handler ran, in microseconds. */
    durationUs: integer("duration_us").notNull().default(0),
    /** The handler's reply, as JSON of a Reply. A duplicate gets the same reply. */
    reply: text(),
    /** Which version of the handler ran, or is to run a held event. Null if none did, or is. */
    handlerHash: text("handler_hash"),
    /** 1 if the body is the event's own part of a batch, as JSON, because the event had failed at first. */
    element: integer().notNull().default(0),
    /** How often `replay` ran the event. */
    replays: integer().notNull().default(0),
    /** The job that replayed it last, so that a job that goes on after a crash replays no event twice. */
    replayedBy: text("replayed_by"),
    /** Why it was ignored, discarded, applied or replayed, or which event is newer than a stale one. */
    reason: text(),
  },
  (table) => [
    // The other events of a batch. Most deliveries bring one event, which needs no entry.
    index("hookonce_results_body")
      .on(table.body)
      .where(sql`${table.body} <> ${table.event}`),
  ],
);

/**
 * The first ten and the latest ten deliveries of an event. An event that arrived once, and was not applied
 * later, has no row here: the time and outcome of its delivery are in `hookonce_events`.
 */
export const deliveries = sqliteTable(
  "hookonce_deliveries",
  {
    source: text().notNull(),
    eventId: text("event_id").notNull(),
    /** As in `hookonce_events`. */
    era: integer().notNull().default(0),
    /** Counts the deliveries of the event from 1. 0 is when a job applied or closed the event (SETTLED). */
    number: integer().notNull(),
    at: integer().notNull(),
    /** How it was answered. */
    outcome: text({
      enum: [
        "processed",
        "unhandled",
        "ignored",
        "stale",
        "held",
        "imported",
        "discarded",
        "duplicate",
        "failed",
      ],
    }).notNull(),
    /** 1 if its body differed from the stored one. */
    changedBody: integer("changed_body").notNull().default(0),
  },
  (table) => [primaryKey({ columns: [table.source, table.eventId, table.era, table.number] })],
);

/** The latest body of an event that arrived again with another body. */
export const changedBodies = sqliteTable("hookonce_changed_bodies", {
  event: integer().primaryKey(),
  receivedAt: integer("received_at").notNull(),
  headers: text().notNull(),
  body: blob({ mode: "buffer" }).notNull(),
});

/** With this many, an entry of the index of open failures usually fits its page. */
const SUMMARY_CHARACTERS = 500;

/** Events whose handler failed: rolled back, and kept until a later run succeeds (`settled_at`). */
export const failures = sqliteTable(
  "hookonce_failures",
  {
    id: integer().primaryKey(),
    source: text().notNull(),
    eventId: text("event_id").notNull(),
    type: text().notNull(),
    handler: text(),
    /** Which version of the handler failed. Null if none ran, and in rows that an older version wrote. */
    handlerHash: text("handler_hash"),
    code: text().notNull(),
    error: text().notNull(),
    /** The beginning of the error. Lists and groups read it from the index, however long the errors are. */
    summary: text().generatedAlwaysAs(sql.raw(`substr(error, 1, ${SUMMARY_CHARACTERS})`), {
      mode: "virtual",
    }),
    stack: text(),
    /** How often a handler failed for it, in deliveries and in `hookonce apply`. */
    attempts: integer().notNull().default(1),
    /** How often it was delivered. */
    deliveries: integer().notNull().default(1),
    firstAt: integer("first_at").notNull(),
    lastAt: integer("last_at").notNull(),
    firstHeaders: text("first_headers").notNull(),
    firstBody: blob("first_body", { mode: "buffer" }).notNull(),
    lastHeaders: text("last_headers").notNull(),
    lastBody: blob("last_body", { mode: "buffer" }).notNull(),
    /** 1 if the bodies are the event's own part of a batch, as JSON. */
    element: integer().notNull().default(0),
    /** The highest id in `hookonce_events` at the first attempt: its place in the order received. */
    position: integer().notNull().default(0),
    /** The row of its event, if that was recorded before it failed. Null: it failed at once. */
    event: integer(),
    /** It runs after the event with this id and before the next one when its source resumes. */
    place: integer().generatedAlwaysAs(sql.raw("coalesce(event - 1, position)"), { mode: "virtual" }),
    settledAt: integer("settled_at"),
    /** How often hookonce itself ran it again. */
    retries: integer().notNull().default(0),
    /** When hookonce itself runs it again. Null: it does not. */
    nextAt: integer("next_at"),
    /** How many deliveries of it were answered 500. */
    failedAnswers: integer("failed_answers").notNull().default(0),
    /** When a delivery of it was answered 200 for the first time. Null: none was. */
    acceptedAt: integer("accepted_at"),
  },
  (table) => [
    uniqueIndex("hookonce_failures_source_event_id").on(table.source, table.eventId),
    index("hookonce_failures_open")
      .on(table.position)
      .where(sql`${table.settledAt} is null`),
    // It holds what lists and groups show, so that they read no row: a row may take some MiB.
    index("hookonce_failures_newest")
      .on(
        table.firstAt,
        table.id,
        table.source,
        table.eventId,
        table.type,
        table.handler,
        table.code,
        table.summary,
        table.attempts,
        table.deliveries,
        table.lastAt,
        table.nextAt,
      )
      .where(sql`${table.settledAt} is null`),
    index("hookonce_failures_owed_types")
      .on(table.source, table.type, table.eventId)
      .where(sql`${table.settledAt} is null`),
    // The next failure of a source that resumes.
    index("hookonce_failures_place")
      .on(table.source, table.place, table.id)
      .where(sql`${table.settledAt} is null`),
    // Own retries of one source. Those of a paused source may be many, and are not looked at.
    index("hookonce_failures_due")
      .on(table.source, table.nextAt)
      .where(sql`${table.nextAt} is not null`),
    // Retention empties the bodies of settled ones, with their headers.
    index("hookonce_failures_settled")
      .on(table.lastAt)
      .where(sql`${table.settledAt} is not null and ${table.lastHeaders} <> ''`),
  ],
);

/**
 * Events during whose run the process ended (marker.ts). The next run is alone in its transaction, and
 * removes the row if it comes to an end.
 */
export const interruptedRuns = sqliteTable(
  "hookonce_interrupted_runs",
  {
    source: text().notNull(),
    eventId: text("event_id").notNull(),
    handlerHash: text("handler_hash").notNull(),
    /** How often the process ended. */
    ends: integer().notNull(),
    /**
     * What the next delivery is recorded with instead of a run: `handler_timeout` or `handler_died`. Null if
     * it is to be run. The event itself could not be recorded, because its body was too large for the marker.
     */
    code: text(),
  },
  (table) => [primaryKey({ columns: [table.source, table.eventId] })],
);

/**
 * Each source's rule for event ids. With another rule, retries of events that are already recorded would have
 * new ids and be applied again.
 */
export const sources = sqliteTable("hookonce_sources", {
  name: text().primaryKey(),
  provider: text().notNull(),
  eventIdRule: text("event_id_rule").notNull(),
  retryWindowMs: integer("retry_window_ms").notNull(),
});

/** Sources that are paused or resuming. A source without a row is open. */
export const sourceStates = sqliteTable("hookonce_source_states", {
  name: text().primaryKey(),
  state: text({ enum: ["held", "refusing", "resuming"] }).notNull(),
  since: integer().notNull(),
  /** When it resumes by itself. Null: it does not. */
  until: integer(),
  /** Why it is paused. */
  reason: text(),
  /** 1 if the next failure of a resuming source pauses it again. */
  stopOnFailure: integer("stop_on_failure").notNull().default(0),
  /** The place and the row of the last failure that a resuming source has run. Each runs once. */
  ranPlace: integer("ran_place").notNull().default(-1),
  ranFailure: integer("ran_failure").notNull().default(0),
});

/** Sources with `hold_after` whose last runs have failed. A handler that succeeds removes the row. */
export const failingSources = sqliteTable("hookonce_failing_sources", {
  name: text().primaryKey(),
  /** How many in a row. */
  failures: integer().notNull(),
});

/**
 * The newest event that was applied, for each key of a rule in `newest_wins`. Only a run that commits writes
 * it.
 */
export const positions = sqliteTable(
  "hookonce_positions",
  {
    source: text().notNull(),
    /** The rule's types and the place of its version, as JSON. The rule survives other names of handlers. */
    rule: text().notNull(),
    key: text().notNull(),
    /** As the event has it: a whole number, or a time. */
    version: text().notNull(),
    /** The id of that event. */
    eventId: text("event_id").notNull(),
  },
  (table) => [primaryKey({ columns: [table.source, table.rule, table.key] })],
);

/** Small facts about this database, for example whether hookonce created it. */
export const meta = sqliteTable("hookonce_meta", {
  key: text().primaryKey(),
  value: text().notNull(),
});
