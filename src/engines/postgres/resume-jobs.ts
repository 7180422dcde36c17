import type { Handlers, Job, Policy, Result } from "../engine.ts";
import type { Applies } from "./apply-jobs.ts";
import type { RecordedEvent } from "../event-rows.ts";
import type { EventStore } from "./event-store.ts";
import type { HeldEvents } from "./held-events.ts";
import { nothing, quarantined, resultOf } from "../results.ts";
import type { SourceStates } from "./source-states.ts";

type Resume = Extract<Job, { kind: "resume" }>;

/** Runs held events, inside the open transaction. */
export interface Resumes {
  /** The event that is run next. */
  next(job: Resume): Promise<RecordedEvent | undefined>;
  /** @throws what the handler throws. The caller undoes the job and calls {@link Resumes.recordFailed} */
  resume(job: Resume, handlers: Handlers): Promise<Result | null>;
  /** The event is a failure now, so that those after it are run. */
  recordFailed(job: Resume, handlers: Handlers, error: unknown): Promise<Result>;
}

/** Why an event is ignored for which the config wants no handler. */
const NO_HANDLER = "there is no handler for it";

export function createResumes(
  store: EventStore,
  held: HeldEvents,
  states: SourceStates,
  policy: Policy,
  applies: Applies,
): Resumes {
  const next = async ({ source }: Resume): Promise<RecordedEvent | undefined> =>
    states.of(source) === "resuming" ? held.next(source) : undefined;

  return {
    next,
    async resume(job, handlers) {
      const { source } = job;
      if (states.of(source) !== "resuming") return null;
      const event = await held.next(source);
      if (event === undefined) {
        // Deliveries that come after this in the transaction run at once.
        states.open(source.name);
        return null;
      }
      const { eventId, type } = event;
      const said = { eventId, type };
      const handler = handlers.for(source.handlersOf, type);
      const failure = await held.failureBefore(source, eventId);
      if (failure !== undefined && handler !== null && policy.isQuarantined(failure, handler)) {
        store.close(source, event, "unhandled", null);
        held.failAsBefore(source, eventId);
        // Its next run is due after a change of the handler.
        await applies.keepRetrying(source, eventId, job.at);
        return { ...quarantined(failure, handler), ...said };
      }
      if (handler === null && !policy.sendsOn(source)) {
        const decided = policy.decideNew(source, type, null, false);
        if ("fail" in decided) throw decided.fail;
        const outcome = "record" in decided ? decided.record : "unhandled";
        store.close(source, event, outcome, outcome === "ignored" ? NO_HANDLER : null);
        return { ...resultOf(nothing), ...said, outcome };
      }
      return applies.applyHeld({ source, eventId, at: job.at }, handlers);
    },
    async recordFailed({ source, at }, handlers, error) {
      // The job was undone, so it is the same event.
      const event = (await held.next(source)) as RecordedEvent;
      const { eventId } = event;
      const result = await applies.recordFailed({ kind: "apply", source, eventId, at }, handlers, error);
      store.close(source, event, "unhandled", null);
      return result;
    },
  };
}
