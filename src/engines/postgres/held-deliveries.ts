import type { Incoming, LoadedHandler, Result } from "../engine.ts";
import { ownBytes } from "../event-bytes.ts";
import type { RecordedEvent } from "../event-rows.ts";
import { nothing, resultOf } from "../results.ts";
import type { EventStore } from "./event-store.ts";
import type { FailedAnswers } from "./failed-answers.ts";
import type { SameBody } from "./same-body.ts";

/** Deliveries of owed events of a paused source, in the open transaction. They are answered 200 and run nothing. */
export interface HeldDeliveries {
  /**
   * The event had failed at once. It stays a failure, which keeps its place in the order received, and runs with this
   * body when its source resumes.
   */
  ofFailure(incoming: Incoming): Promise<Result>;
  /**
   * The event is recorded.
   *
   * @param handler the one that is to run it
   */
  ofRecorded(
    incoming: Incoming,
    known: RecordedEvent,
    changedBody: boolean,
    handler: LoadedHandler | null,
  ): Promise<Result>;
}

export function createHeldDeliveries(
  store: EventStore,
  sameBody: SameBody,
  failed: FailedAnswers,
): HeldDeliveries {
  return {
    async ofFailure(incoming) {
      const { source, input } = incoming;
      const { id: eventId, type, receivedAt } = input;
      const number = await store.skipFailure(incoming);
      store.keepDelivery(source, eventId, number, receivedAt, "held", false);
      // The provider does not deliver it again.
      await failed.accept(source, eventId, receivedAt);
      return { ...resultOf(nothing), eventId, type, outcome: "held" };
    },
    async ofRecorded(incoming, known, changedBody, handler) {
      const { source, input } = incoming;
      store.countDelivery(known, incoming, "held", changedBody);
      if (known.outcome !== "held" && (await store.findFailure(source, known.eventId)) === undefined) {
        store.close(source, known, "held", null);
        // Without the pause, this delivery would apply it now.
        store.beginWindow(known.id, input.receivedAt);
      }
      if (handler !== null) store.holdFor(known.id, handler.hash);
      if (known.eventId !== input.id)
        await sameBody.close(source, input.id, ownBytes(incoming), input.receivedAt);
      return { ...resultOf(nothing), eventId: input.id, type: input.type, changedBody, outcome: "held" };
    },
  };
}
