import { HANDLER_TIMES_US } from "./handler-times.ts";
import { MINUTE_MS } from "./rollup-counts.ts";
import type { Span } from "./rollups.ts";

/** Counters are added up by minute, hour and day. */

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
export const KEPT_DAYS = { minute: 5, hour: 400 } as const;

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

/** How an engine names the table of counters, as a column does, and its function for the larger of two values. */
export interface SumsDialect {
  readonly table: string;
  readonly name: string;
  readonly larger: "max" | "greatest";
}

/** The statement that adds what is new to the rows of a span. */
export const addTo = (span: Span, { table, name, larger }: SumsDialect): string => `
  insert into ${table} (span, at, source, last_at, ${SUMMED.join(", ")})
  select '${span}', at - at % ${SPAN_MS[span]}, source, max(last_at), ${SUMMED.map((column) => `sum(${column})`).join(", ")}
  from ${table} where span = 'new' group by 2, 3
  on conflict (span, at, source) do update set last_at = ${larger}(${name}.last_at, excluded.last_at),
  ${SUMMED.map((column) => `${column} = ${name}.${column} + excluded.${column}`).join(", ")}`;
