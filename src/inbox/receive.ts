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
  return await queue.deliver(incomingOf(source.identify(kept, body), kept, source));
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
        : queue.deliver(incomingOf(element, delivery, source, delivery)),
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

/** @param batch the delivery, if it carried several events */
export function incomingOf(
  { id, type, body, earlierIds }: Identified,
  delivery: Delivery,
  source: Source,
  batch?: Delivery,
): Incoming {
  return {
    source,
    batch,
    earlierIds,
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
