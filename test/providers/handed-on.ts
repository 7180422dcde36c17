import { HookonceError } from "../../src/errors.ts";
import type { Delivery } from "../../src/event.ts";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import { createSource, type Source } from "../../src/providers/source.ts";
import { URL_OF_IT, type Signer } from "./preset-samples.ts";
import { NOW } from "./signed-inbox.ts";

export interface Handled {
  readonly id: string;
  readonly type: string;
  readonly payload: unknown;
}

/** A source without an inbox, for property tests: it reads a hundred deliveries in a millisecond. */
export function sourceOf({ provider, keys, fetch }: Signer): Source {
  return createSource(
    { name: "it", provider, secrets: [keys.secret], publicUrl: URL_OF_IT },
    () => NOW,
    fetch,
  );
}

export function deliveryOf({ method, headers, url, body }: OutgoingRequest): Delivery {
  return {
    method,
    headers,
    url: url.slice(new URL(url).origin.length),
    body,
    receivedAt: NOW,
    remoteAddress: () => null,
  };
}

/** The events that a source would handle; none if it refuses the delivery. */
export async function handedOn(source: Source, request: OutgoingRequest): Promise<Handled[]> {
  const delivery = deliveryOf(request);
  try {
    await source.verify(delivery);
    const read = source.parse(delivery);
    const found = source.split?.(delivery, read) ?? [source.identify(delivery, read)];
    return found.flatMap((one) =>
      one instanceof HookonceError ? [] : [{ id: one.id, type: one.type, payload: one.body.payload }],
    );
  } catch (error) {
    if (error instanceof HookonceError) return [];
    throw error;
  }
}
