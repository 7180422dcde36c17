import type { EventSource } from "../engine.ts";
import {
  recorded,
  waitingFailure,
  type FailurePlace,
  type RecordedEvent,
  type WaitingFailure,
} from "../event-rows.ts";
import { prepareStatements } from "./statements.ts";
import type { Tx } from "./tx.ts";

type SourceName = Pick<EventSource, "name">;

/** The events that run when their source resumes. */
export interface HeldEvents {
  /** The held event that was received first. */
  next(source: SourceName): Promise<RecordedEvent | undefined>;
  /** The version of the handler that was to run a held event; null if there was none at its deliveries. */
  handlerOf(event: number): Promise<string | null>;
  /** Whether an event was stored without a handler before it was held. */
  wasUnhandled(source: SourceName, eventId: string): Promise<boolean>;
  /** The failed event that was received first, after a place. */
  failureAfter(source: SourceName, after: FailurePlace): Promise<WaitingFailure | undefined>;
}

export function createHeldEvents(tx: Tx): HeldEvents {
  const sql = prepareStatements(tx);
  return {
    next: async ({ name }) => recorded(await sql.findHeld.row(name)),
    wasUnhandled: async ({ name }, eventId) => (await sql.wasUnhandled.row(name, eventId)) !== undefined,
    handlerOf: async (event) => ((await sql.findHeldFor.row(event))?.[0] ?? null) as string | null,
    failureAfter: async ({ name }, { place, failure }) =>
      waitingFailure(await sql.findNextFailure.row(name, place, failure)),
  };
}
