import { hashed } from "../../forget.ts";
import type { EventFilter } from "../../reader.ts";
import { all, arrayOf, sql, type Sql } from "../sql.ts";
import { isItsFailure } from "./outcomes.ts";

type Filter = Omit<EventFilter, "outcome" | "search">;

/** The conditions of a filter for `e`, a row of hookonce.events. */
export const matchingEvent = ({ ids, source, type, since, until }: Filter): Sql =>
  all(
    ids === undefined ? undefined : sql`e.event_id = any(${arrayOf(ids)}::text[])`,
    source === undefined ? undefined : sql`e.source = ${source}`,
    type === undefined ? undefined : ofType(sql`e.type`, type),
    since === undefined ? undefined : sql`e.received_at >= ${since}`,
    until === undefined ? undefined : sql`e.received_at < ${until}`,
  );

/** The same for `f`, a row of hookonce.failures. */
export const matchingFailure = ({ ids, source, type, since, until }: Filter): Sql =>
  all(
    ids === undefined ? undefined : sql`f.event_id = any(${arrayOf(ids)}::text[])`,
    source === undefined ? undefined : sql`f.source = ${source}`,
    type === undefined ? undefined : ofType(sql`f.type`, type),
    since === undefined ? undefined : sql`f.first_at >= ${since}`,
    until === undefined ? undefined : sql`f.first_at < ${until}`,
  );

/** @param column of a type */
export function ofType(column: Sql, type: string): Sql {
  if (type.endsWith("\\*")) return sql`${column} = ${`${type.slice(0, -2)}*`}`;
  return type.endsWith("*") ? sql`starts_with(${column}, ${type.slice(0, -1)})` : sql`${column} = ${type}`;
}

const bytesOfEvent = sql`(select b.bytes from hookonce.results r join hookonce.bodies b on b.id = r.body
  where r.event = e.id)`;

const errorOfEvent = sql`(select f.error from hookonce.failures f where e.outcome = 'unhandled' and ${isItsFailure})`;

/** Whether an event's id or body contains a text, or the error with which it fails. Undefined: any does. */
export function eventContains(text: string | undefined): Sql | undefined {
  if (text === undefined) return undefined;
  return sql`(strpos(e.event_id, ${text}) > 0 or position(${Buffer.from(text)} in ${bytesOfEvent}) > 0
    or strpos(${errorOfEvent}, ${text}) > 0)`;
}

export function failureContains(text: string | undefined): Sql | undefined {
  if (text === undefined) return undefined;
  return sql`(strpos(f.event_id, ${text}) > 0 or position(${Buffer.from(text)} in f.last_body) > 0
    or strpos(f.error, ${text}) > 0)`;
}

/** The names under which an id may be stored: one that contained a forgotten text was replaced by its hash. */
export const namesOf = (eventId: string): string => arrayOf([eventId, hashed(eventId)]);
