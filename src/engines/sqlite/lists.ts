import { and, desc, ne, sql, type SQL } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { unionAll } from "drizzle-orm/sqlite-core";
import { hashed } from "../forget.ts";
import type { ListFilter, Newest, Reader } from "../reader.ts";
import { matching, of } from "./filters.ts";
import { eventContains, failureContains, ofEvent, ofFailure } from "./listed-events.ts";
import {
  eventsIn,
  eventsOf,
  failuresIn,
  inSteps,
  keyOf,
  newestColumns,
  newestFirst,
  startOf,
  createCrowded,
  stretchesOf,
  type Stretch,
} from "./newest-pages.ts";
import { isOnlyFailed, isOpen, outcomeNow } from "./outcomes.ts";
import { events, failures } from "./schema.ts";

type IsCrowded = ReturnType<typeof createCrowded>;
type Lists = Pick<Reader, "events" | "failures">;

/** Lists for people: the newest first, by the time of the first receipt. */
export function listReads(db: BunSQLiteDatabase): Lists {
  const openFailures = sql`${failures} indexed by hookonce_failures_newest`;

  /** The last of the next `count` rows of one table, or undefined if fewer follow. */
  function endOfStep(
    filter: ListFilter,
    after: Newest,
    count: number,
    isCrowded: IsCrowded,
  ): Newest | undefined {
    const ends = [
      endOf(after, count, isCrowded, (stretch) => eventKeys(filter, stretch)),
      mayHaveFailed(filter)
        ? endOf(after, count, isCrowded, (stretch) => failureKeys(filter, stretch))
        : undefined,
    ];
    return ends.filter((end) => end !== undefined).sort(newestFirst)[0];
  }

  function endOf(
    after: Newest,
    count: number,
    isCrowded: IsCrowded,
    keysIn: (stretch: Stretch) => ReturnType<typeof eventKeys> | ReturnType<typeof failureKeys>,
  ): Newest | undefined {
    let rest = count;
    for (const stretch of stretchesOf(after, undefined, isCrowded)) {
      const [end] = keysIn(stretch)
        .limit(1)
        .offset(rest - 1)
        .all();
      if (end !== undefined) return end;
      if (typeof stretch.at === "number") rest -= keysIn(stretch).limit(rest).all().length;
    }
    return undefined;
  }

  // Only what the index holds, so that no row is read.
  function eventKeys(filter: ListFilter, stretch: Stretch) {
    const { from, indexed } = eventsOf(filter);
    return db
      .select({ at: of(events.receivedAt), failure: sql<0 | 1>`0`, id: of(events.id) })
      .from(from)
      .where(and(indexed, ...eventsIn(filter, stretch)))
      .orderBy(desc(events.receivedAt), desc(events.id))
      .$dynamic();
  }

  function failureKeys(filter: ListFilter, stretch: Stretch) {
    return db
      .select({ at: of(failures.firstAt), failure: sql<0 | 1>`1`, id: of(failures.id) })
      .from(openFailures)
      .where(and(isOpen, ...failuresIn(filter, stretch)))
      .orderBy(desc(failures.firstAt), desc(failures.id))
      .$dynamic();
  }

  function eventRows(filter: ListFilter, stretch: Stretch, limit: number) {
    const { search } = filter;
    const { from, indexed, where } = eventsOf(filter);
    const recorded = db
      .select(ofEvent)
      .from(from)
      .where(
        and(
          indexed,
          where,
          ...eventsIn(filter, stretch),
          ...matching(filter, events, events.receivedAt),
          search === undefined ? undefined : and(ne(events.eventId, search), eventContains(search)),
        ),
      )
      .$dynamic();
    const failed = db
      .select(ofFailure)
      .from(openFailures)
      .where(
        and(
          isOnlyFailed,
          ...failuresIn(filter, stretch),
          ...matching(filter, failures, failures.firstAt),
          search === undefined ? undefined : and(ne(failures.eventId, search), failureContains(search)),
        ),
      )
      .$dynamic();
    return (mayHaveFailed(filter) ? unionAll(recorded, failed) : recorded)
      .orderBy(...newestColumns)
      .limit(limit)
      .all();
  }

  /** Events whose id is the text that is searched for: at most one of each source, the newest first. */
  function withId(filter: ListFilter, eventId: string, after: Newest | undefined) {
    // After a first start, SQLite believes that the table has one row, and would read all of it.
    const eventsById = sql`${events} indexed by hookonce_events_source_event_id`;
    const failuresById = sql`${failures} indexed by hookonce_failures_source_event_id`;
    const recorded = db
      .select(ofEvent)
      .from(eventsById)
      .where(
        and(
          sql`${events.source} in ${sourcesIn(eventsById)} and ${events.eventId} = ${eventId}`,
          filter.outcome === undefined ? undefined : sql`${outcomeNow} = ${filter.outcome}`,
          ...matching(filter, events, events.receivedAt),
        ),
      );
    const failed = db
      .select(ofFailure)
      .from(failuresById)
      .where(
        and(
          sql`${failures.source} in ${sourcesIn(failuresById)} and ${failures.eventId} = ${eventId}`,
          isOnlyFailed,
          mayHaveFailed(filter) ? undefined : sql`false`,
          ...matching(filter, failures, failures.firstAt),
        ),
      );
    return [...recorded.all(), ...failed.all()]
      .filter((one) => after === undefined || newestFirst(after, one) < 0)
      .sort(newestFirst);
  }

  function listFailures(filter: ListFilter, stretch: Stretch, limit: number) {
    const { search } = filter;
    return db
      .select({
        at: of(failures.firstAt),
        failure: sql<0 | 1>`1`,
        id: of(failures.id),
        ...failureColumns,
      })
      .from(openFailures)
      .where(
        and(
          isOpen,
          ...failuresIn(filter, stretch),
          ...matching(filter, failures, failures.firstAt),
          search === undefined ? undefined : failureContains(search),
        ),
      )
      .orderBy(desc(failures.firstAt), desc(failures.id))
      .limit(limit)
      .all();
  }

  return {
    events(filter, after, limit) {
      const { search } = filter;
      const isFirst = after === undefined || after.byId === true;
      const first =
        search === undefined || !isFirst
          ? []
          : [search, hashed(search)].flatMap((id) => withId(filter, id, after)).sort(newestFirst);
      const last = first[limit - 1];
      if (last !== undefined)
        return {
          items: first.slice(0, limit).map(withoutKey),
          next: { ...keyOf(last), byId: true },
        };
      const isCrowded = createCrowded(db);
      const { items, next } = inSteps(
        filter,
        isFirst ? startOf(filter) : after,
        limit - first.length,
        (from, count) => endOfStep(filter, from, count, isCrowded),
        (stretch, most) => eventRows(filter, stretch, most),
        isCrowded,
      );
      return { items: [...first, ...items].map(withoutKey), next };
    },
    failures(filter, after, limit) {
      if (filter.outcome !== undefined && filter.outcome !== "failed") return { items: [], next: undefined };
      const isCrowded = createCrowded(db);
      const { items, next } = inSteps(
        filter,
        after ?? startOf(filter),
        limit,
        (from, count) => endOf(from, count, isCrowded, (stretch) => failureKeys(filter, stretch)),
        (stretch, most) => listFailures(filter, stretch, most),
        isCrowded,
      );
      return { items: items.map(withoutKey), next };
    },
  };
}

/** The sources in a table, found by one look-up each. */
const sourcesIn = (table: SQL): SQL => sql`(
  with recursive names (name) as (
    select min(source) from ${table}
    union all
    select (select min(source) from ${table} where source > name) from names where name is not null
  )
  select name from names where name is not null)`;

const mayHaveFailed = ({ outcome }: ListFilter): boolean => outcome === undefined || outcome === "failed";

/** The index of open failures holds all of them. */
export const failureColumns = {
  source: of(failures.source).as("source"),
  eventId: of(failures.eventId).as("event_id"),
  type: of(failures.type).as("type"),
  handler: of(failures.handler).as("handler"),
  code: of(failures.code).as("code"),
  error: sql<string>`${failures.summary}`.as("error"),
  attempts: of(failures.attempts).as("attempts"),
  firstAt: of(failures.firstAt).as("first_at"),
  lastAt: of(failures.lastAt).as("last_at"),
  nextAt: of(failures.nextAt).as("next_at"),
};

function withoutKey<Row extends Newest>({ at: _at, failure: _failure, id: _id, ...rest }: Row) {
  return rest;
}
