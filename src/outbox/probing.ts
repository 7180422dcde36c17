/** After this many failed attempts in a row, a destination is probed. */
const FAILURES = 10;

/** The pauses between probes, in milliseconds: the first, and the longest. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * A destination that fails gets one message at a time, with pauses between them, until one is delivered. This
 * spares the destination, and spares hookonce work in vain.
 */
export interface Probing {
  readonly isOn: boolean;
  /** How many attempts have failed since the last success. */
  readonly failures: number;
  /** How long the next probe waits, in milliseconds; 0 if the destination is not probed. */
  waitMs(): number;
  /**
   * An attempt has failed.
   *
   * @param isProbe false if it began before the destination was probed: then it does not lengthen the pause
   * @returns whether probing begins
   */
  failed(isProbe: boolean): boolean;
  /** @returns whether probing ends */
  succeeded(): boolean;
  /** The next probe waits no longer. */
  hurry(): void;
}

/** @param now the monotonic clock, in milliseconds */
export function createProbing(now: () => number = () => performance.now()): Probing {
  let failures = 0;
  let pauseMs = 0;
  let nextAt = 0;
  return {
    get isOn() {
      return pauseMs > 0;
    },
    get failures() {
      return failures;
    },
    waitMs: () => (pauseMs === 0 ? 0 : Math.max(nextAt - now(), 0)),
    failed(isProbe) {
      failures++;
      const begins = pauseMs === 0 && failures >= FAILURES;
      if (begins) pauseMs = FIRST_PAUSE_MS;
      else if (isProbe && pauseMs > 0) pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      else return false;
      nextAt = now() + pauseMs;
      return begins;
    },
    succeeded() {
      const ends = pauseMs > 0;
      failures = 0;
      pauseMs = 0;
      return ends;
    },
    hurry() {
      nextAt = now();
    },
  };
}
