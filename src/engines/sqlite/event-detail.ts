import { and, asc, desc, eq, getTableColumns, gt, gte, isNull, lte, or } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { Headers, Reply } from "../../event.ts";
import { hashed } from "../forget.ts";
import type { EventDetail, KeptDelivery, Reader } from "../reader.ts";
import { SETTLED } from "../event-rows.ts";
import { failureColumns } from "./lists.ts";
import { handlerNow, isOpen, outcomeNow } from "./outcomes.ts";
import { jobs } from "./ledger-schema.ts";
import { REASON } from "./retention.ts";
import { bodies, changedBodies, deliveries, events, failures, results } from "./schema.ts";

/** Everything that is stored of one event, each part by one look-up. */
export function detailReads(db: BunSQLiteDatabase): Pick<Reader, "event"> {
  function deliveriesOf(
    source: string,
    eventId: string,
    reason: string | null,
  ): Pick<EventDetail, "timeline" | "settled"> {
    const rows = db
      .select({
        number: deliveries.number,
        at: deliveries.at,
        outcome: deliveries.outcome,
        changedBody: deliveries.changedBody,
      })
      .from(deliveries)
      .where(and(eq(deliveries.source, source), eq(deliveries.eventId, eventId), eq(deliveries.era, 0)))
      .orderBy(asc(deliveries.number))
      .all()
      .map(({ changedBody, ...rest }): KeptDelivery =>
        Object.assign(rest, { changedBody: changedBody === 1 }),
      );
    const settled = rows.find(({ number }) => number === SETTLED);
    return {
      timeline: rows.filter((row) => row !== settled),
      settled:
        settled === undefined
          ? null
          : {
              at: settled.at,
              outcome: settled.outcome,
              actor: wasResumed(settled, rows) ? null : actorOf(settled, reason),
            },
    };
  }

  /** Who ordered the only job that ran then, since the job itself is not stored with the event. */
  function actorOf(
    { at, outcome }: Pick<KeptDelivery, "at" | "outcome">,
    reason: string | null,
  ): string | null {
    if (reason === REASON) return null;
    const action = outcome === "imported" ? "import" : outcome === "discarded" ? "discard" : "apply";
    const ran = and(lte(jobs.startedAt, at), or(isNull(jobs.endedAt), gte(jobs.endedAt, at)));
    const [job, another] = db
      .select({ actor: jobs.actor })
      .from(jobs)
      .where(and(eq(jobs.action, action), ran))
      .limit(2)
      .all();
    return another === undefined ? (job?.actor ?? null) : null;
  }

  function failureOf(source: string, eventId: string) {
    return db
      .select({
        shown: {
          ...failureColumns,
          error: failures.error,
          stack: failures.stack,
          acceptedAt: failures.acceptedAt,
        },
        deliveries: failures.deliveries,
        headers: failures.lastHeaders,
        body: failures.lastBody,
        element: failures.element,
      })
      .from(failures)
      .where(and(eq(failures.source, source), eq(failures.eventId, eventId), isOpen))
      .get();
  }

  function recordedOf(source: string, eventId: string) {
    return db
      .select({ ...getTableColumns(events), now: { outcome: outcomeNow, handler: handlerNow } })
      .from(events)
      .where(and(eq(events.source, source), eq(events.eventId, eventId), eq(events.era, 0)))
      .get();
  }

  function earlierOf(source: string, eventId: string): EventDetail["earlier"] {
    return db
      .select({ receivedAt: events.receivedAt, deliveries: events.deliveries })
      .from(events)
      .where(and(eq(events.source, source), eq(events.eventId, eventId), gt(events.era, 0)))
      .orderBy(desc(events.era))
      .limit(10)
      .all();
  }

  function bodyOf({ body: id, element }: typeof results.$inferSelect) {
    const body = db.select().from(bodies).where(eq(bodies.id, id)).get();
    if (body === undefined) return undefined;
    const { receivedAt, headers, bytes, redacted } = body;
    const stored = {
      receivedAt,
      headers: JSON.parse(headers) as Headers,
      body: bytes,
      element: element === 1,
    };
    return { stored, redacted };
  }

  function changedOf(event: number): EventDetail["changed"] {
    const changed = db.select().from(changedBodies).where(eq(changedBodies.event, event)).get();
    if (changed === undefined) return null;
    const { receivedAt, headers, body } = changed;
    return { receivedAt, headers: JSON.parse(headers) as Headers, body, element: false };
  }

  /** An event that has failed is ignored once another one with its bytes is recorded (same-body.ts). */
  function sameAs({ id, source, outcome, bodySha256 }: typeof events.$inferSelect): string | null {
    if (outcome !== "ignored" || bodySha256 === null) return null;
    const first = db
      .select({ id: events.id, eventId: events.eventId })
      .from(events)
      .where(and(eq(events.source, source), eq(events.bodySha256, bodySha256)))
      .orderBy(asc(events.id))
      .limit(1)
      .get();
    return first === undefined || first.id === id ? null : first.eventId;
  }

  function detailOfFailure(failure: NonNullable<ReturnType<typeof failureOf>>): EventDetail {
    const { shown, deliveries: count, headers, body, element } = failure;
    const { source, eventId, type, firstAt, lastAt, handler } = shown;
    return {
      source,
      eventId,
      type,
      outcome: "failed",
      receivedAt: firstAt,
      lastDeliveryAt: lastAt,
      deliveries: count,
      handler,
      rowsChanged: null,
      durationUs: null,
      stored: {
        receivedAt: lastAt,
        headers: JSON.parse(headers) as Headers,
        body,
        element: element === 1,
      },
      isRemoved: false,
      redacted: 0,
      ...deliveriesOf(source, eventId, null),
      failure: shown,
      changed: null,
      changedBodies: 0,
      earlier: earlierOf(source, eventId),
      reply: null,
      replays: 0,
      reason: null,
      sameAs: null,
    };
  }

  function detailOf(source: string, eventId: string): EventDetail | undefined {
    const event = recordedOf(source, eventId);
    const failure = failureOf(source, eventId);
    if (event === undefined) return failure === undefined ? undefined : detailOfFailure(failure);
    const { id, bodySha256: _sha256, now, ...listed } = event;
    const result = db.select().from(results).where(eq(results.event, id)).get();
    const ran = listed.handler !== null && result !== undefined;
    const { timeline, settled } = deliveriesOf(source, eventId, result?.reason ?? null);
    const body = result === undefined ? undefined : bodyOf(result);
    return {
      ...listed,
      ...now,
      rowsChanged: ran ? result.rowsChanged : null,
      durationUs: ran ? result.durationUs : null,
      stored: body?.stored ?? null,
      isRemoved:
        body === undefined && result !== undefined && (result.body !== 0 || event.outcome !== "ignored"),
      redacted: body?.redacted ?? 0,
      // Of an event that arrived once, no delivery is kept.
      timeline:
        timeline.length > 0 || event.deliveries !== 1
          ? timeline
          : [{ number: 1, at: event.receivedAt, outcome: event.outcome, changedBody: false }],
      settled,
      failure: failure?.shown ?? null,
      changed: event.changedBodies === 0 ? null : changedOf(id),
      reply: typeof result?.reply === "string" ? (JSON.parse(result.reply) as Reply) : null,
      earlier: earlierOf(source, eventId),
      replays: result?.replays ?? 0,
      reason: result?.reason ?? null,
      sameAs: sameAs(event),
    };
  }

  return {
    // An id that contained a forgotten text was replaced by its hash.
    event: (source, eventId) => detailOf(source, eventId) ?? detailOf(source, hashed(eventId)),
  };
}

/** Whether the event ran because its source resumed: its last delivery before that was held. */
function wasResumed({ at, outcome }: KeptDelivery, rows: readonly KeptDelivery[]): boolean {
  if (outcome === "imported" || outcome === "discarded") return false;
  return rows.findLast((row) => row.number !== SETTLED && row.at <= at)?.outcome === "held";
}
