import type { Database } from "bun:sqlite";
import { NEW_BODY_ID } from "./body-ids.ts";
import { ADD_TO_MINUTE } from "./rollup-writes.ts";

const FIND_FAILURE = `
    select type, handler_hash, code, error, deliveries, first_at, last_at, last_headers, last_body, element,
      retries, next_at, failed_answers, accepted_at
    from hookonce_failures
    where source = ?1 and event_id = ?2`;

const FIND_WAITING = `
    select place, id, event_id, type, code, handler_hash
    from hookonce_failures indexed by hookonce_failures_place
    where source = ?1 and settled_at is null`;

/**
 * The statements that a delivery runs, as plain SQL, all in this file. drizzle's prepared queries cost 3 to 4
 * µs more for each insert that returns a row (18.7 µs against 15), and a delivery runs three inserts.
 *
 * No statement joins or scans tables, and some name their index. SQLite plans with its last row counts, and after a
 * count of one row it would scan (test/engines/sqlite/plans.test.ts).
 */
export const SQL = {
  addToMinute: ADD_TO_MINUTE,
  // RETURNING alone decides whether the event is new: lastInsertRowid is stale on a duplicate, and OR IGNORE
  // would swallow other errors.
  insertEvent: `
    insert into hookonce_events
      (source, event_id, type, received_at, outcome, handler, deliveries, last_delivery_at, body_sha256)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    on conflict (source, event_id, era) do nothing returning id`,
  endEra: `
    update hookonce_events set era = id
    where source = ?1 and event_id = ?2 and era = 0 and outcome = 'processed'
      and coalesce(applied_at, received_at) < ?3
    returning id`,
  endEraOfDeliveries: `
    update hookonce_deliveries indexed by sqlite_autoindex_hookonce_deliveries_1
    set era = ?3 where source = ?1 and event_id = ?2 and era = 0`,
  dropSettledFailure: `
    delete from hookonce_failures where source = ?1 and event_id = ?2 and settled_at is not null`,
  insertBody: `
    insert into hookonce_bodies (id, received_at, headers, bytes, sha256)
    values (${NEW_BODY_ID}, ?2, ?3, ?4, ?5)`,
  // Once a batch was taken apart, its row may have only the part of its first event.
  hasWholeBody: `
    select 1 from hookonce_bodies
    where id = ?1 and not exists (select 1 from hookonce_results where event = ?1 and body = ?1 and element = 1)`,
  // An unhandled event has a result without a handler. Applying the event adds the handler and keeps the
  // body.
  insertResult: `
    insert into hookonce_results (event, body, rows_changed, duration_us, reply, handler_hash)
    values (?1, ?2, ?3, ?4, ?5, ?6)`,
  completeResult: `
    update hookonce_results
    set rows_changed = ?2, duration_us = ?3, reply = ?4, handler_hash = ?5, reason = coalesce(?6, reason)
    where event = ?1`,
  // A replay of a processed event does not move its window. Nor does the resume of a held one: it was answered 200 when
  // it was received, as it would have been without the pause.
  completeEvent: `
    update hookonce_events
    set outcome = 'processed', handler = ?2,
      applied_at = case when outcome in ('processed', 'held') then applied_at else ?3 end
    where id = ?1`,
  beginWindow: `update hookonce_events set applied_at = ?2 where id = ?1`,
  closeEvent: `update hookonce_events set outcome = ?2 where id = ?1`,
  markChanged: `
    update hookonce_events set change = (
      select coalesce(max(change), 0) + 1 from hookonce_events indexed by hookonce_events_change
      where change is not null)
    where id = ?1`,
  // The body of an ignored event is not stored. No body has the id 0.
  explainIgnored: `insert into hookonce_results (event, body, reason) values (?1, 0, ?2)`,
  holdFor: `update hookonce_results set handler_hash = ?2 where event = ?1`,
  findHeldFor: `select handler_hash from hookonce_results where event = ?1`,
  wasUnhandled: `
    select 1 from hookonce_deliveries indexed by sqlite_autoindex_hookonce_deliveries_1
    where source = ?1 and event_id = ?2 and era = 0 and outcome = 'unhandled' limit 1`,
  giveReason: `update hookonce_results set reason = ?2 where event = ?1`,
  findPosition: `
    select version, event_id from hookonce_positions where source = ?1 and rule = ?2 and key = ?3`,
  movePosition: `
    insert into hookonce_positions (source, rule, key, version, event_id) values (?1, ?2, ?3, ?4, ?5)
    on conflict (source, rule, key) do update set version = excluded.version, event_id = excluded.event_id`,
  findReplay: `
    select replayed_by, replays, (select change from hookonce_events where id = ?1)
    from hookonce_results where event = ?1`,
  countReplay: `
    update hookonce_results set replays = replays + 1, replayed_by = ?2, reason = ?3 where event = ?1`,
  findEvent: `
    select id, event_id, type, outcome, deliveries, received_at from hookonce_events
    where source = ?1 and event_id = ?2 and era = 0`,
  findHeld: `
    select id, event_id, type, outcome, deliveries, received_at
    from hookonce_events indexed by hookonce_events_held
    where source = ?1 and outcome = 'held' order by id limit 1`,
  findSameBody: `
    select id, event_id, type, outcome, deliveries, received_at from hookonce_events
    where source = ?1 and body_sha256 = ?2 order by id limit 1`,
  dropSameBody: `
    delete from hookonce_events
    where source = ?1 and event_id = ?2 and era = 0 and outcome = 'ignored' and body_sha256 <> ?3 and id > (
      select first.id from hookonce_events as first
      where first.source = ?1 and first.body_sha256 = hookonce_events.body_sha256 order by first.id limit 1)`,
  findReply: `select reply from hookonce_results where event = ?1`,
  // Bodies that an older version stored have no hash. No row means that the body is gone, so nothing can
  // differ.
  sameBytes: `
    select coalesce(sha256 = ?2, bytes = ?3) from hookonce_bodies
    where id = (select body from hookonce_results where event = ?1)`,
  findBody: `
    select headers, bytes, (select element from hookonce_results where event = ?1) from hookonce_bodies
    where id = (select body from hookonce_results where event = ?1)`,
  // Whether the stored body holds other events, too, or was taken out of one that does.
  isPartOfBatch: `
    select element = 1 or body <> event or exists (
      select 1 from hookonce_results as other indexed by hookonce_results_body
      where other.body = hookonce_results.body and other.body <> other.event)
    from hookonce_results where event = ?1`,
  isRedacted: `
    select redacted is not null from hookonce_bodies
    where id = (select body from hookonce_results where event = ?1)`,
  markElement: `update hookonce_results set element = 1 where event = ?1`,
  countDelivery: `
    update hookonce_events
    set deliveries = deliveries + 1, last_delivery_at = ?2, changed_bodies = changed_bodies + ?3
    where id = ?1`,
  keepChangedBody: `
    insert into hookonce_changed_bodies (event, received_at, headers, body) values (?1, ?2, ?3, ?4)
    on conflict (event) do update
    set received_at = excluded.received_at, headers = excluded.headers, body = excluded.body`,
  insertDelivery: `
    insert into hookonce_deliveries (source, event_id, number, at, outcome, changed_body)
    values (?1, ?2, ?3, ?4, ?5, ?6)
    on conflict (source, event_id, era, number) do update
    set at = excluded.at, outcome = excluded.outcome, changed_body = excluded.changed_body`,
  keepFirstDelivery: `
    insert into hookonce_deliveries (source, event_id, number, at, outcome) values (?1, ?2, 1, ?3, ?4)
    on conflict (source, event_id, era, number) do nothing`,
  dropDelivery: `
    delete from hookonce_deliveries indexed by sqlite_autoindex_hookonce_deliveries_1
    where source = ?1 and event_id = ?2 and era = 0 and number = ?3`,
  hasOpenFailures: `select exists (select 1 from hookonce_failures where settled_at is null)`,
  findFailure: `${FIND_FAILURE} and settled_at is null`,
  // Two searches: with (place, id) > (?2, ?3), SQLite reads all failures of the place, 28 s for 20,000.
  findNextAtPlace: `${FIND_WAITING} and place = ?2 and id > ?3 order by id limit 1`,
  findNextPlace: `${FIND_WAITING} and place > ?2 order by place, id limit 1`,
  // If its handler is gone meanwhile, the one that failed before is kept: it shows that the event needs one.
  recordFailure: `
    insert into hookonce_failures
      (source, event_id, type, handler, code, error, stack, deliveries, first_at, last_at,
       first_headers, first_body, last_headers, last_body, element, handler_hash, next_at, position, event)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8, ?9, ?10, ?9, ?10, ?11, ?12, ?13,
      (select coalesce(max(id), 0) from hookonce_events),
      (select id from hookonce_events where source = ?1 and event_id = ?2 and era = 0))
    on conflict (source, event_id) do update
    set type = excluded.type, handler = coalesce(excluded.handler, handler),
      handler_hash = coalesce(excluded.handler_hash, handler_hash),
      code = excluded.code, error = excluded.error,
      stack = excluded.stack, attempts = attempts + 1, deliveries = deliveries + 1, last_at = excluded.last_at,
      last_headers = excluded.last_headers, last_body = excluded.last_body, element = excluded.element,
      next_at = excluded.next_at, settled_at = null
    returning deliveries`,
  // A run by `hookonce apply` is not a delivery: it has no body and no time of receipt.
  failAgain: `
    update hookonce_failures
    set handler = coalesce(?3, handler), code = ?4, error = ?5, stack = ?6,
      handler_hash = coalesce(?7, handler_hash), attempts = attempts + 1
    where source = ?1 and event_id = ?2`,
  setRetry: `
    update hookonce_failures set retries = ?3, next_at = ?4
    where source = ?1 and event_id = ?2 and settled_at is null`,
  countFailedAnswer: `
    update hookonce_failures set failed_answers = failed_answers + 1
    where source = ?1 and event_id = ?2 and settled_at is null`,
  acceptFailure: `
    update hookonce_failures set accepted_at = coalesce(accepted_at, ?3)
    where source = ?1 and event_id = ?2 and settled_at is null`,
  // A delivery that runs nothing. A reload may have changed the rule for types.
  skipFailure: `
    update hookonce_failures
    set deliveries = deliveries + 1, last_at = ?3, last_headers = ?4, last_body = ?5, element = ?6, type = ?7
    where source = ?1 and event_id = ?2 and settled_at is null
    returning deliveries`,
  settleFailure: `
    update hookonce_failures set settled_at = ?3, next_at = null
    where source = ?1 and event_id = ?2 and settled_at is null`,
} as const;

type Value = string | number | Uint8Array | null;

export interface Statement {
  /** @returns the id of the inserted row */
  insert(...values: Value[]): number;
  run(...values: Value[]): void;
  /** The first row, as an array in the order of the columns. */
  row(...values: Value[]): unknown[] | undefined;
}

export type DeliveryStatements = Readonly<Record<keyof typeof SQL, Statement>>;

/** Prepares each statement on its first use. */
export function prepareDeliveryStatements(db: Database): DeliveryStatements {
  return Object.fromEntries(
    Object.entries(SQL).map(([name, sql]) => [name, prepareLater(db, sql)]),
  ) as DeliveryStatements;
}

function prepareLater(db: Database, sql: string): Statement {
  // query() and not prepare(): only query() tells SQLite that the statement is kept, so it does not use up
  // the connection's few slots of fast memory (https://sqlite.org/malloc.html#lookaside): 17 of 68 mallocs an
  // event.
  const statement = (): ReturnType<Database["query"]> => (made ??= db.query(sql));
  let made: ReturnType<Database["query"]> | undefined;
  return {
    insert: (...values) => Number(statement().run(...values).lastInsertRowid),
    run: (...values) => void statement().run(...values),
    row: (...values) => statement().values(...values)[0],
  };
}
