/** Spaces the messages of a destination evenly. */
export interface Rate {
  /** How long the next message waits, in milliseconds. */
  waitMs(): number;
  /** A message is sent now. */
  take(): void;
}

/**
 * Timers are some milliseconds late. This much is made up for. Otherwise a destination would get fewer messages
 * than its rate says.
 */
const MAX_LATE_MS = 5;

/**
 * @param perSecond undefined for no limit; a reload may change it
 * @param now the monotonic clock, in milliseconds
 */
export function createRate(
  perSecond: () => number | undefined,
  now: () => number = () => performance.now(),
): Rate {
  let last = Number.NEGATIVE_INFINITY;
  const nextAt = (): number => last + 1000 / (perSecond() ?? Infinity);
  return {
    waitMs: () => Math.max(nextAt() - now(), 0),
    take() {
      const time = now();
      last = time - nextAt() <= MAX_LATE_MS ? nextAt() : time;
    },
  };
}
