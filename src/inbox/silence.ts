/** When a source counts as silent. */

const HOUR = 3_600_000;

/** How far back the deliveries before the last one are looked at, in milliseconds. */
export const SILENCE_LOOK_BACK_MS = 14 * 24 * HOUR;

/** A source with fewer hours in which something arrived has no rhythm that could be known. */
const MIN_HOURS = 48;

/** The shortest silence that counts, in milliseconds. */
export const LEAST_SILENCE_MS = 2 * HOUR;

/**
 * After which time without a delivery a source is silent: twice the longest pause of the 14 days before its last
 * delivery. So one that receives nothing at night or at weekends is not silent then. Null: it has received too
 * little to tell.
 *
 * @param hours the beginnings of the hours in which something arrived, in order
 */
export function silentAfterMs(hours: readonly number[]): number | null {
  if (hours.length < MIN_HOURS) return null;
  const pauses = hours.slice(1).map((hour, index) => hour - (hours[index] as number));
  return Math.max(LEAST_SILENCE_MS, 2 * Math.max(...pauses));
}
