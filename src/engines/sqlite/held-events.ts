import type { Database } from "bun:sqlite";
import type { EventSource } from "../engine.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";
import {
  recorded,
  waitingFailure,
  type FailurePlace,
  type RecordedEvent,
  type WaitingFailure,
} from "../event-rows.ts";

type SourceName = Pick<EventSource, "name">;

/** The events that run when their source resumes. Every call belongs to the caller's open transaction. */
export interface HeldEvents {
  /** The held event that was received first. */
  next(source: SourceName): RecordedEvent | undefined;
  /** The version of the handler that was to run a held event; null if there was none at its deliveries. */
  handlerOf(event: number): string | null;
  /** Whether an event was stored without a handler before it was held. */
  wasUnhandled(source: SourceName, eventId: string): boolean;
  /** The failed event that was received first, after a place. */
  failureAfter(source: SourceName, after: FailurePlace): WaitingFailure | undefined;
}

export function createHeldEvents(db: Database): HeldEvents {
  const sql = prepareDeliveryStatements(db);
  return {
    next: ({ name }) => recorded(sql.findHeld.row(name)),
    wasUnhandled: ({ name }, eventId) => sql.wasUnhandled.row(name, eventId) !== undefined,
    handlerOf: (event) => (sql.findHeldFor.row(event)?.[0] ?? null) as string | null,
    failureAfter: ({ name }, { place, failure }) =>
      waitingFailure(sql.findNextAtPlace.row(name, place, failure) ?? sql.findNextPlace.row(name, place)),
  };
}
