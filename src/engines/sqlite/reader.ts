import type { Database } from "bun:sqlite";
import { and, asc, eq, gt, gte, isNull, lt, lte, or, sql, type SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { unionAll } from "drizzle-orm/sqlite-core";
import { QUARANTINE_CODES, type Cursor, type EventFilter, type OwedEvent, type Reader } from "../reader.ts";
import { MAX_SETTLED } from "../engine.ts";
import { alertReads } from "./alerts.ts";
import { arrivalReads } from "./arrivals.ts";
import { changeReads } from "./changes.ts";
import { dueFailures } from "./due-failures.ts";
import { detailReads } from "./event-detail.ts";
import { forgetReads } from "./forget-reads.ts";
import { failingReads } from "./failing-handlers.ts";
import { groupReads } from "./failure-groups.ts";
import { matching, of } from "./filters.ts";
import { findReads } from "./find-events.ts";
import { eventContains, failureContains } from "./listed-events.ts";
import { ledgerReads } from "./ledger-reads.ts";
import { listReads } from "./lists.ts";
import { messageReads } from "./message-reads.ts";
import { owedCounts } from "./owed-counts.ts";
import { isItsFailure, isOnlyFailed, isOpen, isUnhandledOrHeld } from "./outcomes.ts";
import { retentionReads } from "./retention-reads.ts";
import { events, failures, results } from "./schema.ts";
import { sourceStateReads } from "./source-state-reads.ts";

/**
 * How many owed rows of a table one page looks at. Otherwise a filter without matches would read all of them
 * at once: 60 ms for 300,000 in memory, while the deliveries wait.
 */
const MAX_LOOKED_AT = 2000;

/** How many recorded events one page looks at: 5 ms. */
const MAX_RECORDED = 20_000;

/** How long a search goes on before it returns what it has found. */
const MAX_SEARCH_MS = 10;

/** A search reads bodies, at most so many in one query. */
const MAX_SEARCHED = 64;

/**
 * How many rows the queries of one page look at. A search begins with one row, and takes more at a time as long as
 * they are small: 64 bodies of 5 MiB in one query held up the deliveries for 1.4 s.
 *
 * @param rows without a search, the number for the page's only query
 */
function createLook(rows: number | undefined) {
  const until = performance.now() + MAX_SEARCH_MS;
  let searched = 1;
  return {
    get rows(): number {
      return rows ?? searched;
    },
    time<T>(query: () => T): T {
      const began = performance.now();
      const result = query();
      const isQuick = performance.now() - began < MAX_SEARCH_MS / 5;
      searched = isQuick ? Math.min(2 * searched, MAX_SEARCHED) : 1;
      return result;
    },
    goesOn: (): boolean => rows === undefined && performance.now() < until,
  };
}

/**
 * Reads everything that is not a delivery. Each read is one query that fetches all its rows: no snapshot
 * outlives it, because a snapshot that is held lets the log grow without bound.
 *
 * @param connection read-only, and used for nothing else. If there is a writer, open it after the writer has
 *   taken over the sync of the log (log-sync.ts), so that it does not keep the writer from finding its
 *   descriptor.
 */
export function openReader(connection: Database): Reader & { close(): void } {
  connection.run("pragma busy_timeout = 5000");
  const db = drizzle(connection);
  let closed = false;
  // A read that takes several turns ends at the next one. Nobody waits for its result any more.
  const isClosed = (): boolean => closed;

  // SQLite uses these partial indexes only if the outcome is a constant. In a database without statistics,
  // such as an application's, it would otherwise scan all processed events: 70 ms for 300,000.
  const owedEvents = sql`${events} indexed by hookonce_events_owed`;
  const openFailures = sql`${failures} indexed by hookonce_failures_open`;
  const outcomeOf = sql<OwedEvent["outcome"]>`iif(${failures.id} is null, ${events.outcome}, 'failed')`;

  /** The position after so many owed rows of one table, or undefined if fewer follow. */
  function endOfLook({ outcome }: EventFilter, after: Cursor, looked: number): Cursor | undefined {
    const event = db
      .select({ position: of(events.id), failure: sql<number>`0` })
      .from(owedEvents)
      .where(and(isUnhandledOrHeld, gt(events.id, after.position)))
      .orderBy(asc(events.id))
      .limit(1)
      .offset(looked);
    const failed = db
      .select({ position: of(failures.position), failure: of(failures.id) })
      .from(openFailures)
      .where(and(isOpen, failuresAfter(after)))
      .orderBy(asc(failures.position), asc(failures.id))
      .limit(1)
      .offset(looked);
    const ends = [...event.all(), ...(isOfEvents(outcome) ? [] : failed.all())];
    return ends.sort((a, b) => a.position - b.position || a.failure - b.failure)[0];
  }

  const none = { items: [], next: undefined };

  function owedRows(
    filter: EventFilter,
    after: Cursor,
    end: Cursor | undefined,
    limit: number,
    until: Parameters<Reader["owed"]>[3],
  ) {
    const { outcome, search } = filter;
    const recorded = db
      .select({
        position: of(events.id),
        failure: sql<number>`0`.as("failure"),
        source: of(events.source),
        eventId: of(events.eventId),
        type: of(events.type),
        outcome: outcomeOf.as("outcome"),
        code: sql<string>`coalesce(${failures.code}, '')`.as("code"),
        handlerHash: of(failures.handlerHash).as("handler_hash"),
      })
      .from(owedEvents)
      .leftJoin(failures, isItsFailure)
      .where(
        and(
          isUnhandledOrHeld,
          outcome === undefined ? undefined : sql`${outcomeOf} = ${outcome}`,
          gt(events.id, after.position),
          end === undefined ? undefined : lte(events.id, end.position),
          until === undefined ? undefined : lte(events.id, until.event),
          ...matching(filter, events, events.receivedAt),
          search === undefined ? undefined : eventContains(search),
        ),
      )
      .$dynamic();
    const failed = db
      .select({
        position: of(failures.position),
        failure: of(failures.id),
        source: of(failures.source),
        eventId: of(failures.eventId),
        type: of(failures.type),
        outcome: sql<OwedEvent["outcome"]>`'failed'`.as("outcome"),
        code: of(failures.code),
        handlerHash: of(failures.handlerHash),
      })
      .from(openFailures)
      .where(
        and(
          isOnlyFailed,
          failuresAfter(after),
          end === undefined ? undefined : lte(failures.position, end.position),
          end === undefined
            ? undefined
            : or(lt(failures.position, end.position), lte(failures.id, end.failure)),
          until === undefined ? undefined : lte(failures.id, until.failure),
          ...matching(filter, failures, failures.firstAt),
          search === undefined ? undefined : failureContains(search),
        ),
      )
      .$dynamic();
    const order = [asc(sql`1`), asc(sql`2`)] as const;
    if (isOfEvents(outcome))
      return recorded
        .orderBy(...order)
        .limit(limit)
        .all();
    return unionAll(recorded, failed)
      .orderBy(...order)
      .limit(limit)
      .all();
  }

  /** Recorded events with ids after one and up to another. Those that have changed later are left out. */
  function recordedRows(filter: EventFilter, from: number, end: number, limit: number, lastChange: number) {
    const { outcome, search } = filter;
    return db
      .select({
        id: events.id,
        source: events.source,
        eventId: events.eventId,
        type: events.type,
        outcome: events.outcome,
      })
      .from(events)
      .where(
        and(
          gt(events.id, from),
          lte(events.id, end),
          eq(events.era, 0),
          outcome === undefined ? undefined : sql`${events.outcome} = ${outcome}`,
          // A replay changes no outcome.
          or(
            isNull(events.change),
            lte(events.change, lastChange),
            sql`exists (select 1 from ${results} where ${results.event} = ${events.id} and ${results.replays} > 0)`,
          ),
          ...matching(filter, events, events.receivedAt),
          search === undefined ? undefined : eventContains(search),
        ),
      )
      .orderBy(asc(events.id))
      .limit(limit)
      .all();
  }
  type RecordedRow = ReturnType<typeof recordedRows>[number];

  return {
    owed(filter, after = { position: -1, failure: 0 }, limit, until) {
      const { outcome, search } = filter;
      if (outcome !== undefined && outcome !== "failed" && !isOfEvents(outcome)) return none;
      const look = createLook(search === undefined ? MAX_LOOKED_AT : undefined);
      const rows: ReturnType<typeof owedRows> = [];
      for (let from = after; ;) {
        const end = endOfLook(filter, from, look.rows);
        rows.push(...look.time(() => owedRows(filter, from, end, limit - rows.length, until)));
        const last = rows.length < limit ? end : rows.at(-1);
        const isEnd = last === undefined || (until !== undefined && last.position > until.event);
        if (!isEnd && rows.length < limit && look.goesOn()) {
          from = last;
          continue;
        }
        return {
          items: rows.map(({ source, eventId, type, outcome: owedAs, code, handlerHash }) => ({
            source,
            eventId,
            type,
            outcome: owedAs,
            quarantine: (QUARANTINE_CODES as readonly string[]).includes(code)
              ? { code, handlerHash }
              : undefined,
          })),
          next: isEnd ? undefined : { position: last.position, failure: last.failure },
        };
      }
    },
    recorded(filter, after, limit, { event: last, change }) {
      const look = createLook(filter.search === undefined ? MAX_RECORDED : undefined);
      const rows: RecordedRow[] = [];
      for (let from = after?.position ?? 0; ;) {
        const begin = from;
        const end = Math.min(from + look.rows, last);
        rows.push(...look.time(() => recordedRows(filter, begin, end, limit - rows.length, change)));
        const isFull = rows.length === limit;
        from = isFull ? (rows.at(-1)?.id ?? end) : end;
        if (!isFull && from < last && look.goesOn()) continue;
        return {
          items: rows.map(({ id: _id, ...event }) => event),
          next: from < last ? { position: from, failure: 0 } : undefined,
        };
      }
    },
    countKnown(source, ids) {
      const [counts] = db.all<{ known: number; owed: number; settled: string }>(sql`
        select count(*) - total(owed) as known, total(owed) as owed,
          json_group_array(id) filter (where owed) as settled
        from (
          select wanted.value as id, ${isOpen} and ${failures.id} is not null and ${events.id} is null or ${isUnhandledOrHeld} as owed
          from json_each(${JSON.stringify(ids)}) as wanted
          left join ${events}
            on ${events.source} = ${source} and ${events.eventId} = wanted.value and ${events.era} = 0
          left join ${failures}
            on ${failures.source} = ${source} and ${failures.eventId} = wanted.value and ${isOpen}
          where ${events.id} is not null or ${failures.id} is not null)`);
      const { known, owed, settled } = counts ?? { known: 0, owed: 0, settled: "[]" };
      return { known, owed, settled: (JSON.parse(settled) as string[]).slice(0, MAX_SETTLED) };
    },
    failure(source, eventId) {
      return db
        .select({
          handler: failures.handler,
          code: failures.code,
          error: failures.error,
          stack: failures.stack,
          handlerHash: failures.handlerHash,
        })
        .from(failures)
        .where(and(eq(failures.source, source), eq(failures.eventId, eventId), isOpen))
        .get();
    },
    ...dueFailures(connection),
    ...findReads(db),
    ...owedCounts(db, isClosed),
    ...listReads(db),
    ...groupReads(db, isClosed),
    ...failingReads(db, isClosed),
    ...changeReads(db),
    ...arrivalReads(db),
    ...detailReads(db),
    ...ledgerReads(db),
    ...messageReads(connection, isClosed),
    ...retentionReads(connection),
    ...forgetReads(connection),
    ...sourceStateReads(connection),
    ...alertReads(connection),
    nodes: () => [],
    close() {
      closed = true;
      connection.close(true);
    },
  };
}

/** Whether the owed events of an outcome are all in the table of events. */
const isOfEvents = (outcome: EventFilter["outcome"]): boolean =>
  outcome === "unhandled" || outcome === "held";

function failuresAfter(after: Cursor): SQL | undefined {
  return and(
    // Lets SQLite begin at this position in the index. With only the next condition, it would read all rows
    // before it.
    gte(failures.position, after.position),
    or(gt(failures.position, after.position), gt(failures.id, after.failure)),
  );
}
