import type { Database } from "bun:sqlite";
import type { EventSource } from "../engine.ts";
import type { RecordedFailure } from "../reader.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";
import { recorded, type RecordedEvent } from "../event-rows.ts";

type SourceName = Pick<EventSource, "name">;

/** Where a failure is in the order received: after the event with the id `place`, among those that failed there. */
export interface FailurePlace {
  readonly place: number;
  readonly failure: number;
}

/** A failed event that has not been applied since. */
export interface WaitingFailure extends RecordedFailure, FailurePlace {
  readonly eventId: string;
  readonly type: string;
}

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
    failureAfter({ name }, after) {
      const row =
        sql.findNextAtPlace.row(name, after.place, after.failure) ?? sql.findNextPlace.row(name, after.place);
      if (row === undefined) return undefined;
      const [place, failure, eventId, type, code, handlerHash] = row as [
        number,
        number,
        string,
        string,
        string,
        string | null,
      ];
      return { place, failure, eventId, type, code, handlerHash };
    },
  };
}
