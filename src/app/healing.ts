import type { Logger } from "pino";
import { detailOf, HookonceError, type ErrorCode } from "../errors.ts";

/** Repeats a step of a start until it succeeds or is refused for good. */
export type Healing = <Result>(step: () => Result | Promise<Result>) => Promise<Result>;

/** What may pass by itself: somebody frees space on the disk, or ends a transaction. */
const HEALS: ReadonlySet<ErrorCode> = new Set(["disk_full", "database_locked", "database_unreachable"]);

const BETWEEN_MS = 500;

export interface HealingOptions {
  readonly log: Logger;
  /** How long the steps of one start may be repeated, all together, in milliseconds. */
  readonly waitMs?: number | undefined;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/**
 * A start that exits at once on a full disk is started again at once, and after a few times systemd gives up
 * (StartLimitBurst). So a start waits for a minute first.
 *
 * The returned function throws what the step throws, and HookonceError `shutting_down` after the signal.
 */
export function createHealing({ log, waitMs = 60_000, signal }: HealingOptions): Healing {
  let deadline: number | undefined;
  return async (step) => {
    let told: ErrorCode | undefined;
    for (;;) {
      try {
        const result = await step();
        if (told !== undefined) log.info({ code: told }, "the start continues");
        return result;
      } catch (error) {
        if (!(error instanceof HookonceError) || !HEALS.has(error.code)) throw error;
        deadline ??= performance.now() + waitMs;
        if (performance.now() >= deadline) throw error;
        if (told !== error.code) {
          const { code } = error;
          const cause = [error, ...error.problems].map(({ message }) => message).join(" ");
          const seconds = Math.ceil(waitMs / 1000);
          log.warn(
            { code, cause, detail: detailOf(error) },
            `the start is tried again for up to ${seconds} s`,
          );
          told = code;
        }
        await sleepUnless(signal);
      }
    }
  };
}

async function sleepUnless(signal: AbortSignal): Promise<void> {
  const until = performance.now() + BETWEEN_MS;
  while (performance.now() < until && !signal.aborted) await Bun.sleep(50);
  if (signal.aborted)
    throw new HookonceError("shutting_down", "The start was cancelled while it waited to try again.");
}
