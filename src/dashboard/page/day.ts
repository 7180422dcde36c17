import type { RollupJson } from "../../http/admin/shapes.ts";

export const HOUR = 3_600_000;

/** One bar of the chart: the sums of all sources. */
export interface HourOfDay {
  /** Its beginning, in Unix milliseconds. */
  readonly at: number;
  processed: number;
  duplicate: number;
  held: number;
  failed: number;
  refused: number;
}

/** Where the minutes begin that {@link hoursOf} needs. */
export const minutesSince = (now: number): number => Math.floor(now / HOUR) * HOUR - HOUR;

/**
 * The last 24 hours, the oldest first; the last one has only begun. Hours are loaded less often than minutes, so
 * the last two are added up from their minutes.
 */
export function hoursOf(
  hours: readonly RollupJson[],
  minutes: readonly RollupJson[],
  now: number,
): readonly HourOfDay[] {
  const exact = minutesSince(now);
  const all = Array.from({ length: 24 }, (_, index) => ({
    at: exact - (22 - index) * HOUR,
    processed: 0,
    duplicate: 0,
    held: 0,
    failed: 0,
    refused: 0,
  }));
  const rollups = [...hours.filter(({ at }) => at < exact), ...minutes.filter(({ at }) => at >= exact)];
  for (const { at, processed, duplicate, held, failed, refused } of rollups) {
    const hour = all[23 - Math.floor((exact + 2 * HOUR - 1 - at) / HOUR)];
    if (hour === undefined) continue;
    hour.processed += processed;
    hour.duplicate += duplicate;
    hour.held += held;
    hour.failed += failed;
    hour.refused += refused;
  }
  return all;
}
