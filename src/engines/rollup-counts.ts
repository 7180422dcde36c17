import { HookonceError } from "../errors.ts";
import type { Outcome } from "../event.ts";
import type { Job, JobResult } from "./engine.ts";
import { HANDLER_TIMES_US, timeIndexOf } from "./handler-times.ts";

/** What a batch adds to the counters. */

export const MINUTE_MS = 60_000;

/** The columns that count deliveries, in the order in which the statement binds them. */
const COUNTED = ["processed", "duplicate", "unhandled", "ignored", "stale", "held", "failed"] as const;
const TIMES = HANDLER_TIMES_US.map((_, index) => `t${index}`);
export const COLUMNS = [...COUNTED, ...TIMES];

/** Adds nothing. */
export const NO_COUNTS: readonly number[] = COLUMNS.map(() => 0);

/** What the deliveries of one source and minute add. */
export interface Added {
  readonly source: string;
  readonly minute: number;
  lastAt: number;
  readonly counts: number[];
}

/** What these jobs have added, for each source and minute. */
export function addedBy(
  jobs: readonly Job[],
  results: readonly (JobResult | HookonceError)[],
): readonly Added[] {
  const all: Added[] = [];
  for (const [index, result] of results.entries()) {
    const job = jobs[index];
    if (job === undefined || result === null || result instanceof HookonceError) continue;
    if (job.kind !== "delivery" && job.kind !== "resume" && !("eventId" in job)) continue;
    if (!("outcome" in result)) continue;
    const { name, at } = placeOf(job);
    const added = addedFor(all, name, at - (at % MINUTE_MS));
    if (job.kind === "delivery") {
      added.lastAt = Math.max(added.lastAt, at);
      const column = columnOf(result.outcome);
      added.counts[column] = (added.counts[column] ?? 0) + 1;
    }
    if (result.handler !== null && result.outcome === "processed") {
      const column = COUNTED.length + timeIndexOf(result.durationUs);
      added.counts[column] = (added.counts[column] ?? 0) + 1;
    }
  }
  return all.filter(({ counts }) => counts.some((count) => count > 0));
}

function placeOf(job: Extract<Job, { kind: "delivery" | "resume" } | { eventId: string }>): {
  name: string;
  at: number;
} {
  return job.kind === "delivery"
    ? { name: job.event.source.name, at: job.event.input.receivedAt }
    : { name: job.source.name, at: job.at };
}

/** Almost always there is one: the last. */
function addedFor(all: Added[], source: string, minute: number): Added {
  const found = all.findLast((one) => one.source === source && one.minute === minute);
  if (found !== undefined) return found;
  const added = { source, minute, lastAt: 0, counts: [...NO_COUNTS] };
  all.push(added);
  return added;
}

/** A delivery of an event that is done is a duplicate, no matter what has done it. */
function columnOf(outcome: Outcome): number {
  const index = COUNTED.findIndex((column) => column === outcome);
  return index === -1 ? COUNTED.indexOf("duplicate") : index;
}
