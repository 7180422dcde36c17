import { HookonceError, messageOf, stackOf } from "../errors.ts";
import type { Headers, Reply } from "../event.ts";
import type { HandlerInput } from "../handlers/handler.ts";
import type { Handlers } from "../handlers/registry.ts";
import type { Source } from "../providers/source.ts";
import { troubleOf } from "../engines/sqlite/sqlite-error.ts";
import type { ListedEvent } from "../engines/sqlite/events.ts";
import type { Storage } from "../engines/sqlite/storage.ts";
import { nothingRun, type Incoming, type Result, type SharedDelivery } from "./incoming.ts";
import { runHandler, type Run } from "./run-handler.ts";
import { TransactionLost } from "./transaction-lost.ts";

/** A new event that is on the list, its handler run, and nothing else of it stored yet. */
export interface Applied {
  readonly listedAs: number;
  readonly run: Run;
  readonly outcome: "processed" | "unhandled";
  readonly hadFailed: boolean;
}

export interface Apply {
  /**
   * Puts one event on the guest list and runs its handler, in a savepoint of the open transaction, and stores the rest of it after that.
   * A failing handler leaves no trace but its row among the failures.
   *
   * @throws TransactionLost
   * @throws SQLiteError for trouble that is not the event's (disk, memory); the transaction is still open
   */
  (event: Incoming): Result;
  /** The same for one that is known to be on the list. */
  listed(event: Incoming): Result;
  /**
   * Stores the rest of an event.
   *
   * @param deliveryRow where its delivery is stored, if it is
   */
  keep(event: Incoming, applied: Applied, deliveryRow?: number): Result;
  /** Records a failure that came out only after the savepoint was gone. */
  recordFailure(event: Incoming, error: unknown): Result;
}

/** The heart: once on the list, never applied again. */
export function createApply(
  { transaction, events, failures }: Storage,
  handlers: Pick<Handlers, "for">,
): Apply {
  const apply = (event: Incoming): Result => inSavepoint(event, applyIn);
  const listed = (event: Incoming): Result =>
    inSavepoint(event, () => applyListed(event, find(event) as ListedEvent));

  function inSavepoint(event: Incoming, work: (event: Incoming) => Result | Applied): Result {
    let done: Result | Applied;
    transaction.savepoint();
    try {
      done = work(event);
      transaction.release();
    } catch (error) {
      if (!transaction.open) throw new TransactionLost(error);
      if (troubleOf(error) !== "statement") throw error;
      transaction.rollbackToSavepoint();
      return recordFailure(event, error);
    }
    return "listedAs" in done ? keep(event, done) : done;
  }

  function applyIn(event: Incoming): Result | Applied {
    const known = findSameBody(event);
    if (known !== undefined) return applyListed(event, known);
    if (event.handler === null && event.source.unhandled === "ignore") {
      const listed = find(event);
      return listed === undefined ? ignored(event) : applyListed(event, listed);
    }
    return applyNew(event) ?? applyListed(event, find(event) as ListedEvent);
  }

  function findSameBody({ source, input }: Incoming): ListedEvent | undefined {
    return source.sameBody ? events.findSameBody(source.name, sha256(input.body)) : undefined;
  }

  function find({ source, input }: Incoming): ListedEvent | undefined {
    return events.find(source.name, input.id, input.body);
  }

  /** @returns undefined when the event is on the list already */
  function applyNew({ source, handler, input }: Incoming): Applied | undefined {
    const failed = failures.find(source.name, input.id);
    const receivedAt = failed?.firstAt ?? input.receivedAt;
    const outcome = handler === null ? "unhandled" : "processed";
    const id = events.add({
      source: source.name,
      eventId: input.id,
      type: input.type,
      outcome,
      handler: handler?.file ?? null,
      receivedAt,
      lastDeliveryAt: input.receivedAt,
      deliveries: (failed?.attempts ?? 0) + 1,
      bodySha256: source.sameBody ? sha256(input.body) : null,
    });
    if (id === undefined) return undefined;
    if (handler === null && source.unhandled === "fail") {
      throw new HookonceError(
        "no_handler",
        `No handler for ${describeType(input.type)}, and unhandled = "fail" on this source.`,
      );
    }

    const run =
      handler === null
        ? nothingRun
        : runHandler(handler, withReceivedAt(input, receivedAt), source.requireChange);
    return { listedAs: id, run, outcome, hadFailed: failed !== undefined };
  }

  /** Not in the savepoint: nothing in here fails for the event's sake, and inside SQLite would put a copy of each page aside. */
  function keep(
    { source, input, shared }: Incoming,
    { listedAs, run, outcome, hadFailed }: Applied,
    deliveryRow = shared?.row,
  ): Result {
    const deliveryId =
      deliveryRow ??
      events.keepDelivery({
        receivedAt: input.receivedAt,
        headers: input.headersJson,
        body: input.body,
      });
    if (shared !== undefined) shared.row = deliveryId;
    events.finish({
      id: listedAs,
      rowsChanged: run.rowsChanged,
      durationUs: run.durationUs,
      deliveryId,
      reply: run.reply === null ? null : JSON.stringify(run.reply),
    });
    if (hadFailed) failures.settle(source.name, input.id, input.receivedAt);
    return { ...run, eventId: input.id, type: input.type, outcome };
  }

  /** The event is on the list: count the delivery, and do what is still owed when it was unhandled until now. */
  function applyListed(event: Incoming, listed: ListedEvent): Result {
    const { source, input } = event;
    const changedBody = !isUnchanged(event, listed);
    countDelivery(event, listed, changedBody);
    const handler = listed.outcome === "unhandled" ? handlers.for(source.handlersOf, listed.type) : null;
    if (handler === null) {
      // Its body has come under another id: what had failed under this one is not owed any more.
      if (listed.eventId !== input.id) failures.settle(source.name, input.id, input.receivedAt);
      return {
        ...nothingRun,
        eventId: input.id,
        type: input.type,
        changedBody,
        outcome: listed.outcome === "processed" ? "duplicate" : "unhandled",
        reply: listed.reply === null ? null : (JSON.parse(listed.reply) as Reply),
      };
    }
    const run = runHandler(handler, asStored(source, listed) ?? input, source.requireChange);
    events.settleUnhandled({
      id: listed.id,
      handler: handler.file,
      rowsChanged: run.rowsChanged,
      durationUs: run.durationUs,
      reply: run.reply === null ? null : JSON.stringify(run.reply),
    });
    failures.settle(source.name, listed.eventId, input.receivedAt);
    return { ...run, eventId: input.id, type: input.type, changedBody, outcome: "processed" };
  }

  /** A batch may be put together anew for a retry: what counts there is the event's own part of it. */
  function isUnchanged({ source, input, shared }: Incoming, listed: ListedEvent): boolean {
    if (listed.sameBody || shared === undefined) return listed.sameBody;
    return asStored(source, listed)?.payloadJson === input.payloadJson;
  }

  function countDelivery({ input, shared }: Incoming, { id }: ListedEvent, changedBody: boolean): void {
    events.repeat(id, input.receivedAt, changedBody);
    if (!changedBody) return;
    events.keepChangedBody({
      event: id,
      receivedAt: input.receivedAt,
      headers: input.headersJson,
      body: ownBytes(input, shared),
    });
  }

  /** What is stored is what is applied, whichever delivery brings its handler to run. Undefined when it is gone. */
  function asStored(source: Source, listed: ListedEvent): HandlerInput | undefined {
    const stored = events.stored(listed.id);
    if (stored === undefined) return undefined;
    const headers = JSON.parse(stored.headers) as Headers;
    const delivery = { headers, body: stored.body };
    const parsed =
      source.split === undefined
        ? source.parse(delivery)
        : source.split(delivery).find((one) => !(one instanceof HookonceError) && one.id === listed.eventId);
    if (parsed === undefined || parsed instanceof HookonceError) return undefined;
    const { json } = "body" in parsed ? parsed.body : parsed;
    return {
      id: listed.eventId,
      type: listed.type,
      source: source.name,
      receivedAt: stored.receivedAt,
      payloadJson: json,
      headersJson: stored.headers,
      body: stored.body,
    };
  }

  function recordFailure(event: Incoming, error: unknown): Result {
    const { source, input, shared } = event;
    // Still there after the rollback: an event that was unhandled, and whose new handler has now failed.
    const owed = findSameBody(event) ?? find(event);
    if (owed !== undefined) countDelivery(event, owed, !isUnchanged(event, owed));
    const type = owed?.type ?? input.type;
    const handler =
      (owed === undefined ? event.handler : handlers.for(source.handlersOf, type))?.file ?? null;
    failures.record({
      source: source.name,
      eventId: owed?.eventId ?? input.id,
      type,
      handler,
      code: error instanceof HookonceError ? error.code : "handler_error",
      error: messageOf(error),
      stack: stackOf(error),
      at: input.receivedAt,
      headers: input.headersJson,
      body: ownBytes(input, shared),
    });
    return { ...nothingRun, eventId: input.id, type: input.type, handler, outcome: "failed", error };
  }

  return Object.assign(apply, { listed, keep, recordFailure });
}

/** Neither stored nor owed: `unhandled = "ignore"`. */
function ignored({ input }: Incoming): Result {
  return { ...nothingRun, eventId: input.id, type: input.type, outcome: "unhandled", ignored: true };
}

/** A retry of a failed event was first received earlier; all others are as they came. */
function withReceivedAt(input: HandlerInput, receivedAt: number): HandlerInput {
  return receivedAt === input.receivedAt ? input : { ...input, receivedAt };
}

/** The bytes that are this event's alone: the others of its batch have theirs. */
function ownBytes({ body, payloadJson }: HandlerInput, shared: SharedDelivery | undefined): Uint8Array {
  return shared === undefined ? body : Buffer.from(payloadJson ?? "");
}

function describeType(type: string): string {
  return type === "" ? "an event without a type" : `the type "${type}"`;
}

function sha256(body: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(body).digest();
}
