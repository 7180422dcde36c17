import type { Tx } from "./tx.ts";
import { messageOf } from "../../errors.ts";
import type { Outcome, Reply } from "../../event.ts";
import type { EventSource, HandlerInput, Incoming, LoadedHandler } from "../engine.ts";
import { stackWithPlace } from "../error-place.ts";
import { codeOf, replyJson, type Run } from "../results.ts";
import type { RecordedOutcome } from "../reader.ts";
import type { SettledEvents } from "../settled-events.ts";
import { prepareStatements } from "./statements.ts";
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

/**
 * Rows of the recorded events and of the failures. Every call belongs to the caller's open transaction.
 *
 * @param settled hears of each event that had another outcome, or had failed, before
 */
export function createEventStore(tx: Tx, settled: Pick<SettledEvents, "note">) {
  const sql = prepareStatements(tx);
  // Almost always there is no open failure. Then each delivery saves one look-up.
  const hasOpenFailures = (): boolean => tx.facts.failures;

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
    sql.insertDelivery.run(name, eventId, number, at, outcome, changed);
    if (number > 2 * KEPT) sql.dropDelivery.run(name, eventId, number - KEPT);
  }

  /** The delivery that brought a recorded event; undefined if its body is gone. */
  async function bodyOf(event: number): Promise<StoredBody | undefined> {
    const [headersJson, body, element] = (await sql.findBody.row(event)) ?? [];
    if (typeof headersJson !== "string" || !(body instanceof Uint8Array)) return undefined;
    return { headersJson, body, element: element === true };
  }

  /** @returns the id of the new row in the table of bodies */
  async function insertBody(
    event: number,
    { receivedAt, headersJson, body }: Pick<HandlerInput, "receivedAt" | "headersJson" | "body">,
  ): Promise<number> {
    const row = await sql.insertBody.row(event, receivedAt, headersJson, body, sha256(body));
    return row?.[0] as number;
  }

  async function recordFailedRun(
    failed: FailedRun,
    handler: FailedHandler,
    error: unknown,
    nextAt: number | null = null,
    position: number | null = null,
  ): Promise<number> {
    tx.facts.failures = true;
    const row = await sql.recordFailure.row(
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
      failed.element,
      handler?.hash ?? null,
      nextAt,
      position,
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
    async insert(
      { source, input, batch, isIgnored }: Incoming,
      outcome: RecordedOutcome,
      handler: string | null,
      failure: OpenFailure | undefined,
    ): Promise<number | undefined> {
      const row = await sql.insertEvent.row(
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
      settled.note(source.name, id);
      return id;
    },

    /** The window of an owed event begins at this time, and not at its first receipt. */
    beginWindow: (event: number, at: number): void => sql.beginWindow.run(event, at),

    /** Records an event that had failed and has now been settled without a delivery. */
    async insertSettled(
      source: Pick<EventSource, "name" | "sameBody">,
      input: Pick<HandlerInput, "id" | "type">,
      outcome: "processed" | "stale" | "discarded" | "imported" | "ignored",
      handler: string | null,
      failure: OpenFailure,
    ): Promise<number | undefined> {
      const row = await sql.insertEvent.row(
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
      if (id === undefined) return id;
      sql.markChanged.run(id);
      settled.note(source.name, id);
      return id;
    },

    insertBody,

    /** Whether the bytes of a whole delivery are still in this row. */
    hasWholeBody: async (body: number): Promise<boolean> => (await sql.hasWholeBody.row(body)) !== undefined,

    /** Stores the body and the result of a failure that is settled without a delivery. */
    async insertSettledResult(
      event: number,
      { firstAt, headersJson, body, element }: OpenFailure,
      { rowsChanged, durationUs, reply, handlerHash }: Run,
    ): Promise<void> {
      const row = await insertBody(event, { receivedAt: firstAt, headersJson, body });
      sql.insertResult.run(event, row, rowsChanged, durationUs, replyJson(reply), handlerHash);
      if (element) sql.markElement.run(event);
    },

    /** The body of an event is its own part of a batch. */
    markElement: (event: number): void => sql.markElement.run(event),

    /** Whether values in the body of an event were replaced. */
    isRedacted: async (event: number): Promise<boolean> => (await sql.isRedacted.row(event))?.[0] === true,
    isPartOfBatch: async (event: number): Promise<boolean> =>
      (await sql.isPartOfBatch.row(event))?.[0] === true,

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
      settled.note(source.name, event.id);
    },

    /** A recorded event has another outcome now, and no handler has run. Null: no reason is kept. */
    close(source: SourceName, event: RecordedEvent, outcome: OtherOutcome, reason: string | null): void {
      keepFirstDelivery(source, event);
      sql.closeEvent.run(event.id, outcome);
      sql.markChanged.run(event.id);
      sql.giveReason.run(event.id, reason);
      settled.note(source.name, event.id);
    },

    /** The handler that a held event is to run. */
    holdFor: (event: number, handlerHash: string): void => sql.holdFor.run(event, handlerHash),

    giveReason: (event: number, reason: string | null): void => sql.giveReason.run(event, reason),

    /**
     * The job that replayed an event last, how often it was replayed, and the number of the event's last change; 0
     * if there is none.
     */
    async replayOf(event: number) {
      const [job, replays, change] = (await sql.findReplay.row(event)) ?? [];
      return {
        job: (job ?? null) as string | null,
        replays: Number(replays ?? 0),
        change: Number(change ?? 0),
      };
    },

    countReplay: (event: number, job: string, reason: string): void =>
      sql.countReplay.run(event, job, reason),

    find: async (source: SourceName, eventId: string): Promise<RecordedEvent | undefined> =>
      recorded(await sql.findEvent.row(source.name, eventId)),

    async replyOf(event: number): Promise<Reply | null> {
      const reply = (await sql.findReply.row(event))?.[0];
      return typeof reply === "string" ? (JSON.parse(reply) as Reply) : null;
    },

    /** Whether the bytes of a whole delivery equal the stored ones. True if the stored ones are gone. */
    sameBytes: async (event: number, body: Uint8Array): Promise<boolean> =>
      ((await sql.sameBytes.row(event, sha256(body)))?.[0] ?? true) === true,

    /** Returns a recorded event as it was first delivered, or undefined if its body is gone. */
    async stored(source: EventSource, event: RecordedEvent): Promise<HandlerInput | undefined> {
      const found = await bodyOf(event.id);
      return found && storedInput(source, event, found);
    },

    async findFailure(source: SourceName, eventId: string): Promise<OpenFailure | undefined> {
      if (!hasOpenFailures()) return undefined;
      return openFailure(await sql.findFailure.row(source.name, eventId));
    },

    recordFailedRun,

    /** @returns how often the event has been delivered, including this delivery */
    recordFailure: (
      { source, input, batch }: Incoming,
      { eventId, type }: Pick<RecordedEvent, "eventId" | "type">,
      handler: FailedHandler,
      error: unknown,
      nextAt: number | null,
      position: number | null = null,
    ): Promise<number> =>
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
        position,
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
    async skipFailure({ source, input, batch }: Incoming): Promise<number> {
      const row = await sql.skipFailure.row(
        source.name,
        input.id,
        input.receivedAt,
        input.headersJson,
        ownBytes({ input, batch }),
        batch !== undefined,
        input.type,
      );
      return row?.[0] as number;
    },

    settleFailure(source: SourceName, eventId: string, at: number): void {
      if (hasOpenFailures()) sql.settleFailure.run(source.name, eventId, at);
    },
  };
}
