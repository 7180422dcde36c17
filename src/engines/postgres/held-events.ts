import type { EventSource } from "../engine.ts";
import { openFailure, recorded, type OpenFailure, type RecordedEvent } from "../event-rows.ts";
import { prepareStatements } from "./statements.ts";
import type { Tx } from "./tx.ts";

/** Events that are held because their source is paused. */
export interface HeldEvents {
  /** The one that was received first. */
  next(source: Pick<EventSource, "name">): Promise<RecordedEvent | undefined>;
  /**
   * The failure of an event before it was held. A delivery of it has settled the failure, because a held event has
   * no other outcome.
   */
  failureBefore(source: EventSource, eventId: string): Promise<OpenFailure | undefined>;
  /** The event has failed as before, without another run. */
  failAsBefore(source: EventSource, eventId: string): void;
}

export function createHeldEvents(tx: Tx): HeldEvents {
  const sql = prepareStatements(tx);
  return {
    next: async ({ name }) => recorded(await sql.findHeld.row(name)),
    failureBefore: async ({ name }, eventId) => openFailure(await sql.findSettledFailure.row(name, eventId)),
    failAsBefore({ name }, eventId) {
      tx.facts.failures = true;
      sql.reopenFailure.run(name, eventId);
    },
  };
}
