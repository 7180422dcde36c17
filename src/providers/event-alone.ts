import type { Headers } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { compileBatchOfOne } from "./body/batch.ts";
import { changeBody, decompress, isGzip, MAX_DECOMPRESSED } from "./body/payload.ts";
import { readingOf, type SourceSettings } from "./source.ts";

/** What is sent on: the stored delivery of an event, or what a handler has enqueued. */
export interface MessageToSend {
  readonly kind: "event" | "enqueued";
  readonly source: string;
  readonly eventId: string;
  /** As stored. */
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The event's own payload. */
  readonly payloadJson: string | null;
}

/** A delivery without its other events. */
export type EventAlone = <M extends MessageToSend>(message: M) => Pick<M, "headers" | "body">;

/**
 * An event of a batch is sent on as a batch of one. A delivery of one event keeps its bytes.
 *
 * @param settingsOf the source's settings; undefined if it is no longer in the config
 * @returns a function that throws `unknown_source` or `stored_event_unreadable`
 */
export function createEventAlone(settingsOf: (source: string) => SourceSettings | undefined): EventAlone {
  const made = new Map<string, EventAlone>();
  return (message) => {
    if (message.kind === "enqueued") return message;
    let alone = made.get(message.source);
    if (alone === undefined)
      made.set(message.source, (alone = createFor(requireSource(settingsOf, message.source))));
    return alone(message);
  };
}

/** @throws HookonceError `unknown_source` */
export function requireSource(
  settingsOf: (source: string) => SourceSettings | undefined,
  source: string,
): SourceSettings {
  const settings = settingsOf(source);
  if (settings !== undefined) return settings;
  throw new HookonceError(
    "unknown_source",
    `The event is of the source "${source}", which is not in hookonce.toml. Add the source again, or discard the message.`,
  );
}

function createFor(settings: SourceSettings): EventAlone {
  const { provider, batch = provider.batch } = settings;
  if (batch === undefined) return (message) => message;
  const parse = readingOf(settings);
  const batchOfOne = compileBatchOfOne(batch);
  return (message) => {
    const { eventId, payloadJson: event } = message;
    if (event === null)
      throw new HookonceError(
        "stored_event_unreadable",
        `Event "${eventId}" came in a delivery of several events, and the source's batch no longer finds it there. Correct batch in hookonce.toml.`,
      );
    const delivery = inflated({ headers: message.headers, body: message.body });
    const payload = batchOfOne(parse(delivery), event);
    if (payload === undefined) return message;
    return { headers: delivery.headers, body: changeBody(delivery, () => payload, provider.formField) };
  };
}

/** The same without compression. */
export function inflated<R extends Pick<MessageToSend, "headers" | "body">>(request: R): R {
  if (!isGzip(request.headers)) return request;
  const { "content-encoding": _, ...headers } = request.headers;
  try {
    return { ...request, headers, body: decompress(request, MAX_DECOMPRESSED) };
  } catch (error) {
    // An event that was stored alone is not compressed, but has the headers of its delivery.
    if (error instanceof HookonceError && error.code === "invalid_json") return { ...request, headers };
    throw error;
  }
}
