import { and, eq, sql } from "drizzle-orm";
import { changedBodies, deliveries, events } from "./schema.ts";
import { SIZES } from "./together.ts";
import { db, inRow, insertOrRollback, p, write } from "./write-query.ts";

/**
 * The statements of the guest list (events.ts), written by drizzle while the code is compiled: to load it and have it write them would
 * take 10 ms of every start.
 */
export function eventQueries() {
  const isThis = and(eq(events.source, p("source")), eq(events.eventId, p("eventId")));
  const isItsDelivery = eq(deliveries.id, events.deliveryId);
  const listed = {
    id: events.id,
    eventId: events.eventId,
    type: events.type,
    outcome: events.outcome,
    reply: events.reply,
  };
  return {
    // Whether it is new is decided by RETURNING alone; lastInsertRowid is stale on a duplicate, and OR IGNORE would swallow other errors.
    add: write(
      db
        .insert(events)
        .values({
          source: p("source"),
          eventId: p("eventId"),
          type: p("type"),
          outcome: p("outcome"),
          handler: p("handler"),
          receivedAt: p("receivedAt"),
          lastDeliveryAt: p("lastDeliveryAt"),
          deliveries: p("deliveries"),
          bodySha256: p("bodySha256"),
        })
        .onConflictDoNothing({ target: [events.source, events.eventId] })
        .returning({ id: events.id }),
    ),
    keep: write(
      db.insert(deliveries).values({ receivedAt: p("receivedAt"), headers: p("headers"), body: p("body") }),
    ),
    finish: write(
      db
        .update(events)
        .set({
          rowsChanged: sql`${p("rowsChanged")}`,
          durationUs: sql`${p("durationUs")}`,
          deliveryId: sql`${p("deliveryId")}`,
          reply: sql`${p("reply")}`,
        })
        .where(eq(events.id, p("id"))),
    ),
    // No joins: by what it has counted in a small table SQLite may look through it from end to end, and go on so when it has grown.
    find: write(
      db
        .select({
          ...listed,
          sameBody: sql`coalesce((select ${deliveries.body} = ${p("body")} from ${deliveries} where ${isItsDelivery}), 1)`,
        })
        .from(events)
        .where(isThis),
    ),
    findSameBody: write(
      db
        .select(listed)
        .from(events)
        .where(and(eq(events.source, p("source")), eq(events.bodySha256, p("bodySha256"))))
        .limit(1),
    ),
    repeat: write(
      db
        .update(events)
        .set({
          deliveries: sql`${events.deliveries} + 1`,
          lastDeliveryAt: sql`${p("at")}`,
          changedBodies: sql`${events.changedBodies} + ${p("changed")}`,
        })
        .where(eq(events.id, p("id"))),
    ),
    keepChanged: write(
      db
        .insert(changedBodies)
        .values({ event: p("event"), receivedAt: p("receivedAt"), headers: p("headers"), body: p("body") })
        .onConflictDoUpdate({
          target: changedBodies.event,
          set: {
            receivedAt: sql`excluded.received_at`,
            headers: sql`excluded.headers`,
            body: sql`excluded.body`,
          },
        }),
    ),
    stored: write(
      db
        .select({
          receivedAt: events.receivedAt,
          headers: sql`(select ${deliveries.headers} from ${deliveries} where ${isItsDelivery})`,
          body: sql`(select ${deliveries.body} from ${deliveries} where ${isItsDelivery})`,
        })
        .from(events)
        .where(eq(events.id, p("id"))),
    ),
    settle: write(
      db
        .update(events)
        .set({
          outcome: "processed",
          handler: sql`${p("handler")}`,
          rowsChanged: sql`${p("rowsChanged")}`,
          durationUs: sql`${p("durationUs")}`,
          reply: sql`${p("reply")}`,
        })
        .where(eq(events.id, p("id"))),
    ),
    idOf: write(db.select({ id: events.id }).from(events).where(isThis)),
    several: SIZES.map(severalQueries),
  };
}

/** The same for so many events at once, which are new and of one source. */
function severalQueries(count: number) {
  const rows = Array.from({ length: count }, (_, row) => row);
  return {
    add: insertOrRollback(
      events,
      rows.map((row) => ({
        source: inRow(0, "source"),
        eventId: inRow(row, "eventId"),
        type: inRow(row, "type"),
        outcome: "processed",
        handler: inRow(row, "handler"),
        receivedAt: inRow(row, "receivedAt"),
        lastDeliveryAt: inRow(row, "receivedAt"),
      })),
      // No RETURNING: with it SQLite puts several rows into two temporary tables of 90 kB each, which takes 5 % of a delivery.
      sql` on conflict (source, event_id) do nothing`,
    ),
    keep: insertOrRollback(
      deliveries,
      rows.map((row) => ({
        receivedAt: inRow(row, "receivedAt"),
        headers: inRow(row, "headers"),
        body: inRow(row, "body"),
      })),
    ),
  };
}
