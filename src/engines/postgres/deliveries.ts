import type { Handlers, Incoming, Job, Policy, Result } from "../engine.ts";
import { ownBytes } from "../event-bytes.ts";
import { withReceipt, type RecordedEvent } from "../event-rows.ts";
import { NOT_SENT_ON, nothing, quarantined, resultOf, withoutItsHandler } from "../results.ts";
import { sourcePaused } from "../source-states.ts";
import type { Applies } from "./apply-jobs.ts";
import { createComparison } from "./compare-bodies.ts";
import { createEarlierIds } from "./earlier-ids.ts";
import { createEras } from "./eras.ts";
import type { EventStore } from "./event-store.ts";
import type { HandlerRuns } from "./handler-runs.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import { createNewEvents } from "./new-events.ts";
import type { HeldDeliveries } from "./held-deliveries.ts";
import type { Positions } from "./positions.ts";
import type { Redactions } from "./redactions.ts";
import type { SameBody } from "./same-body.ts";
import type { SourceStates } from "./source-states.ts";
import type { Tx } from "./tx.ts";

/** The rows in which the open transaction, or an earlier one, has stored the bytes of batches. */
export interface BatchBodies {
  get(batch: object): number | undefined;
  set(batch: object, row: number): unknown;
}

type Delivery = Extract<Job, { kind: "delivery" }>;

/** What a delivery does, inside its savepoint. */
export interface Deliveries {
  /** The event under the id that is recorded of it. */
  readonly underItsId: (event: Incoming) => Promise<Incoming>;
  /** @throws what the handler throws. The caller undoes the job and calls {@link Deliveries.recordFailed} */
  deliver(event: Incoming, handlers: Handlers, bodies: BatchBodies): Promise<Result>;
  /** @param position the failure is behind the last event up to this id; null: behind all that are recorded */
  recordFailed(job: Delivery, handlers: Handlers, error: unknown, position?: number | null): Promise<Result>;
}

export interface DeliveryParts {
  readonly store: EventStore;
  readonly policy: Policy;
  readonly runs: HandlerRuns;
  readonly interrupted: InterruptedRuns;
  readonly redactions: Redactions;
  readonly states: SourceStates;
  readonly positions: Positions;
  readonly sameBody: SameBody;
  readonly applies: Applies;
  readonly holding: HeldDeliveries;
}

export function createDeliveries(tx: Tx, parts: DeliveryParts): Deliveries {
  const { store, policy, runs, interrupted, redactions, states, positions, sameBody, applies, holding } =
    parts;
  const isUnchanged = createComparison(store);
  const eras = createEras(tx);
  const underItsId = createEarlierIds(tx, store, policy, redactions);
  const decideNew = createNewEvents(policy, positions, runs, states);

  async function prepared(event: Incoming): Promise<Incoming> {
    const incoming = await underItsId(event);
    sameBody.reopen(incoming);
    return incoming;
  }

  async function deliver(incoming: Incoming, handlers: Handlers, bodies: BatchBodies): Promise<Result> {
    const { source, input } = incoming;
    if (states.of(source) === "refusing") throw sourcePaused(source.name);
    const same = await sameBody.find(source, () => ownBytes(incoming));
    if (same !== undefined) return repeat(incoming, (await sameBody.repeatedBy(incoming)) ?? same, handlers);

    const failure = await store.findFailure(source, input.id);
    const decided = await decideNew(incoming, failure, handlers);
    if ("fail" in decided) {
      // No insert shows whether the event is recorded, so look it up: a recorded event never becomes a
      // failure.
      const known = await store.find(source, input.id);
      return known === undefined || (await isAfterWindow(incoming))
        ? recordFailedDelivery({ kind: "delivery", event: incoming }, handlers, decided.fail)
        : repeat(incoming, known, handlers);
    }
    if ("heldFor" in decided && failure !== undefined && (await store.find(source, input.id)) === undefined)
      return holding.ofFailure(incoming);
    if ("skip" in decided) {
      const known = await store.find(source, input.id);
      if (known !== undefined) return repeat(incoming, known, handlers);
      const number = await store.skipFailure(incoming);
      store.keepDelivery(source, input.id, number, input.receivedAt, "failed", false);
      return { ...decided.skip, eventId: input.id, type: input.type };
    }
    const handler = "run" in decided ? decided.run : null;
    const outcome = "run" in decided ? "processed" : "stale" in decided ? "stale" : decided.record;
    const insert = () => store.insert(incoming, outcome, handler?.file ?? null, failure);
    const id = (await insert()) ?? ((await isAfterWindow(incoming)) ? await insert() : undefined);
    if (id === undefined)
      return repeat(incoming, (await store.find(source, input.id)) as RecordedEvent, handlers);

    let ran = "heldFor" in decided ? { ...nothing, handlerHash: decided.heldFor } : nothing;
    if ("run" in decided) {
      const { destinations, place } = decided;
      const how = { event: id, at: input.receivedAt, element: incoming.batch !== undefined, destinations };
      ran = await runs.run(source, handler, withReceipt(input, failure), how);
      await positions.move(source, input.id, place);
    }
    // Of an ignored event, only the id, type and time are kept.
    if (outcome !== "ignored") {
      const redacted = await redactions.storeNew(incoming, id, outcome);
      store.insertResult(id, redacted?.row ?? (await bodyOf(incoming, bodies, id)), ran);
      if (redacted?.isElement === true) store.markElement(id);
    }
    if ("stale" in decided) {
      store.giveReason(id, decided.stale);
      await interrupted.settle(source, input.id);
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
  async function isAfterWindow({ source, input }: Incoming): Promise<boolean> {
    const { dedupWindowMs: window } = source;
    return window !== undefined && (await eras.end(source, input.id, input.receivedAt - window));
  }

  /** The event is recorded already. Count the delivery, and run the event if it is still owed. */
  async function repeat(incoming: Incoming, known: RecordedEvent, handlers: Handlers): Promise<Result> {
    const { source, input } = incoming;
    const changedBody = !(await isUnchanged(incoming, known));
    const handler = handlers.for(source.handlersOf, known.type);
    const said = { eventId: input.id, type: input.type, changedBody };
    const isPaused = states.of(source) !== undefined && incoming.isIgnored !== true;
    if (isPaused && policy.repeatedAs(known.outcome) !== "duplicate")
      return holding.ofRecorded(incoming, known, changedBody, handler);
    if (!policy.isOwed(source, known.outcome, handler)) {
      const outcome = policy.repeatedAs(known.outcome);
      store.countDelivery(known, incoming, outcome, changedBody);
      if (changedBody) await redactions.settleChanged(source.name, known.id);
      if (known.eventId !== input.id)
        await sameBody.close(source, input.id, ownBytes(incoming), input.receivedAt);
      return { ...resultOf(nothing), ...said, outcome, reply: await store.replyOf(known.id) };
    }
    if (incoming.isIgnored === true) {
      store.countDelivery(known, incoming, "ignored", changedBody);
      store.close(source, known, "ignored", "it says that it is a test");
      store.settleFailure(source, known.eventId, input.receivedAt);
      return { ...resultOf(nothing), ...said, outcome: "ignored" };
    }
    // The stored delivery is applied, whichever delivery causes the run.
    const kept = await store.stored(source, known);
    const stored = kept ?? input;
    const judged = await positions.judge(source, stored, { isNamed: false });
    if ("stale" in judged) {
      store.countDelivery(known, incoming, "stale", changedBody);
      store.close(source, known, "stale", judged.stale);
      store.settleFailure(source, known.eventId, input.receivedAt);
      return { ...resultOf(nothing), ...said, outcome: "stale" };
    }
    const failure = await store.findFailure(source, known.eventId);
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
    const destinations = await runs.destinationsOf(source, stored);
    if (handler === null && destinations.length === 0) {
      store.countDelivery(known, incoming, "ignored", changedBody);
      store.close(source, known, "ignored", NOT_SENT_ON);
      store.settleFailure(source, known.eventId, input.receivedAt);
      return { ...resultOf(nothing), ...said, outcome: "ignored" };
    }
    const isPart = kept === undefined ? incoming.batch !== undefined : await store.isPartOfBatch(known.id);
    const how = { event: known.id, at: input.receivedAt, element: isPart, destinations };
    const ran = await runs.run(source, handler, stored, how);
    await positions.move(source, known.eventId, judged.place);
    store.countDelivery(known, incoming, "processed", changedBody);
    store.complete(source, known, ran, input.receivedAt);
    store.settleFailure(source, known.eventId, input.receivedAt);
    return { ...resultOf(ran), ...said, outcome: "processed" };
  }

  async function bodyOf({ input, batch }: Incoming, bodies: BatchBodies, event: number): Promise<number> {
    const stored = batch === undefined ? undefined : bodies.get(batch);
    // It may have been removed or taken apart since the transaction that stored it.
    if (stored !== undefined && (await store.hasWholeBody(stored))) return stored;
    const id = await store.insertBody(event, input);
    if (batch !== undefined) bodies.set(batch, id);
    return id;
  }

  async function recordFailedDelivery(
    job: Delivery,
    handlers: Handlers,
    error: unknown,
    position: number | null = null,
  ): Promise<Result> {
    const incoming = await prepared(job.event);
    const { source, input } = incoming;
    // If the event is still recorded after the undo, it was unhandled, and its new handler has now failed.
    // Nor is it recorded if its window was over, and the undo has brought it back.
    await isAfterWindow(incoming);
    const owed = await sameBody.repeatedBy(incoming);
    const { eventId, type } = owed ?? { eventId: input.id, type: input.type };
    const handler = handlers.for(source.handlersOf, type);
    const nextAt = await applies.retryAfter(source, eventId, input.receivedAt, error);
    const deliveries = await store.recordFailure(
      incoming,
      { eventId, type },
      handler,
      error,
      nextAt,
      position,
    );
    await interrupted.settle(source, eventId);
    if (owed === undefined) {
      store.keepDelivery(source, eventId, deliveries, input.receivedAt, "failed", false);
    } else {
      store.countDelivery(owed, incoming, "failed", !(await isUnchanged(incoming, owed)));
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

  return {
    underItsId,
    deliver: async (event, handlers, bodies) => deliver(await prepared(event), handlers, bodies),
    recordFailed: recordFailedDelivery,
  };
}
