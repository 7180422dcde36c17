import { LONGEST_RETRY_MS, MAX_SETTLED } from "../../engine.ts";
import {
  QUARANTINE_CODES,
  type Cursor,
  type EventFilter,
  type OwedEvent,
  type Reader,
  type SelectedEvent,
} from "../../reader.ts";
import { all, arrayOf, sql, type Sql } from "../sql.ts";
import { askOne, type Ask } from "./ask.ts";
import { eventContains, failureContains, matchingEvent, matchingFailure } from "./filters.ts";
import { lookForPage } from "./looks.ts";
import { isItsFailure, isOnlyFailed, isOpen, isUnhandledOrHeld } from "./outcomes.ts";

interface OwedRow extends Pick<OwedEvent, "source" | "eventId" | "type" | "outcome">, Cursor {
  readonly code: string | null;
  readonly handlerHash: string | null;
}

type Owed = Pick<Reader, "owed" | "recorded" | "countKnown" | "failure" | "due">;

/** What is to be run: owed events, and recorded ones, in the order received. */
export function owedReads(ask: Ask): Owed {
  /** Looks at the next owed rows of both tables together. */
  async function lookAtOwed(
    filter: EventFilter,
    from: Cursor,
    count: number,
    limit: number,
    until: Parameters<Reader["owed"]>[3],
  ) {
    const { outcome, search } = filter;
    const keys = sql`
      select * from (
        (select e.id as position, 0 as failure from hookonce.events e
         where ${isUnhandledOrHeld} and e.id > ${from.position}
           and ${until === undefined ? sql`true` : sql`e.id <= ${until.event}`}
         order by e.id limit ${count})
        union all
        (select f.position, f.id from hookonce.failures f
         where ${isOpen} and ${failuresAfter(from)} and ${isOfEvents(outcome) ? sql`false` : sql`true`}
           and ${until === undefined ? sql`true` : sql`f.id <= ${until.failure} and f.position <= ${until.event}`}
         order by f.position, f.id limit ${count})
      ) merged order by position, failure limit ${count}`;
    const recorded = all(
      outcome === undefined
        ? undefined
        : sql`case when f.id is null then e.outcome else 'failed' end = ${outcome}`,
      matchingEvent(filter),
      eventContains(search),
    );
    const failed = all(isOnlyFailed, matchingFailure(filter), failureContains(search));
    const rows = await ask<OwedRow & { end: Cursor | null }>(sql`
      with keys as materialized (${keys}),
      found as (
        select k.*, e.source, e.event_id as "eventId", e.type,
          case when f.id is null then e.outcome else 'failed' end as outcome, f.code, f.handler_hash as "handlerHash"
        from keys k join hookonce.events e on e.id = k.position and k.failure = 0
        left join hookonce.failures f on ${isItsFailure}
        where ${recorded}
        union all
        select k.*, f.source, f.event_id, f.type, 'failed', f.code, f.handler_hash
        from keys k join hookonce.failures f on f.id = k.failure and k.failure > 0
        where ${failed}
        order by position, failure limit ${limit})
      select found.*, ${endOfKeys(count)} from (values (1)) one left join found on true
      order by position, failure`);
    return {
      rows: rows.filter(({ position }) => position !== null),
      end: rows[0]?.end ?? undefined,
    };
  }

  /** Recorded events with ids after one. Those that have changed later than a change are left out. */
  async function lookAtRecorded(
    filter: EventFilter,
    from: Cursor,
    count: number,
    limit: number,
    { event: last, change }: { readonly event: number; readonly change: number },
  ) {
    const { outcome, search } = filter;
    const end = Math.min(from.position + count, last);
    const rows = await ask<SelectedEvent & { id: number }>(sql`
      select e.id, e.source, e.event_id as "eventId", e.type, e.outcome from hookonce.events e
      where e.id > ${from.position} and e.id <= ${end} and e.era = 0
        and ${outcome === undefined ? sql`true` : sql`e.outcome = ${outcome}`}
        -- A replay changes no outcome.
        and (e.change is null or e.change <= ${change}
          or exists (select from hookonce.results r where r.event = e.id and r.replays > 0))
        and ${all(matchingEvent(filter), eventContains(search))}
      order by e.id limit ${limit}`);
    return { rows, end: end < last ? { position: end, failure: 0 } : undefined };
  }

  return {
    async owed(filter, after = { position: -1, failure: 0 }, limit, until) {
      const { outcome, search } = filter;
      if (outcome !== undefined && outcome !== "failed" && !isOfEvents(outcome))
        return { items: [], next: undefined };
      const { items, next } = await lookForPage(
        after,
        limit,
        ({ position, failure }: OwedRow): Cursor => ({ position, failure }),
        (from, count, most) => lookAtOwed(filter, from, count, most, until),
        search !== undefined,
      );
      return {
        items: items.map(({ source, eventId, type, outcome: owedAs, code, handlerHash }) => ({
          source,
          eventId,
          type,
          outcome: owedAs,
          quarantine:
            code !== null && (QUARANTINE_CODES as readonly string[]).includes(code)
              ? { code, handlerHash }
              : undefined,
        })),
        next,
      };
    },
    async recorded(filter, after = { position: 0, failure: 0 }, limit, until) {
      const { items, next } = await lookForPage(
        after,
        limit,
        ({ id }: SelectedEvent & { id: number }): Cursor => ({ position: id, failure: 0 }),
        (from, count, most) => lookAtRecorded(filter, from, count, most, until),
        filter.search !== undefined,
      );
      return {
        items: items.map(({ id: _id, ...event }) => event),
        next: next === undefined || next.position >= until.event ? undefined : next,
      };
    },
    async countKnown(source, ids) {
      const rows = await ask<{ id: string; isOwed: boolean }>(sql`
        select wanted.id, coalesce(e.outcome in ('unhandled', 'held'), true) as "isOwed"
        from unnest(${arrayOf(ids)}::text[]) with ordinality as wanted (id, number)
        left join hookonce.events e on e.source = ${source} and e.event_id = wanted.id and e.era = 0
        left join hookonce.failures f on f.source = ${source} and f.event_id = wanted.id and ${isOpen}
        where e.id is not null or f.id is not null
        order by wanted.number`);
      const owed = rows.filter(({ isOwed }) => isOwed);
      return {
        known: rows.length - owed.length,
        owed: owed.length,
        settled: owed.slice(0, MAX_SETTLED).map(({ id }) => id),
      };
    },
    failure: (source, eventId) =>
      askOne(
        ask,
        sql`select f.handler, f.code, f.error, f.stack, f.handler_hash as "handlerHash" from hookonce.failures f
          where f.source = ${source} and f.event_id = ${eventId} and ${isOpen}`,
      ),
    async due(now, limit, sources) {
      // One look-up for each source: those of a paused one may be many, and are not looked at.
      const dueOf = (time: Sql, most: number) => sql`
        select wanted.source, f.event_id as "eventId", f.next_at
        from unnest(${arrayOf(sources)}::text[]) as wanted (source)
        cross join lateral (
          select f.event_id, f.next_at from hookonce.failures f
          where f.source = wanted.source and f.next_at is not null and f.next_at ${time}
          order by f.next_at limit ${most}) f
        where not exists (select from hookonce.source_states s where s.name = wanted.source)
        order by f.next_at limit ${most}`;
      const found = await ask<{ source: string; eventId: string }>(dueOf(sql`<= ${now}`, limit));
      if (found.length < limit)
        found.push(
          ...(await ask<{ source: string; eventId: string }>(
            dueOf(sql`> ${now + LONGEST_RETRY_MS}`, limit - found.length),
          )),
        );
      return found.map(({ source, eventId }) => ({ source, eventId }));
    },
  };
}

const endOfKeys = (count: number): Sql => sql`
  case when (select count(*) from keys) = ${count} then (
    select json_build_object('position', position, 'failure', failure) from keys
    order by position desc, failure desc limit 1
  ) end as "end"`;

/** Whether the owed events of an outcome are all in the table of events. */
const isOfEvents = (outcome: EventFilter["outcome"]): boolean =>
  outcome === "unhandled" || outcome === "held";

const failuresAfter = ({ position, failure }: Cursor): Sql =>
  sql`(f.position, f.id) > (${position}, ${failure})`;
