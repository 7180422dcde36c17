import type { Delivery } from "../event.ts";
import { HookonceError } from "../errors.ts";
import type { Handlers } from "../handlers/registry.ts";
import { noHandshake, type HandshakeDone } from "../providers/handshake.ts";
import type { ParsedBody } from "../providers/body/payload.ts";
import type { Identified, Source } from "../providers/source.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { Result, SharedDelivery } from "./incoming.ts";

/** What became of each event of a batch; of one that could not be identified, why. */
export interface ReceivedBatch {
  readonly events: readonly (Result | HookonceError)[];
}

export interface Inbox {
  readonly handlers: Handlers;
  readonly writer: Pick<GroupCommit, "commit">;
}

/**
 * What a delivery goes through.
 *
 * @throws HookonceError when it is refused: nothing is recorded of it
 */
export async function receive(
  delivery: Delivery,
  source: Source,
  inbox: Inbox,
): Promise<Result | ReceivedBatch | HandshakeDone> {
  const { handshakes } = source;
  if (handshakes?.unsigned !== undefined) {
    const done = await handshakes.unsigned(delivery, () => source.parse(delivery));
    if (done !== undefined) return done;
  }

  const verified = source.verify(delivery);
  if (verified !== undefined) await verified;
  const kept = source.redactBody === undefined ? delivery : source.redactBody(delivery);
  const body = source.parse(kept);
  if (handshakes?.signed !== undefined) {
    const done = await handshakes.signed(kept, () => body);
    if (done !== undefined) return done;
  }

  if (source.split !== undefined) return receiveBatch(kept, source, inbox, body);
  return await commit(source.identify(kept, body), kept, source, inbox);
}

/** Each event by itself: what becomes of one is nothing to the others. */
async function receiveBatch(
  delivery: Delivery,
  source: Source,
  inbox: Inbox,
  body: ParsedBody,
): Promise<ReceivedBatch> {
  const elements = source.split?.(delivery, body) ?? [];
  const shared: SharedDelivery = { row: undefined, committedRow: undefined };
  const events = await Promise.allSettled(
    elements.map(async (element) =>
      element instanceof HookonceError ? element : commit(element, delivery, source, inbox, shared),
    ),
  );
  return {
    events: events.map((settled) => {
      // Not now: the retry brings them all, and those that are committed are then known.
      if (settled.status === "rejected") throw settled.reason;
      return settled.value;
    }),
  };
}

/**
 * A handshake that comes as GET.
 *
 * @throws HookonceError `handshake_refused` when it is none: nothing more is to be told to whoever asks
 */
export async function answerGet(delivery: Delivery, source: Source): Promise<HandshakeDone> {
  const done = await source.handshakes?.GET?.(delivery, () => source.parse(delivery));
  if (done === undefined) throw noHandshake();
  return done;
}

function commit(
  { id, type, body }: Identified,
  delivery: Delivery,
  source: Source,
  inbox: Inbox,
  shared?: SharedDelivery,
): Promise<Result> {
  return inbox.writer.commit({
    source,
    handler: inbox.handlers.for(source.handlersOf, type),
    input: {
      id,
      type,
      source: source.name,
      receivedAt: delivery.receivedAt,
      payloadJson: body.json,
      headersJson: JSON.stringify(source.keepableHeaders(delivery.headers)),
      body: delivery.body,
    },
    shared,
  });
}
