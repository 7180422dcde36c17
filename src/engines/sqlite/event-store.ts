import type { Database } from "bun:sqlite";
import { messageOf } from "../../errors.ts";
import type { Outcome, Reply } from "../../event.ts";
import type { EventSource, HandlerInput, Incoming, LoadedHandler } from "../engine.ts";
import { stackWithPlace } from "../error-place.ts";
import { codeOf, replyJson, type Run } from "../results.ts";
import type { RecordedOutcome } from "../reader.ts";
import { prepareDeliveryStatements } from "./delivery-statements.ts";
import { ownBytes, sha256 } from "../event-bytes.ts";
import {
  openFailure,
  recorded,
  storedInput,
  type FailedRun,
  type OpenFailure,
  type RecordedEvent,
  type StoredBody,
} from "../event-rows.ts";

type SourceName = Pick<EventSource, "name">;
type OtherOutcome = Exclude<RecordedOutcome, "processed" | "imported">;
/** Null if none ran. */
type FailedHandler = (Pick<LoadedHandler, "hash"> & { readonly file: string | null }) | null;

/** How many of an event's first deliveries are kept, and how many of its latest. */
const KEPT = 10;

export type EventStore = ReturnType<typeof createEventStore>;

/** Rows of the recorded events and of the failures. Every call belongs to the caller's open transaction. */
export function createEventStore(db: Database) {
  const sql = prepareDeliveryStatements(db);
  // Almost always there is no open failure. Then each delivery saves one look-up. Only this process writes
  // the table while it serves (lock.ts). A failure that another process settled only costs a look-up.
  let open: boolean | undefined;
  const hasOpenFailures = (): boolean => (open ??= sql.hasOpenFailures.row()?.[0] === 1);

  function countDelivery(event: RecordedEvent, incoming: Incoming, outcome: Outcome, changed: boolean): void {
    const { input } = incoming;
    keepFirstDelivery(incoming.source, event);
    sql.countDelivery.run(event.id, input.receivedAt, changed ? 1 : 0);
    keepDelivery(incoming.source, event.eventId, event.deliveries + 1, input.receivedAt, outcome, changed);
    if (changed) sql.keepChangedBody.run(event.id, input.receivedAt, input.headersJson, ownBytes(incoming));
  }

  /** Most events arrive once, so the first delivery is kept only when something else happens to the event. */
  function keepFirstDelivery({ name }: SourceName, event: RecordedEvent): void {
    const { eventId, deliveries, receivedAt, outcome } = event;
    if (deliveries === 1) sql.keepFirstDelivery.run(name, eventId, receivedAt, outcome);
  }

  function keepDelivery(
    { name }: SourceName,
    eventId: string,
    number: number,
    at: number,
    outcome: Outcome,
    changed: boolean,
  ): void {
    sql.insertDelivery.run(name, eventId, number, at, outcome, changed ? 1 : 0);
    if (number > 2 * KEPT) sql.dropDelivery.run(name, eventId, number - KEPT);
  }

  /** The delivery that brought a recorded event; undefined if its body is gone. */
  function bodyOf(event: number): StoredBody | undefined {
    const [headersJson, body, element] = sql.findBody.row(event) ?? [];
    if (typeof headersJson !== "string" || !(body instanceof Uint8Array)) return undefined;
    return { headersJson, body, element: element === 1 };
  }

  function recordFailedRun(
    failed: FailedRun,
    handler: FailedHandler,
    error: unknown,
    nextAt: number | null = null,
  ): number {
    open = true;
    const row = sql.recordFailure.row(
      failed.source,
      failed.eventId,
      failed.type,
      handler?.file ?? null,
      codeOf(error),
      messageOf(error),
      stackWithPlace(error),
      failed.receivedAt,
      failed.headersJson,
      failed.body,
      failed.element ? 1 : 0,
      handler?.hash ?? null,
      nextAt,
    );
    return row?.[0] as number;
  }

  return {
    bodyOf,
    hasOpenFailures,
    keepDelivery,
    countDelivery,

    /** The outcome of an event that was recorded or had failed before is another one now. */
    markChanged: (event: number): void => sql.markChanged.run(event),

    /** @returns the new row's id, or undefined if the event is recorded already */
    insert(
      { source, input, batch, isIgnored }: Incoming,
      outcome: RecordedOutcome,
      handler: string | null,
      failure: OpenFailure | undefined,
    ): number | undefined {
      const row = sql.insertEvent.row(
        source.name,
        input.id,
        input.type,
        failure?.firstAt ?? input.receivedAt,
        outcome,
        handler,
        (failure?.deliveries ?? 0) + 1,
        input.receivedAt,
        source.sameBody ? sha256(ownBytes({ input, batch })) : null,
      );
      const id = row?.[0] as number | undefined;
      if (id !== undefined && isIgnored === true) sql.explainIgnored.run(id, "it says that it is a test");
      if (failure === undefined || id === undefined) return id;
      sql.beginWindow.run(id, input.receivedAt);
      sql.markChanged.run(id);
      return id;
    },

    /** The window of an owed event begins at this time, and not at its first receipt. */
    beginWindow: (event: number, at: number): void => sql.beginWindow.run(event, at),

    /** Records an event that had failed and has now been settled without a delivery. */
    insertSettled(
      source: Pick<EventSource, "name" | "sameBody">,
      input: Pick<HandlerInput, "id" | "type">,
      outcome: "processed" | "stale" | "discarded" | "imported" | "ignored",
      handler: string | null,
      failure: OpenFailure,
    ): number | undefined {
      const row = sql.insertEvent.row(
        source.name,
        input.id,
        input.type,
        failure.firstAt,
        outcome,
        handler,
        failure.deliveries,
        failure.lastAt,
        source.sameBody ? sha256(failure.body) : null,
      );
      const id = row?.[0] as number | undefined;
      if (id !== undefined) sql.markChanged.run(id);
      return id;
    },

    /** @returns the id of the new row in the table of bodies */
    insertBody: (
      event: number,
      { receivedAt, headersJson, body }: Pick<HandlerInput, "receivedAt" | "headersJson" | "body">,
    ): number => sql.insertBody.insert(event, receivedAt, headersJson, body, sha256(body)),

    /** Whether the bytes of a whole delivery are still in this row. */
    hasWholeBody: (body: number): boolean => sql.hasWholeBody.row(body) !== undefined,

    /** Stores the body and the result of a failure that is settled without a delivery. */
    insertSettledResult(
      event: number,
      { firstAt, headersJson, body, element }: OpenFailure,
      { rowsChanged, durationUs, reply, handlerHash }: Run,
    ): void {
      const row = sql.insertBody.insert(event, firstAt, headersJson, body, sha256(body));
      sql.insertResult.run(event, row, rowsChanged, durationUs, replyJson(reply), handlerHash);
      if (element) sql.markElement.run(event);
    },

    /** The body of an event is its own part of a batch. */
    markElement: (event: number): void => sql.markElement.run(event),

    /** Whether values in the body of an event were replaced. */
    isRedacted: (event: number): boolean => sql.isRedacted.row(event)?.[0] === 1,
    isPartOfBatch: (event: number): boolean => sql.isPartOfBatch.row(event)?.[0] === 1,

    insertResult(event: number, body: number, { rowsChanged, durationUs, reply, handlerHash }: Run): void {
      sql.insertResult.run(event, body, rowsChanged, durationUs, replyJson(reply), handlerHash);
    },

    /** Records that an event has been applied which was unhandled or discarded. */
    complete(source: EventSource, event: RecordedEvent, run: Run, at: number, reason?: string): void {
      const { handler, handlerHash, rowsChanged, durationUs, reply } = run;
      keepFirstDelivery(source, event);
      sql.completeEvent.run(event.id, handler, at);
      sql.markChanged.run(event.id);
      const result = [rowsChanged, durationUs, replyJson(reply), handlerHash] as const;
      sql.completeResult.run(event.id, ...result, reason ?? null);
    },

    /** A recorded event has another outcome now, and no handler has run. Null: no reason is kept. */
    close(source: SourceName, event: RecordedEvent, outcome: OtherOutcome, reason: string | null): void {
      keepFirstDelivery(source, event);
      sql.closeEvent.run(event.id, outcome);
      sql.markChanged.run(event.id);
      sql.giveReason.run(event.id, reason);
    },

    /** The handler that a held event is to run. */
    holdFor: (event: number, handlerHash: string): void => sql.holdFor.run(event, handlerHash),

    giveReason: (event: number, reason: string | null): void => sql.giveReason.run(event, reason),

    /**
     * The job that replayed an event last, how often it was replayed, and the number of the event's last change; 0
     * if there is none.
     */
    replayOf(event: number): {
      readonly job: string | null;
      readonly replays: number;
      readonly change: number;
    } {
      const [job, replays, change] = sql.findReplay.row(event) ?? [];
      return {
        job: (job ?? null) as string | null,
        replays: Number(replays ?? 0),
        change: Number(change ?? 0),
      };
    },

    countReplay: (event: number, job: string, reason: string): void =>
      sql.countReplay.run(event, job, reason),

    find: (source: SourceName, eventId: string): RecordedEvent | undefined =>
      recorded(sql.findEvent.row(source.name, eventId)),

    replyOf(event: number): Reply | null {
      const reply = sql.findReply.row(event)?.[0];
      return typeof reply === "string" ? (JSON.parse(reply) as Reply) : null;
    },

    /** Whether the bytes of a whole delivery equal the stored ones. True if the stored ones are gone. */
    sameBytes: (event: number, body: Uint8Array): boolean =>
      (sql.sameBytes.row(event, sha256(body), body)?.[0] ?? 1) === 1,

    /** Returns a recorded event as it was first delivered, or undefined if its body is gone. */
    stored(source: EventSource, event: RecordedEvent): HandlerInput | undefined {
      const found = bodyOf(event.id);
      return found && storedInput(source, event, found);
    },

    findFailure(source: SourceName, eventId: string): OpenFailure | undefined {
      if (!hasOpenFailures()) return undefined;
      return openFailure(sql.findFailure.row(source.name, eventId));
    },

    recordFailedRun,

    /** @returns how often the event has been delivered, including this delivery */
    recordFailure: (
      { source, input, batch }: Incoming,
      { eventId, type }: Pick<RecordedEvent, "eventId" | "type">,
      handler: FailedHandler,
      error: unknown,
      nextAt: number | null,
    ): number =>
      recordFailedRun(
        {
          source: source.name,
          eventId,
          type,
          receivedAt: input.receivedAt,
          headersJson: input.headersJson,
          body: ownBytes({ input, batch }),
          element: batch !== undefined,
        },
        handler,
        error,
        nextAt,
      ),

    /** Another run of a failure has failed, and it was no delivery. */
    failAgain(source: SourceName, eventId: string, handler: FailedHandler, error: unknown): void {
      const { file = null, hash = null } = handler ?? {};
      sql.failAgain.run(
        source.name,
        eventId,
        file,
        codeOf(error),
        messageOf(error),
        stackWithPlace(error),
        hash,
      );
    },

    /** Sets when hookonce itself runs a failure again. */
    setRetry: (source: SourceName, eventId: string, retries: number, nextAt: number | null): void =>
      sql.setRetry.run(source.name, eventId, retries, nextAt),

    /**
     * A failure was delivered again, and nothing ran.
     *
     * @returns how often the event has been delivered, with this delivery
     */
    skipFailure({ source, input, batch }: Incoming): number {
      const row = sql.skipFailure.row(
        source.name,
        input.id,
        input.receivedAt,
        input.headersJson,
        ownBytes({ input, batch }),
        batch === undefined ? 0 : 1,
        input.type,
      );
      return row?.[0] as number;
    },

    settleFailure(source: SourceName, eventId: string, at: number): void {
      if (hasOpenFailures()) sql.settleFailure.run(source.name, eventId, at);
    },
  };
}
