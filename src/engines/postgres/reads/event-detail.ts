import type { Headers, Outcome, Reply } from "../../../event.ts";
import { hashed } from "../../forget.ts";
import { SETTLED } from "../../event-rows.ts";
import type { EventDetail, FailureOfEvent, KeptDelivery, ListedEvent, Reader } from "../../reader.ts";
import { REASON } from "../retention.ts";
import { sql } from "../sql.ts";
import { askOne, type Ask } from "./ask.ts";
import { failureColumns } from "./listed-events.ts";
import { handlerNow, isOpen, outcomeNow } from "./outcomes.ts";

interface EventRow extends ListedEvent {
  readonly id: number;
  readonly recordedAs: Outcome;
  readonly ran: string | null;
  readonly changedBodies: number;
  readonly sha256: Uint8Array | null;
}

interface ResultRow {
  readonly body: number;
  readonly element: boolean;
  readonly rowsChanged: number;
  readonly durationUs: number;
  readonly reply: string | null;
  readonly replays: number;
  readonly reason: string | null;
  readonly receivedAt: number | null;
  readonly headers: string | null;
  readonly bytes: Uint8Array | null;
  readonly redacted: number | null;
}

interface FailureRow extends FailureOfEvent {
  readonly deliveries: number;
  readonly headers: string;
  readonly body: Uint8Array;
  readonly element: boolean;
}

/** Everything that is stored of one event, each part by one look-up. */
export function detailReads(ask: Ask): Pick<Reader, "event"> {
  async function deliveriesOf(
    source: string,
    eventId: string,
    reason: string | null,
  ): Promise<Pick<EventDetail, "timeline" | "settled">> {
    const rows = await ask<KeptDelivery>(sql`
      select number, at, outcome, changed_body as "changedBody" from hookonce.deliveries
      where source = ${source} and event_id = ${eventId} and era = 0 order by number`);
    const settled = rows.find(({ number }) => number === SETTLED);
    const timeline = rows.filter((row) => row !== settled);
    if (settled === undefined) return { timeline, settled: null };
    const { at, outcome } = settled;
    const actor = wasResumed(settled, timeline) ? null : await actorOf(settled, reason);
    return { timeline, settled: { at, outcome, actor } };
  }

  /** Who ordered the only job that ran then, since the job itself is not stored with the event. */
  async function actorOf({ at, outcome }: KeptDelivery, reason: string | null): Promise<string | null> {
    if (reason === REASON) return null;
    const action = outcome === "imported" ? "import" : outcome === "discarded" ? "discard" : "apply";
    const [job, another] = await ask<{ actor: string }>(sql`
      select actor from hookonce.jobs
      where action = ${action} and started_at <= ${at} and (ended_at is null or ended_at >= ${at}) limit 2`);
    return another === undefined ? (job?.actor ?? null) : null;
  }

  const failureOf = (source: string, eventId: string): Promise<FailureRow | undefined> =>
    askOne(
      ask,
      sql`select ${failureColumns}, f.error, f.stack, f.accepted_at as "acceptedAt", f.deliveries,
          f.last_headers as headers, f.last_body as body, f.element
        from hookonce.failures f where f.source = ${source} and f.event_id = ${eventId} and ${isOpen}`,
    );

  const earlierOf = (source: string, eventId: string): Promise<EventDetail["earlier"]> =>
    ask(sql`
      select received_at as "receivedAt", deliveries from hookonce.events
      where source = ${source} and event_id = ${eventId} and era > 0 order by era desc limit 10`);

  async function changedOf(event: number): Promise<EventDetail["changed"]> {
    const changed = await askOne<{ receivedAt: number; headers: string; body: Uint8Array }>(
      ask,
      sql`select received_at as "receivedAt", headers, body from hookonce.changed_bodies where event = ${event}`,
    );
    if (changed === undefined) return null;
    const { receivedAt, headers, body } = changed;
    return { receivedAt, headers: JSON.parse(headers) as Headers, body, element: false };
  }

  /** An event that has failed is ignored once another one with its bytes is recorded (same-body.ts). */
  async function sameAs({ id, source, recordedAs, sha256 }: EventRow): Promise<string | null> {
    if (recordedAs !== "ignored" || sha256 === null) return null;
    const first = await askOne<{ id: number; eventId: string }>(
      ask,
      sql`select id, event_id as "eventId" from hookonce.events
        where source = ${source} and body_sha256 = ${sha256} order by id limit 1`,
    );
    return first === undefined || first.id === id ? null : first.eventId;
  }

  async function detailOfFailure(failure: FailureRow): Promise<EventDetail> {
    const { source, eventId, type, handler, firstAt, lastAt, deliveries, headers, body, element } = failure;
    return {
      source,
      eventId,
      type,
      outcome: "failed",
      receivedAt: firstAt,
      lastDeliveryAt: lastAt,
      deliveries,
      handler,
      rowsChanged: null,
      durationUs: null,
      stored: { receivedAt: lastAt, headers: JSON.parse(headers) as Headers, body, element },
      isRemoved: false,
      redacted: 0,
      ...(await deliveriesOf(source, eventId, null)),
      failure: shownOf(failure),
      changed: null,
      changedBodies: 0,
      earlier: await earlierOf(source, eventId),
      reply: null,
      replays: 0,
      reason: null,
      sameAs: null,
    };
  }

  async function detailOf(source: string, eventId: string): Promise<EventDetail | undefined> {
    const event = await askOne<EventRow>(
      ask,
      sql`select e.id, e.source, e.event_id as "eventId", e.type, ${outcomeNow} as outcome,
          e.outcome as "recordedAs", ${handlerNow} as handler, e.handler as ran, e.received_at as "receivedAt",
          e.last_delivery_at as "lastDeliveryAt", e.deliveries, e.changed_bodies as "changedBodies",
          e.body_sha256 as sha256
        from hookonce.events e where e.source = ${source} and e.event_id = ${eventId} and e.era = 0`,
    );
    const failure = await failureOf(source, eventId);
    if (event === undefined) return failure === undefined ? undefined : detailOfFailure(failure);
    const result = await askOne<ResultRow>(
      ask,
      sql`select r.body, r.element, r.rows_changed as "rowsChanged", r.duration_us as "durationUs", r.reply, r.replays,
          r.reason, b.received_at as "receivedAt", b.headers, b.bytes, b.redacted
        from hookonce.results r left join hookonce.bodies b on b.id = r.body where r.event = ${event.id}`,
    );
    const { id, recordedAs, ran, sha256: _sha256, ...listed } = event;
    const hasRun = ran !== null && result !== undefined;
    const stored = result === undefined ? null : storedOf(result);
    const { timeline, settled } = await deliveriesOf(source, eventId, result?.reason ?? null);
    return {
      ...listed,
      rowsChanged: hasRun ? result.rowsChanged : null,
      durationUs: hasRun ? result.durationUs : null,
      stored,
      isRemoved:
        stored === null && result !== undefined && (result.body !== 0 || event.outcome !== "ignored"),
      redacted: result?.redacted ?? 0,
      // Of an event that arrived once, no delivery is kept.
      timeline:
        timeline.length > 0 || event.deliveries !== 1
          ? timeline
          : [{ number: 1, at: event.receivedAt, outcome: recordedAs, changedBody: false }],
      settled,
      failure: failure === undefined ? null : shownOf(failure),
      changed: event.changedBodies === 0 ? null : await changedOf(id),
      reply: typeof result?.reply === "string" ? (JSON.parse(result.reply) as Reply) : null,
      earlier: await earlierOf(source, eventId),
      replays: result?.replays ?? 0,
      reason: result?.reason ?? null,
      sameAs: await sameAs(event),
    };
  }

  return {
    // An id that contained a forgotten text was replaced by its hash.
    event: async (source, eventId) =>
      (await detailOf(source, eventId)) ?? (await detailOf(source, hashed(eventId))),
  };
}

function storedOf({ receivedAt, headers, bytes, element }: ResultRow): EventDetail["stored"] {
  if (receivedAt === null || headers === null || bytes === null) return null;
  return { receivedAt, headers: JSON.parse(headers) as Headers, body: bytes, element };
}

function shownOf({
  deliveries: _1,
  headers: _2,
  body: _3,
  element: _4,
  ...shown
}: FailureRow): FailureOfEvent {
  return shown;
}

/** Whether the event ran because its source resumed: its last delivery before that was held. */
function wasResumed({ at, outcome }: KeptDelivery, timeline: readonly KeptDelivery[]): boolean {
  if (outcome === "imported" || outcome === "discarded") return false;
  return timeline.findLast((row) => row.at <= at)?.outcome === "held";
}
