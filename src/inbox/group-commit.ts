import { HookonceError, messageOf } from "../errors.ts";
import type { Handlers } from "../handlers/registry.ts";
import { troubleOf, unavailable, type Trouble } from "../engines/sqlite/sqlite-error.ts";
import type { Storage } from "../engines/sqlite/storage.ts";
import { createApplyTogether } from "./apply-together.ts";
import { createApply } from "./apply.ts";
import type { Incoming, Result } from "./incoming.ts";
import { TransactionLost } from "./transaction-lost.ts";

export interface GroupCommitOptions {
  /** A batch ends at so many events. */
  maxEvents?: number;
  /** Or after so much work, in milliseconds, so that whoever comes next does not wait long. */
  maxWorkMs?: number;
  /** How long a delivery waits for its turn, in milliseconds. */
  maxWaitMs?: number;
  /** For events that were stored without a handler, and now have one. */
  handlers: Pick<Handlers, "for">;
  /** The database can no longer be trusted in this process: end it without answering. */
  onFatal: (error: unknown) => void;
}

export interface GroupCommit {
  /**
   * Resolves once what became of the event is durable.
   *
   * @throws HookonceError `database_locked`, `disk_full`, `out_of_memory`, `overloaded`, `storage_failed`: nothing was recorded
   */
  commit(event: Incoming): Promise<Result>;
  /** Resolves when nothing is waiting any more. From then on the database is the caller's to close. */
  drain(): Promise<void>;
}

const MAX_DRAIN_MS = 1000;

/** So many events are applied by themselves after some that could not be applied together. */
const SINGLY = 256;

/** A transaction of fewer events is not made smaller: another sync would cost more than it hides. */
const MIN_SHARE = 16;

interface Waiting {
  readonly event: Incoming;
  /** On the monotonic clock. */
  deadline: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  /** It shared a transaction that was lost: now it gets one of its own. */
  alone: boolean;
}

/**
 * Deliveries that are waiting at the same time share one transaction and one fsync, and only then is any of them answered, duplicates
 * included. One fsync per event would be 8 times as slow. The writer works on the main thread, once per turn of the event loop; while
 * one transaction is on its way to the disk it goes on with the next, whose deliveries are answered after a sync of their own.
 */
export function createGroupCommit(storage: Storage, options: GroupCommitOptions): GroupCommit {
  const { maxEvents = 256, maxWorkMs = 20, maxWaitMs = 5000, onFatal } = options;
  const { transaction } = storage;
  const apply = createApply(storage, options.handlers);
  const together = createApplyTogether(storage, apply);
  const queue: Waiting[] = [];
  let drained: PromiseWithResolvers<void> | null = null;
  let scheduled = false;
  let locked = false;
  let retryMs = 1;
  let dead = false;
  /** Whom to answer once the last commit is on the disk. */
  let committed: { waiting: Waiting; result: Result }[] = [];
  /** How many are answered when the sync that is under way has ended. */
  let syncing = 0;
  /** How many events are to be applied by themselves, because of some that could not be applied together. */
  let singly = 0;
  /** How many deliveries were here in all when the last one ended. */
  let crowd = 0;

  function schedule(): void {
    if (scheduled || dead) return;
    scheduled = true;
    setImmediate(turn);
  }

  function turn(): void {
    scheduled = false;
    if (syncing > 0 && queue.length < share()) return; // the end of the sync brings the next turn
    orDie(() => {
      flush();
      // In a turn of its own, when the answers are on their way.
      if (storage.checkpoint.due()) setImmediate(checkpoint);
    });
    if (dead) return;
    if (committed.length > 0 && syncing === 0) void answerOnceDurable();
    goOn();
  }

  function goOn(): void {
    if (queue.length > 0) schedule();
    else if (syncing === 0) drained?.resolve();
  }

  /**
   * Half of the deliveries that are here: while one half is on its way to the disk the other is read, verified and committed, and neither
   * the disk nor the writer waits for the other. Smaller transactions cost more, a single large one leaves the writer idle.
   */
  function share(): number {
    return Math.ceil(Math.max(queue.length + committed.length + syncing, crowd) / 2);
  }

  /** Whoever is committed meanwhile waits for a sync that begins after that. */
  async function answerOnceDurable(): Promise<void> {
    while (committed.length > 0) {
      const answers = committed;
      committed = [];
      syncing = answers.length;
      try {
        if (answers.length === 1) storage.sync?.now();
        else await storage.sync?.beside();
      } catch (error) {
        dead = true;
        onFatal(error);
        return;
      }
      crowd = queue.length + committed.length + syncing;
      for (const { waiting, result } of answers) waiting.resolve(result);
      if (queue.length > 0) schedule();
    }
    syncing = 0;
    goOn();
  }

  function checkpoint(): void {
    if (dead || drained !== null) return; // whoever has it drained closes the database, which is a checkpoint, too
    orDie(() => storage.checkpoint.run());
  }

  function orDie(work: () => void): void {
    try {
      work();
    } catch (error) {
      dead = true;
      onFatal(error);
    }
  }

  function flush(): void {
    dropLate();
    const first = queue[0];
    if (first === undefined) return;
    let begun = false;
    try {
      begun = transaction.begin();
    } catch (error) {
      refuse(queue.splice(0), error);
      return;
    }
    if (!begun) {
      waitForLock();
      return;
    }
    locked = false;
    retryMs = 1;
    if (first.alone) commitAlone(queue.shift() as Waiting);
    else commitBatch();
  }

  /** Takes from the queue what fits into one transaction, and answers it all once that is durable. */
  function commitBatch(): void {
    // Where COMMIT itself waits for the disk, nothing is hidden by making two of one.
    const most = storage.sync === undefined ? maxEvents : Math.min(maxEvents, Math.max(share(), MIN_SHARE));
    const limit = Math.min(most, queue.length);
    const workUntil = performance.now() + maxWorkMs;
    const results: Result[] = [];
    /** How many of the queue are in the transaction, with the one that is just being applied. */
    let begun = 0;
    let someTogether = false;
    try {
      while (results.length < limit) {
        const group = singly === 0 ? together.take(queue, results.length, limit) : undefined;
        if (group === undefined) {
          begun = results.length + 1;
          results.push(apply((queue[results.length] as Waiting).event));
        } else {
          someTogether = true;
          begun = results.length + group.length;
          results.push(...together.apply(group, workUntil));
        }
        if (performance.now() > workUntil) break;
      }
      transaction.commit();
    } catch (error) {
      transaction.rollback();
      for (const { event } of queue.slice(0, begun)) forgetRow(event);
      const cause = error instanceof TransactionLost ? error.cause : error;
      if (troubleOf(cause) !== "statement") {
        refuse(queue.splice(0, begun), cause);
      } else if (someTogether) {
        singly = SINGLY;
        flush();
      } else {
        // One event's error took the others along, or a deferred constraint speaks for one of them: who it was comes out alone.
        for (const waiting of queue.slice(0, begun)) waiting.alone = true;
      }
      return;
    }
    singly = Math.max(0, singly - begun);
    for (const [index, waiting] of queue.splice(0, begun).entries()) {
      keepRow(waiting.event);
      committed.push({ waiting, result: results[index] as Result });
    }
  }

  function commitAlone(waiting: Waiting): void {
    try {
      const result = apply(waiting.event);
      transaction.commit();
      keepRow(waiting.event);
      committed.push({ waiting, result });
    } catch (error) {
      transaction.rollback();
      forgetRow(waiting.event);
      const cause = error instanceof TransactionLost ? error.cause : error;
      if (troubleOf(cause) === "statement") recordFailure(waiting, culprit(error));
      else refuse([waiting], cause);
    }
  }

  /** Its transaction is gone, so the failure is written in one of its own. */
  function recordFailure(waiting: Waiting, error: unknown): void {
    try {
      if (!transaction.begin()) {
        waiting.alone = true;
        queue.unshift(waiting);
        waitForLock();
        return;
      }
      const result = apply.recordFailure(waiting.event, error);
      transaction.commit();
      committed.push({ waiting, result });
    } catch (failure) {
      transaction.rollback();
      refuse([waiting], failure);
    }
  }

  /** Nothing was recorded: the provider's retry brings them back. */
  function refuse(refused: readonly Waiting[], cause: unknown): void {
    const trouble: Trouble = troubleOf(cause);
    if (trouble === "fatal") throw cause;
    const error =
      trouble === "statement"
        ? new HookonceError("storage_failed", "The database could not be written.", { cause })
        : unavailable(trouble, cause);
    for (const waiting of refused) waiting.reject(error);
  }

  /** Never inside SQLite: its busy timeout would hold up the whole process. */
  function waitForLock(): void {
    locked = true;
    scheduled = true;
    setTimeout(turn, retryMs);
    retryMs = Math.min(retryMs * 2, 50);
  }

  function dropLate(): void {
    const now = performance.now();
    // The queue is in the order of the deadlines: those that are put back are the oldest, and put first.
    while (queue[0] !== undefined && queue[0].deadline < now) {
      (queue.shift() as Waiting).reject(
        locked
          ? new HookonceError(
              "database_locked",
              "Another process holds the database's write lock; try again.",
            )
          : new HookonceError("overloaded", "More deliveries are waiting than can be written; try again."),
      );
    }
  }

  return {
    commit(event) {
      const { promise, resolve, reject } = Promise.withResolvers<Result>();
      queue.push({ event, deadline: performance.now() + maxWaitMs, resolve, reject, alone: false });
      schedule();
      return promise;
    },
    async drain() {
      drained ??= Promise.withResolvers<void>();
      // A stop has 10 s in all, and may come when somebody holds the write lock.
      const soon = performance.now() + MAX_DRAIN_MS;
      for (const waiting of queue) waiting.deadline = Math.min(waiting.deadline, soon);
      if (queue.length > 0 || syncing > 0) await drained.promise;
    },
  };
}

/** Where a batch's delivery is stored is true once it is committed. */
function keepRow({ shared }: Incoming): void {
  if (shared !== undefined) shared.committedRow = shared.row;
}

function forgetRow({ shared }: Incoming): void {
  if (shared !== undefined) shared.row = shared.committedRow;
}

/** The failure to record for an event that took its transaction with it. */
function culprit(error: unknown): HookonceError {
  if (!(error instanceof TransactionLost)) {
    return new HookonceError(
      "constraint_at_commit",
      `The transaction could not be committed: ${messageOf(error)}`,
      { cause: error },
    );
  }
  const { cause } = error;
  if (cause instanceof HookonceError) return cause;
  return new HookonceError(
    "handler_ended_transaction",
    `The handler's SQL rolled the whole transaction back: ${messageOf(cause)}`,
    { cause },
  );
}
