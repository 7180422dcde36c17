/** No row in the table of bodies has this id. */
export const NO_BODY = 0;

/**
 * The id of a new row in the table of bodies, for the event ?1. It is the event's own id, so that the body of an event
 * is found without an index, and a number is never used twice. An older version may have given that number to another
 * body. Then it is one that neither an event nor a body has.
 */
export const NEW_BODY_ID = `iif(exists (select 1 from hookonce_bodies where id = ?1),
  1 + max((select max(id) from hookonce_bodies), (select max(id) from hookonce_events)), ?1)`;

/**
 * No event names the body ?1 any more, after it was removed. Only for one that has not the id of its event: the event
 * that gets this id later may use it for its body.
 */
export const LEAVE_BODY = `
  update hookonce_results indexed by hookonce_results_body set body = ${NO_BODY}
  where body = ?1 and body <> event
    and not exists (select 1 from hookonce_results where event = ?1 and body = ?1)`;
