import { and, eq, sql } from "drizzle-orm";
import { changedBodies, deliveries, events } from "./schema.ts";
import { TOGETHER } from "./together.ts";
import { db, inRow, p, write } from "./write-query.ts";

/**
 * The statements of the guest list (events.ts), written by drizzle while the code is compiled: to load it and have it write them would
 * take 10 ms of every start.
 */
export function eventQueries() {
  const rows = Array.from({ length: TOGETHER }, (_, row) => row);
  const isThis = and(eq(events.source, p("source")), eq(events.eventId, p("eventId")));
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
    addSeveral: write(
      db
        .insert(events)
        .values(
          rows.map((row) => ({
            source: inRow(0, "source"),
            eventId: inRow(row, "eventId"),
            type: inRow(row, "type"),
            outcome: "processed" as const,
            handler: inRow(row, "handler"),
            receivedAt: inRow(row, "receivedAt"),
            lastDeliveryAt: inRow(row, "receivedAt"),
          })),
        )
        .onConflictDoNothing({ target: [events.source, events.eventId] })
        .returning({ id: events.id, eventId: events.eventId }),
    ),
    keep: write(
      db.insert(deliveries).values({ receivedAt: p("receivedAt"), headers: p("headers"), body: p("body") }),
    ),
    keepSeveral: write(
      db.insert(deliveries).values(
        rows.map((row) => ({
          receivedAt: inRow(row, "receivedAt"),
          headers: inRow(row, "headers"),
          body: inRow(row, "body"),
        })),
      ),
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
    finishSeveral: write(
      db
        .update(events)
        .set({ rowsChanged: sql`run.column2`, durationUs: sql`run.column3`, deliveryId: sql`run.column4` })
        .from(
          sql`(values ${sql.join(
            rows.map(
              (row) =>
                sql`(${inRow(row, "id")}, ${inRow(row, "rowsChanged")}, ${inRow(row, "durationUs")}, ${inRow(row, "deliveryId")})`,
            ),
            sql`, `,
          )}) as run`,
        )
        .where(eq(events.id, sql`run.column1`)),
    ),
    find: write(
      db
        .select({ ...listed, sameBody: sql`coalesce(${deliveries.body} = ${p("body")}, 1)` })
        .from(events)
        .leftJoin(deliveries, eq(deliveries.id, events.deliveryId))
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
        .select({ receivedAt: events.receivedAt, headers: deliveries.headers, body: deliveries.body })
        .from(events)
        .innerJoin(deliveries, eq(deliveries.id, events.deliveryId))
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
  };
}
