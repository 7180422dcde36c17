import type { Database } from "bun:sqlite";
import { HookonceError, messageOf } from "../../errors.ts";
import type { Handlers, Incoming, Job, JobResult, Policy, Result, RunNote } from "../engine.ts";
import { sourcePaused, type PausedByItself } from "../source-states.ts";
import { withReceipt, type RecordedEvent } from "../event-rows.ts";
import { ownBytes } from "../event-bytes.ts";
import type { EventStore } from "./event-store.ts";
import { createFailedAnswers } from "./failed-answers.ts";
import { createHeldDeliveries } from "./held-deliveries.ts";
import { createHeldEvents } from "./held-events.ts";
import type { HandlerRuns } from "./handler-runs.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { createApplies } from "./apply-jobs.ts";
import { createEarlierIds } from "./earlier-ids.ts";
import { createEras } from "./eras.ts";
import { createOtherJobs } from "./other-jobs.ts";
import { createNewEvents } from "./new-events.ts";
import type { Outbox } from "./outbox.ts";
import { createPositions } from "./positions.ts";
import { NOT_SENT_ON, nothing, quarantined, resultOf, withoutItsHandler } from "../results.ts";
import { createResumes } from "./resume-jobs.ts";
import { nothingRedacted, type Redactions } from "./redactions.ts";
import { createNotingStore } from "./noting.ts";
import { createComparison } from "./compare-bodies.ts";
import { createSameBody } from "./same-body.ts";
import { createSourceStates } from "./source-states.ts";

/** The rows in which the open transaction, or an earlier one, has stored the bytes of batches. */
export type BatchBodies = Pick<Map<object, number>, "get" | "set">;

/** What each job does inside the open transaction. batch.ts handles savepoints and repeated runs. */
export interface Jobs {
  /** Call it when a transaction has begun. */
  begin(): void;
  /** Call it when a job was undone. */
  undone(): void;
  /** Call it after the commit. Returns which sources hookonce has paused by itself. */
  committed(): readonly PausedByItself[];
  /** @throws what the handler throws. The caller undoes the job and calls {@link Jobs.recordFailure} */
  run(job: Job, handlers: Handlers, bodies: BatchBodies): JobResult;
  /** Records that a job failed and was undone. Returns an error if nothing is recorded of it. */
  recordFailure(job: Job, handlers: Handlers, error: unknown): Result | HookonceError;
  /** Whether a job is to be the only one of its transaction, because its handler may end the process. */
  runsAlone(job: Job, handlers: Handlers): boolean;
  /** Whether an error of {@link Jobs.run} is a handler's. */
  isOfHandler(error: unknown): boolean;
  /** Returns what to log about the runs since the last call. */
  takeNotes(): readonly RunNote[];
}

type Delivery = Extract<Job, { kind: "delivery" }>;

export function createJobs(
  db: Database,
  plainStore: EventStore,
  policy: Policy,
  runs: HandlerRuns,
  interrupted: InterruptedRuns,
  outbox: Outbox,
  redactions: Redactions = nothingRedacted,
  states = createSourceStates(db, policy),
): Jobs {
  const { store, settled } = createNotingStore(plainStore);
  const isUnchanged = createComparison(store);
  const eras = createEras(db);
  const underItsId = createEarlierIds(db, store, policy, redactions);
  const positions = createPositions(db, policy);
  const decideNew = createNewEvents(policy, positions, runs, states);
  const sameBody = createSameBody(db, store, interrupted);
  const applies = createApplies(store, sameBody, positions, policy, runs, interrupted, states);
  const failedAnswers = createFailedAnswers(db, store, sameBody, policy, applies);
  const holding = createHeldDeliveries(store, sameBody, failedAnswers);
  const resumes = createResumes(store, createHeldEvents(db), states, policy, applies);
  const others = createOtherJobs(db, store, positions, runs, interrupted, outbox, states, settled);
  const { replay, discard, importEvents, record, forward, changeMessage, forget, retain } = others;

  function run(job: Job, handlers: Handlers, bodies: BatchBodies): JobResult {
    settled.take(); // drop those of a job that was undone
    const result = perform(job, handlers, bodies);
    for (const { source, event } of settled.take()) redactions.settle(source, event);
    return result;
  }

  function perform(job: Job, handlers: Handlers, bodies: BatchBodies): JobResult {
    switch (job.kind) {
      case "delivery":
        return delivered(job, deliver(prepared(job.event), handlers, bodies));
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
        for (const entry of job.entries) record(entry);
        return null;
      case "forget":
        return forget(job);
      case "retention":
        return retain(job);
    }
  }

  function delivered(job: Delivery, result: Result): Result {
    const { source, input } = job.event;
    const answered = failedAnswers.answer(underItsId(job.event), result);
    // Own retries, `apply` and `replay` do not count for `hold_after`: the failures that they repeat have counted.
    states.count(source, answered, input.receivedAt, "delivery");
    return answered;
  }

  function prepared(event: Incoming): Incoming {
    const incoming = underItsId(event);
    sameBody.reopen(incoming);
    return incoming;
  }

  function deliver(incoming: Incoming, handlers: Handlers, bodies: BatchBodies): Result {
    const { source, input } = incoming;
    if (states.of(source) === "refusing") throw sourcePaused(source.name);
    const same = sameBody.find(source, () => ownBytes(incoming));
    if (same !== undefined) return repeat(incoming, sameBody.repeatedBy(incoming) ?? same, handlers);

    const failure = store.findFailure(source, input.id);
    const decided = decideNew(incoming, failure, handlers);
    if ("fail" in decided) {
      // No insert shows whether the event is recorded, so look it up: a recorded event never becomes a
      // failure.
      const known = store.find(source, input.id);
      return known === undefined || isAfterWindow(incoming)
        ? recordFailedDelivery({ kind: "delivery", event: incoming }, handlers, decided.fail)
        : repeat(incoming, known, handlers);
    }
    if ("heldFor" in decided && failure !== undefined && store.find(source, input.id) === undefined)
      return holding.ofFailure(incoming);
    if ("skip" in decided) {
      const known = store.find(source, input.id);
      if (known !== undefined) return repeat(incoming, known, handlers);
      const number = store.skipFailure(incoming);
      store.keepDelivery(source, input.id, number, input.receivedAt, "failed", false);
      return { ...decided.skip, eventId: input.id, type: input.type };
    }
    const handler = "run" in decided ? decided.run : null;
    const outcome = "run" in decided ? "processed" : "stale" in decided ? "stale" : decided.record;
    const insert = () => store.insert(incoming, outcome, handler?.file ?? null, failure);
    const id = insert() ?? (isAfterWindow(incoming) ? insert() : undefined);
    if (id === undefined) return repeat(incoming, store.find(source, input.id) as RecordedEvent, handlers);

    let ran = "heldFor" in decided ? { ...nothing, handlerHash: decided.heldFor } : nothing;
    if ("run" in decided) {
      const { destinations, place } = decided;
      const how = { event: id, at: input.receivedAt, element: incoming.batch !== undefined, destinations };
      ran = runs.run(source, handler, withReceipt(input, failure), how);
      positions.move(source, input.id, place);
    }
    // Of an ignored event, only the id, type and time are kept.
    if (outcome !== "ignored") {
      const redacted = redactions.storeNew(incoming, id, outcome);
      store.insertResult(id, redacted?.row ?? bodyOf(incoming, bodies, id), ran);
      if (redacted?.isElement === true) store.markElement(id);
    }
    if ("stale" in decided) {
      store.giveReason(id, decided.stale);
      interrupted.settle(source, input.id);
    }
    if (failure !== undefined) {
      store.settleFailure(source, input.id, input.receivedAt);
      store.keepDelivery(source, input.id, failure.deliveries + 1, input.receivedAt, outcome, false);
    }
    return { ...resultOf(ran), eventId: input.id, type: input.type, outcome };
  }

  /**
   * Whether the id was recorded so long ago that it means another event now. Of deliveries that race, one gets
   * true.
   */
  function isAfterWindow({ source, input }: Incoming): boolean {
    const { dedupWindowMs: window } = source;
    return window !== undefined && eras.end(source, input.id, input.receivedAt - window);
  }

  /** The event is recorded already. Count the delivery, and run the event if it is still owed. */
  function repeat(incoming: Incoming, known: RecordedEvent, handlers: Handlers): Result {
    const { source, input } = incoming;
    const changedBody = !isUnchanged(incoming, known);
    const handler = handlers.for(source.handlersOf, known.type);
    const said = { eventId: input.id, type: input.type, changedBody };
    const isPaused = states.of(source) !== undefined && incoming.isIgnored !== true;
    if (isPaused && policy.repeatedAs(known.outcome) !== "duplicate")
      return holding.ofRecorded(incoming, known, changedBody, handler);
    if (!policy.isOwed(source, known.outcome, handler)) {
      const outcome = policy.repeatedAs(known.outcome);
      store.countDelivery(known, incoming, outcome, changedBody);
      if (changedBody) redactions.settleChanged(source.name, known.id);
      if (known.eventId !== input.id) sameBody.close(source, input.id, ownBytes(incoming), input.receivedAt);
      return { ...resultOf(nothing), ...said, outcome, reply: store.replyOf(known.id) };
    }
    if (incoming.isIgnored === true) {
      store.countDelivery(known, incoming, "ignored", changedBody);
      store.close(source, known, "ignored", "it says that it is a test");
      store.settleFailure(source, known.eventId, input.receivedAt);
      return { ...resultOf(nothing), ...said, outcome: "ignored" };
    }
    // The stored delivery is applied, whichever delivery causes the run.
    const kept = store.stored(source, known);
    const stored = kept ?? input;
    const judged = positions.judge(source, stored, { isNamed: false });
    if ("stale" in judged) {
      store.countDelivery(known, incoming, "stale", changedBody);
      store.close(source, known, "stale", judged.stale);
      store.settleFailure(source, known.eventId, input.receivedAt);
      return { ...resultOf(nothing), ...said, outcome: "stale" };
    }
    const failure = store.findFailure(source, known.eventId);
    if (failure !== undefined && handler !== null && policy.isQuarantined(failure, handler)) {
      store.countDelivery(known, incoming, "failed", changedBody);
      return { ...quarantined(failure, handler), ...said };
    }
    if ("fail" in judged)
      return recordFailedDelivery({ kind: "delivery", event: incoming }, handlers, judged.fail);
    const gone = handler === null ? withoutItsHandler(failure) : undefined;
    if (gone !== undefined) {
      store.countDelivery(known, incoming, "failed", changedBody);
      return { ...gone, ...said };
    }
    const destinations = runs.destinationsOf(source, stored);
    if (handler === null && destinations.length === 0) {
      store.countDelivery(known, incoming, "ignored", changedBody);
      store.close(source, known, "ignored", NOT_SENT_ON);
      store.settleFailure(source, known.eventId, input.receivedAt);
      return { ...resultOf(nothing), ...said, outcome: "ignored" };
    }
    const element = kept === undefined ? incoming.batch !== undefined : store.isPartOfBatch(known.id);
    const how = { event: known.id, at: input.receivedAt, element, destinations };
    const ran = runs.run(source, handler, stored, how);
    positions.move(source, known.eventId, judged.place);
    store.countDelivery(known, incoming, "processed", changedBody);
    store.complete(source, known, ran, input.receivedAt);
    store.settleFailure(source, known.eventId, input.receivedAt);
    return { ...resultOf(ran), ...said, outcome: "processed" };
  }

  function bodyOf({ input, batch }: Incoming, bodies: BatchBodies, event: number): number {
    const stored = batch === undefined ? undefined : bodies.get(batch);
    // It may have been removed or taken apart since the transaction that stored it.
    if (stored !== undefined && store.hasWholeBody(stored)) return stored;
    const id = store.insertBody(event, input);
    if (batch !== undefined) bodies.set(batch, id);
    return id;
  }

  function recordFailure(job: Job, handlers: Handlers, error: unknown): Result | HookonceError {
    if (error instanceof HookonceError && error.code === "source_paused") return error;
    switch (job.kind) {
      case "delivery":
        return delivered(job, recordFailedDelivery(job, handlers, error));
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

  function recordFailedDelivery(job: Delivery, handlers: Handlers, error: unknown): Result {
    const incoming = prepared(job.event);
    const { source, input } = incoming;
    // If the event is still recorded after the undo, it was unhandled, and its new handler has now failed.
    // Nor is it recorded if its window was over, and the undo has brought it back.
    isAfterWindow(incoming);
    const owed = sameBody.repeatedBy(incoming);
    const { eventId, type } = owed ?? { eventId: input.id, type: input.type };
    const handler = handlers.for(source.handlersOf, type);
    const nextAt = applies.retryAfter(source, eventId, input.receivedAt, error);
    const deliveries = store.recordFailure(incoming, { eventId, type }, handler, error, nextAt);
    interrupted.settle(source, eventId);
    if (owed === undefined) {
      store.keepDelivery(source, eventId, deliveries, input.receivedAt, "failed", false);
    } else {
      store.countDelivery(owed, incoming, "failed", !isUnchanged(incoming, owed));
      if (deliveries === 1) store.markChanged(owed.id);
    }
    return {
      ...resultOf(nothing),
      eventId: input.id,
      type: input.type,
      handler: handler?.file ?? null,
      outcome: "failed",
      error,
    };
  }

  function runsAlone(job: Job, handlers: Handlers): boolean {
    if (job.kind === "delivery") {
      const { source, input, earlierIds = [] } = job.event;
      return [input.id, ...earlierIds].some((id) => interrupted.find(source, id) !== undefined);
    }
    if (job.kind === "resume") {
      const id = interrupted.any ? resumes.nextId(job, handlers) : undefined;
      return id !== undefined && interrupted.find(job.source, id) !== undefined;
    }
    if (!("eventId" in job)) return false;
    const { source, eventId } = job;
    const isNamed = job.kind === "apply" && job.isNamed === true;
    if (interrupted.find(source, eventId) !== undefined) return true;
    const failure = isNamed ? store.findFailure(source, eventId) : undefined;
    const handler = failure === undefined ? null : handlers.for(source.handlersOf, failure.type);
    return failure !== undefined && handler !== null && policy.isQuarantined(failure, handler);
  }

  return {
    begin() {
      outbox.begin();
      states.begin();
    },
    undone: () => states.read(),
    committed: () => states.committed(),
    run,
    recordFailure,
    runsAlone,
    isOfHandler: runs.hasThrown,
    takeNotes: () => runs.takeNotes(),
  };
}
