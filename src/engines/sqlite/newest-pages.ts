import { and, desc, eq, sql, type SQL } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
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
  rowsOf: (stretch: Stretch, limit: number) => readonly Row[],
  isCrowded: (at: number) => boolean,
): NewestPage<Row> {
  const until = performance.now() + MAX_PAGE_MS;
  const items: Row[] = [];
  let from = after;
  for (let count = search === undefined ? Math.max(FIRST_STEP, limit) : FIRST_STEP; ;) {
    const began = performance.now();
    const end = endOf(from, count);
    for (const stretch of stretchesOf(from, end, isCrowded))
      if (items.length < limit) items.push(...rowsOf(stretch, limit - items.length));
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

/**
 * A part of a list. With a comparison of the pair (time, id), SQLite begins at the time and reads all rows of
 * that millisecond, and an import may give two million events the same time. So a crowded millisecond is read
 * apart from the time before it: the index finds either at once.
 */
export interface Stretch {
  /** One millisecond; `pairs` if it is any time and no end of it is crowded. */
  readonly at: number | "pairs" | undefined;
  /** After this row. Undefined: from the first row of the millisecond. */
  readonly after: Newest | undefined;
  /** Up to this row. Undefined: to the last one. */
  readonly end: Newest | undefined;
}

/**
 * The rows after one and up to another, in the order of the list.
 *
 * @param isCrowded whether many events were received in a millisecond
 */
export function stretchesOf(
  after: Newest,
  end: Newest | undefined,
  isCrowded: (at: number) => boolean,
): readonly Stretch[] {
  if (!isCrowded(after.at) && (end === undefined || !isCrowded(end.at))) return [{ at: "pairs", after, end }];
  if (end?.at === after.at) return [{ at: after.at, after, end }];
  return [
    // Row ids begin at 1, so nothing of this millisecond follows.
    ...(after.id === 0 ? [] : [{ at: after.at, after, end: undefined }]),
    { at: undefined, after, end },
    ...(end === undefined ? [] : [{ at: end.at, after: undefined, end }]),
  ];
}

/** A page may read as many rows in vain. */
const CROWD = 64;

/** Tells whether more events were received in a millisecond. For one page, because it keeps what it has found. */
export function createCrowded(db: BunSQLiteDatabase): (at: number) => boolean {
  const found = new Map<number, boolean>();
  return (at) => {
    const known = found.get(at);
    if (known !== undefined) return known;
    const row = db.values(
      sql`select 1 from ${events} indexed by hookonce_events_received_at
      where received_at = ${at} limit 1 offset ${CROWD}`,
    );
    found.set(at, row.length > 0);
    return row.length > 0;
  };
}

export const eventsIn = ({ since }: ListFilter, stretch: Stretch) =>
  within(events.receivedAt, events.id, since, stretch, idForEvents);

export const failuresIn = ({ since }: ListFilter, stretch: Stretch) =>
  within(failures.firstAt, failures.id, since, stretch, idForFailures);

function within(
  time: typeof events.receivedAt | typeof failures.firstAt,
  rowId: typeof events.id | typeof failures.id,
  since: number | undefined,
  { at, after, end }: Stretch,
  id: (key: Newest) => number,
): (SQL | undefined)[] {
  const from = since === undefined ? undefined : sql`${time} >= ${since}`;
  if (at === "pairs")
    return [
      from,
      after === undefined ? undefined : sql`(${time}, ${rowId}) < (${after.at}, ${id(after)})`,
      end === undefined ? undefined : sql`(${time}, ${rowId}) >= (${end.at}, ${id(end)})`,
    ];
  if (at === undefined)
    return [
      from,
      after === undefined ? undefined : sql`${time} < ${after.at}`,
      end === undefined ? undefined : sql`${time} > ${end.at}`,
    ];
  return [
    from,
    sql`${time} = ${at}`,
    after === undefined ? undefined : sql`${rowId} < ${id(after)}`,
    end === undefined ? undefined : sql`${rowId} >= ${id(end)}`,
  ];
}

/** Failures come before events that were received in the same millisecond. */
const idForEvents = ({ failure, id }: Newest): number => (failure === 0 ? id : Number.MAX_SAFE_INTEGER);
const idForFailures = ({ failure, id }: Newest): number => (failure === 1 ? id : 0);
