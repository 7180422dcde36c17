import { HookonceError, messageOf } from "../../errors.ts";
import type { Handlers, Job, JobResult, Policy, Result, RunNote } from "../engine.ts";
import { nothing, resultOf } from "../results.ts";
import { createSettledEvents } from "../settled-events.ts";
import type { PausedByItself } from "../source-states.ts";
import { createApplies } from "./apply-jobs.ts";
import { createDeliveries, type BatchBodies } from "./deliveries.ts";
import { createEventStore } from "./event-store.ts";
import { createFailedAnswers } from "./failed-answers.ts";
import type { HandlerRuns } from "./handler-runs.ts";
import { createHeldDeliveries } from "./held-deliveries.ts";
import { createHeldEvents } from "./held-events.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { createOtherJobs } from "./other-jobs.ts";
import type { Outbox } from "./outbox.ts";
import { createPositions } from "./positions.ts";
import type { Redactions } from "./redactions.ts";
import { createResumes } from "./resume-jobs.ts";
import { createSameBody } from "./same-body.ts";
import { createSourceStates, type SourceStates } from "./source-states.ts";
import type { Tx } from "./tx.ts";

/** What each job does inside the open transaction. batch.ts handles savepoints and repeated runs. */
export interface Jobs {
  /** Call it when a transaction has begun, with the rows of ALL_STATES and ALL_FAILING. */
  begin(states: readonly unknown[][], failing: readonly unknown[][]): void;
  /** Call it when a job was undone. */
  undone(): Promise<void>;
  /** Call it after the commit. Returns which sources hookonce has paused by itself. */
  committed(): readonly PausedByItself[];
  /** @throws what the handler throws. The caller undoes the job and calls {@link Jobs.recordFailure} */
  run(job: Job, handlers: Handlers, bodies: BatchBodies): Promise<JobResult>;
  /**
   * Records that a job failed and was undone. Returns an error if nothing is recorded of it.
   *
   * @param position of a failed delivery: see {@link Deliveries.recordFailed}
   */
  recordFailure(
    job: Job,
    handlers: Handlers,
    error: unknown,
    position?: number,
  ): Promise<Result | HookonceError>;
  /** Whether a job is to be the only one of its transaction, because its handler may end the process. */
  runsAlone(job: Job, handlers: Handlers): Promise<boolean>;
  readonly states: Pick<SourceStates, "of" | "isFailing">;
  /** Whether an error of {@link Jobs.run} is a handler's. */
  isOfHandler(error: unknown): boolean;
  /** Returns what to log about the runs since the last call. */
  takeNotes(): readonly RunNote[];
}

type Delivery = Extract<Job, { kind: "delivery" }>;

export interface JobParts {
  readonly policy: Policy;
  readonly runs: HandlerRuns;
  readonly interrupted: InterruptedRuns;
  readonly outbox: Outbox;
  readonly redactions: Redactions;
}

export function createJobs(tx: Tx, { policy, runs, interrupted, outbox, redactions }: JobParts): Jobs {
  const settled = createSettledEvents();
  const store = createEventStore(tx, settled);
  const states = createSourceStates(tx, policy);
  const positions = createPositions(tx, policy);
  const sameBody = createSameBody(tx, store, interrupted);
  const applies = createApplies(store, sameBody, positions, policy, runs, interrupted, states);
  const failedAnswers = createFailedAnswers(tx, store, sameBody, policy, applies);
  const holding = createHeldDeliveries(store, sameBody, failedAnswers);
  const parts = { store, policy, runs, interrupted, redactions, states, positions, sameBody, applies };
  const deliveries = createDeliveries(tx, { ...parts, holding });
  const resumes = createResumes(store, createHeldEvents(tx), states, policy, applies);
  const others = createOtherJobs(tx, store, positions, runs, interrupted, outbox, states, settled);
  const { replay, discard, importEvents, record, forward, changeMessage, forget, retain } = others;

  async function run(job: Job, handlers: Handlers, bodies: BatchBodies): Promise<JobResult> {
    settled.take(); // drop those of a job that was undone
    const result = await perform(job, handlers, bodies);
    for (const { source, event } of settled.take()) await redactions.settle(source, event);
    return result;
  }

  async function perform(job: Job, handlers: Handlers, bodies: BatchBodies): Promise<JobResult> {
    switch (job.kind) {
      case "delivery":
        return delivered(job, await deliveries.deliver(job.event, handlers, bodies));
      case "apply":
        return applies.apply(job, handlers);
      case "replay":
        return replay(job, handlers);
      case "resume":
        return resumes.resume(job, handlers);
      case "discard":
        return discard(job);
      case "import":
        return importEvents(job.source, job.events, job.at);
      case "forward":
        return forward(job);
      case "message":
        return changeMessage(job);
      case "record":
        for (const entry of job.entries) await record(entry);
        return null;
      case "forget":
        return forget(job);
      case "retention":
        return retain(job);
    }
  }

  async function delivered({ event }: Delivery, result: Result): Promise<Result> {
    const answered =
      result.outcome === "failed"
        ? await failedAnswers.answer(await deliveries.underItsId(event), result)
        : result;
    // Own retries, `apply` and `replay` do not count for `hold_after`: the failures that they repeat have counted.
    states.count(event.source, answered, event.input.receivedAt, "delivery");
    return answered;
  }

  async function recordFailure(
    job: Job,
    handlers: Handlers,
    error: unknown,
    position?: number,
  ): Promise<Result | HookonceError> {
    if (error instanceof HookonceError && error.code === "source_paused") return error;
    switch (job.kind) {
      case "delivery":
        return delivered(job, await deliveries.recordFailed(job, handlers, error, position));
      case "apply":
        return applies.recordFailed(job, handlers, error);
      case "resume":
        return resumes.recordFailed(job, handlers, error);
      // It stays processed as before.
      case "replay":
        return { ...resultOf(nothing), eventId: job.eventId, type: "", outcome: "failed", error };
      case "discard":
      case "import":
      case "forward":
      case "message":
      case "record":
      case "forget":
      case "retention":
        return error instanceof HookonceError
          ? error
          : new HookonceError("storage_failed", messageOf(error), { cause: error });
    }
  }

  async function runsAlone(job: Job, handlers: Handlers): Promise<boolean> {
    if (!tx.facts.interrupted && !(job.kind === "apply" && job.isNamed === true)) return false;
    if (job.kind === "delivery") {
      const { source, input, earlierIds = [] } = job.event;
      for (const id of [input.id, ...earlierIds])
        if ((await interrupted.find(source, id)) !== undefined) return true;
      return false;
    }
    if (job.kind === "resume") {
      const id = await resumes.nextId(job, handlers);
      return id !== undefined && (await interrupted.find(job.source, id)) !== undefined;
    }
    if (!("eventId" in job)) return false;
    const { source, eventId } = job;
    const isNamed = job.kind === "apply" && job.isNamed === true;
    if ((await interrupted.find(source, eventId)) !== undefined) return true;
    const failure = isNamed ? await store.findFailure(source, eventId) : undefined;
    const handler = failure === undefined ? null : handlers.for(source.handlersOf, failure.type);
    return failure !== undefined && handler !== null && policy.isQuarantined(failure, handler);
  }

  return {
    begin: (rows, failing) => states.begin(rows, failing),
    undone: () => states.read(),
    committed: () => states.committed(),
    run,
    recordFailure,
    runsAlone,
    states,
    isOfHandler: runs.hasThrown,
    takeNotes: () => runs.takeNotes(),
  };
}
