import type { Database } from "bun:sqlite";
import type { EventSource } from "../engine.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";
import { openFailure, recorded, type OpenFailure, type RecordedEvent } from "./event-rows.ts";

/** Events that are held because their source is paused. Every call belongs to the caller's open transaction. */
export interface HeldEvents {
  /** The one that was received first. */
  next(source: Pick<EventSource, "name">): RecordedEvent | undefined;
  /**
   * The failure of an event before it was held. A delivery of it has settled the failure, because a held event has
   * no other outcome.
   */
  failureBefore(source: EventSource, eventId: string): OpenFailure | undefined;
  /** The event has failed as before, without another run. */
  failAsBefore(source: EventSource, eventId: string): void;
}

export function createHeldEvents(db: Database): HeldEvents {
  const sql = prepareDeliveryStatements(db);
  return {
    next: ({ name }) => recorded(sql.findHeld.row(name)),
    failureBefore: ({ name }, eventId) => openFailure(sql.findSettledFailure.row(name, eventId)),
    failAsBefore: ({ name }, eventId) => sql.reopenFailure.run(name, eventId),
  };
}
