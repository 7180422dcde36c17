import { FREE_BODY } from "./body-ids.ts";
import type { Query, Tx } from "./tx.ts";

const FIND_FAILURE = `
    select type, handler_hash, code, error, deliveries, first_at, last_at, last_headers, last_body, element,
      retries, next_at, failed_answers, accepted_at
    from hookonce.failures
    where source = $1 and event_id = $2`;

/** The statements that a delivery runs. None joins or scans tables. */
const SQL = {
  // RETURNING alone decides whether the event is new.
  insertEvent: `
    insert into hookonce.events
      (source, event_id, type, received_at, outcome, handler, deliveries, last_delivery_at, body_sha256)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (source, event_id, era) do nothing returning id`,
  endEra: `
    update hookonce.events set era = id
    where source = $1 and event_id = $2 and era = 0 and outcome = 'processed'
      and coalesce(applied_at, received_at) < $3
    returning id`,
  endEraOfDeliveries: `
    update hookonce.deliveries set era = $3 where source = $1 and event_id = $2 and era = 0`,
  dropSettledFailure: `
    delete from hookonce.failures where source = $1 and event_id = $2 and settled_at is not null`,
  insertBody: `
    insert into hookonce.bodies (id, received_at, headers, bytes, sha256)
    values (${FREE_BODY}, $2, $3, $4, $5) returning id`,
  // Once a batch was taken apart, its row may have only the part of its first event.
  hasWholeBody: `
    select 1 from hookonce.bodies
    where id = $1 and not exists (select 1 from hookonce.results where event = $1 and body = $1 and element)`,
  // An unhandled event has a result without a handler. Applying the event adds the handler and keeps the
  // body.
  insertResult: `
    insert into hookonce.results (event, body, rows_changed, duration_us, reply, handler_hash)
    values ($1, $2, $3, $4, $5, $6)`,
  completeResult: `
    update hookonce.results
    set rows_changed = $2, duration_us = $3, reply = $4, handler_hash = $5, reason = coalesce($6, reason)
    where event = $1`,
  // A replay of a processed event does not move its window. Nor does the resume of a held one: it was answered 200 when
  // it was received, as it would have been without the pause.
  completeEvent: `
    update hookonce.events
    set outcome = 'processed', handler = $2,
      applied_at = case when outcome in ('processed', 'held') then applied_at else $3 end
    where id = $1`,
  beginWindow: `update hookonce.events set applied_at = $2 where id = $1`,
  closeEvent: `update hookonce.events set outcome = $2 where id = $1`,
  markChanged: `
    update hookonce.events set change = nextval('hookonce.changes') where id = $1`,
  // The body of an ignored event is not stored. No body has the id 0.
  explainIgnored: `insert into hookonce.results (event, body, reason) values ($1, 0, $2)`,
  holdFor: `update hookonce.results set handler_hash = $2 where event = $1`,
  findHeldFor: `select handler_hash from hookonce.results where event = $1`,
  wasUnhandled: `
    select 1 from hookonce.deliveries
    where source = $1 and event_id = $2 and era = 0 and outcome = 'unhandled' limit 1`,
  giveReason: `update hookonce.results set reason = $2 where event = $1`,
  findPosition: `
    select version, event_id from hookonce.positions where source = $1 and key = $3 and md5(rule) = md5($2) and rule = $2`,
  movePosition: `
    insert into hookonce.positions (source, rule, key, version, event_id) values ($1, $2, $3, $4, $5)
    on conflict (source, key, md5(rule)) do update set version = excluded.version, event_id = excluded.event_id`,
  findReplay: `
    select replayed_by, replays, (select change from hookonce.events where id = $1)
    from hookonce.results where event = $1`,
  countReplay: `
    update hookonce.results set replays = replays + 1, replayed_by = $2, reason = $3 where event = $1`,
  findEvent: `
    select id, event_id, type, outcome, deliveries, received_at from hookonce.events
    where source = $1 and event_id = $2 and era = 0`,
  findHeld: `
    select id, event_id, type, outcome, deliveries, received_at
    from hookonce.events where source = $1 and outcome = 'held' order by id limit 1`,
  findSameBody: `
    select id, event_id, type, outcome, deliveries, received_at from hookonce.events
    where source = $1 and body_sha256 = $2 order by id limit 1`,
  dropSameBody: `
    delete from hookonce.events
    where source = $1 and event_id = $2 and era = 0 and outcome = 'ignored' and body_sha256 <> $3 and id > (
      select first.id from hookonce.events as first
      where first.source = $1 and first.body_sha256 = hookonce.events.body_sha256 order by first.id limit 1)`,
  findReply: `select reply from hookonce.results where event = $1`,
  // No row means that the body is gone, so nothing can differ.
  sameBytes: `
    select sha256 = $2 from hookonce.bodies
    where id = (select body from hookonce.results where event = $1)`,
  findBody: `
    select headers, bytes, (select element from hookonce.results where event = $1) from hookonce.bodies
    where id = (select body from hookonce.results where event = $1)`,
  // Whether the stored body holds other events, too, or was taken out of one that does.
  isPartOfBatch: `
    select element or body <> event or exists (
      select 1 from hookonce.results as other where other.body = results.body and other.body <> other.event)
    from hookonce.results where event = $1`,
  isRedacted: `
    select redacted is not null from hookonce.bodies
    where id = (select body from hookonce.results where event = $1)`,
  markElement: `update hookonce.results set element = true where event = $1`,
  countDelivery: `
    update hookonce.events
    set deliveries = deliveries + 1, last_delivery_at = $2, changed_bodies = changed_bodies + $3
    where id = $1`,
  keepChangedBody: `
    insert into hookonce.changed_bodies (event, received_at, headers, body) values ($1, $2, $3, $4)
    on conflict (event) do update
    set received_at = excluded.received_at, headers = excluded.headers, body = excluded.body`,
  insertDelivery: `
    insert into hookonce.deliveries (source, event_id, number, at, outcome, changed_body)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (source, event_id, era, number) do update
    set at = excluded.at, outcome = excluded.outcome, changed_body = excluded.changed_body`,
  keepFirstDelivery: `
    insert into hookonce.deliveries (source, event_id, number, at, outcome) values ($1, $2, 1, $3, $4)
    on conflict (source, event_id, era, number) do nothing`,
  dropDelivery: `
    delete from hookonce.deliveries where source = $1 and event_id = $2 and era = 0 and number = $3`,
  findFailure: `${FIND_FAILURE} and settled_at is null`,
  findNextFailure: `
    select place, id, event_id, type, code, handler_hash
    from hookonce.failures
    where source = $1 and settled_at is null and (place, id) > ($2, $3) order by place, id limit 1`,
  // $14: the highest id that an event before it may have. Numbers that no event has got do not count, because another
  // failure may have a lower one. If its handler is gone meanwhile, the handler that failed is kept: it shows that the
  // event needs one.
  recordFailure: `
    insert into hookonce.failures
      (source, event_id, type, handler, code, error, stack, deliveries, first_at, last_at,
       first_headers, first_body, last_headers, last_body, element, handler_hash, next_at, position, event)
    values ($1, $2, $3, $4, $5, $6, $7, 1, $8, $8, $9, $10, $9, $10, $11, $12, $13,
      coalesce((select max(id) from hookonce.events where $14::bigint is null or id <= $14), 0),
      (select id from hookonce.events where source = $1 and event_id = $2 and era = 0))
    on conflict (source, event_id) do update
    set type = excluded.type, handler = coalesce(excluded.handler, failures.handler),
      handler_hash = coalesce(excluded.handler_hash, failures.handler_hash),
      code = excluded.code, error = excluded.error,
      stack = excluded.stack, attempts = failures.attempts + 1, deliveries = failures.deliveries + 1,
      last_at = excluded.last_at,
      last_headers = excluded.last_headers, last_body = excluded.last_body, element = excluded.element,
      next_at = excluded.next_at, settled_at = null
    returning deliveries`,
  // A run by `hookonce apply` is not a delivery: it has no body and no time of receipt.
  failAgain: `
    update hookonce.failures
    set handler = coalesce($3, handler), code = $4, error = $5, stack = $6,
      handler_hash = coalesce($7, handler_hash), attempts = attempts + 1
    where source = $1 and event_id = $2`,
  setRetry: `
    update hookonce.failures set retries = $3, next_at = $4
    where source = $1 and event_id = $2 and settled_at is null`,
  countFailedAnswer: `
    update hookonce.failures set failed_answers = failed_answers + 1
    where source = $1 and event_id = $2 and settled_at is null`,
  acceptFailure: `
    update hookonce.failures set accepted_at = coalesce(accepted_at, $3)
    where source = $1 and event_id = $2 and settled_at is null`,
  // A delivery that runs nothing. A reload may have changed the rule for types.
  skipFailure: `
    update hookonce.failures
    set deliveries = deliveries + 1, last_at = $3, last_headers = $4, last_body = $5, element = $6, type = $7
    where source = $1 and event_id = $2 and settled_at is null
    returning deliveries`,
  settleFailure: `
    update hookonce.failures set settled_at = $3, next_at = null
    where source = $1 and event_id = $2 and settled_at is null`,
} as const;

export type Statements = Readonly<Record<keyof typeof SQL, Query>>;

export function prepareStatements(tx: Tx): Statements {
  return Object.fromEntries(Object.entries(SQL).map(([name, text]) => [name, tx.query(text)])) as Statements;
}
