import type { Batch, Engine, Incoming, Job, JobResult, Result, ResultOf } from "../engines/engine.ts";
import { HookonceError } from "../errors.ts";
import type { Counters } from "../metrics/counters.ts";
import { countResult } from "./count-result.ts";
import { jobNow, type LoadedSet } from "./loaded-set.ts";

export interface QueueOptions {
  /** The most deliveries in a batch. */
  readonly maxEvents?: number;
  /** The most work in a batch, in milliseconds, so that the next delivery does not wait long. */
  readonly maxWorkMs?: number;
  /** How long a delivery waits for its turn, in milliseconds. */
  readonly maxWaitMs?: number;
  /** The sources and the handlers of the next batch. */
  readonly loaded: () => LoadedSet;
  /** This process can no longer trust the database: end it without answering. */
  readonly onFatal: (error: unknown) => void;
  /** What is counted of each transaction and each result. */
  readonly counters?: Counters | undefined;
  /** The monotonic clock, in milliseconds. Only tests pass one. */
  readonly now?: () => number;
}

export interface Queue {
  /**
   * Resolves once what became of the event is durable.
   *
   * @throws HookonceError `database_locked`, `disk_full`, `out_of_memory`, `overloaded`, `storage_failed`:
   *   nothing was recorded. `unknown_source` if a reload has removed the source
   */
  deliver(event: Incoming): Promise<Result>;
  /** How many events have been delivered so far, whatever became of them. */
  readonly received: number;
  /** How many deliveries and jobs wait to be committed. */
  readonly depth: QueueDepth;
  /**
   * The same for background work, for which no connection is waiting. It yields to deliveries. What runs no handler
   * takes turns with what does: a pause does not wait for 256 runs of a slow handler.
   *
   * @param signal refuses the job with the signal's reason if it has not begun by then
   */
  write<J extends Job>(job: J, signal?: AbortSignal): Promise<ResultOf<J>>;
  /**
   * Resolves when nothing is waiting any more. The caller may then close the engine. Background work that has
   * not begun is refused (`shutting_down`).
   */
  drain(): Promise<void>;
}

export interface QueueDepth {
  readonly deliveries: number;
  readonly jobs: number;
}

/** How long deliveries may still wait once the queue is drained, in milliseconds. A stop has 10 s in all. */
const MAX_DRAIN_MS = 1000;

/** A batch with fewer events is not made smaller: another sync would cost more than it hides. */
const MIN_SHARE = 16;

/**
 * How long one turn of background work may take, in milliseconds. A delivery waits for up to three: while it
 * arrives, while its body is read, and before it is committed.
 */
const BACKGROUND_MS = 5;

/**
 * How long to wait for another process's write lock before trying again, in milliseconds: first, and at most.
 */
const FIRST_RETRY_MS = 1;
const MAX_RETRY_MS = 50;

interface Waiting {
  readonly job: Job;
  /** On the monotonic clock, in milliseconds. */
  deadline: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: JobResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * `idle`: nothing is to be done, or the sync that is under way brings the next turn. `scheduled`: a turn
 * follows. `committing`: the engine has the first of the queue. `blocked`: another process holds the write
 * lock, a timer brings the next turn. `failed`: the database can no longer be trusted, and no delivery is
 * answered any more.
 */
type State = "idle" | "scheduled" | "committing" | "blocked" | "failed";

/**
 * Orders everything that writes. Deliveries that wait at the same time share one transaction and one sync,
 * and only then is any of them answered, duplicates included. One sync for each event would be 8 times as
 * slow. Background work takes turns with the deliveries.
 */
export function createQueue(engine: Pick<Engine, "commit" | "overlaps">, options: QueueOptions): Queue {
  const { maxEvents = 256, maxWorkMs = 20, maxWaitMs = 5000, loaded, onFatal, counters } = options;
  const { now = () => performance.now() } = options;
  const deliveries: Waiting[] = [];
  /** Background work that runs handlers, and the rest of it. */
  const runs: Waiting[] = [];
  const writes: Waiting[] = [];
  let state: State = "idle";
  let received = 0;
  let backgroundIsNext = false;
  let runsAreNext = false;
  let retryMs = FIRST_RETRY_MS;
  /** Why nothing could be written at the last try. */
  let blocked: HookonceError | undefined;
  /** How many jobs are committed and not on the disk yet: all of them, and the deliveries among them. */
  let unsynced = 0;
  let unsyncedDeliveries = 0;
  /** How many deliveries were waiting or not yet on the disk when the last sync ended. */
  let crowd = 0;
  /** How many of the first deliveries the engine has. */
  let taken = 0;
  /** Whether a timer will look for deliveries that have waited too long. */
  let watching = false;
  let drained: PromiseWithResolvers<void> | undefined;

  function add<J extends Job>(
    list: Waiting[],
    job: J,
    deadline: number,
    signal?: AbortSignal,
  ): Promise<ResultOf<J>> {
    const { promise, resolve, reject } = Promise.withResolvers<JobResult>();
    list.push({ job, deadline, signal, resolve, reject });
    schedule();
    // The engine answers each job with its own kind of result.
    return promise as Promise<ResultOf<J>>;
  }

  function schedule(): void {
    if (state !== "idle") return;
    state = "scheduled";
    setImmediate(turn);
  }

  function turn(): void {
    if (state === "failed") return;
    state = "idle";
    refuseLate();
    refuseStopped();
    const list = nextList();
    if (list !== undefined) void commit(list);
    else if (unsynced === 0 && deliveries.length === 0 && runs.length + writes.length === 0)
      drained?.resolve();
  }

  function nextList(): Waiting[] | undefined {
    const ready = deliveries.length > 0 && (unsyncedDeliveries === 0 || deliveries.length >= share());
    const background = runs.length > 0 && (runsAreNext || writes.length === 0) ? runs : writes;
    const waiting = background.length > 0;
    if (ready && !(waiting && backgroundIsNext)) return deliveries;
    // Answer the last deliveries first. Under load, others are waiting by then, and the turns alternate.
    if (unsyncedDeliveries > 0 && deliveries.length === 0) return undefined;
    return waiting ? background : undefined;
  }

  /**
   * Half of the deliveries that are waiting or not yet on the disk. While one half is on its way to the disk,
   * the other half is read, verified and committed, so neither the disk nor the writer waits for the other.
   * Smaller transactions cost more, and one large transaction leaves the writer idle. Background work does
   * not count: with it, a few deliveries would wait for as many jobs.
   */
  function share(): number {
    return Math.ceil(Math.max(deliveries.length + unsyncedDeliveries, crowd) / 2);
  }

  function mostDeliveries(): number {
    return engine.overlaps ? Math.min(maxEvents, Math.max(share(), MIN_SHARE)) : maxEvents;
  }

  async function commit(list: Waiting[]): Promise<void> {
    state = "committing";
    backgroundIsNext = list === deliveries;
    if (list !== deliveries) runsAreNext = list === writes;
    // Background work is limited by its time alone. With a share, held events would run no faster than others arrive
    // under full load, and their source would never be open again.
    const [workMs, most] = list === deliveries ? [maxWorkMs, mostDeliveries()] : [BACKGROUND_MS, maxEvents];
    const set = loaded();
    const jobs = firstOf(list, most, set);
    taken = list === deliveries ? jobs.length : 0;
    let batch: Batch;
    const began = performance.now();
    try {
      batch = await engine.commit(jobs, { workMs, handlers: set.handlers });
    } catch (error) {
      fail(error);
      return;
    }
    taken = 0;
    if (batch.begun > 0) {
      counters?.commits.observe(list === deliveries ? "deliveries" : "jobs", performance.now() - began);
      if (list === deliveries) counters?.batches.observe(batch.begun);
    }
    void answer(list.splice(0, batch.begun), batch);
    if (isFailed()) return;
    blocked = batch.blocked;
    if (blocked === undefined) {
      retryMs = FIRST_RETRY_MS;
      state = "idle";
      schedule();
    } else {
      state = "blocked";
      setTimeout(turn, retryMs);
      retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
    }
  }

  /** Refuses what can no longer run. */
  function firstOf(list: Waiting[], most: number, set: LoadedSet): readonly Job[] {
    const jobs: Job[] = [];
    for (let waiting = list[0]; waiting !== undefined && jobs.length < most; waiting = list[jobs.length]) {
      const job = jobNow(waiting.job, set);
      if (!(job instanceof HookonceError)) jobs.push(job);
      else {
        list.splice(jobs.length, 1);
        waiting.reject(job);
      }
    }
    return jobs;
  }

  async function answer(waiting: readonly Waiting[], batch: Batch): Promise<void> {
    const events = waiting[0]?.job.kind === "delivery" ? waiting.length : 0;
    unsynced += waiting.length;
    unsyncedDeliveries += events;
    let results: Awaited<Batch["results"]>;
    try {
      results = await batch.results;
    } catch (error) {
      fail(error);
      return;
    }
    // After a failed sync a later one can falsely succeed.
    if (isFailed()) return;
    crowd = deliveries.length + unsyncedDeliveries;
    unsynced -= waiting.length;
    unsyncedDeliveries -= events;
    for (const [index, { job, resolve, reject }] of waiting.entries()) {
      const result = results[index] as JobResult | HookonceError;
      if (result instanceof HookonceError) reject(result);
      else {
        if (counters !== undefined) countResult(counters, job, result);
        resolve(result);
      }
    }
    schedule();
  }

  /** A sync may have failed while the engine was committing. */
  function isFailed(): boolean {
    return state === "failed";
  }

  function fail(error: unknown): void {
    if (isFailed()) return;
    state = "failed";
    onFatal(error);
  }

  function refuseLate(): void {
    if (isFailed()) return;
    // In the order of the deadlines.
    for (
      let late = deliveries[taken];
      late !== undefined && late.deadline < now();
      late = deliveries[taken]
    ) {
      deliveries.splice(taken, 1);
      const why = "More deliveries are waiting than can be written. Try again.";
      late.reject(blocked ?? new HookonceError("overloaded", why));
    }
  }

  /**
   * Each turn refuses late deliveries, but the next turn may be far off if the engine or the disk does not
   * answer.
   */
  function watch(): void {
    const first = deliveries[taken];
    if (watching || first === undefined) return;
    watching = true;
    const look = (): void => {
      watching = false;
      refuseLate();
      watch();
    };
    setTimeout(look, first.deadline - now() + 1).unref();
  }

  function refuseStopped(): void {
    for (const list of [runs, writes]) {
      if (drained === undefined && !list.some(({ signal }) => signal?.aborted === true)) continue;
      for (const waiting of list.splice(0)) {
        const { signal, reject } = waiting;
        if (signal?.aborted === true) reject(signal.reason);
        else if (drained === undefined) list.push(waiting);
        else reject(new HookonceError("shutting_down", "hookonce is shutting down. Run the command again."));
      }
    }
  }

  return {
    get received() {
      return received;
    },
    get depth() {
      return { deliveries: deliveries.length, jobs: runs.length + writes.length };
    },
    deliver(event) {
      received++;
      const result = add(deliveries, { kind: "delivery", event }, now() + maxWaitMs);
      watch();
      return result;
    },
    write: (job, signal) => add(runsHandler(job) ? runs : writes, job, Number.POSITIVE_INFINITY, signal),
    async drain() {
      drained ??= Promise.withResolvers<void>();
      // The stop may come while another process holds the write lock.
      const soon = now() + MAX_DRAIN_MS;
      for (const waiting of deliveries) waiting.deadline = Math.min(waiting.deadline, soon);
      setTimeout(refuseLate, MAX_DRAIN_MS + 1).unref();
      schedule();
      if (!isFailed()) await drained.promise;
    },
  };
}

function runsHandler({ kind }: Job): boolean {
  return kind === "apply" || kind === "replay" || kind === "resume";
}
