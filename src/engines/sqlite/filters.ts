import { eq, gte, inArray, lt, sql, type AnyColumn, type SQL } from "drizzle-orm";
import type { EventFilter } from "../reader.ts";
import type { events, failures } from "./schema.ts";

/** The conditions of a filter, for both tables that hold events. */
export function matching(
  { ids, source, type, since, until }: EventFilter,
  table: typeof events | typeof failures,
  receivedAt: typeof events.receivedAt | typeof failures.firstAt,
): (SQL | undefined)[] {
  return [
    ids === undefined ? undefined : inArray(table.eventId, [...ids]),
    source === undefined ? undefined : eq(table.source, source),
    type === undefined ? undefined : ofType(table.type, type),
    since === undefined ? undefined : gte(receivedAt, since),
    until === undefined ? undefined : lt(receivedAt, until),
  ];
}

function ofType(column: typeof events.type | typeof failures.type, type: string): SQL {
  if (type.endsWith("\\*")) return eq(column, `${type.slice(0, -2)}*`);
  return type.endsWith("*") ? startsWith(column, type.slice(0, -1)) : eq(column, type);
}

function startsWith(column: typeof events.type | typeof failures.type, prefix: string): SQL {
  // SQLite counts characters, JavaScript UTF-16 units.
  return sql`substr(${column}, 1, length(${prefix})) = ${prefix}`;
}

/** Names a column for drizzle, which does not recognize a table followed by `indexed by`. */
export function of<Column extends AnyColumn>(column: Column): SQL<Column["_"]["data"]> {
  return sql`${column}`;
}
