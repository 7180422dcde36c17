import { or, sql, type SQL } from "drizzle-orm";
import type { ListedEvent } from "../reader.ts";
import { of } from "./filters.ts";
import { handlerNow, isItsFailure, isUnhandled, outcomeNow } from "./outcomes.ts";
import { bodies, events, failures, results } from "./schema.ts";

/** An event in a list, from the table of events. */
export const ofEvent = {
  at: of(events.receivedAt).as("at"),
  failure: sql<0 | 1>`0`.as("failure"),
  id: of(events.id).as("id"),
  source: of(events.source).as("source"),
  eventId: of(events.eventId).as("event_id"),
  type: of(events.type).as("type"),
  outcome: outcomeNow.as("outcome"),
  receivedAt: of(events.receivedAt).as("received_at"),
  lastDeliveryAt: of(events.lastDeliveryAt).as("last_delivery_at"),
  deliveries: of(events.deliveries).as("deliveries"),
  handler: handlerNow.as("handler"),
  // Subqueries, because SQLite might plan a join from the other side.
  rowsChanged: sql<number | null>`case when ${events.handler} is null then null else
    (select ${results.rowsChanged} from ${results} where ${results.event} = ${events.id}) end`.as("rows"),
  durationUs: sql<number | null>`case when ${events.handler} is null then null else
    (select ${results.durationUs} from ${results} where ${results.event} = ${events.id}) end`.as("us"),
};

/** And from the table of failures, which has those that are recorded nowhere else. */
export const ofFailure = {
  at: of(failures.firstAt).as("at"),
  failure: sql<0 | 1>`1`.as("failure"),
  id: of(failures.id).as("id"),
  source: of(failures.source).as("source"),
  eventId: of(failures.eventId).as("event_id"),
  type: of(failures.type).as("type"),
  outcome: sql<ListedEvent["outcome"]>`'failed'`.as("outcome"),
  receivedAt: of(failures.firstAt).as("received_at"),
  lastDeliveryAt: of(failures.lastAt).as("last_delivery_at"),
  deliveries: of(failures.deliveries).as("deliveries"),
  handler: of(failures.handler).as("handler"),
  rowsChanged: sql<number | null>`null`.as("rows"),
  durationUs: sql<number | null>`null`.as("us"),
};

const bodyOfEvent = sql`(select ${bodies.bytes} from ${bodies} where ${bodies.id} =
  (select ${results.body} from ${results} where ${results.event} = ${events.id}))`;

const errorOfEvent = sql`iif(${isUnhandled},
  (select ${sql`${failures.error}`} from ${failures} where ${isItsFailure}), null)`;

/** Whether an event's id or body contains a text, or the error with which it fails. */
export const eventContains = (text: string): SQL | undefined =>
  or(containsIn(bodyOfEvent, sql`${events.eventId}`, text), sql`instr(${errorOfEvent}, ${text}) > 0`);

export const failureContains = (text: string): SQL | undefined =>
  or(
    containsIn(sql`${failures.lastBody}`, sql`${failures.eventId}`, text),
    sql`instr(${failures.error}, ${text}) > 0`,
  );

function containsIn(body: SQL, eventId: SQL, text: string): SQL | undefined {
  return or(sql`instr(${eventId}, ${text}) > 0`, sql`instr(${body}, ${Buffer.from(text)}) > 0`);
}
