import type { ListedEvent, Newest } from "../../reader.ts";
import { sql } from "../sql.ts";
import { handlerNow, outcomeNow } from "./outcomes.ts";

/** An event in a list, with its place in it. */
export type ListedRow = ListedEvent & Newest;

/** What a list shows of `e`, a row of hookonce.events. */
export const ofEvent = sql`e.received_at as at, 0 as failure, e.id, e.source, e.event_id as "eventId", e.type,
  ${outcomeNow} as outcome, e.received_at as "receivedAt", e.last_delivery_at as "lastDeliveryAt", e.deliveries,
  ${handlerNow} as handler,
  (select r.rows_changed from hookonce.results r where r.event = e.id and e.handler is not null) as "rowsChanged",
  (select r.duration_us from hookonce.results r where r.event = e.id and e.handler is not null) as "durationUs"`;

/** And of `f`, a row of hookonce.failures that is recorded nowhere else. */
export const ofFailure = sql`f.first_at as at, 1 as failure, f.id, f.source, f.event_id as "eventId", f.type,
  'failed' as outcome, f.first_at as "receivedAt", f.last_at as "lastDeliveryAt", f.deliveries, f.handler,
  null::bigint as "rowsChanged", null::bigint as "durationUs"`;

/** How many characters of an error a list shows. */
export const SUMMARY = 500;

export const failureColumns = sql`f.source, f.event_id as "eventId", f.type, f.handler, f.code,
  left(f.error, ${SUMMARY}) as error, f.attempts, f.first_at as "firstAt", f.last_at as "lastAt", f.next_at as "nextAt"`;

/** The same without its place. */
export function withoutKey<Row extends Newest>({ at: _at, failure: _failure, id: _id, ...rest }: Row) {
  return rest;
}
