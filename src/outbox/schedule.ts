import { LONGEST_WAIT_MS } from "../engines/outbox.ts";
import type { AttemptNext } from "../engines/records.ts";
import type { AttemptResult } from "./sender.ts";

/** The shortest and the longest wait between two attempts, in milliseconds. */
const SHORTEST_MS = 1000;
const LONGEST_MS = 3_600_000;

/** How often a message is tried at least, however short `retry_for` is. */
const MIN_TRIES = 5;

/**
 * A receiver that asks for a longer wait is tried after a day. Otherwise a wrong date would silence a destination
 * for years.
 */
const LONGEST_RETRY_AFTER_MS = LONGEST_WAIT_MS;

/** What the schedule of a message depends on. */
export interface Tried {
  /** How often it was tried before this attempt, and since when, in Unix milliseconds. */
  readonly tries: number;
  readonly since: number;
  /** How long it is tried, in milliseconds. */
  readonly retryForMs: number;
}

/**
 * What follows after an attempt. A failed one is repeated after 1 to 2 s, then after 1 to 4 s, and so on up to an
 * hour. The wait is random over its whole range, so that messages that failed together are not sent again together.
 *
 * @param now when the attempt ended, in Unix milliseconds
 * @param random from 0 to 1
 */
export function nextAfter(
  { verdict, retryAfterMs }: Pick<AttemptResult, "verdict" | "retryAfterMs">,
  { tries, since, retryForMs }: Tried,
  now: number,
  random: number,
): AttemptNext {
  switch (verdict) {
    case "delivered":
      return { state: "delivered" };
    case "gone":
    case "hopeless":
      return { state: "dead" };
    case "interrupted":
      // Due at once, and before those that were written later.
      return {
        state: "interrupted",
        nextAt: retryAfterMs === null ? Math.min(since, now) : now + retryAfterMs,
      };
    case "failed": {
      const done = tries + 1;
      if (done >= MIN_TRIES && now >= since + retryForMs) return { state: "dead" };
      const longest = Math.min(SHORTEST_MS * 2 ** done, LONGEST_MS);
      const backoff = SHORTEST_MS + Math.floor((longest - SHORTEST_MS) * random);
      const asked = Math.min(retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
      return { state: "waiting", nextAt: now + Math.max(backoff, asked) };
    }
  }
}
