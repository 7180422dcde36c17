/** No row in the table of bodies has this id. */
export const NO_BODY = 0;

/**
 * The id of a new row in the table of bodies, for the event $1. It is the event's own id, so that the body of an
 * event is found without an index, and a number is never used twice. If another body has it, it is a number that no
 * event gets.
 */
export const FREE_BODY = `case when exists (select 1 from hookonce.bodies where id = $1)
  then nextval('hookonce.events_id_seq') else $1 end`;

/**
 * No event names the body $1 any more, after it was removed. Only for one that has not the id of its event: the event
 * that gets this id later may use it for its body.
 */
export const LEAVE_BODY = `
  update hookonce.results set body = ${NO_BODY}
  where body = $1 and body <> event
    and not exists (select 1 from hookonce.results where event = $1 and body = $1)`;
