import type { EventSource } from "../engine.ts";
import { prepareStatements } from "./statements.ts";
import type { Tx } from "./tx.ts";

/** The events of an id that are done with. */
export interface Eras {
  /**
   * Ends the era of a processed event whose window began before a time, so that its id may be recorded again.
   *
   * @param before Unix milliseconds
   * @returns whether there was one
   */
  end(source: Pick<EventSource, "name">, eventId: string, before: number): Promise<boolean>;
}

export function createEras(tx: Tx): Eras {
  const sql = prepareStatements(tx);
  return {
    async end({ name }, eventId, before) {
      const id = (await sql.endEra.row(name, eventId, before))?.[0];
      if (typeof id !== "number") return false;
      sql.endEraOfDeliveries.run(name, eventId, id);
      // Otherwise another failure of this id would go on with the times and counts of this one.
      sql.dropSettledFailure.run(name, eventId);
      return true;
    },
  };
}
