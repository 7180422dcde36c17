import type { Database } from "bun:sqlite";
import { addTo, KEPT_DAYS, SPAN_MS, type SumsDialect } from "../rollup-sums.ts";

const DIALECT: SumsDialect = { table: "hookonce_rollups", name: "hookonce_rollups", larger: "max" };

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
    for (const span of ["minute", "hour", "day"] as const) db.query(addTo(span, DIALECT)).run();
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
