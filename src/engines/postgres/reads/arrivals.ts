import type { ReceivedUpTo } from "../../arrivals.ts";
import type { ListedEvent, ListFilter, Reader } from "../../reader.ts";
import { all, sql, type Sql } from "../sql.ts";
import { askOne, type Ask } from "./ask.ts";
import { FOLLOWED } from "./changes.ts";
import { eventContains, failureContains, matchingEvent, matchingFailure } from "./filters.ts";
import { ofEvent, ofFailure, type ListedRow } from "./listed-events.ts";
import { lookForPage } from "./looks.ts";

/** How many of the newest failures are asked for their time. */
const MAX_FAILURES = 10_000;

type Key = Pick<ReceivedUpTo, "position" | "failure">;
type Place = Key & {
  readonly eventHere: readonly [source: string, eventId: string] | null;
  readonly failureHere: readonly [source: string, eventId: string] | null;
};
type Arrived = ListedRow & { readonly place: Place };

/**
 * Every event has one row at which it arrived: in the table of failures if its handler failed at once, else in the
 * table of events. A row id is never given twice, and a failure keeps its position, so this holds however often the
 * event fails, is applied or replayed.
 */
export function arrivalReads(ask: Ask): Pick<Reader, "lastPlace" | "placeBefore" | "hasPlace" | "arrivals"> {
  async function placeAt({ position, failure }: Key): Promise<ReceivedUpTo> {
    const place = sql`select ${placeOf(sql`${position}::bigint`, sql`${failure}::bigint`)} as place`;
    return markedPlace((await askOne<{ place: Place }>(ask, place))?.place ?? noPlace);
  }

  async function lastKey(): Promise<Key> {
    const now = await askOne<{ event: number; failure: number }>(ask, FOLLOWED);
    return { position: now?.event ?? 0, failure: now?.failure ?? 0 };
  }

  /** Looks at the next rows: the failures of a position follow the event with this id. */
  async function lookAt(filter: ListFilter, from: Key, until: Key, count: number, limit: number) {
    const { outcome, search } = filter;
    const ofOutcome = outcome === undefined ? sql`true` : sql`shown.outcome = ${outcome}`;
    const rows = await ask<Arrived & { end: Key | null }>(sql`
      with keys as materialized (
        select position, failure,
          -- The last failure that was passed.
          greatest(${from.failure}, max(failure) over (order by position, failure)) as passed
        from (
          (select e.id as position, 0 as failure from hookonce.events e
           where e.id > ${from.position} and e.id <= ${until.position} order by e.id limit ${count})
          union all
          (select f.position, f.id from hookonce.failures f
           where f.id > ${from.failure} and f.id <= ${until.failure} order by f.id limit ${count})
        ) merged order by position, failure limit ${count}),
      arrived as (
        select k.position, k.failure as key, k.passed, ${SHOWN}
        from keys k join hookonce.events e on e.id = k.position and k.failure = 0
        cross join lateral (select ${ofEvent}) shown
        where not (${hasFailedBefore}) and ${all(matchingEvent(filter), eventContains(search))}
        union all
        select k.position, k.failure, k.passed, ${SHOWN}
        from keys k join hookonce.failures f on f.id = k.failure and k.failure > 0
        cross join lateral (
          -- If the failure has been applied meanwhile, the event is in the other table.
          select * from (
            (select ${ofEvent}, 0 as rank from hookonce.events e
             where e.source = f.source and e.event_id = f.event_id and e.id > f.position order by e.id limit 1)
            union all
            select ${ofFailure}, 1
          ) either order by rank limit 1) shown
        where not ${wasRecordedBefore} and ${all(matchingFailure(filter), failureContains(search))})
      select found.*, case when (select count(*) from keys) = ${count} then (
          select json_build_object('position', position, 'failure', passed) from keys
          order by position desc, failure desc limit 1
        ) end as "end"
      from (values (1)) one left join (
        select shown.*, ${placeOf(sql`shown.position`, sql`shown.passed`)} as place from arrived shown
        where ${ofOutcome} order by shown.position, shown.key limit ${limit}) found on true
      order by found.position, found.key`);
    return {
      rows: rows.filter(({ place }) => place !== null),
      end: rows[0]?.end ?? undefined,
    };
  }

  return {
    lastPlace: async () => placeAt(await lastKey()),
    async placeBefore(since) {
      const last = await lastKey();
      const first = await askOne<{ id: number | null; position: number | null }>(
        ask,
        sql`select (select min(id) from hookonce.events where received_at >= ${since}) as id,
          (select min(position) from hookonce.failures
           where id > ${last.failure - MAX_FAILURES} and first_at >= ${since}) as position`,
      );
      const position = Math.min((first?.id ?? last.position + 1) - 1, first?.position ?? Infinity);
      const next = await askOne<{ id: number | null }>(
        ask,
        sql`select min(id) as id from hookonce.failures
          where id > ${last.failure - MAX_FAILURES} and position >= ${position}`,
      );
      return placeAt({ position, failure: (next?.id ?? last.failure + 1) - 1 });
    },
    async hasPlace({ position, mark }) {
      const last = await lastKey();
      return position <= last.position && (await placeAt({ position, failure: 0 })).mark === mark;
    },
    async arrivals(filter, after, limit) {
      const until = await lastKey();
      const { items, next } = await lookForPage<Arrived, Key>(
        after,
        limit,
        ({ place: { position, failure } }) => ({ position, failure }),
        (from, count, most) => lookAt(filter, from, until, count, most),
        filter.search !== undefined,
      );
      const isAtEnd = next === undefined;
      return {
        items: items.map(({ place, ...row }) => ({ event: listed(row), upTo: markedPlace(place) })),
        upTo: isAtEnd ? await placeAt(until) : await placeAt(next),
        isMore: !isAtEnd,
      };
    },
  };
}

/** The columns of a {@link ListedRow}. */
const SHOWN = sql`shown.at, shown.failure, shown.id, shown.source, shown."eventId", shown.type, shown.outcome,
  shown."receivedAt", shown."lastDeliveryAt", shown.deliveries, shown.handler, shown."rowsChanged", shown."durationUs"`;

// An event with the same id that was recorded before.
const hasEarlierEvent = sql`exists (select from hookonce.events earlier
  where earlier.source = e.source and earlier.event_id = e.event_id and earlier.id < e.id)`;
const hasFailedBefore = sql`e.change is not null and not ${hasEarlierEvent} and exists (select from hookonce.failures f
  where f.source = e.source and f.event_id = e.event_id and f.position < e.id)`;
// The event was recorded first, as unhandled, and failed later.
const wasRecordedBefore = sql`exists (select from hookonce.events e
  where e.source = f.source and e.event_id = f.event_id and e.id <= f.position)`;

/** What is at a place, as JSON. */
const placeOf = (
  position: Sql,
  failure: Sql,
): Sql => sql`json_build_object('position', ${position}, 'failure', ${failure},
  'eventHere', (select json_build_array(h.source, h.event_id) from hookonce.events h where h.id = ${position}),
  'failureHere', (select json_build_array(h.source, h.event_id) from hookonce.failures h where h.id = ${failure}))`;

const noPlace: Place = { position: 0, failure: 0, eventHere: null, failureHere: null };

const markedPlace = ({ position, failure, eventHere, failureHere }: Place): ReceivedUpTo => ({
  position,
  failure,
  mark: markOf(eventHere),
  failureMark: markOf(failureHere),
});

function markOf(key: readonly [source: string, eventId: string] | null): string {
  if (key === null) return "";
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(key)).digest("hex").slice(0, 12);
}

function listed(row: ListedRow): ListedEvent {
  const {
    source,
    eventId,
    type,
    outcome,
    receivedAt,
    lastDeliveryAt,
    deliveries,
    handler,
    rowsChanged,
    durationUs,
  } = row;
  return {
    source,
    eventId,
    type,
    outcome,
    receivedAt,
    lastDeliveryAt,
    deliveries,
    handler,
    rowsChanged,
    durationUs,
  };
}
