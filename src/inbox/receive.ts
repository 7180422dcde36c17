import type { Incoming, Result } from "../engines/engine.ts";
import type { Delivery } from "../event.ts";
import { HookonceError } from "../errors.ts";
import type { HandshakeDone, HandshakeMethod } from "../providers/handshake.ts";
import { noHandshake } from "../providers/refused-handshake.ts";
import { readable } from "../providers/body/form.ts";
import type { ParsedBody } from "../providers/body/payload.ts";
import type { Identified } from "../providers/identify.ts";
import type { Source } from "../providers/source.ts";
import type { Queue } from "./queue.ts";

/** What became of each event of a batch, or why it could not be identified. */
export interface ReceivedBatch {
  readonly events: readonly (Result | HookonceError)[];
}

/**
 * Takes a delivery from its bytes to a durable result: verify, identify, commit.
 *
 * @throws HookonceError if it is refused. Then nothing of it is recorded
 */
export async function receive(
  delivery: Delivery,
  source: Source,
  queue: Pick<Queue, "deliver">,
): Promise<Result | ReceivedBatch | HandshakeDone> {
  const { handshakes } = source;
  if (handshakes?.unsigned !== undefined) {
    const done = await handshakes.unsigned(delivery, () => source.parse(delivery));
    if (done !== undefined) return done;
  }

  const verified = source.verify(delivery);
  if (verified !== undefined) await verified;
  const read = readable(delivery);
  const redacted = source.redactBody === undefined ? read : source.redactBody(read);
  const kept = source.keepQuery === undefined ? redacted : source.keepQuery(redacted);
  const body = source.parse(kept);
  if (handshakes?.signed !== undefined) {
    const done = await handshakes.signed(kept, () => body);
    if (done !== undefined) return done;
  }

  if (source.split !== undefined) return receiveBatch(kept, source, queue, body);
  return deliver(incomingOf(source.identify(kept, body), kept, source), queue);
}

async function deliver(incoming: Incoming, queue: Pick<Queue, "deliver">): Promise<Result> {
  const result = await queue.deliver(incoming);
  return incoming.isTest === true ? { ...result, isTest: true } : result;
}

/** Each event of a batch succeeds or fails alone. */
async function receiveBatch(
  delivery: Delivery,
  source: Source,
  queue: Pick<Queue, "deliver">,
  body: ParsedBody,
): Promise<ReceivedBatch> {
  const elements = source.split?.(delivery, body) ?? [];
  const events = await Promise.allSettled(
    elements.map(async (element) =>
      element instanceof HookonceError
        ? element
        : deliver(incomingOf(element, delivery, source, body), queue),
    ),
  );
  return {
    events: events.map((settled) => {
      // Nothing of this event was recorded. The retry delivers all of them, and the committed ones are then
      // duplicates.
      if (settled.status === "rejected") throw settled.reason;
      return settled.value;
    }),
  };
}

/**
 * Answers a handshake that does not arrive as POST.
 *
 * @throws HookonceError `handshake_refused` if it is not a handshake. It gives no reason, because anyone may
 *   ask
 */
export async function answerHandshake(
  delivery: Delivery,
  method: HandshakeMethod,
  source: Source,
): Promise<HandshakeDone> {
  const done = await source.handshakes?.[method]?.(delivery, () => source.parse(delivery));
  if (done === undefined) throw noHandshake(source.handshakes?.whyNone(delivery, method) ?? "");
  return done;
}

/**
 * @param whole the body of the delivery, if it carried several events
 * @throws HookonceError `test_event`
 */
export function incomingOf(
  { id, type, body, earlierIds }: Identified,
  delivery: Delivery,
  source: Source,
  whole?: ParsedBody,
): Incoming {
  const { headers } = delivery;
  // An element of a batch may not have the part of the body that says so: Adyen has it once, at the top.
  const isTest = [body, whole].some((one) => one && source.isTest?.({ headers, payload: one.payload }));
  if (isTest && source.testEvents === "refuse")
    throw new HookonceError(
      "test_event",
      `The event says that it is a test, and source "${source.name}" has test_events = "refuse".`,
    );
  return {
    source,
    batch: whole === undefined ? undefined : delivery,
    earlierIds,
    ...(isTest ? { isTest, isIgnored: source.testEvents === "ignore" } : {}),
    input: {
      id,
      type,
      source: source.name,
      receivedAt: delivery.receivedAt,
      payloadJson: body.json,
      headersJson: JSON.stringify(source.keepableHeaders(delivery.headers)),
      body: delivery.body,
    },
  };
}
