import { LONGEST_RETRY_MS, type RetriedFailure } from "../engines/engine.ts";

/** The shortest wait between two runs, in milliseconds. */
const SHORTEST_MS = 10_000;

/**
 * When hookonce itself runs a failure again: after 10 to 20 s, then after 10 to 40 s, and so on up to an hour.
 * The wait is random over its whole range, so that events that failed together do not run again together.
 *
 * @param retryForMs from the first attempt on
 * @param random from 0 to 1
 * @returns Unix milliseconds; null if it does not run again
 */
export function nextRetryAt(
  { firstAt, retries }: Pick<RetriedFailure, "firstAt" | "retries">,
  { now, retryForMs, random }: { readonly now: number; readonly retryForMs: number; readonly random: number },
): number | null {
  const longest = Math.min(SHORTEST_MS * 2 ** (retries + 1), LONGEST_RETRY_MS);
  const at = now + SHORTEST_MS + Math.floor((longest - SHORTEST_MS) * random);
  return at <= firstAt + retryForMs ? at : null;
}
