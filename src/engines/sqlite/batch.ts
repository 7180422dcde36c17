import { HookonceError, messageOf } from "../../errors.ts";
import type { Handlers, Job, JobResult, Result, RunNote } from "../engine.ts";
import type { PausedByItself } from "../source-states.ts";
import type { EventStore } from "./event-store.ts";
import type { BatchBodies, Jobs } from "./jobs.ts";
import { isOwnFailure, ownFailure, troubleOf, unavailable } from "./sqlite-error.ts";
import type { RollupWrites } from "./rollup-writes.ts";
import type { Transaction } from "./transaction.ts";

export interface Committed {
  readonly results: readonly (JobResult | HookonceError)[];
  readonly blocked: HookonceError | undefined;
  /** The notes of runs that were committed, or whose failures were committed. */
  readonly notes: readonly RunNote[];
  /** The sources that hookonce has paused by itself. */
  readonly pauses: readonly PausedByItself[];
}

export interface BatchWriter {
  /**
   * Commits the first of these jobs, in order. No further job begins after `workMs` milliseconds.
   *
   * @throws SQLiteError if this process can no longer trust the database
   */
  commit(list: readonly Job[], handlers: Handlers, workMs: number): Committed;
}

/** After a failure, a handler runs with a savepoint for this many events. */
const SUSPECT_FOR = 1000;

/**
 * The rules of a batch.
 *
 * 1. It runs without savepoints, except for events that are likely to fail. Without that exception one
 *    failing handler whose provider retries would make every batch run twice.
 * 2. If an event fails, the whole batch is rolled back and runs again with a savepoint for each event, so a
 *    failing handler costs the others no more than a second try.
 * 3. An event during whose run the process ended runs alone.
 * 4. If a statement of hookonce itself fails, nothing is recorded of the event, and its handler is not blamed.
 * 5. If an event ends the whole transaction, or COMMIT fails on a constraint, each event runs again in a
 *    separate transaction.
 */
export function createBatchWriter(
  transaction: Transaction,
  jobs: Jobs,
  store: EventStore,
  rollups: RollupWrites,
): BatchWriter {
  /** The row in which the bytes of a batch are stored. Only committed rows. */
  const storedBodies = new WeakMap<object, number>();
  /** Handler file → the value of `events` when it failed last. */
  const suspects = new Map<string, number>();
  /** How many events have been committed. */
  let events = 0;

  function isLikelyToFail(job: Job, handlers: Handlers): boolean {
    if (job.kind !== "delivery") return true;
    const { source, input } = job.event;
    if (source.requireChange || source.unhandled === "fail") return true;
    if (store.findFailure(source, input.id) !== undefined) return true;
    const handler = handlers.for(source.handlersOf, input.type);
    if (handler === null) return false;
    return handler.language === "ts" || events - (suspects.get(handler.file) ?? -SUSPECT_FOR) < SUSPECT_FOR;
  }

  function attempt(
    list: readonly Job[],
    handlers: Handlers,
    workMs: number,
    savepoints: "all" | "likely",
  ): Attempt {
    const until = performance.now() + workMs;
    const bodies = new Map<object, number>();
    const known: BatchBodies = {
      get: (delivery) => bodies.get(delivery) ?? storedBodies.get(delivery),
      set: (delivery, row) => bodies.set(delivery, row),
    };
    const results: (JobResult | HookonceError)[] = [];
    let begun = 0;
    let committing = false;
    let pauses: readonly PausedByItself[];
    jobs.takeNotes(); // drop the notes of runs that were undone
    try {
      if (!transaction.begin()) return { begun, error: undefined, why: "locked" };
      jobs.begin();
      for (const job of list) {
        const alone = jobs.runsAlone(job, handlers);
        if (alone && begun > 0) break;
        begun++;
        const careful = savepoints === "all" || alone || isLikelyToFail(job, handlers);
        results.push((careful ? runInSavepoint : run)(job, handlers, known));
        if (alone || performance.now() > until) break;
      }
      count(list, results);
      committing = true;
      transaction.commit();
      pauses = jobs.committed();
    } catch (error) {
      const why =
        troubleOf(error) !== "statement"
          ? "trouble"
          : committing
            ? "commit"
            : transaction.open
              ? "event"
              : "lost";
      transaction.rollback();
      return { begun: begun === 0 ? list.length : begun, error, why };
    }
    for (const [delivery, row] of bodies) storedBodies.set(delivery, row);
    events += begun;
    return { results, notes: jobs.takeNotes(), pauses };
  }

  function run(job: Job, handlers: Handlers, bodies: BatchBodies): JobResult {
    try {
      return jobs.run(job, handlers, bodies);
    } catch (error) {
      throw jobs.isOfHandler(error) ? error : ownFailure(error);
    }
  }

  function count(list: readonly Job[], results: readonly (JobResult | HookonceError)[]): void {
    try {
      rollups.add(list, results);
    } catch (error) {
      throw ownFailure(error);
    }
  }

  function runInSavepoint(job: Job, handlers: Handlers, bodies: BatchBodies): JobResult | HookonceError {
    transaction.savepoint();
    try {
      const result = run(job, handlers, bodies);
      transaction.release();
      return result;
    } catch (error) {
      if (!transaction.open || troubleOf(error) !== "statement") throw error;
      transaction.rollbackToSavepoint();
      jobs.undone();
      return isOwnFailure(error) ? error : fail(job, handlers, error);
    }
  }

  function fail(job: Job, handlers: Handlers, error: unknown): Result | HookonceError {
    const result = jobs.recordFailure(job, handlers, error);
    if (!(result instanceof HookonceError) && result.handler !== null) suspects.set(result.handler, events);
    return result;
  }

  /**
   * @param said receives what to log
   * @returns undefined if another process has taken the write lock
   */
  function runAlone(job: Job, handlers: Handlers, said: Said): JobResult | HookonceError | undefined {
    const done = attempt([job], handlers, 0, "all");
    if ("results" in done) {
      said.notes.push(...done.notes);
      said.pauses.push(...done.pauses);
      return done.results[0];
    }
    if (done.why === "locked") return undefined;
    if (done.why === "trouble" || isOwnFailure(done.error)) return refusal(done.error);
    // The transaction of the failed event is gone, so its failure is recorded in another one.
    try {
      if (!transaction.begin()) return undefined;
      jobs.begin();
      const result = fail(job, handlers, failureAlone(done));
      count([job], [result]);
      transaction.commit();
      said.pauses.push(...jobs.committed());
      said.notes.push(...jobs.takeNotes());
      return result;
    } catch (error) {
      transaction.rollback();
      return refusal(error);
    }
  }

  function runEachAlone(list: readonly Job[], handlers: Handlers, workMs: number): Committed {
    const until = performance.now() + workMs;
    const results: (JobResult | HookonceError)[] = [];
    const said: Said = { notes: [], pauses: [] };
    for (const job of list) {
      const result = runAlone(job, handlers, said);
      if (result === undefined) return { results, blocked: locked(transaction), ...said };
      results.push(result);
      if (performance.now() > until) break;
    }
    return { results, blocked: undefined, ...said };
  }

  return {
    commit(list, handlers, workMs) {
      let done = attempt(list, handlers, workMs, "likely");
      if ("error" in done && done.why === "event") {
        done = attempt(list.slice(0, done.begun), handlers, Number.POSITIVE_INFINITY, "all");
      }
      if ("results" in done) return { ...done, blocked: undefined };
      switch (done.why) {
        case "locked":
          return { results: [], blocked: locked(transaction), notes: [], pauses: [] };
        case "trouble": {
          const refused = refusal(done.error);
          const results = list.slice(0, done.begun).map(() => refused);
          return { results, blocked: undefined, notes: [], pauses: [] };
        }
        case "event":
        case "lost":
        case "commit":
          return runEachAlone(list.slice(0, done.begun), handlers, workMs);
      }
    },
  };
}

type Attempt = Omit<Committed, "blocked"> | Undone;

/** What is to be logged. */
interface Said {
  readonly notes: RunNote[];
  readonly pauses: PausedByItself[];
}

/** Nothing of it was committed. */
interface Undone {
  /** How many jobs had been begun. */
  readonly begun: number;
  readonly error: unknown;
  /**
   * `event`: a job failed, and a savepoint could have undone it. `lost`: a job ended the transaction.
   * `commit`: COMMIT failed on a constraint. `trouble`: the disk or the memory failed. `locked`: another
   * process has the write lock.
   */
  readonly why: "event" | "lost" | "commit" | "trouble" | "locked";
}

/** Returns the error if nothing was recorded. The provider's retry delivers the event again. */
function refusal(cause: unknown): HookonceError {
  if (isOwnFailure(cause)) return cause;
  const trouble = troubleOf(cause);
  if (trouble === "fatal") throw cause;
  if (trouble !== "statement") return unavailable(trouble, cause);
  return new HookonceError("storage_failed", "The database could not be written.", { cause });
}

function locked({ blockedBy }: Transaction): HookonceError {
  return unavailable("busy", blockedBy);
}

/** Returns the failure to record for an event that ended its transaction. */
function failureAlone({ error, why }: Undone): HookonceError {
  const cause = error;
  if (why === "commit") {
    const message = `The transaction could not be committed: ${messageOf(error)}`;
    return new HookonceError("constraint_at_commit", message, { cause });
  }
  if (error instanceof HookonceError) return error;
  const message = `The handler's SQL rolled the whole transaction back: ${messageOf(error)}`;
  return new HookonceError("handler_ended_transaction", message, { cause });
}
