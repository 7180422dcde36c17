/**
 * The upper bounds by which run times of handlers are counted, in microseconds. Each is at most six times the
 * one before, and mostly twice. Longer runs count with the last one.
 */
export const HANDLER_TIMES_US = [
  50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
  5_000_000, 30_000_000,
] as const;

/** The index in {@link HANDLER_TIMES_US} that counts a run. */
export function timeIndexOf(durationUs: number): number {
  const index = HANDLER_TIMES_US.findIndex((bound) => durationUs <= bound);
  return index === -1 ? HANDLER_TIMES_US.length - 1 : index;
}

/**
 * The bound below which this share of the runs took, in microseconds.
 *
 * @param counts how many runs took up to each bound
 * @returns null if nothing ran
 */
export function percentileUs(counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let left = Math.ceil(total * share);
  const index = counts.findIndex((count) => (left -= count) <= 0);
  return HANDLER_TIMES_US[index] ?? null;
}
