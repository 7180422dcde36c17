import { and, desc, eq, isNull, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { Followed, Reader } from "../reader.ts";
import { matching, of } from "./filters.ts";
import { eventContains, failureContains, ofEvent, ofFailure } from "./listed-events.ts";
import { isOnlyFailed, outcomeNow } from "./outcomes.ts";
import { events, failures } from "./schema.ts";

/** How long one look may take, in milliseconds. The deliveries wait meanwhile. */
const MAX_LOOK_MS = 10;

/**
 * How many rows of a kind are looked up however long that takes, in less than 1 ms. On a loaded machine the time may be
 * over before the first one, and then an event that arrived would never be shown.
 */
const SURE = 32;

/**
 * What has happened since the last look. Row ids and the numbers of changes grow with each commit, so a look
 * misses nothing, whatever the clock does and however long a handler ran.
 */
export function changeReads(db: BunSQLiteDatabase): Pick<Reader, "followed" | "changes"> {
  const changed = sql`${events} indexed by hookonce_events_change`;
  const isChanged = sql`${events.change} is not null`;

  function followed(): Followed {
    const max = sql<number>`coalesce(max(${events.id}), 0)`;
    const event = db.select({ last: max }).from(events).get();
    const change = db
      .select({ last: sql<number>`coalesce(max(${events.change}), 0)` })
      .from(changed)
      .where(isChanged)
      .get();
    const failure = db
      .select({ last: sql<number>`coalesce(max(${failures.id}), 0)` })
      .from(failures)
      .get();
    return { event: event?.last ?? 0, change: change?.last ?? 0, failure: failure?.last ?? 0 };
  }

  return {
    followed,
    changes(filter, after, limit) {
      const { outcome, search } = filter;
      const now = followed();
      const until = performance.now() + MAX_LOOK_MS;
      const recorded = and(
        ...matching(filter, events, events.receivedAt),
        search === undefined ? undefined : eventContains(search),
      );
      // A failed event is in the table of failures, or was unhandled before and is among the changes.
      const lastArrived = outcome === "failed" ? after.event : now.event;
      const arrived = newestRows(lastArrived, after.event, limit, until, () =>
        db
          .select(ofEvent)
          .from(events)
          .where(
            and(
              eq(events.id, ID),
              // Those that had failed before are among the changes.
              isNull(events.change),
              recorded,
              outcome === undefined ? undefined : sql`${outcomeNow} = ${outcome}`,
            ),
          )
          .prepare(),
      );
      const failed = newestRows(now.failure, after.failure, limit, until, () =>
        db
          .select(ofFailure)
          .from(failures)
          .where(
            and(
              eq(failures.id, ID),
              isOnlyFailed,
              ...matching(filter, failures, failures.firstAt),
              search === undefined ? undefined : failureContains(search),
              outcome === undefined || outcome === "failed" ? undefined : sql`false`,
            ),
          )
          .prepare(),
      );
      const others = db
        .select(ofEvent)
        .from(changed)
        .where(
          and(
            isChanged,
            sql`${of(events.change)} > ${after.change}`,
            sql`${of(events.change)} <= ${now.change}`,
            recorded,
          ),
        )
        .orderBy(desc(events.change))
        .limit(limit)
        .all();
      const news = [...arrived.rows, ...failed.rows].sort((a, b) => a.receivedAt - b.receivedAt);
      return {
        items: [...news, ...others.toReversed()].map(
          ({ at: _at, failure: _failure, id: _id, ...one }) => one,
        ),
        isCut: arrived.isCut || failed.isCut || others.length === limit,
        followed: now,
      };
    },
  };
}

const ID = sql.placeholder("id");

/**
 * Looks up the rows from one id back to another, one by one: for a range of ids, SQLite would read the whole
 * table if it has counted one row in it.
 */
function newestRows<Row>(
  last: number,
  after: number,
  limit: number,
  until: number,
  prepare: () => { get(values: { id: number }): Row | undefined },
): { readonly rows: readonly Row[]; readonly isCut: boolean } {
  const rows: Row[] = [];
  if (last === after) return { rows, isCut: false };
  const statement = prepare();
  for (let id = last; id > after; id--) {
    const isLate = last - id >= SURE && performance.now() > until;
    if (rows.length === limit || isLate) return { rows, isCut: true };
    const row = statement.get({ id });
    if (row !== undefined) rows.push(row);
  }
  return { rows, isCut: false };
}
