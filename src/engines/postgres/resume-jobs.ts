import type { Handlers, Job, Policy, Result } from "../engine.ts";
import type { Applies } from "./apply-jobs.ts";
import type { FailurePlace, RecordedEvent, WaitingFailure } from "../event-rows.ts";
import type { EventStore } from "./event-store.ts";
import type { HeldEvents } from "./held-events.ts";
import { handlerGone, nothing, resultOf } from "../results.ts";
import type { SourceStates } from "./source-states.ts";

type Resume = Extract<Job, { kind: "resume" }>;

/** Runs the events of a source that resumes, inside the open transaction. */
export interface Resumes {
  /** The id of the event that is run next. */
  nextId(job: Resume, handlers: Handlers): Promise<string | undefined>;
  /** @throws what the handler throws. The caller undoes the job and calls {@link Resumes.recordFailed} */
  resume(job: Resume, handlers: Handlers): Promise<Result | null>;
  /** The event is a failure now, so that those after it are run. */
  recordFailed(job: Resume, handlers: Handlers, error: unknown): Promise<Result>;
}

/** Why an event is ignored for which the config wants no handler. */
const NO_HANDLER = "there is no handler for it";

/** The next event. An event that had failed is in the order received, too. */
type Next = { readonly held: RecordedEvent } | { readonly failed: WaitingFailure };

export function createResumes(
  store: EventStore,
  held: HeldEvents,
  states: SourceStates,
  policy: Policy,
  applies: Applies,
): Resumes {
  async function next({ source }: Resume, handlers: Handlers): Promise<Next | undefined> {
    if (states.of(source) !== "resuming") return undefined;
    const event = await held.next(source);
    let ran = states.ranOf(source);
    let failed = store.hasOpenFailures() ? await held.failureAfter(source, ran) : undefined;
    const isBeforeHeld = ({ place }: FailurePlace): boolean => event === undefined || place < event.id;
    while (failed !== undefined && isBeforeHeld(failed) && !canRun(failed)) {
      ran = failed;
      failed = await held.failureAfter(source, ran);
    }
    // Otherwise each run would look again at all events that were passed over.
    states.haveRun(source, ran);
    if (failed !== undefined && isBeforeHeld(failed)) return { failed };
    return event === undefined ? undefined : { held: event };

    /** After a tie or a handler that hung, a person decides. */
    function canRun(failed: WaitingFailure): boolean {
      if (failed.code === "version_tie") return false;
      const handler = handlers.for(source.handlersOf, failed.type);
      if (handler !== null) return !policy.isQuarantined(failed, handler);
      return policy.sendsOn(source) && failed.handlerHash === null;
    }
  }

  async function runHeld({ source, at }: Resume, event: RecordedEvent, handlers: Handlers): Promise<Result> {
    const { eventId, type } = event;
    const handler = handlers.for(source.handlersOf, type);
    if (handler === null && (await held.handlerOf(event.id)) !== null)
      throw handlerGone("that was there when this event was held");
    if (handler !== null || policy.sendsOn(source))
      return applies.applyWaiting({ source, eventId, at }, handlers);
    const decided = policy.decideNew(source, type, null, false);
    if ("fail" in decided) throw decided.fail;
    // It was owed before it was held. A delivery of it leaves it owed, too, whatever the config says now.
    const wasOwed = await held.wasUnhandled(source, eventId);
    const outcome = "record" in decided && !wasOwed ? decided.record : "unhandled";
    store.close(source, event, outcome, outcome === "ignored" ? NO_HANDLER : null);
    return { ...resultOf(nothing), eventId, type, outcome };
  }

  return {
    async nextId(job, handlers) {
      const found = await next(job, handlers);
      if (found === undefined) return undefined;
      return "held" in found ? found.held.eventId : found.failed.eventId;
    },
    async resume(job, handlers) {
      const { source, at } = job;
      if (states.of(source) !== "resuming") return null;
      const found = await next(job, handlers);
      if (found === undefined) {
        // Deliveries that come after this in the transaction run at once.
        states.open(source.name);
        return null;
      }
      if ("failed" in found) {
        // Also if it stays a failure without an error.
        states.haveRun(source, found.failed);
        const result = await applies.applyWaiting({ source, eventId: found.failed.eventId, at }, handlers);
        states.count(source, result, at, "failed");
        return result;
      }
      const result = await runHeld(job, found.held, handlers);
      states.count(source, result, at, "held");
      return result;
    },
    async recordFailed(job, handlers, error) {
      const { source, at } = job;
      // The job was undone, so it is the same event.
      const found = (await next(job, handlers)) as Next;
      const { eventId } = "held" in found ? found.held : found.failed;
      const heldFor = "held" in found ? await held.handlerOf(found.held.id) : null;
      const result = await applies.recordFailed(
        { kind: "apply", source, eventId, at },
        handlers,
        error,
        heldFor,
      );
      if ("failed" in found) states.haveRun(source, found.failed);
      else {
        store.close(source, found.held, "unhandled", null);
        // It is a failure of the place before its row now, and was run. So were all before it.
        states.haveRun(source, { place: found.held.id, failure: 0 });
      }
      states.count(source, result, at, "held" in found ? "held" : "failed");
      return result;
    },
  };
}
