import type { Database } from "bun:sqlite";
import type { EventSource, Imported, ImportedEvent } from "../engine.ts";
import type { EventStore } from "./event-store.ts";

/**
 * One statement each for all events of a job, 3 µs an event; with a statement for each event it is 7. The
 * condition `true` keeps SQLite from reading ON CONFLICT as part of a join.
 */
const INSERT = `
  insert into hookonce_events
    (source, event_id, type, received_at, outcome, deliveries, last_delivery_at)
  select ?1, value ->> 0, value ->> 1, value ->> 2, 'imported', 0, value ->> 2 from json_each(?2) where true
  on conflict (source, event_id) do nothing`;

/** Most inboxes have none, and then nothing is to be looked up: 9 µs for each event. */
const HAS_UNHANDLED = `
  select exists (select 1 from hookonce_events indexed by hookonce_events_unhandled where outcome = 'unhandled')`;

/** What was owed here has been applied elsewhere. */
const CLOSE_UNHANDLED = `
  update hookonce_events set outcome = 'imported'
  where source = ?1 and event_id in (select value ->> 0 from json_each(?2)) and outcome = 'unhandled'
  returning event_id`;
const CLOSE_FAILED = `
  update hookonce_failures set settled_at = ?3, next_at = null
  where source = ?1 and event_id in (select value ->> 0 from json_each(?2)) and settled_at is null
  returning event_id`;

const MARK_CHANGED = `
  update hookonce_events set change = (
    select coalesce(max(change), 0) + 1 from hookonce_events indexed by hookonce_events_change
    where change is not null)
  where source = ?1 and event_id in (select value from json_each(?2))`;

/** Records events as applied elsewhere, in the transaction that the caller has open. */
export function createImports(db: Database, store: EventStore) {
  return (source: EventSource, events: readonly ImportedEvent[], now: number): Imported => {
    const rows = JSON.stringify(events.map(({ id, type, at }) => [id, type, at]));
    const { name } = source;
    const isAnyUnhandled = db.query(HAS_UNHANDLED).values()[0]?.[0] === 1;
    const unhandled = new Set(isAnyUnhandled ? ids(db.query(CLOSE_UNHANDLED).values(name, rows)) : []);
    const failed = store.hasOpenFailures() ? ids(db.query(CLOSE_FAILED).values(name, rows, now)) : [];
    const inserted = db.query(INSERT).run(name, rows).changes;
    const closed = [...unhandled, ...failed];
    if (closed.length > 0) db.query(MARK_CHANGED).run(name, JSON.stringify(closed));
    // An event that was unhandled and has failed since is in both tables.
    const onlyFailed = failed.filter((id) => !unhandled.has(id)).length;
    const fresh = inserted - onlyFailed;
    const owed = unhandled.size + onlyFailed;
    return { fresh, known: events.length - fresh - owed, owed };
  };
}

const ids = (rows: unknown[][]): unknown[] => rows.map(([id]) => id);
