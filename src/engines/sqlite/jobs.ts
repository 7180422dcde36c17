import type { Database } from "bun:sqlite";
import { HookonceError, messageOf } from "../../errors.ts";
import type { Headers } from "../../event.ts";
import { isMultipart } from "../../providers/body/multipart.ts";
import type { Handlers, Incoming, Job, JobResult, Policy, Result, RunNote } from "../engine.ts";
import { withReceipt, type OpenFailure, type RecordedEvent } from "./event-rows.ts";
import { ownBytes } from "./event-bytes.ts";
import type { EventStore } from "./event-store.ts";
import type { HandlerRuns } from "./handler-runs.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { createApplies } from "./apply-jobs.ts";
import { createEras } from "./eras.ts";
import { createOtherJobs } from "./other-jobs.ts";
import type { Outbox } from "./outbox.ts";
import { createPositions } from "./positions.ts";
import { NOT_SENT_ON, nothing, quarantined, resultOf, skippedOf, withoutItsHandler } from "./results.ts";
import { createSameBody } from "./same-body.ts";

/** The rows in which the open transaction, or an earlier one, has stored the bytes of batches. */
export type BatchBodies = Pick<Map<object, number>, "get" | "set">;

/** What each job does inside the open transaction. batch.ts handles savepoints and repeated runs. */
export interface Jobs {
  /** Call it when a transaction has begun. */
  begin(): void;
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
  store: EventStore,
  policy: Policy,
  runs: HandlerRuns,
  interrupted: InterruptedRuns,
  outbox: Outbox,
): Jobs {
  const eras = createEras(db);
  const positions = createPositions(db, policy);
  const sameBody = createSameBody(db, store, interrupted);
  const applies = createApplies(store, sameBody, positions, policy, runs, interrupted);
  const others = createOtherJobs(db, store, positions, runs, interrupted, outbox);
  const { replay, discard, importEvents, record, forward, changeMessage, retain } = others;

  function run(job: Job, handlers: Handlers, bodies: BatchBodies): JobResult {
    switch (job.kind) {
      case "delivery":
        return deliver(prepared(job.event), handlers, bodies);
      case "apply":
        return applies.apply(job, handlers);
      case "replay":
        return replay(job, handlers);
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
      case "retention":
        return retain(job);
    }
  }

  function prepared(event: Incoming): Incoming {
    const incoming = asRecorded(event);
    sameBody.reopen(incoming);
    return incoming;
  }

  /**
   * Two events may have had the same id under the earlier rule, so what is stored tells whether the recorded
   * one is this one. That is exact however old the record is, and needs neither the time of the upgrade nor a
   * window. Only if no body is stored, the policy decides by the type and the time.
   */
  function asRecorded(incoming: Incoming): Incoming {
    const { input, earlierIds } = incoming;
    if (earlierIds === undefined || earlierIds.length === 0) return incoming;
    const id = earlierIds.find((earlier) => isRecorded(incoming, earlier));
    return id === undefined ? incoming : { ...incoming, input: { ...input, id } };
  }

  function isRecorded({ source, input }: Incoming, earlierId: string): boolean {
    const event = store.find(source, earlierId);
    const stored = event === undefined ? store.findFailure(source, earlierId) : store.bodyOf(event.id);
    if (stored === undefined) return event !== undefined && policy.isLikelyRetry(source, event, input);
    const headers = JSON.parse(stored.headersJson) as Headers;
    return source.carries({ headers, body: stored.body }, input.id);
  }

  function deliver(incoming: Incoming, handlers: Handlers, bodies: BatchBodies): Result {
    const { source, input } = incoming;
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
    const handler = "run" in decided ? decided.run : null;
    const skipped = skippedOf(policy, incoming, failure, handler, "record" in decided);
    if (skipped !== undefined) {
      const known = store.find(source, input.id);
      if (known !== undefined) return repeat(incoming, known, handlers);
      const number = store.skipFailure(incoming);
      store.keepDelivery(source, input.id, number, input.receivedAt, "failed", false);
      return { ...skipped, eventId: input.id, type: input.type };
    }
    const outcome = "run" in decided ? "processed" : "stale" in decided ? "stale" : decided.record;
    const insert = () => store.insert(incoming, outcome, handler?.file ?? null, failure);
    const id = insert() ?? (isAfterWindow(incoming) ? insert() : undefined);
    if (id === undefined) return repeat(incoming, store.find(source, input.id) as RecordedEvent, handlers);

    let ran = nothing;
    if ("run" in decided) {
      const { destinations, place } = decided;
      const how = { event: id, at: input.receivedAt, element: incoming.batch !== undefined, destinations };
      ran = runs.run(source, handler, withReceipt(input, failure), how);
      positions.move(source, input.id, place);
    }
    // Of an ignored event, only the id, type and time are kept.
    if (outcome !== "ignored") store.insertResult(id, bodyOf(incoming, bodies, id), ran);
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

  /** What to do with an event that is not recorded yet. Nothing is written before that is known. */
  function decideNew(
    { source, input, isIgnored = false }: Incoming,
    failure: OpenFailure | undefined,
    handlers: Handlers,
  ) {
    if (isIgnored) return { record: "ignored" } as const;
    const handler = handlers.for(source.handlersOf, input.type);
    let destinations: readonly string[] | undefined;
    if (handler === null && policy.sendsOn(source)) {
      try {
        destinations = runs.destinationsOf(source, input);
      } catch (error) {
        return { fail: error };
      }
    }
    const isSentOn = destinations !== undefined && destinations.length > 0;
    const decided = policy.decideNew(source, input.type, handler, isSentOn);
    if (!("run" in decided)) return decided;
    const judged = positions.judge(source, input, { isNamed: false });
    if ("place" in judged) return { ...decided, ...judged, destinations };
    // It is not run either way, and another code would end its quarantine.
    const isSkipped = failure !== undefined && handler !== null && policy.isQuarantined(failure, handler);
    return "fail" in judged && isSkipped ? { ...decided, place: undefined, destinations } : judged;
  }

  /** The event is recorded already. Count the delivery, and run the event if it is still owed. */
  function repeat(incoming: Incoming, known: RecordedEvent, handlers: Handlers): Result {
    const { source, input } = incoming;
    const changedBody = !isUnchanged(incoming, known);
    const handler = handlers.for(source.handlersOf, known.type);
    const said = { eventId: input.id, type: input.type, changedBody };
    if (!policy.isOwed(source, known.outcome, handler)) {
      const outcome = policy.repeatedAs(known.outcome);
      store.countDelivery(known, incoming, outcome, changedBody);
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
    const stored = store.stored(source, known) ?? input;
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
    const destinations = runs.destinationsOf(source, stored);
    if (handler === null && destinations.length === 0) {
      const failed = withoutItsHandler(failure);
      if (failed !== undefined) {
        store.countDelivery(known, incoming, "failed", changedBody);
        return { ...failed, ...said };
      }
      store.countDelivery(known, incoming, "ignored", changedBody);
      store.close(source, known, "ignored", NOT_SENT_ON);
      store.settleFailure(source, known.eventId, input.receivedAt);
      return { ...resultOf(nothing), ...said, outcome: "ignored" };
    }
    const ran = runs.run(source, handler, stored, { event: known.id, at: input.receivedAt, destinations });
    positions.move(source, known.eventId, judged.place);
    store.countDelivery(known, incoming, "processed", changedBody);
    store.complete(source, known, ran, input.receivedAt);
    store.settleFailure(source, known.eventId, input.receivedAt);
    return { ...resultOf(ran), ...said, outcome: "processed" };
  }

  /**
   * A retry may carry the same event in another batch. Then only the event's own element is compared. And it may
   * carry the same form with another boundary.
   */
  function isUnchanged(incoming: Incoming, known: RecordedEvent): boolean {
    const { source, input, batch } = incoming;
    if (store.sameBytes(known.id, input.body)) return true;
    if (batch === undefined && !isMultipart(JSON.parse(input.headersJson) as Headers)) return false;
    // An event that failed at first was stored with only its own bytes.
    if (store.sameBytes(known.id, ownBytes(incoming))) return true;
    return store.stored(source, known)?.payloadJson === input.payloadJson;
  }

  function bodyOf({ input, batch }: Incoming, bodies: BatchBodies, event: number): number {
    const stored = batch === undefined ? undefined : bodies.get(batch);
    // Retention may have removed it since the transaction that stored it.
    if (stored !== undefined && store.hasBody(stored)) return stored;
    const id = store.insertBody(event, input);
    if (batch !== undefined) bodies.set(batch, id);
    return id;
  }

  function recordFailure(job: Job, handlers: Handlers, error: unknown): Result | HookonceError {
    switch (job.kind) {
      case "delivery":
        return recordFailedDelivery(job, handlers, error);
      case "apply":
        return applies.recordFailed(job, handlers, error);
      // It stays processed as before.
      case "replay":
        return { ...resultOf(nothing), eventId: job.eventId, type: "", outcome: "failed", error };
      case "discard":
      case "import":
      case "forward":
      case "message":
      case "record":
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
    if (!("eventId" in job)) return false;
    const { source, eventId } = job;
    const isNamed = job.kind === "apply" && job.isNamed === true;
    if (interrupted.find(source, eventId) !== undefined) return true;
    const failure = isNamed ? store.findFailure(source, eventId) : undefined;
    const handler = failure === undefined ? null : handlers.for(source.handlersOf, failure.type);
    return failure !== undefined && handler !== null && policy.isQuarantined(failure, handler);
  }

  return {
    begin: () => outbox.begin(),
    run,
    recordFailure,
    runsAlone,
    isOfHandler: runs.hasThrown,
    takeNotes: () => runs.takeNotes(),
  };
}
