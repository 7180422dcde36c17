import { HookonceError, messageOf } from "../errors.ts";
import type { Headers } from "../event.ts";
import type { HandlerInput, LoadedHandler } from "../handlers/handler.ts";
import { parseBody } from "../providers/payload.ts";
import { troubleOf } from "../storage/sqlite-error.ts";
import type { ListedEvent } from "../storage/events.ts";
import type { Storage } from "../storage/storage.ts";
import { nothingRun, type Incoming, type Result } from "./incoming.ts";

/** The whole transaction is gone, and with it every event that shared it. */
export class TransactionLost extends Error {
  constructor(override readonly cause: unknown) {
    super("the transaction was ended from inside");
  }
}

export interface Apply {
  /**
   * Puts one event on the guest list and runs its handler, in a savepoint of the open transaction. A failing handler leaves no trace
   * but its row among the failures.
   *
   * @throws TransactionLost
   * @throws SQLiteError for trouble that is not the event's (disk, memory); the transaction is still open
   */
  (event: Incoming): Result;
  /** Records a failure that came out only after the savepoint was gone. */
  recordFailure(event: Incoming, error: unknown): Result;
}

/** The heart: once on the list, never applied again. */
export function createApply({ transaction, events, failures }: Storage): Apply {
  function apply(event: Incoming): Result {
    transaction.savepoint();
    try {
      const result = applyOnce(event);
      transaction.release();
      return result;
    } catch (error) {
      if (!transaction.open) throw new TransactionLost(error);
      if (troubleOf(error) !== "statement") throw error;
      transaction.rollbackToSavepoint();
      return recordFailure(event, error);
    }
  }

  function applyOnce({ source, handler, input }: Incoming): Result {
    const bodySha256 = source.sameBody ? sha256(input.body) : null;
    const known = bodySha256 === null ? undefined : events.findSameBody(source.name, bodySha256);
    if (known !== undefined) return applyAgain({ source, handler, input }, known);

    const failed = failures.find(source.name, input.id);
    const receivedAt = failed?.firstAt ?? input.receivedAt;
    const id = events.add({
      source: source.name,
      eventId: input.id,
      type: input.type,
      outcome: handler === null ? "unhandled" : "processed",
      handler: handler?.file ?? null,
      receivedAt,
      lastDeliveryAt: input.receivedAt,
      deliveries: (failed?.attempts ?? 0) + 1,
      bodySha256,
    });
    if (id === undefined) {
      return applyAgain(
        { source, handler, input },
        events.find(source.name, input.id, input.body) as ListedEvent,
      );
    }
    if (handler === null && source.unhandled === "fail") {
      throw new HookonceError(
        "no_handler",
        `No handler for ${describeType(input.type)}, and unhandled = "fail" on this source.`,
      );
    }

    const run =
      handler === null ? nothingRun : runHandler(handler, { ...input, receivedAt }, source.requireChange);
    const deliveryId = events.keepDelivery({
      receivedAt: input.receivedAt,
      headers: input.headersJson,
      body: input.body,
    });
    events.finish({ id, rowsChanged: run.rowsChanged, durationUs: run.durationUs, deliveryId });
    if (failed !== undefined) failures.settle(source.name, input.id, input.receivedAt);
    return { ...run, outcome: handler === null ? "unhandled" : "processed" };
  }

  /** The event is on the list: count the delivery, and do what is still owed when it was unhandled until now. */
  function applyAgain({ source, handler, input }: Incoming, listed: ListedEvent): Result {
    const changedBody = !listed.sameBody;
    events.repeat(listed.id, input.receivedAt, changedBody);
    if (changedBody) {
      events.keepChangedBody({
        event: listed.id,
        receivedAt: input.receivedAt,
        headers: input.headersJson,
        body: input.body,
      });
    }
    if (listed.outcome === "processed" || handler === null) {
      return {
        ...nothingRun,
        changedBody,
        outcome: listed.outcome === "processed" ? "duplicate" : "unhandled",
      };
    }
    const run = runHandler(handler, asFirstDelivered(input, listed.id), source.requireChange);
    events.settleUnhandled({
      id: listed.id,
      handler: handler.file,
      rowsChanged: run.rowsChanged,
      durationUs: run.durationUs,
    });
    failures.settle(source.name, input.id, input.receivedAt);
    return { ...run, changedBody, outcome: "processed" };
  }

  /** What is stored is what is applied, whichever delivery brings the handler to run. */
  function asFirstDelivered(input: HandlerInput, id: number): HandlerInput {
    const stored = events.storedDelivery(id);
    if (stored === undefined) return input;
    const headers = JSON.parse(stored.headers) as Headers;
    const body = Buffer.from(stored.body);
    if (body.equals(input.body)) return { ...input, receivedAt: stored.receivedAt };
    const { payload, json } = parseBody({ headers, body });
    return {
      ...input,
      receivedAt: stored.receivedAt,
      headers,
      headersJson: stored.headers,
      body,
      payload,
      payloadJson: json,
    };
  }

  function recordFailure({ source, handler, input }: Incoming, error: unknown): Result {
    failures.record({
      source: source.name,
      eventId: input.id,
      type: input.type,
      handler: handler?.file ?? null,
      code: error instanceof HookonceError ? error.code : "handler_error",
      error: messageOf(error),
      stack: error instanceof Error ? (error.stack ?? null) : null,
      at: input.receivedAt,
      headers: input.headersJson,
      body: input.body,
    });
    return { ...nothingRun, handler: handler?.file ?? null, outcome: "failed", error };
  }

  return Object.assign(apply, { recordFailure });
}

function runHandler(
  handler: LoadedHandler,
  input: HandlerInput,
  requireChange: boolean,
): Omit<Result, "outcome"> {
  const started = performance.now();
  const rowsChanged = handler.run(input);
  const durationUs = Math.round((performance.now() - started) * 1000);
  if (rowsChanged === 0 && requireChange) {
    throw new HookonceError(
      "no_rows_changed",
      `${handler.file} changed no rows, and require_change = true on this source.`,
    );
  }
  return { ...nothingRun, handler: handler.file, rowsChanged, durationUs };
}

function describeType(type: string): string {
  return type === "" ? "an event without a type" : `the type "${type}"`;
}

function sha256(body: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(body).digest();
}
