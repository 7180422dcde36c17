import type { Database } from "bun:sqlite";
import type { Incoming, Policy, Result } from "../engine.ts";
import type { Applies } from "./apply-jobs.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";
import { codeOf, type EventStore } from "./event-store.ts";
import type { SameBody } from "./same-body.ts";

/**
 * Decides how a delivery of an event is answered that has failed, and counts it. Call it in the transaction of the
 * delivery, once its failure is recorded.
 */
export type AnswerFailed = (incoming: Incoming, result: Result) => Result;

export function createFailedAnswers(
  db: Database,
  store: EventStore,
  sameBody: SameBody,
  policy: Policy,
  applies: Applies,
): AnswerFailed {
  const sql = prepareDeliveryStatements(db);

  return (incoming, result) => {
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
    sql.acceptFailure.run(source.name, eventId, input.receivedAt);
    applies.keepRetrying(source, eventId, input.receivedAt);
    return { ...result, isAccepted: true };
  };
}
