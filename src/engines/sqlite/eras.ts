import type { Database } from "bun:sqlite";
import type { EventSource } from "../engine.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";

/** The events of an id that are done with. Every call belongs to a transaction that the caller has open. */
export interface Eras {
  /**
   * Ends the era of a processed event whose window began before a time, so that its id may be recorded again.
   *
   * @param before Unix milliseconds
   * @returns whether there was one
   */
  end(source: Pick<EventSource, "name">, eventId: string, before: number): boolean;
}

export function createEras(db: Database): Eras {
  const sql = prepareDeliveryStatements(db);
  return {
    end({ name }, eventId, before) {
      const id = sql.endEra.row(name, eventId, before)?.[0];
      if (typeof id !== "number") return false;
      sql.endEraOfDeliveries.run(name, eventId, id);
      // Otherwise another failure of this id would go on with the times and counts of this one.
      sql.dropSettledFailure.run(name, eventId);
      return true;
    },
  };
}
