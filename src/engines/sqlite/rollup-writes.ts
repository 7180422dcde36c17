import type { Database } from "bun:sqlite";
import { HookonceError } from "../../errors.ts";
import type { Outcome } from "../../event.ts";
import type { Job, JobResult } from "../engine.ts";
import { HANDLER_TIMES_US, timeIndexOf } from "../handler-times.ts";

export const MINUTE_MS = 60_000;

/** The columns that count deliveries, in the order in which the statement binds them. */
const COUNTED = ["processed", "duplicate", "unhandled", "ignored", "stale", "held", "failed"] as const;
const TIMES = HANDLER_TIMES_US.map((_, index) => `t${index}`);
const COLUMNS = [...COUNTED, ...TIMES];

/** Adds nothing. */
export const NO_COUNTS: readonly number[] = COLUMNS.map(() => 0);

/**
 * One statement for each source and minute of a batch. The row is new until a job adds it to its minute, hour
 * and day (rollup-sums.ts).
 */
export const ADD_TO_MINUTE = `
  insert into hookonce_rollups (span, at, source, last_at, ${COLUMNS.join(", ")})
  values ('new', ?1, ?2, ?3, ${COLUMNS.map((_, index) => `?${index + 4}`).join(", ")})
  on conflict (span, at, source) do update set last_at = max(last_at, excluded.last_at),
  ${COLUMNS.map((column) => `${column} = ${column} + excluded.${column}`).join(", ")}`;

/** What the deliveries of one source and minute add. */
interface Added {
  readonly source: string;
  readonly minute: number;
  lastAt: number;
  readonly counts: number[];
}

/** Counts what a batch did, in its own transaction. */
export interface RollupWrites {
  add(jobs: readonly Job[], results: readonly (JobResult | HookonceError)[]): void;
}

export function createRollupWrites(db: Database): RollupWrites {
  const statement = db.query(ADD_TO_MINUTE);
  return {
    add(jobs, results) {
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
      for (const { source, minute, lastAt, counts } of all)
        if (counts.some((count) => count > 0)) statement.run(minute, source, lastAt, ...counts);
    },
  };
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
