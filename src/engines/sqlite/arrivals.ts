import { and, eq, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { ReceivedUpTo } from "../arrivals.ts";
import type { ListedEvent, Reader } from "../reader.ts";
import { matching } from "./filters.ts";
import { eventContains, failureContains, ofEvent, ofFailure } from "./listed-events.ts";
import { outcomeNow } from "./outcomes.ts";
import { events, failures } from "./schema.ts";

/** How long one look may take, in milliseconds. The deliveries wait meanwhile. */
const MAX_LOOK_MS = 10;

/** How many entries of the index of times are read at once: under 1 ms. */
const TIMES = 10_000;

/** How many of the newest failures are asked for their time. */
const MAX_FAILURES = 10_000;

type Key = Pick<ReceivedUpTo, "position" | "failure">;

/** A row that brought an event, and what the list shows of it. Null if it is not to be shown. */
type Arrived = Key & { readonly event: ListedEvent | null };

/**
 * Every event has one row at which it arrived: in the table of failures if its handler failed at once, else in the
 * table of events. A row id is never given to two events, and a failure keeps its position, so this holds however
 * often the event fails, is applied or replayed.
 */
export function arrivalReads(
  db: BunSQLiteDatabase,
): Pick<Reader, "lastPlace" | "placeBefore" | "hasPlace" | "arrivals"> {
  const ID = sql.placeholder("id");
  const lastEvent = (): number =>
    db
      .select({ last: sql<number>`coalesce(max(${events.id}), 0)` })
      .from(events)
      .get()?.last ?? 0;
  const lastFailure = (): number =>
    db
      .select({ last: sql<number>`coalesce(max(${failures.id}), 0)` })
      .from(failures)
      .get()?.last ?? 0;

  // An event with the same id that was recorded before.
  const hasEarlierEvent = sql`exists (select 1 from ${events} as earlier
    where earlier.source = ${events.source} and earlier.event_id = ${events.eventId} and earlier.id < ${events.id})`;
  const hasFailedBefore = sql`${events.change} is not null and not ${hasEarlierEvent}
    and exists (select 1 from ${failures} where ${failures.source} = ${events.source}
      and ${failures.eventId} = ${events.eventId} and ${failures.position} < ${events.id})`;
  // The event was recorded first, as unhandled, and failed later.
  const wasRecordedBefore = sql`exists (select 1 from ${events} where ${events.source} = ${failures.source}
    and ${events.eventId} = ${failures.eventId} and ${events.id} <= ${failures.position})`;

  const keys = { source: events.source, eventId: events.eventId };
  const failureKeys = { source: failures.source, eventId: failures.eventId };
  const markAt = (id: number): string => markOf(db.select(keys).from(events).where(eq(events.id, id)).get());
  const failureMarkAt = (id: number): string =>
    markOf(db.select(failureKeys).from(failures).where(eq(failures.id, id)).get());
  const placeAt = ({ position, failure }: Key): ReceivedUpTo => ({
    position,
    failure,
    mark: markAt(position),
    failureMark: failureMarkAt(failure),
  });
  const positionOf = (id: number): number | undefined =>
    db.select({ position: failures.position }).from(failures).where(eq(failures.id, id)).get()?.position;

  const byTime = sql`${events} indexed by hookonce_events_received_at`;

  /** When the event was received that comes this many places later in the order of time. */
  function timeAfter(from: number, count: number): number | undefined {
    const [row] = db.values<[number]>(
      sql`select received_at from ${byTime} where received_at >= ${from} order by received_at limit 1 offset ${count}`,
    );
    return row?.[0];
  }

  /** The lowest id of the events from one time to another. The index alone holds both. */
  function lowestId(from: number, end = Number.MAX_SAFE_INTEGER): number | undefined {
    const [row] = db.values<[number | null]>(
      sql`select min(id) from ${byTime} where received_at >= ${from} and received_at < ${end}`,
    );
    return row?.[0] ?? undefined;
  }

  /**
   * The first failure that is after a place. If the ids of removed rows were given again, it may have a lower id, and
   * if that cannot be told, a failure of the same position is read again.
   */
  function firstFailureAfter({ position, failure, failureMark }: ReceivedUpTo, last: number): number {
    let first = Math.min(failure, last) + 1;
    const isReused = failureMarkAt(failure) !== failureMark || last < failure;
    while (first > 1) {
      const before = positionOf(first - 1) ?? position + 1;
      if (before < position || (before === position && !isReused)) break;
      first--;
    }
    return first;
  }

  return {
    lastPlace: () => placeAt({ position: lastEvent(), failure: lastFailure() }),
    async placeBefore(since) {
      let first = lastEvent() + 1;
      for (let from: number | undefined = since; from !== undefined;) {
        // A crowded millisecond is read whole, or the next step would begin with it again.
        const end: number | undefined = timeAfter(from, TIMES);
        first = Math.min(first, lowestId(from, end === from ? from + 1 : end) ?? first);
        from = end === from ? timeAfter(from + 1, 0) : end;
        await Bun.sleep(0);
      }
      const newest = sql`${failures.id} > ${lastFailure() - MAX_FAILURES}`;
      const failed = db
        .select({ position: sql<number | null>`min(${failures.position})` })
        .from(failures)
        .where(and(newest, sql`${failures.firstAt} >= ${since}`))
        .get();
      const position = Math.min(first - 1, failed?.position ?? Infinity);
      const next = db
        .select({ id: sql<number | null>`min(${failures.id})` })
        .from(failures)
        .where(and(newest, sql`${failures.position} >= ${position}`))
        .get();
      return placeAt({ position, failure: (next?.id ?? lastFailure() + 1) - 1 });
    },
    hasPlace: ({ position, mark }) => position <= lastEvent() && mark === markAt(position),
    arrivals(filter, after, limit) {
      const last = { event: lastEvent(), failure: lastFailure() };
      const { outcome, search } = filter;
      const eventRow = db
        .select(ofEvent)
        .from(events)
        .where(
          and(
            eq(events.id, ID),
            sql`not (${hasFailedBefore})`,
            ...matching(filter, events, events.receivedAt),
            outcome === undefined ? undefined : sql`${outcomeNow} = ${outcome}`,
            search === undefined ? undefined : eventContains(search),
          ),
        )
        .prepare();
      const failureRow = db
        .select(ofFailure)
        .from(failures)
        .where(
          and(
            eq(failures.id, ID),
            sql`not ${wasRecordedBefore}`,
            ...matching(filter, failures, failures.firstAt),
            search === undefined ? undefined : failureContains(search),
          ),
        )
        .prepare();
      // If the failure has been applied meanwhile, the event is in the other table.
      const eventNow = db
        .select(ofEvent)
        .from(sql`${events} indexed by hookonce_events_source_event_id`)
        .where(
          and(
            eq(events.source, sql.placeholder("source")),
            eq(events.eventId, sql.placeholder("eventId")),
            sql`${events.id} > ${sql.placeholder("position")}`,
          ),
        )
        .orderBy(events.id)
        .limit(1)
        .prepare();
      const failureAt = (id: number, position: number): ListedEvent | null => {
        const row = failureRow.get({ id });
        if (row === undefined) return null;
        const now = eventNow.get({ source: row.source, eventId: row.eventId, position }) ?? row;
        return outcome === undefined || now.outcome === outcome ? listed(now) : null;
      };
      /** Rows in the order received: the failures of a position follow the event with this id. */
      function* rows(): Generator<Arrived> {
        let failure = firstFailureAfter(after, last.failure);
        const failuresUpTo = function* (end: number): Generator<Arrived> {
          for (; failure <= last.failure; failure++) {
            const position = positionOf(failure);
            if (position === undefined) continue;
            if (position > end) return;
            yield { position, failure, event: failureAt(failure, position) };
          }
        };
        yield* failuresUpTo(after.position);
        for (let id = after.position + 1; id <= last.event; id++) {
          const row = eventRow.get({ id });
          yield { position: id, failure: failure - 1, event: row === undefined ? null : listed(row) };
          yield* failuresUpTo(id);
        }
      }

      const items: { event: ListedEvent; upTo: ReceivedUpTo }[] = [];
      // Without the time that it takes to prepare the statements, so that each look comes further.
      const until = performance.now() + MAX_LOOK_MS;
      let key: Key | undefined;
      for (const { event, ...at } of rows()) {
        if (key !== undefined && (items.length === limit || performance.now() > until))
          return { items, upTo: placeAt(key), isMore: true };
        key = at;
        if (event !== null) items.push({ event, upTo: placeAt(key) });
      }
      return { items, upTo: key === undefined ? after : placeAt(key), isMore: false };
    },
  };
}

function markOf(key: { readonly source: string; readonly eventId: string } | undefined): string {
  if (key === undefined) return "";
  const hash = new Bun.CryptoHasher("sha256").update(JSON.stringify([key.source, key.eventId]));
  return hash.digest("hex").slice(0, 12);
}

type Row = ListedEvent & { readonly at: number; readonly failure: 0 | 1; readonly id: number };

function listed({ at: _at, failure: _failure, id: _id, ...event }: Row): ListedEvent {
  return event;
}
