import type { Database } from "bun:sqlite";
import { MAX_SETTLED, type EventSource, type Imported, type ImportedEvent } from "../engine.ts";
import { SETTLED } from "../event-rows.ts";
import type { EventStore } from "./event-store.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { nothing } from "../results.ts";
import type { SettledEvents } from "../settled-events.ts";
import { hashed } from "../forget.ts";
import type { HiddenIds } from "./hidden-ids.ts";

/** How many rows go into a statement: 7 µs for each. With one row it is 10 µs, with rows as JSON 8.5 µs. */
const ROWS = 100;

const insertOf = (rows: number): string => `
  insert into hookonce_events
    (source, event_id, type, received_at, outcome, deliveries, last_delivery_at)
  values ${Array.from({ length: rows }, (_, row) => {
    const [id, type, at] = [2, 3, 4].map((parameter) => `?${row * 3 + parameter}`);
    return `(?1, ${id}, ${type}, ${at}, 'imported', 0, ${at})`;
  }).join(", ")}
  on conflict (source, event_id, era) do nothing`;
const INSERT = insertOf(ROWS);

const FIND_FAILED = `
  select event_id from hookonce_failures
  where source = ?1 and event_id in (select value from json_each(?2)) and settled_at is null`;

const IS_OWED = "outcome = 'unhandled' or outcome = 'held'";
/** Most inboxes have none, and then nothing is to be looked up: 9 µs for each event. */
const HAS_OWED = `
  select exists (select 1 from hookonce_events indexed by hookonce_events_owed where ${IS_OWED})`;
const FIND_OWED = `
  select id, event_id from hookonce_events
  where source = ?1 and event_id in (select value from json_each(?2)) and era = 0 and (${IS_OWED})`;
/** Of an event that arrived once, only its outcome tells how that delivery was answered. */
const KEEP_FIRST_DELIVERIES = `
  insert into hookonce_deliveries (source, event_id, number, at, outcome)
  select source, event_id, 1, received_at, outcome from hookonce_events
  where id in (select value from json_each(?1)) and deliveries = 1
  on conflict (source, event_id, era, number) do nothing`;
const CLOSE_OWED = `
  update hookonce_events set outcome = 'imported', change = (
    select coalesce(max(change), 0) + 1 from hookonce_events indexed by hookonce_events_change
    where change is not null)
  where id in (select value from json_each(?1))`;

const KEEP_SETTLED = `
  insert into hookonce_deliveries (source, event_id, number, at, outcome)
  select source, event_id, ${SETTLED}, ?2, outcome from hookonce_events
  where id in (select value from json_each(?1))
  on conflict (source, event_id, era, number) do update set at = excluded.at, outcome = excluded.outcome`;

/** Limits of one job, because the body of each failure that it closes is copied. */
const MAX_CLOSED = 64;
const MAX_COPIED = 1024 * 1024;

/**
 * Records events as applied elsewhere, in the transaction that the caller has open. What was owed here keeps
 * its body, its deliveries, its type and its time.
 */
export function createImports(
  db: Database,
  store: EventStore,
  interrupted: InterruptedRuns,
  settled: SettledEvents,
  hidden: HiddenIds,
) {
  /** @returns how many were new */
  function insert(source: EventSource, events: readonly ImportedEvent[]): number {
    let fresh = 0;
    for (let from = 0; from < events.length; from += ROWS) {
      const rows = events.slice(from, from + ROWS);
      const statement = rows.length === ROWS ? INSERT : insertOf(rows.length);
      const values = rows.flatMap(({ id, type, at }) => [id, type, at]);
      fresh += db.query(statement).run(source.name, ...values).changes;
    }
    return fresh;
  }

  /** @returns their event ids */
  function closeRecorded(source: EventSource, eventIds: string, now: number): string[] {
    if (db.query(HAS_OWED).values()[0]?.[0] !== 1) return [];
    const found = db.query(FIND_OWED).values(source.name, eventIds);
    if (found.length === 0) return [];
    const ids = JSON.stringify(found.map(([id]) => id));
    db.query(KEEP_FIRST_DELIVERIES).run(ids);
    db.query(CLOSE_OWED).run(ids);
    for (const [id] of found) settled.note(source.name, Number(id));
    db.query(KEEP_SETTLED).run(ids, now);
    return found.map(([, eventId]) => String(eventId));
  }

  /** @returns how many bytes were copied */
  function closeFailed(source: EventSource, eventId: string, now: number): number {
    const failure = store.findFailure(source, eventId);
    if (failure === undefined) return 0;
    const known = store.find(source, eventId);
    if (known === undefined) {
      const id = store.insertSettled(source, { id: eventId, type: failure.type }, "imported", null, failure);
      store.insertSettledResult(id as number, failure, nothing);
    } else if (known.outcome === "unhandled") {
      const id = JSON.stringify([known.id]);
      db.query(KEEP_FIRST_DELIVERIES).run(id);
      db.query(CLOSE_OWED).run(id);
      settled.note(source.name, known.id);
    }
    store.settleFailure(source, eventId, now);
    store.keepDelivery(source, eventId, SETTLED, now, "imported", false);
    interrupted.settle(source, eventId);
    return known === undefined ? failure.body.byteLength : 0;
  }

  /** An event whose id was replaced by its hash keeps that. */
  function underItsId(source: EventSource, event: ImportedEvent): ImportedEvent {
    const id = hashed(event.id);
    return store.find(source, id) === undefined ? event : { ...event, id };
  }

  return (source: EventSource, all: readonly ImportedEvent[], now: number): Imported => {
    const given = hidden.any ? all.map((event) => underItsId(source, event)) : all;
    const failed = new Set(
      store.hasOpenFailures()
        ? db
            .query(FIND_FAILED)
            .values(source.name, idsOf(given))
            .map(([id]) => id)
        : [],
    );
    const closed: string[] = [];
    let copied = 0;
    let count = failed.size === 0 ? given.length : 0;
    for (; count < given.length && closed.length < MAX_CLOSED && copied < MAX_COPIED; count++) {
      const { id } = given[count] as ImportedEvent;
      if (!failed.delete(id)) continue;
      copied += closeFailed(source, id, now);
      closed.push(id);
    }
    const events = given.slice(0, count);
    const fresh = insert(source, events);
    const recorded = fresh < events.length ? closeRecorded(source, idsOf(events), now) : [];
    const owed = closed.length + recorded.length;
    const settled = [...closed, ...recorded].slice(0, MAX_SETTLED);
    return { fresh, known: events.length - fresh - owed, owed, settled };
  };
}

const idsOf = (events: readonly ImportedEvent[]): string => JSON.stringify(events.map(({ id }) => id));
