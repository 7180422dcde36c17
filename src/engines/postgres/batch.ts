import { HookonceError, messageOf } from "../../errors.ts";
import type { Handlers, Job, JobResult, RunNote } from "../engine.ts";
import type { PausedByItself } from "../source-states.ts";
import { beginBatch, failedAmong, noteFailure } from "./begin-batch.ts";
import type { BatchBodies } from "./deliveries.ts";
import type { Lane } from "./lane.ts";
import { AGAIN, type Done, type PlainFacts } from "./plain-deliveries.ts";
import { rollBack } from "./transaction.ts";
import { isFollowing, isOfServer, ownFailure, troubleOf, unavailable } from "./trouble.ts";
import type { Sent, Wire } from "./wire.ts";

export interface Committed {
  readonly results: readonly (JobResult | HookonceError)[];
  readonly blocked: HookonceError | undefined;
  /** The notes of runs that were committed, or whose failures were committed. */
  readonly notes: readonly RunNote[];
  /** The sources that hookonce has paused by itself. */
  readonly pauses: readonly PausedByItself[];
  /** The destinations for which messages were written. */
  readonly sent: ReadonlySet<string>;
}

export interface BatchOptions {
  readonly isRedacted: (source: string) => boolean;
  /** How long to wait for the baton, in milliseconds. */
  readonly batonMs?: number | undefined;
}

/**
 * The rules of a batch.
 *
 * 1. It has the baton: one advisory lock for all nodes. So handlers run one after another, as on SQLite.
 * 2. Each event has a savepoint. If it fails, it alone is undone, and its failure is recorded.
 * 3. Deliveries that need no look at what is stored share their statements (plain-deliveries.ts).
 * 4. If another transaction blocked an event, the event runs once more, in a separate transaction.
 * 5. If COMMIT fails on a constraint, each event runs again in a separate transaction.
 * 6. If a statement of hookonce itself fails, nothing is recorded of the event, and its handler is not blamed.
 */
export interface BatchWriter {
  /** Commits the first of these jobs, in order. No further job begins after `workMs` milliseconds. */
  commit(lane: Lane, list: readonly Job[], handlers: Handlers, workMs: number): Promise<Committed>;
}

/** The most events of a transaction, and the most bytes of their bodies. */
const MAX_EVENTS = 64;
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * How long the server may take to commit, in milliseconds: a synchronous standby that is away makes it wait. Then
 * nobody knows whether it is committed, and the provider's retry finds out.
 */
const COMMIT_MS = 10_000;

const SYNCHRONOUS = "select set_config('synchronous_commit', 'on', true)";

/** How many deliveries are sent to the server at once, at most. The time is looked at after that. */
const MAX_AT_ONCE = 64;

/** What an event takes as long as nothing else is known, in milliseconds. */
const USUAL_MS = 0.3;

export function createBatchWriter({ isRedacted, batonMs }: BatchOptions): BatchWriter {
  /** The row in which the bytes of a batch are stored. Only committed rows. */
  const storedBodies = new WeakMap<object, number>();
  /**
   * How long an event took lately, behind the first one. With the round trips in it, a slow network would make batches
   * small, and small batches would make it larger: 93 events/s at 2 ms, not 2,000. Hence two events at least.
   */
  let usualMs = USUAL_MS;

  async function attempt(
    lane: Lane,
    given: readonly Job[],
    handlers: Handlers,
    workMs: number,
    alone: boolean,
  ): Promise<Attempt> {
    const { tx, jobs, plain, rollups, outbox } = lane;
    const list = fitting(given);
    const bodies = new Map<object, number>();
    const known = {
      get: (batch: object) => bodies.get(batch) ?? storedBodies.get(batch),
      set: (batch: object, row: number) => bodies.set(batch, row),
    };
    const results: Done[] = [];
    let begun = list.length;
    let committing = false;
    try {
      if (!(await beginBatch(lane, batonMs))) return { why: "locked", error: undefined, begun: 0 };
      const until = performance.now() + workMs;
      const failed = await failedAmong(lane, list);
      const facts: PlainFacts = {
        states: jobs.states,
        failed,
        hasStored: (batch) => storedBodies.has(batch),
        isRedacted,
      };
      while (results.length < list.length) {
        const from = results.length;
        const began = performance.now();
        const max = Math.min(
          MAX_AT_ONCE,
          Math.max(until > began ? 2 : 1, Math.floor((until - began) / usualMs)),
        );
        const taken = alone ? [] : plain.take(list, from, max, handlers, facts);
        begun = from + Math.max(1, taken.length);
        if (taken.length > 0) {
          const other = (job: Job, position: number | undefined) =>
            runInSavepoint(lane, job, handlers, known, { position });
          const fail = (job: Job, error: unknown, position: number) =>
            failOrAgain(lane, job, handlers, error, { position });
          results.push(...(await plain.run(taken, known, other, fail)));
          usualMs = (usualMs * 7 + (plain.eachMs() ?? usualMs)) / 8;
        } else {
          const job = list[from] as Job;
          const runsAlone = alone || (await jobs.runsAlone(job, handlers));
          if (runsAlone && from > 0) break;
          results.push(await runInSavepoint(lane, job, handlers, known, { alone: runsAlone }));
          if (runsAlone) break;
        }
        for (const [index, result] of results.slice(from).entries())
          noteFailure(failed, list[from + index], result);
        if (performance.now() > until) break;
      }
      rollups.add(
        list,
        results.map((one) => (one === AGAIN ? null : one)),
      );
      await tx.settled();
      // A function that a handler has called may have changed it.
      tx.query(SYNCHRONOUS).run();
      committing = true;
      const { command } = await commitWithin(tx.wire);
      if (command !== "COMMIT")
        throw new HookonceError("storage_failed", "The server has rolled the batch back.");
    } catch (thrown) {
      const error = await causeOf(tx, thrown);
      if (!committing) await rollBack(tx.wire);
      const trouble = troubleOf(error);
      // Nothing is cancelled that waits for a standby.
      if (trouble === "away" && !committing) await tx.wire.drop();
      return {
        why: committing && trouble === "statement" ? "commit" : "trouble",
        error,
        begun,
      };
    }
    for (const [batch, row] of bodies) storedBodies.set(batch, row);
    return { results, notes: jobs.takeNotes(), pauses: jobs.committed(), sent: outbox.takeWritten() };
  }

  async function runAlone(
    lane: Lane,
    job: Job,
    handlers: Handlers,
    said: Said,
  ): Promise<JobResult | HookonceError> {
    const done = await attempt(lane, [job], handlers, Number.POSITIVE_INFINITY, true);
    if ("results" in done) {
      said.add(done);
      return done.results[0] as JobResult | HookonceError;
    }
    return done.why === "locked" ? unavailable("contention", undefined) : refusal(done.error);
  }

  return {
    async commit(lane, list, handlers, workMs) {
      const done = await attempt(lane, list, handlers, workMs, false);
      const said = createSaid();
      if ("results" in done) {
        said.add(done);
        const results: (JobResult | HookonceError)[] = [];
        for (const [index, result] of done.results.entries())
          results.push(result === AGAIN ? await runAlone(lane, list[index] as Job, handlers, said) : result);
        return { results, blocked: undefined, ...said };
      }
      switch (done.why) {
        case "locked":
          return { results: [], blocked: unavailable("contention", done.error), ...said };
        case "trouble": {
          const refused = refusal(done.error);
          return { results: list.slice(0, done.begun).map(() => refused), blocked: undefined, ...said };
        }
        case "commit": {
          const until = performance.now() + workMs;
          const results: (JobResult | HookonceError)[] = [];
          for (const job of list.slice(0, done.begun)) {
            results.push(await runAlone(lane, job, handlers, said));
            if (performance.now() > until) break;
          }
          return { results, blocked: undefined, ...said };
        }
      }
    },
  };
}

/** @throws HookonceError `database_unreachable` if it takes too long. The connection is not used any more then */
async function commitWithin(wire: Wire): Promise<Sent> {
  const sent = wire.send("commit");
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    wire.abandon(sent);
    late.reject(unavailable("away", new Error(`it has not committed within ${COMMIT_MS / 1000} s`)));
  }, COMMIT_MS);
  return Promise.race([sent, late.promise]).finally(() => clearTimeout(timer));
}

interface HowToFail {
  /** Of a delivery: see {@link Jobs.recordFailure}. */
  readonly position?: number | undefined;
  /** Whether the job is the only one of its transaction. */
  readonly alone?: boolean;
}

/** Does a job. If it fails, it alone is undone. */
async function runInSavepoint(
  { tx, jobs }: Lane,
  job: Job,
  handlers: Handlers,
  bodies: BatchBodies,
  how: HowToFail,
): Promise<Done> {
  const { wire } = tx;
  const savepoint = wire.send("savepoint hookonce_event");
  savepoint.catch(() => {});
  // What is undone stores no bytes.
  const stored = new Map<object, number>();
  const own: BatchBodies = {
    get: (batch) => stored.get(batch) ?? bodies.get(batch),
    set: (batch, row) => stored.set(batch, row),
  };
  try {
    const result = await jobs.run(job, handlers, own);
    await tx.settled();
    // Otherwise a violation that is deferred would end the whole transaction.
    if (how.alone === true) await checkDeferred(wire);
    await wire.send("release hookonce_event");
    for (const [batch, row] of stored) bodies.set(batch, row);
    return result;
  } catch (error) {
    const cause = await causeOf(tx, error);
    // A handler may call what fails with such a code, as a foreign table does. If the server can undo the event, the
    // server is there, and the other events of the batch go on.
    if (isOfServer(troubleOf(cause)) && !jobs.isOfHandler(cause)) throw cause;
    await wire.send("rollback to hookonce_event");
    await wire.send("release hookonce_event");
    await jobs.undone();
    return failOrAgain({ tx, jobs }, job, handlers, cause, how);
  }
}

/** Records that a job has failed and was undone, unless another transaction was in its way. */
async function failOrAgain(
  { tx, jobs }: Pick<Lane, "tx" | "jobs">,
  job: Job,
  handlers: Handlers,
  error: unknown,
  { position, alone = false }: HowToFail,
): Promise<Done> {
  const trouble = troubleOf(error);
  if (trouble === "contention") {
    await tx.settled();
    if (!alone) return AGAIN;
    // A function may always raise such a code. As a failure, the event is seen, and does not end a resume.
    if (!jobs.isOfHandler(error)) return unavailable(trouble, error);
  }
  if (isOfServer(trouble) && !jobs.isOfHandler(error)) throw error;
  if (trouble === "full" || trouble === "memory") {
    await tx.settled();
    return unavailable(trouble, error);
  }
  const shown = error instanceof HookonceError || jobs.isOfHandler(error) ? error : ownFailure(error);
  if (shown !== error && shown instanceof HookonceError) return shown;
  const result = await jobs.recordFailure(job, handlers, error, position);
  await tx.settled();
  return result;
}

type Attempt = (Omit<Committed, "blocked" | "results"> & { readonly results: readonly Done[] }) | Undone;

/** Nothing of it was committed. */
interface Undone {
  /** How many jobs had been begun. */
  readonly begun: number;
  readonly error: unknown;
  /**
   * `commit`: COMMIT failed on a constraint. `trouble`: the server or its disk failed, or a statement of hookonce
   * itself. `locked`: another node has the baton.
   */
  readonly why: "commit" | "trouble" | "locked";
}

/** What is to be said after the commits. */
interface Said extends Omit<Committed, "results" | "blocked"> {
  add(done: Omit<Committed, "results" | "blocked">): void;
}

function createSaid(): Said {
  const notes: RunNote[] = [];
  const pauses: PausedByItself[] = [];
  const sent = new Set<string>();
  return {
    notes,
    pauses,
    sent,
    add(done) {
      notes.push(...done.notes);
      pauses.push(...done.pauses);
      for (const destination of done.sent) sent.add(destination);
    },
  };
}

/** The first jobs that fit into one transaction, one at least. */
function fitting(list: readonly Job[]): readonly Job[] {
  let bytes = 0;
  const end = list.findIndex((job, index) => {
    bytes += job.kind === "delivery" ? job.event.input.body.byteLength : 0;
    return index > 0 && (index >= MAX_EVENTS || bytes > MAX_BYTES);
  });
  return end === -1 ? list : list.slice(0, end);
}

/** An error of a statement that was sent before, and for which those behind it fail. */
export async function causeOf(tx: Lane["tx"], error: unknown): Promise<unknown> {
  const before = await tx.settled().then(
    () => undefined,
    (cause: unknown) => cause,
  );
  return before !== undefined && isFollowing(error) ? before : error;
}

/** @throws HookonceError `constraint_at_commit` */
async function checkDeferred(wire: Lane["tx"]["wire"]): Promise<void> {
  try {
    await wire.send("set constraints all immediate");
  } catch (cause) {
    if (troubleOf(cause) !== "statement") throw cause;
    const message = `The transaction could not be committed: ${messageOf(cause)}`;
    throw new HookonceError("constraint_at_commit", message, { cause });
  }
}

/** Returns the error if nothing was recorded. The provider's retry delivers the event again. */
export function refusal(cause: unknown): HookonceError {
  const failure = ownFailure(cause);
  if (failure instanceof HookonceError) return failure;
  return new HookonceError("storage_failed", "The database could not be written.", { cause });
}
