import { and, desc, eq, sql, type SQL } from "drizzle-orm";
import type { ListFilter, Newest, NewestPage } from "../reader.ts";
import { hasFailed } from "./outcomes.ts";
import { events, failures } from "./schema.ts";

/** How long one page may take, in milliseconds. The deliveries wait meanwhile. */
const MAX_PAGE_MS = 10;

/**
 * How many rows a page looks at in its first query. Each later one takes twice as many while they are quick:
 * with bodies of a MiB, a search reads ten rows in the time of thousands.
 */
const FIRST_STEP = 16;
const MAX_STEP = 4096;
const QUICK_MS = 2;

/** Before the first row that was received before `until`. */
export const startOf = ({ until = Number.MAX_SAFE_INTEGER }: ListFilter): Newest => ({
  at: until,
  failure: 0,
  id: 0,
});

interface EventRows {
  readonly from: SQL;
  /** What lets SQLite use the index, and needs only the index. */
  readonly indexed?: SQL | undefined;
  /** The rest of the condition. */
  readonly where?: SQL | undefined;
}

/** Which index lists the events of an outcome, and the conditions for it. */
export function eventsOf({ outcome }: ListFilter): EventRows {
  if (outcome === undefined || outcome === "processed") {
    const where = outcome === undefined ? undefined : eq(events.outcome, outcome);
    return { from: sql`${events} indexed by hookonce_events_received_at`, where };
  }
  const from = sql`${events} indexed by hookonce_events_not_processed`;
  if (outcome === "failed") return { from, indexed: recordedAs("unhandled"), where: hasFailed };
  if (outcome === "unhandled") return { from, indexed: recordedAs(outcome), where: sql`not ${hasFailed}` };
  return { from, indexed: recordedAs(outcome) };
}

/** The second condition is the index's own. */
function recordedAs(outcome: string): SQL | undefined {
  return and(sql`${events.outcome} = ${outcome}`, sql`${events.outcome} <> 'processed'`);
}

export const newestColumns = [desc(sql`1`), desc(sql`2`), desc(sql`3`)] as const;

export function newestFirst(a: Newest, b: Newest): number {
  return b.at - a.at || b.failure - a.failure || b.id - a.id;
}

/**
 * Looks at more and more rows until the page is full, the time is over, or nothing is left.
 *
 * @param limit at least 1
 */
export function inSteps<Row extends Newest>(
  { search }: ListFilter,
  after: Newest,
  limit: number,
  endOf: (from: Newest, count: number) => Newest | undefined,
  rowsOf: (from: Newest, end: Newest | undefined, limit: number) => readonly Row[],
): NewestPage<Row> {
  const until = performance.now() + MAX_PAGE_MS;
  const items: Row[] = [];
  let from = after;
  for (let count = search === undefined ? Math.max(FIRST_STEP, limit) : FIRST_STEP; ;) {
    const began = performance.now();
    const end = endOf(from, count);
    items.push(...rowsOf(from, end, limit - items.length));
    const last = items.at(-1);
    if (items.length >= limit) return { items, next: keyOf(last ?? from) };
    if (end === undefined) return { items, next: undefined };
    const now = performance.now();
    if (now > until) return { items, next: keyOf(end) };
    from = end;
    count = now - began < QUICK_MS ? Math.min(count * 2, MAX_STEP) : Math.max(FIRST_STEP, count >> 1);
  }
}

export function keyOf({ at, failure, id }: Newest): Newest {
  return { at, failure, id };
}

/** Events after one row and up to another, both in the order of the list. */
export function eventsBetween({ since }: ListFilter, after: Newest, end: Newest | undefined) {
  return between(
    sql`(${events.receivedAt}, ${events.id})`,
    events.receivedAt,
    since,
    after,
    end,
    idForEvents,
  );
}

export function failuresBetween({ since }: ListFilter, after: Newest, end: Newest | undefined) {
  return between(
    sql`(${failures.firstAt}, ${failures.id})`,
    failures.firstAt,
    since,
    after,
    end,
    idForFailures,
  );
}

function between(
  key: SQL,
  at: typeof events.receivedAt | typeof failures.firstAt,
  since: number | undefined,
  after: Newest,
  end: Newest | undefined,
  id: (key: Newest) => number,
): (SQL | undefined)[] {
  return [
    sql`${key} < (${after.at}, ${id(after)})`,
    end === undefined ? undefined : sql`${key} >= (${end.at}, ${id(end)})`,
    since === undefined ? undefined : sql`${at} >= ${since}`,
  ];
}

/** Failures come before events that were received in the same millisecond. */
const idForEvents = ({ failure, id }: Newest): number => (failure === 0 ? id : Number.MAX_SAFE_INTEGER);
const idForFailures = ({ failure, id }: Newest): number => (failure === 1 ? id : 0);
