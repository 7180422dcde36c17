import type { Database } from "bun:sqlite";
import { HANDLER_TIMES_US } from "../handler-times.ts";
import type { Span } from "../rollups.ts";
import { MINUTE_MS } from "../rollup-counts.ts";

const HOUR_MS = 60 * MINUTE_MS;

export const SPAN_MS: Readonly<Record<Span, number>> = {
  minute: MINUTE_MS,
  hour: HOUR_MS,
  day: 24 * HOUR_MS,
};

/**
 * For how many days minutes and hours are kept. What goes has deliveries on as many later days, and is older by
 * the clock. The first rule keeps them while the clock is ahead, and the second one after it was ahead.
 */
const KEPT_DAYS = { minute: 5, hour: 400 } as const;

/** All columns that are added up. */
export const SUMMED = [
  "processed",
  "duplicate",
  "unhandled",
  "ignored",
  "stale",
  "held",
  "failed",
  "refused",
  ...HANDLER_TIMES_US.map((_, index) => `t${index}`),
];

const addTo = (span: Span): string => `
  insert into hookonce_rollups (span, at, source, last_at, ${SUMMED.join(", ")})
  select '${span}', at - at % ${SPAN_MS[span]}, source, max(last_at), ${SUMMED.map((column) => `sum(${column})`).join(", ")}
  from hookonce_rollups where span = 'new' group by 2, 3
  on conflict (span, at, source) do update set last_at = max(last_at, excluded.last_at),
  ${SUMMED.map((column) => `${column} = ${column} + excluded.${column}`).join(", ")}`;

/** The beginning of the day before which ?1 - 1 later ones have deliveries. It reads one row of each. */
const EARLIEST_KEPT = `
  with recursive days (at, number) as (
    select max(at), 1 from hookonce_rollups where span = 'day'
    union all
    select (select max(at) from hookonce_rollups where span = 'day' and at < days.at), number + 1
    from days where at is not null and number < ?1
  )
  select at from days where number = ?1`;

/**
 * Adds what is new to its minutes, hours and days, and removes minutes and hours that are too old. Each count
 * is added once, whenever this runs and whatever the clock says. Writes nothing if nothing is new. The caller
 * has a transaction open.
 */
export function createRollupSums(db: Database): (now: number) => void {
  return (now) => {
    const [isAny] = db.query("select exists (select 1 from hookonce_rollups where span = 'new')").values();
    if (isAny?.[0] !== 1) return;
    for (const span of ["minute", "hour", "day"] as const) db.query(addTo(span)).run();
    db.query("delete from hookonce_rollups where span = 'new'").run();
    for (const [span, days] of Object.entries(KEPT_DAYS)) {
      const earliest = db.query(EARLIEST_KEPT).values(days)[0]?.[0];
      if (typeof earliest !== "number") continue;
      db.query("delete from hookonce_rollups where span = ? and at < ?").run(
        span,
        Math.min(earliest, now - days * SPAN_MS.day),
      );
    }
  };
}
