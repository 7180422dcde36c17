import type { TestInbox } from "../../support/test-inbox.ts";

/** A table without a key, so that an event that is applied twice leaves two rows. */
export const effectsTable =
  "create table effects (source text not null, event_id text not null, note any) strict;";

/** Records the event and its `note`. */
export const noteEffect = "insert into effects values (:source, :event_id, :payload ->> '$.note');";

/** Writes a row and then fails if the payload has `"fail": true`. */
export const noteOrFail = `${noteEffect}
insert into effects select null, null, null where :payload ->> '$.fail';`;

export interface Left {
  /** Rows in hookonce_events. */
  events: number;
  /** Rows in hookonce_failures that are not settled. */
  failures: number;
  /** Rows that handlers wrote. */
  effects: number;
}

/** Counts the rows that all deliveries so far have left in the database. */
export function left(inbox: Pick<TestInbox, "rows">): Left {
  return inbox.rows(`select
    (select count(*) from hookonce_events) as events,
    (select count(*) from hookonce_failures where settled_at is null) as failures,
    (select count(*) from effects) as effects`)[0] as Left;
}

export const nothing: Left = { events: 0, failures: 0, effects: 0 };
