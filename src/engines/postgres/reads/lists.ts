import { hashed } from "../../forget.ts";
import type { ListedFailure, ListFilter, Newest, NewestPage, Reader } from "../../reader.ts";
import { all, arrayOf, sql, type Sql } from "../sql.ts";
import type { Ask } from "./ask.ts";
import { eventContains, failureContains, matchingEvent, matchingFailure } from "./filters.ts";
import { failureColumns, ofEvent, ofFailure, withoutKey, type ListedRow } from "./listed-events.ts";
import { lookForPage } from "./looks.ts";
import { isOnlyFailed, isOpen, outcomeNow } from "./outcomes.ts";

/**
 * Lists for people: the newest first, by the time of the first receipt. Failures come before events that were received
 * in the same millisecond.
 */
export function listReads(ask: Ask): Pick<Reader, "events" | "failures"> {
  /** Events whose id is the text that is searched for: at most one of each source, the newest first. */
  async function withId(filter: ListFilter, search: string, after: Newest | undefined): Promise<ListedRow[]> {
    const names = arrayOf([search, hashed(search)]);
    const { outcome } = filter;
    const rows = await ask<ListedRow>(sql`
      select ${ofEvent} from hookonce.events e
      where e.source in ${sourcesIn(sql`hookonce.events`)} and e.event_id = any(${names}::text[])
        and ${outcome === undefined ? sql`true` : sql`${outcomeNow} = ${outcome}`} and ${matchingEvent(filter)}
      union all
      select ${ofFailure} from hookonce.failures f
      where f.source in ${sourcesIn(sql`hookonce.failures`)} and f.event_id = any(${names}::text[])
        and ${isOnlyFailed} and ${mayHaveFailed(filter)} and ${matchingFailure(filter)}`);
    return rows.filter((one) => after === undefined || newestFirst(after, one) < 0).sort(newestFirst);
  }

  /** Looks at the next rows of both tables together. */
  async function lookAtEvents(filter: ListFilter, from: Newest, count: number, limit: number) {
    const { outcome, search } = filter;
    const keys = sql`
      select * from (
        (select e.received_at as at, 0 as failure, e.id from hookonce.events e
         where ${indexed(filter)} and ${eventsAfter(from)} and ${since(sql`e.received_at`, filter)}
         order by e.received_at desc, e.id desc limit ${count})
        union all
        (select f.first_at, 1, f.id from hookonce.failures f
         where ${isOpen} and ${mayHaveFailed(filter)} and ${failuresAfter(from)} and ${since(sql`f.first_at`, filter)}
         order by f.first_at desc, f.id desc limit ${count})
      ) merged order by at desc, failure desc, id desc limit ${count}`;
    const others = all(
      outcome === undefined ? undefined : sql`${outcomeNow} = ${outcome}`,
      matchingEvent(filter),
      search === undefined ? undefined : sql`e.event_id <> ${search}`,
      eventContains(search),
    );
    const failed = all(
      isOnlyFailed,
      matchingFailure(filter),
      search === undefined ? undefined : sql`f.event_id <> ${search}`,
      failureContains(search),
    );
    return lookOf<ListedRow>(
      await ask<Found<ListedRow>>(sql`
        with keys as materialized (${keys}),
        found as (
          select ${ofEvent} from keys k join hookonce.events e on e.id = k.id and k.failure = 0 where ${others}
          union all
          select ${ofFailure} from keys k join hookonce.failures f on f.id = k.id and k.failure = 1 where ${failed}
          order by at desc, failure desc, id desc limit ${limit})
        select found.*, ${endOfKeys(count)} from (values (1)) one left join found on true
        order by at desc, failure desc, id desc`),
    );
  }

  async function lookAtFailures(filter: ListFilter, from: Newest, count: number, limit: number) {
    return lookOf<ListedFailure & Newest>(
      await ask<Found<ListedFailure & Newest>>(sql`
        with keys as materialized (
          select f.first_at as at, 1 as failure, f.id from hookonce.failures f
          where ${isOpen} and ${failuresAfter(from)} and ${since(sql`f.first_at`, filter)}
          order by f.first_at desc, f.id desc limit ${count}),
        found as (
          select k.*, ${failureColumns} from keys k join hookonce.failures f on f.id = k.id
          where ${all(matchingFailure(filter), failureContains(filter.search))}
          order by at desc, k.id desc limit ${limit})
        select found.*, ${endOfKeys(count)} from (values (1)) one left join found on true
        order by at desc, id desc`),
    );
  }

  return {
    async events(filter, after, limit) {
      const { search } = filter;
      const isFirst = after === undefined || after.byId === true;
      const first = search === undefined || !isFirst ? [] : await withId(filter, search, after);
      const last = first[limit - 1];
      if (last !== undefined)
        return { items: first.slice(0, limit).map(withoutKey), next: { ...keyOf(last), byId: true } };
      const { items, next } = await lookForPage(
        isFirst ? startOf(filter) : after,
        limit - first.length,
        keyOf,
        (from, count, most) => lookAtEvents(filter, from, count, most),
        search !== undefined,
      );
      return { items: [...first, ...items].map(withoutKey), next };
    },
    async failures(filter, after, limit): Promise<NewestPage<ListedFailure>> {
      if (filter.outcome !== undefined && filter.outcome !== "failed") return { items: [], next: undefined };
      const { items, next } = await lookForPage(
        after ?? startOf(filter),
        limit,
        keyOf,
        (from, count, most) => lookAtFailures(filter, from, count, most),
        filter.search !== undefined,
      );
      return { items: items.map(withoutKey), next };
    },
  };
}

/** A row, or nothing, with the last of the rows that were looked at. */
type Found<Row> = { readonly [Column in keyof Row]: Row[Column] | null } & { readonly end: Newest | null };

/** The last key, if there are as many as were asked for: others may follow. */
const endOfKeys = (count: number): Sql => sql`
  case when (select count(*) from keys) = ${count} then (
    select json_build_object('at', at, 'failure', failure, 'id', id) from keys order by at, failure, id limit 1
  ) end as "end"`;

function lookOf<Row extends Newest>(
  rows: readonly Found<Row>[],
): {
  readonly rows: readonly Row[];
  readonly end: Newest | undefined;
} {
  const end = rows[0]?.end ?? undefined;
  const found = rows.filter(({ id }) => id !== null).map(({ end: _end, ...row }) => row as unknown as Row);
  return { rows: found, end };
}

/** The sources in a table, found by one look-up each. */
const sourcesIn = (table: Sql): Sql => sql`(
  with recursive names (name) as (
    select min(source) from ${table}
    union all
    select (select min(source) from ${table} where source > name) from names where name is not null
  )
  select name from names where name is not null)`;

const mayHaveFailed = ({ outcome }: ListFilter): Sql =>
  outcome === undefined || outcome === "failed" ? sql`true` : sql`false`;

/** What lets PostgreSQL use the index of rare outcomes. */
function indexed({ outcome }: ListFilter): Sql {
  if (outcome === undefined || outcome === "processed") return sql`true`;
  if (outcome === "failed") return sql`e.outcome = 'unhandled' and e.outcome <> 'processed'`;
  return sql`e.outcome = ${outcome} and e.outcome <> 'processed'`;
}

const since = (column: Sql, filter: ListFilter): Sql =>
  filter.since === undefined ? sql`true` : sql`${column} >= ${filter.since}`;

/** The rows after a key. Failures come before events that were received in the same millisecond. */
const eventsAfter = ({ at, failure, id }: Newest): Sql =>
  sql`(e.received_at, e.id) < (${at}, ${failure === 0 ? id : Number.MAX_SAFE_INTEGER})`;

export const failuresAfter = ({ at, failure, id }: Newest): Sql =>
  sql`(f.first_at, f.id) < (${at}, ${failure === 1 ? id : 0})`;

/** Before the first row that was received before `until`. */
export const startOf = ({ until = Number.MAX_SAFE_INTEGER }: ListFilter): Newest => ({
  at: until,
  failure: 0,
  id: 0,
});

function newestFirst(a: Newest, b: Newest): number {
  return b.at - a.at || b.failure - a.failure || b.id - a.id;
}

const keyOf = ({ at, failure, id }: Newest): Newest => ({ at, failure, id });
