import {
  LONGEST_RETRY_MS,
  type EventSource,
  type HandlerInput,
  type Handlers,
  type Job,
  type LoadedHandler,
  type Policy,
  type Result,
} from "../engine.ts";
import { eventRedacted } from "../event-redacted.ts";
import { SETTLED, storedInput, type OpenFailure } from "../event-rows.ts";
import { goneFor } from "../decided-events.ts";
import { codeOf } from "../results.ts";
import type { EventStore } from "./event-store.ts";
import type { HandlerRuns } from "./handler-runs.ts";
import type { InterruptedRuns } from "./interrupted-runs.ts";
import type { Positions } from "./positions.ts";
import { isTie, NOT_SENT_ON, nothing, notRunnable, quarantined, resultOf, unreadable } from "../results.ts";
import type { SameBody } from "./same-body.ts";
import type { SourceStates } from "./source-states.ts";

type Apply = Extract<Job, { kind: "apply" }>;
type EventJob = Pick<Apply, "source" | "eventId" | "at">;

/** Runs owed events that are stored, inside the open transaction. */
export interface Applies {
  /** @throws what the handler throws. The caller undoes the job and calls {@link Applies.recordFailed} */
  apply(job: Apply, handlers: Handlers): Promise<Result>;
  /** Runs a held or failed event of a source that resumes. @throws as {@link Applies.apply} */
  applyWaiting(job: EventJob, handlers: Handlers): Promise<Result>;
  /** @param heldFor the version of the handler that was to run it when it was held, if that is gone */
  recordFailed(job: Apply, handlers: Handlers, error: unknown, heldFor?: string | null): Promise<Result>;
  /** When hookonce itself runs an event again that has failed now. A run that is set stays. */
  retryAfter(source: EventSource, eventId: string, now: number, error: unknown): Promise<number | null>;
  /** Sets the next run of a failure whose event was answered 200, unless one is set: nobody else runs it again. */
  keepRetrying(source: EventSource, eventId: string, now: number): Promise<void>;
}

export function createApplies(
  store: EventStore,
  sameBody: SameBody,
  positions: Positions,
  policy: Policy,
  runs: HandlerRuns,
  interrupted: InterruptedRuns,
  states: SourceStates,
): Applies {
  /** If the event is still owed although nothing failed, its next run is set: its handler may come back. */
  async function retry(job: Apply, handlers: Handlers): Promise<Result> {
    const early = await notDue(job);
    if (early !== undefined) return early;
    const result = await applyNow(job, handlers);
    await scheduleNext(job);
    return result;
  }

  /** Another node has run it again meanwhile, and has set its next run. */
  async function notDue({ source, eventId, ifDueBy: at }: Apply): Promise<Result | undefined> {
    if (at === undefined) return undefined;
    const failure = await store.findFailure(source, eventId);
    const nextAt = failure?.nextAt ?? null;
    if (failure === undefined || nextAt === null) return undefined;
    if (nextAt <= at || nextAt > at + LONGEST_RETRY_MS) return undefined;
    return { ...resultOf(nothing), eventId, type: failure.type, outcome: "failed", error: null };
  }

  /** Nothing of a paused source runs. */
  async function leftAlone({ source, eventId, reason }: Apply): Promise<Result> {
    const known = await store.find(source, eventId);
    const failure = await store.findFailure(source, eventId);
    const again = known?.outcome === "discarded" && reason !== undefined;
    const isDone =
      known === undefined ? failure === undefined : policy.repeatedAs(known.outcome) === "duplicate";
    const type = known?.type ?? failure?.type ?? "";
    return { ...resultOf(nothing), eventId, type, outcome: isDone && !again ? "duplicate" : "held" };
  }

  async function scheduleNext({ source, eventId, at }: Apply): Promise<void> {
    const failure = await store.findFailure(source, eventId);
    if (failure === undefined) return;
    const retries = failure.retries + 1;
    const isAccepted = await wasAccepted(source, eventId, failure);
    store.setRetry(source, eventId, retries, policy.retryAt(source, { ...failure, retries, isAccepted }, at));
  }

  /** An owed event that is recorded was answered 200, whatever has failed since. */
  async function wasAccepted(
    source: EventSource,
    eventId: string,
    failure: OpenFailure | undefined,
  ): Promise<boolean> {
    if ((failure?.acceptedAt ?? null) !== null) return true;
    const known = await store.find(source, eventId);
    return known !== undefined && policy.repeatedAs(known.outcome) !== "duplicate";
  }

  async function keepRetrying(source: EventSource, eventId: string, now: number): Promise<void> {
    const failure = await store.findFailure(source, eventId);
    if (failure === undefined || failure.nextAt !== null) return;
    if (!(await wasAccepted(source, eventId, failure))) return;
    const nextAt = policy.retryAt(source, { ...failure, isAccepted: true }, now);
    store.setRetry(source, eventId, failure.retries, nextAt);
  }

  async function applyNow(job: Apply, handlers: Handlers): Promise<Result> {
    const { source, eventId, at } = job;
    const known = await store.find(source, eventId);
    const failure = await store.findFailure(source, eventId);
    const type = known?.type ?? failure?.type ?? "";
    const said = { ...resultOf(nothing), eventId, type };
    const handler = handlers.for(source.handlersOf, type);
    if (known !== undefined) {
      const again = known.outcome === "discarded" && job.reason !== undefined;
      if (
        !(again ? handler !== null || policy.sendsOn(source) : policy.isOwed(source, known.outcome, handler))
      )
        return { ...said, outcome: policy.repeatedAs(known.outcome) };
      const input = await store.stored(source, known);
      const judged = input === undefined ? undefined : await judge(job, input);
      if (judged !== undefined && "stale" in judged) {
        store.close(source, known, "stale", judged.stale);
        settle(job, "stale");
        return { ...said, outcome: "stale" };
      }
      if (isSkipped(job, failure, handler)) return { ...said, ...quarantined(failure, handler) };
      if (input === undefined || judged === undefined)
        throw notRunnable((await store.bodyOf(known.id)) !== undefined, job);
      if (await store.isRedacted(known.id)) throw eventRedacted(eventId);
      if ("fail" in judged) throw judged.fail;
      const destinations = await runs.destinationsOf(source, input);
      const gone = goneFor(job, failure, handler, destinations);
      if (gone !== undefined) return { ...said, ...gone };
      if (handler === null && destinations.length === 0) {
        store.close(source, known, "ignored", NOT_SENT_ON);
        settle(job, "ignored");
        return { ...said, outcome: "ignored" };
      }
      const element = await isMarkedPart(handler, known.id);
      const ran = await runs.run(source, handler, input, { event: known.id, at, element, destinations });
      await positions.move(source, eventId, judged.place);
      store.complete(source, known, ran, at, job.reason);
      settle(job, "processed");
      return { ...said, ...resultOf(ran), outcome: "processed" };
    }
    // The failure has been settled in the meantime, under this id or by a change of the config.
    if (failure === undefined) return { ...said, outcome: "duplicate" };
    if (!(handler !== null || policy.sendsOn(source)))
      return { ...said, outcome: "failed", error: failureOf(job, type, handlers) };
    if ((await sameBody.find(source, () => failure.body)) !== undefined) {
      await sameBody.close(source, eventId, failure.body, at);
      return { ...said, outcome: "duplicate" };
    }
    return applyFailure(job, handler, failure);
  }

  /** Only a TypeScript handler is marked. */
  const isMarkedPart = async (handler: LoadedHandler | null, event: number): Promise<boolean> =>
    handler?.language === "ts" && (await store.isPartOfBatch(event));

  function settle({ source, eventId, at }: Apply, outcome: "processed" | "stale" | "ignored"): void {
    store.settleFailure(source, eventId, at);
    store.keepDelivery(source, eventId, SETTLED, at, outcome, false);
  }

  /** Whether the event is not run again, because its handler hung or ended the process. */
  function isSkipped(
    { isNamed }: Apply,
    failure: OpenFailure | undefined,
    handler: LoadedHandler | null,
  ): failure is OpenFailure {
    if (isNamed === true || failure === undefined || handler === null) return false;
    return policy.isQuarantined(failure, handler);
  }

  const judge = ({ source, isNamed = false }: Apply, input: HandlerInput) =>
    positions.judge(source, input, { isNamed });

  /** A failure runs with its latest verified body and the time of its first receipt. */
  async function applyFailure(
    job: Apply,
    handler: LoadedHandler | null,
    failure: OpenFailure,
  ): Promise<Result> {
    const { source, eventId } = job;
    const { type } = failure;
    const said = { eventId, type };
    const input = storedInput(source, { eventId, type, receivedAt: failure.firstAt }, failure);
    const judged = input === undefined ? undefined : await judge(job, input);
    if (judged !== undefined && "stale" in judged) {
      const id = (await store.insertSettled(source, { id: eventId, type }, "stale", null, failure)) as number;
      await store.insertSettledResult(id, failure, nothing);
      store.giveReason(id, judged.stale);
      settle(job, "stale");
      await interrupted.settle(source, eventId);
      return { ...resultOf(nothing), ...said, outcome: "stale" };
    }
    if (isSkipped(job, failure, handler)) return { ...quarantined(failure, handler), ...said };
    // Without the payload, a handler could succeed and do the wrong thing.
    if (input === undefined || judged === undefined) throw unreadable(job);
    if ("fail" in judged) throw judged.fail;
    const destinations = await runs.destinationsOf(source, input);
    const gone = goneFor(job, failure, handler, destinations);
    if (gone !== undefined) return { ...said, ...gone };
    if (handler === null && destinations.length === 0) {
      const id = (await store.insertSettled(source, input, "ignored", null, failure)) as number;
      await store.insertSettledResult(id, failure, nothing);
      store.giveReason(id, NOT_SENT_ON);
      settle(job, "ignored");
      return { ...resultOf(nothing), ...said, outcome: "ignored" };
    }
    const id = (await store.insertSettled(
      source,
      input,
      "processed",
      handler?.file ?? null,
      failure,
    )) as number;
    const ran = await runs.run(source, handler, input, { event: id, at: job.at, destinations });
    await positions.move(source, eventId, judged.place);
    await store.insertSettledResult(id, failure, ran);
    store.beginWindow(id, job.at);
    if (job.reason !== undefined) store.giveReason(id, job.reason);
    settle(job, "processed");
    return { ...resultOf(ran), ...said, outcome: "processed" };
  }

  function failureOf({ source }: Apply, type: string, handlers: Handlers): unknown {
    const decided = policy.decideNew(source, type, handlers.for(source.handlersOf, type), false);
    return "fail" in decided ? decided.fail : null;
  }

  async function retryAfter(
    source: EventSource,
    eventId: string,
    now: number,
    error: unknown,
  ): Promise<number | null> {
    const failure = await store.findFailure(source, eventId);
    const { firstAt, retries, nextAt } = failure ?? { firstAt: now, retries: 0, nextAt: null };
    if (isTie(error)) return null;
    const isAccepted = await wasAccepted(source, eventId, failure);
    return nextAt ?? policy.retryAt(source, { code: codeOf(error), firstAt, retries, isAccepted }, now);
  }

  async function recordFailed(
    job: Apply,
    handlers: Handlers,
    error: unknown,
    heldFor: string | null = null,
  ): Promise<Result> {
    const { source, eventId, at } = job;
    const known = await store.find(source, eventId);
    const failure = await store.findFailure(source, eventId);
    const type = known?.type ?? failure?.type ?? "";
    const handler = handlers.for(source.handlersOf, type);
    await interrupted.settle(source, eventId);
    if (failure !== undefined) {
      store.failAgain(source, eventId, handler, error);
      if (job.isRetry === true) await scheduleNext(job);
      // It may have failed for another reason before.
      else if (isTie(error)) store.setRetry(source, eventId, failure.retries, null);
      else await keepRetrying(source, eventId, at);
    } else if (known !== undefined) {
      // A discarded event stays discarded. With a failure, it would be owed as well.
      const input = known.outcome === "discarded" ? undefined : await store.stored(source, known);
      if (input !== undefined) {
        // A failure keeps the bytes of its event alone: what is forgotten of it must not depend on the others.
        const batch = (await store.isPartOfBatch(known.id)) ? input : undefined;
        await store.recordFailure(
          { source, input: { ...input, receivedAt: at }, batch },
          known,
          handler ?? (heldFor === null ? null : { file: null, hash: heldFor }),
          error,
          await retryAfter(source, eventId, at, error),
        );
        store.markChanged(known.id);
      }
    }
    return { ...resultOf(nothing), eventId, type, handler: handler?.file ?? null, outcome: "failed", error };
  }

  return {
    async apply(job, handlers) {
      if (states.of(job.source) !== undefined) return leftAlone(job);
      return job.isRetry === true ? retry(job, handlers) : applyNow(job, handlers);
    },
    applyWaiting: (job, handlers) => applyNow({ ...job, kind: "apply" }, handlers),
    recordFailed,
    retryAfter,
    keepRetrying,
  };
}
