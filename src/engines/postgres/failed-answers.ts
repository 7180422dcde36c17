import type { EventSource, Incoming, Policy, Result } from "../engine.ts";
import { codeOf } from "../results.ts";
import type { Applies } from "./apply-jobs.ts";
import type { EventStore } from "./event-store.ts";
import type { SameBody } from "./same-body.ts";
import { prepareStatements } from "./statements.ts";
import type { Tx } from "./tx.ts";

/** Deliveries of events that have failed, inside the open transaction. */
export interface FailedAnswers {
  /** Decides how a delivery is answered, and counts it. Call it after the failure is recorded. */
  answer(incoming: Incoming, result: Result): Promise<Result>;
  /** Records that a delivery was answered 200. From then on, only hookonce runs its event again. */
  accept(source: EventSource, eventId: string, at: number): Promise<void>;
}

export function createFailedAnswers(
  tx: Tx,
  store: EventStore,
  sameBody: SameBody,
  policy: Policy,
  applies: Applies,
): FailedAnswers {
  const sql = prepareStatements(tx);

  function accept(source: EventSource, eventId: string, at: number): Promise<void> {
    sql.acceptFailure.run(source.name, eventId, at);
    return applies.keepRetrying(source, eventId, at);
  }

  return {
    accept,
    async answer(incoming, result) {
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
      await accept(source, eventId, input.receivedAt);
      return { ...result, isAccepted: true };
    },
  };
}
