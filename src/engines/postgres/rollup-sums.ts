import type { Tx } from "./tx.ts";
import { addTo, KEPT_DAYS, SPAN_MS, type SumsDialect } from "../rollup-sums.ts";

const DIALECT: SumsDialect = { table: "hookonce.rollups", name: "rollups", larger: "greatest" };

/** The beginning of the day before which $1 - 1 later ones have deliveries. It reads one row of each. */
const EARLIEST_KEPT = `
  with recursive days (at, number) as (
    select max(at), 1 from hookonce.rollups where span = 'day'
    union all
    select (select max(at) from hookonce.rollups where span = 'day' and at < days.at), number + 1
    from days where at is not null and number < $1
  )
  select at from days where number = $1`;

/**
 * Adds what is new to its minutes, hours and days, and removes minutes and hours that are too old. Each count
 * is added once, whenever this runs and whatever the clock says. Writes nothing if nothing is new. The caller
 * has a transaction open.
 */
export function createRollupSums(tx: Tx): (now: number) => Promise<void> {
  return async (now) => {
    const isAny = await tx.query("select exists (select 1 from hookonce.rollups where span = 'new')").row();
    if (isAny?.[0] !== true) return;
    for (const span of ["minute", "hour", "day"] as const) tx.query(addTo(span, DIALECT)).run();
    tx.query("delete from hookonce.rollups where span = 'new'").run();
    for (const [span, days] of Object.entries(KEPT_DAYS)) {
      const earliest = (await tx.query(EARLIEST_KEPT).row(days))?.[0];
      if (typeof earliest !== "number") continue;
      tx.query("delete from hookonce.rollups where span = $1 and at < $2").run(
        span,
        Math.min(earliest, now - days * SPAN_MS.day),
      );
    }
  };
}
