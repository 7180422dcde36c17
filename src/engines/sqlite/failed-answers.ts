import type { Database } from "bun:sqlite";
import type { EventSource, Incoming, Policy, Result } from "../engine.ts";
import type { Applies } from "./apply-jobs.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";
import { codeOf } from "../results.ts";
import type { EventStore } from "./event-store.ts";
import type { SameBody } from "./same-body.ts";

/** Deliveries of events that have failed, inside the open transaction. */
export interface FailedAnswers {
  /** Decides how a delivery is answered, and counts it. Call it after the failure is recorded. */
  answer(incoming: Incoming, result: Result): Result;
  /** Records that a delivery was answered 200. From then on, only hookonce runs its event again. */
  accept(source: EventSource, eventId: string, at: number): void;
}

export function createFailedAnswers(
  db: Database,
  store: EventStore,
  sameBody: SameBody,
  policy: Policy,
  applies: Applies,
): FailedAnswers {
  const sql = prepareDeliveryStatements(db);

  function accept(source: EventSource, eventId: string, at: number): void {
    sql.acceptFailure.run(source.name, eventId, at);
    applies.keepRetrying(source, eventId, at);
  }

  return {
    accept,
    answer(incoming, result) {
      if (result.outcome !== "failed") return result;
      const { source, input } = incoming;
      const eventId = sameBody.repeatedBy(incoming)?.eventId ?? input.id;
      const failure = store.findFailure(source, eventId);
      if (failure === undefined) return result;
      const { failedAnswers } = failure;
      if (!policy.acceptsFailure(source, { code: codeOf(result.error), failedAnswers })) {
        sql.countFailedAnswer.run(source.name, eventId);
        return result;
      }
      accept(source, eventId, input.receivedAt);
      return { ...result, isAccepted: true };
    },
  };
}
