import type { ProgressLog } from "./job-progress.ts";

/** How a job goes through what it has selected: a page at a time, at its pace, and up to its limit. */

/** What a job that changes many rows is given. `Position` is where it continues after a crash. */
export interface JobRun<Position> {
  /** The job's id. A job that runs an event again or sends it uses the id so that it happens once. */
  readonly id: string;
  readonly progress: ProgressLog;
  /** When it was ordered, in Unix milliseconds. */
  readonly startedAt: number;
  /** A crash has interrupted it. The handler of a named event may be the reason, so it is not run again. */
  readonly isResumed?: boolean;
  /** Where it begins, or continues after a crash. */
  readonly from: Position;
  /** Called when everything up to a position is done with. */
  readonly onPosition?: (position: Position, left: number) => void;
  /** What counts against the limit already: it may have been changed before an interruption. */
  readonly counted?: readonly string[] | undefined;
  /** Called before a change. Of a limited job: with all that count and may be changed again after a crash. */
  readonly onRuns?: (counted: readonly string[] | undefined, left: number) => Promise<void>;
  /** What `progress` counts already after the last position. It is kept up to date. */
  readonly done: Set<string>;
  /** Ends it after the changes that have begun. */
  readonly signal: AbortSignal;
}

/** What is left of the limit, and what of this page counts against it already. */
export interface Limited {
  readonly left: number;
  readonly counted: Set<string>;
}

/**
 * Goes through the pages.
 *
 * @param runSlice changes some of a page. Returns what is left of the limit
 * @returns what is left of the limit
 */
export async function runPages<Item, Position>(
  pages: AsyncIterable<readonly [items: readonly Item[], position: Position]>,
  { rate, limit }: { readonly rate?: number | undefined; readonly limit?: number | undefined },
  { onPosition, counted, done, signal }: JobRun<Position>,
  runSlice: (items: readonly Item[], limited: Limited) => Promise<number>,
): Promise<number> {
  const pace = paceOf(rate);
  let left = limit ?? Number.POSITIVE_INFINITY;
  const page = new Set(counted);
  for await (const [items, position] of pages) {
    // At a low rate, so few at a time that a stop does not wait long.
    for (let at = 0; at < items.length && (left > 0 || page.size > 0); at += pace.size) {
      await pace.wait(signal);
      if (signal.aborted) return left;
      left = await runSlice(items.slice(at, at + pace.size), { left, counted: page });
    }
    if (signal.aborted || left <= 0) return left;
    page.clear();
    done.clear();
    onPosition?.(position, left);
  }
  return left;
}

/**
 * Begins the changes of a slice together, so that they share a sync.
 *
 * @throws the first refusal of the queue, once the changes that it accepted are counted
 */
export async function runTogether(
  changes: readonly (() => Promise<void>)[],
  { left, counted }: Limited,
  { onRuns, signal }: Pick<JobRun<unknown>, "onRuns" | "signal">,
): Promise<void> {
  // Otherwise as many others would be changed after a crash.
  if (changes.length > 0) await onRuns?.(Number.isFinite(left) ? [...counted] : undefined, left);
  const runs = changes.map((begin) => begin());
  for (const run of await Promise.allSettled(runs)) {
    if (run.status === "rejected" && !(signal.aborted && run.reason === signal.reason)) throw run.reason;
  }
}

/** Keeps a job to a number of rows per second. It waits before it runs some, so that none waits after the last. */
function paceOf(rate = Number.POSITIVE_INFINITY) {
  const size = Math.max(1, Math.min(64, Math.ceil(rate / 10)));
  const began = performance.now();
  let done = 0;
  return {
    size,
    async wait(signal: AbortSignal): Promise<void> {
      const until = began + (done / rate) * 1000;
      done += size;
      while (!signal.aborted && performance.now() < until)
        await Bun.sleep(Math.min(100, until - performance.now()));
    },
  };
}
