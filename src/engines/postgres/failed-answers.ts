import type { Incoming, Policy, Result } from "../engine.ts";
import { codeOf } from "../results.ts";
import type { Applies } from "./apply-jobs.ts";
import type { EventStore } from "./event-store.ts";
import type { SameBody } from "./same-body.ts";
import { prepareStatements } from "./statements.ts";
import type { Tx } from "./tx.ts";

/**
 * Decides how a delivery of an event is answered that has failed, and counts it. Call it in the transaction of the
 * delivery, once its failure is recorded.
 */
export type AnswerFailed = (incoming: Incoming, result: Result) => Promise<Result>;

export function createFailedAnswers(
  tx: Tx,
  store: EventStore,
  sameBody: SameBody,
  policy: Policy,
  applies: Applies,
): AnswerFailed {
  const sql = prepareStatements(tx);

  return async (incoming, result) => {
    if (result.outcome !== "failed") return result;
    const { source, input } = incoming;
    const eventId = (await sameBody.repeatedBy(incoming))?.eventId ?? input.id;
    const failure = await store.findFailure(source, eventId);
    if (failure === undefined) return result;
    const { failedAnswers } = failure;
    if (!policy.acceptsFailure(source, { code: codeOf(result.error), failedAnswers })) {
      sql.countFailedAnswer.run(source.name, eventId);
      return result;
    }
    sql.acceptFailure.run(source.name, eventId, input.receivedAt);
    await applies.keepRetrying(source, eventId, input.receivedAt);
    return { ...result, isAccepted: true };
  };
}
