import type { Incoming } from "../engines/engine.ts";
import type { Delivery } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { incomingOf } from "../inbox/receive.ts";
import type { ParsedBody } from "../providers/body/payload.ts";
import type { Identified } from "../providers/identify.ts";
import type { Source } from "../providers/source.ts";
import { exampleFor, seedOf } from "./example.ts";
import { examples } from "./examples.ts";
import { contentTypeOf } from "./request.ts";

export interface GivenEvent {
  /** The part of the handler's path that is matched with the event's type. */
  readonly key: string;
  /** By default the one that the body names, else one that runs the handler. */
  readonly type: string | undefined;
  /** 24 hex digits, for an id that the body does not have. */
  readonly id: string;
  /** Unix milliseconds. */
  readonly now: number;
}

/**
 * The first event of this body, as its source reads it. The headers are those of its provider. A body without an id
 * gets one.
 *
 * @throws HookonceError if the body cannot be read, for example `invalid_json`
 */
export function eventOf(
  body: Uint8Array,
  source: Source,
  { key, type: named, id, now }: GivenEvent,
): { readonly event: Incoming; readonly events: number } {
  const usual = named ?? (key === "_any" ? "" : key);
  const example = examples.get(source.provider.name);
  const made = example === undefined ? undefined : exampleFor(example, usual).example;
  const type = contentTypeOf(body, made?.contentType ?? "application/json");
  const given: Delivery = {
    method: "POST",
    url: "/",
    headers: { "content-type": type, ...made?.headers?.(seedOf(id, usual, now)) },
    body,
    receivedAt: now,
    remoteAddress: () => null,
  };
  const delivery = source.keepQuery?.(given) ?? given;
  const parsed = source.parse(delivery);
  const elements = elementsIn(source, delivery, parsed);
  const [first] = elements;
  if (first !== undefined) {
    const event = withType(incomingOf(first, delivery, source, parsed), named);
    return { event, events: elements.length };
  }
  try {
    const event = withType(incomingOf(source.identify(delivery, parsed), delivery, source), named);
    return { event, events: 1 };
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    // A body that was written by hand need not have an id.
    const made = { id: `try_${id}`, type: usual, body: parsed, earlierIds: [] };
    return { event: incomingOf(made, delivery, source), events: 1 };
  }
}

function withType(incoming: Incoming, type: string | undefined): Incoming {
  return type === undefined ? incoming : { ...incoming, input: { ...incoming.input, type } };
}

/** The events of a batch. None if the source takes no batches, or the body is one event. */
function elementsIn(source: Source, delivery: Delivery, body: ParsedBody): Identified[] {
  try {
    const all = source.split?.(delivery, body) ?? [];
    return all.flatMap((one) => (one instanceof HookonceError ? [] : one));
  } catch (error) {
    if (error instanceof HookonceError) return [];
    throw error;
  }
}
