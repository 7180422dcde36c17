import { MAX_SETTLED, type EventSource, type Imported, type ImportedEvent } from "../engine.ts";
import { SETTLED } from "../event-rows.ts";
import { hashed } from "../forget.ts";
import { nothing } from "../results.ts";
import type { SettledEvents } from "../settled-events.ts";
import type { EventStore } from "./event-store.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { arrayOf } from "./sql.ts";
import type { Tx } from "./tx.ts";

const INSERT = `
  insert into hookonce.events (source, event_id, type, received_at, outcome, deliveries, last_delivery_at)
  select $1, id, type, at, 'imported', 0, at
  from unnest($2::text[], $3::text[], $4::bigint[]) with ordinality as given (id, type, at, number)
  order by number
  on conflict (source, event_id, era) do nothing`;

const FIND_FAILED = `
  select event_id from hookonce.failures
  where source = $1 and event_id = any ($2::text[]) and settled_at is null`;

const FIND_OWED = `
  select id, event_id from hookonce.events
  where source = $1 and event_id = any ($2::text[]) and era = 0 and outcome in ('unhandled', 'held')`;

/** Of an event that arrived once, only its outcome tells how that delivery was answered. */
const KEEP_FIRST_DELIVERIES = `
  insert into hookonce.deliveries (source, event_id, number, at, outcome)
  select source, event_id, 1, received_at, outcome from hookonce.events
  where id = any ($1::bigint[]) and deliveries = 1
  on conflict (source, event_id, era, number) do nothing`;

const CLOSE_OWED = `
  update hookonce.events set outcome = 'imported', change = nextval('hookonce.changes')
  where id = any ($1::bigint[])`;

const KEEP_SETTLED = `
  insert into hookonce.deliveries (source, event_id, number, at, outcome)
  select source, event_id, ${SETTLED}, $2, outcome from hookonce.events where id = any ($1::bigint[])
  on conflict (source, event_id, era, number) do update set at = excluded.at, outcome = excluded.outcome`;

/** Limits of one job, because the body of each failure that it closes is copied. */
const MAX_CLOSED = 64;
const MAX_COPIED = 1024 * 1024;

/**
 * Records events as applied elsewhere, in the transaction that the caller has open. What was owed here keeps
 * its body, its deliveries, its type and its time.
 */
export function createImports(
  tx: Tx,
  store: EventStore,
  interrupted: InterruptedRuns,
  settled: Pick<SettledEvents, "note">,
) {
  /** @returns how many were new */
  function insert(source: EventSource, events: readonly ImportedEvent[]): Promise<number> {
    const ids = arrayOf(events.map(({ id }) => id));
    const types = arrayOf(events.map(({ type }) => type));
    return tx.query(INSERT).changes(source.name, ids, types, arrayOf(events.map(({ at }) => at)));
  }

  function close(source: EventSource, rows: readonly number[]): void {
    const ids = arrayOf(rows);
    tx.query(KEEP_FIRST_DELIVERIES).run(ids);
    tx.query(CLOSE_OWED).run(ids);
    for (const row of rows) settled.note(source.name, row);
  }

  /** @returns their event ids */
  async function closeRecorded(source: EventSource, eventIds: string, now: number): Promise<string[]> {
    const found = await tx.query(FIND_OWED).values(source.name, eventIds);
    if (found.length === 0) return [];
    const rows = found.map(([id]) => Number(id));
    close(source, rows);
    tx.query(KEEP_SETTLED).run(arrayOf(rows), now);
    return found.map(([, eventId]) => String(eventId));
  }

  /** @returns how many bytes were copied */
  async function closeFailed(source: EventSource, eventId: string, now: number): Promise<number> {
    const failure = await store.findFailure(source, eventId);
    if (failure === undefined) return 0;
    const known = await store.find(source, eventId);
    if (known === undefined) {
      const event = { id: eventId, type: failure.type };
      const id = await store.insertSettled(source, event, "imported", null, failure);
      await store.insertSettledResult(id as number, failure, nothing);
    } else if (known.outcome === "unhandled") {
      close(source, [known.id]);
    }
    store.settleFailure(source, eventId, now);
    store.keepDelivery(source, eventId, SETTLED, now, "imported", false);
    await interrupted.settle(source, eventId);
    return known === undefined ? failure.body.byteLength : 0;
  }

  /** An event whose id was replaced by its hash keeps that. */
  async function underItsId(source: EventSource, event: ImportedEvent): Promise<ImportedEvent> {
    const id = hashed(event.id);
    return (await store.find(source, id)) === undefined ? event : { ...event, id };
  }

  async function idsAsRecorded(
    source: EventSource,
    all: readonly ImportedEvent[],
  ): Promise<readonly ImportedEvent[]> {
    if (!tx.facts.hidden) return all;
    return Promise.all(all.map((event) => underItsId(source, event)));
  }

  async function failedAmong(source: EventSource, given: readonly ImportedEvent[]): Promise<Set<unknown>> {
    if (!store.hasOpenFailures()) return new Set();
    const rows = await tx.query(FIND_FAILED).values(source.name, idsOf(given));
    return new Set(rows.map(([id]) => id));
  }

  return async (source: EventSource, all: readonly ImportedEvent[], now: number): Promise<Imported> => {
    const given = await idsAsRecorded(source, all);
    const failed = await failedAmong(source, given);
    const closed: string[] = [];
    let copied = 0;
    let count = failed.size === 0 ? given.length : 0;
    for (; count < given.length && closed.length < MAX_CLOSED && copied < MAX_COPIED; count++) {
      const { id } = given[count] as ImportedEvent;
      if (!failed.delete(id)) continue;
      copied += await closeFailed(source, id, now);
      closed.push(id);
    }
    const events = given.slice(0, count);
    const fresh = await insert(source, events);
    const recorded = fresh < events.length ? await closeRecorded(source, idsOf(events), now) : [];
    const owed = closed.length + recorded.length;
    return {
      fresh,
      known: events.length - fresh - owed,
      owed,
      settled: [...closed, ...recorded].slice(0, MAX_SETTLED),
    };
  };
}

const idsOf = (events: readonly ImportedEvent[]): string => arrayOf(events.map(({ id }) => id));
