import type { Database } from "bun:sqlite";

/**
 * The events of a body. Its row has the id of the first one. Only a batch has others, and a body that an older version
 * stored.
 */
export const eventsOf = (body: string): string => `
  select event from hookonce_results where event = ${body} and body = ${body}
  union all
  select event from hookonce_results indexed by hookonce_results_body where body = ${body} and body <> event`;

/** An event with any other outcome needs its body: it is owed, or a later version gave it that outcome. */
export const IS_DONE = "outcome in ('processed', 'imported', 'ignored', 'stale', 'discarded')";

/** A dead message can be sent again as long as it is kept. */
export const IS_UNSENT = `exists (
  select 1 from hookonce_messages indexed by hookonce_messages_event
  where event = events.id and state in ('waiting', 'sending', 'interrupted', 'dead'))`;

/** Which bodies events still need. */
export interface NeededBodies {
  /** Whether an event is owed, or a message of it is unsent. */
  byEvent(event: number): boolean;
  /** The same for any event whose body is in this row of the table of bodies. */
  byAny(body: number): boolean;
  eventsOf(body: number): readonly number[];
}

export function createNeededBodies(db: Database): NeededBodies {
  const isNeeded = `not ${IS_DONE} or ${IS_UNSENT}`;
  const byEvent = db.query(`select 1 from hookonce_events as events where id = ?1 and (${isNeeded})`);
  // Messages are sent in order, so the last event of a batch is the likeliest.
  const byAny = db.query(
    `select 1 from hookonce_events as events where id in (${eventsOf("?1")}) and (${isNeeded}) order by id desc limit 1`,
  );
  const all = db.query(eventsOf("?1"));
  return {
    byEvent: (event) => byEvent.values(event).length > 0,
    byAny: (body) => byAny.values(body).length > 0,
    eventsOf: (body) => all.values(body).map(([event]) => Number(event)),
  };
}
