import { Database } from "bun:sqlite";
import { and, asc, eq, gt, gte, inArray, isNull, lt, notExists, or, sql, type SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { unionAll } from "drizzle-orm/sqlite-core";
import type { Cursor, EventFilter, OwedEvent, Reader } from "../engine.ts";
import { events, failures } from "./schema.ts";

/**
 * Opens a read-only connection for everything that is not a delivery. It is opened after the writer has taken over
 * the sync of the log (log-sync.ts), so it cannot keep the writer from finding its descriptor. Each read is one query
 * that fetches all its rows: no snapshot outlives it, because a snapshot that is held lets the log grow without bound.
 */
export function openReader(path: string): Reader & { close(): void } {
  const connection = new Database(path, { readonly: true, strict: true });
  connection.run("pragma busy_timeout = 5000");
  const db = drizzle(connection);

  // Spelled out, because SQLite uses the index on unhandled events only for a constant.
  const unhandled = sql`${events.outcome} = 'unhandled'`;
  const open = isNull(failures.settledAt);
  /** An event that was unhandled and has failed since is in both tables, and owed once. */
  const failedOnly = and(
    open,
    notExists(
      db
        .select({ one: sql`1` })
        .from(events)
        .where(and(eq(events.source, failures.source), eq(events.eventId, failures.eventId))),
    ),
  );

  function owedRows(filter: EventFilter, after: Cursor, limit: number) {
    const { outcome } = filter;
    const recorded = db
      .select({
        position: events.id,
        failure: sql<number>`0`.as("failure"),
        source: events.source,
        eventId: events.eventId,
        type: events.type,
        outcome: sql<OwedEvent["outcome"]>`'unhandled'`.as("outcome"),
      })
      .from(events)
      .where(and(unhandled, gt(events.id, after.position), ...matching(filter, events, events.receivedAt)))
      .$dynamic();
    const failed = db
      .select({
        position: failures.position,
        failure: failures.id,
        source: failures.source,
        eventId: failures.eventId,
        type: failures.type,
        outcome: sql<OwedEvent["outcome"]>`'failed'`.as("outcome"),
      })
      .from(failures)
      .where(
        and(
          failedOnly,
          // Lets SQLite begin at this place in the index. The next condition alone reads all rows before it.
          gte(failures.position, after.position),
          or(gt(failures.position, after.position), gt(failures.id, after.failure)),
          ...matching(filter, failures, failures.firstAt),
        ),
      )
      .$dynamic();
    const order = [asc(sql`1`), asc(sql`2`)] as const;
    if (outcome === "unhandled")
      return recorded
        .orderBy(...order)
        .limit(limit)
        .all();
    if (outcome === "failed")
      return failed
        .orderBy(...order)
        .limit(limit)
        .all();
    return unionAll(recorded, failed)
      .orderBy(...order)
      .limit(limit)
      .all();
  }

  return {
    owed(filter, after = { position: -1, failure: 0 }, limit) {
      const rows = owedRows(filter, after, limit);
      const last = rows.at(-1);
      return {
        items: rows.map(({ source, eventId, type, outcome }) => ({ source, eventId, type, outcome })),
        next:
          last === undefined || rows.length < limit
            ? undefined
            : { position: last.position, failure: last.failure },
      };
    },
    owedByType(cap) {
      const recorded = db
        .select({ source: events.source, type: events.type, outcome: sql<string>`'unhandled'`.as("outcome") })
        .from(events)
        .where(unhandled)
        .limit(cap);
      const failed = db
        .select({
          source: failures.source,
          type: failures.type,
          outcome: sql<string>`'failed'`.as("outcome"),
        })
        .from(failures)
        .where(failedOnly)
        .limit(cap);
      return [recorded.as("recorded"), failed.as("failed")].flatMap((owed) =>
        db
          .select({
            source: owed.source,
            type: owed.type,
            outcome: sql<OwedEvent["outcome"]>`${owed.outcome}`,
            count: sql<number>`count(*)`,
          })
          .from(owed)
          .groupBy(owed.source, owed.type)
          .orderBy(owed.source, owed.type)
          .all(),
      );
    },
    find(eventId, sources) {
      const recorded = db
        .select({ source: events.source, type: events.type, outcome: events.outcome })
        .from(events)
        .where(and(inArray(events.source, [...sources]), eq(events.eventId, eventId)));
      const failed = db
        .select({ source: failures.source, type: failures.type, outcome: sql<"failed">`'failed'` })
        .from(failures)
        .where(and(inArray(failures.source, [...sources]), eq(failures.eventId, eventId), failedOnly));
      return [...recorded.all(), ...failed.all()];
    },
    close: () => connection.close(true),
  };
}

function matching(
  { ids, source, type, since, until }: EventFilter,
  table: typeof events | typeof failures,
  receivedAt: typeof events.receivedAt | typeof failures.firstAt,
): (SQL | undefined)[] {
  return [
    ids === undefined ? undefined : inArray(table.eventId, [...ids]),
    source === undefined ? undefined : eq(table.source, source),
    type === undefined
      ? undefined
      : type.endsWith("*")
        ? startsWith(table.type, type.slice(0, -1))
        : eq(table.type, type),
    since === undefined ? undefined : gte(receivedAt, since),
    until === undefined ? undefined : lt(receivedAt, until),
  ];
}

function startsWith(column: typeof events.type | typeof failures.type, prefix: string): SQL {
  // SQLite counts characters, JavaScript UTF-16 units.
  return sql`substr(${column}, 1, length(${prefix})) = ${prefix}`;
}
