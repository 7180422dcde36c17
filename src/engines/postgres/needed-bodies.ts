import type { Tx } from "./tx.ts";

/** The events of a body. Its row has the id of the first one. Only a batch has others. */
export const eventsOf = (body: string): string => `
  select event from hookonce.results where event = ${body} and body = ${body}
  union all
  select event from hookonce.results where body = ${body} and body <> event`;

/** An event with any other outcome needs its body: it is owed, or a later version gave it that outcome. */
export const IS_DONE = "outcome in ('processed', 'imported', 'ignored', 'stale', 'discarded')";

/** A dead message can be sent again as long as it is kept. */
export const IS_UNSENT = `exists (
  select 1 from hookonce.messages
  where event = events.id and state in ('waiting', 'sending', 'interrupted', 'dead'))`;

/** Which bodies events still need. */
export interface NeededBodies {
  /** Whether an event is owed, or a message of it is unsent. */
  byEvent(event: number): Promise<boolean>;
  /** Whether a row of the table of bodies belongs to such an event. */
  byAny(body: number): Promise<boolean>;
  eventsOf(body: number): Promise<readonly number[]>;
}

export function createNeededBodies(tx: Tx): NeededBodies {
  const isNeeded = `not ${IS_DONE} or ${IS_UNSENT}`;
  const byEvent = tx.query(`select 1 from hookonce.events as events where id = $1 and (${isNeeded})`);
  // Messages are sent in order, so the last event of a batch is the likeliest.
  const byAny = tx.query(
    `select 1 from hookonce.events as events where id in (${eventsOf("$1")}) and (${isNeeded}) order by id desc limit 1`,
  );
  const all = tx.query(eventsOf("$1"));
  return {
    byEvent: async (event) => (await byEvent.values(event)).length > 0,
    byAny: async (body) => (await byAny.values(body)).length > 0,
    eventsOf: async (body) => (await all.values(body)).map(([event]) => Number(event)),
  };
}
