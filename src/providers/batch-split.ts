import type { Delivery } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { compileBatch, type BatchPath } from "./body/batch.ts";
import type { ParsedBody, Reading } from "./body/payload.ts";
import type { Identified, Identify } from "./identify.ts";

/** Takes deliveries apart, when they arrive and when they are read again. */

/** @throws HookonceError `not_a_batch`, or what is wrong with the body as a whole */
export type BatchSplit = (
  delivery: Pick<Delivery, "headers" | "body">,
  body?: ParsedBody,
) => readonly (Identified | HookonceError)[];

/** How a source reads what is stored. */
export interface StoredReads {
  /**
   * Reads a stored delivery again. Returns the payload of one event as JSON text, or undefined if it is not
   * in there.
   */
  readonly payloadOf: (
    stored: Pick<Delivery, "headers" | "body">,
    eventId: string,
  ) => { json: string | null } | undefined;
  /**
   * The type of the event that has this id by the present rules, in a stored delivery or a stored event of a batch.
   * Undefined if none has.
   */
  readonly typeOf: (stored: Pick<Delivery, "headers" | "body">, eventId: string) => string | undefined;
}

export function createBatchSplit(
  paths: readonly BatchPath[],
  identify: Identify,
  parse: Reading,
): BatchSplit {
  const split = compileBatch(paths);
  return ({ headers, body: bytes }, body = parse({ headers, body: bytes })) => {
    const elements = split(body);
    if (elements === undefined) {
      throw (
        body.problem ??
        new HookonceError(
          "not_a_batch",
          `The body has no list of events at ${paths.join(" or ")}, where this source's batch expects it.`,
        )
      );
    }
    return elements.map((element) => {
      try {
        return identify({ headers, body: Buffer.from(element.json ?? "") }, element);
      } catch (error) {
        if (error instanceof HookonceError) return error;
        throw error;
      }
    });
  };
}

export function createPayloadOf(parse: Reading, split: BatchSplit | undefined): StoredReads["payloadOf"] {
  if (split === undefined) return (stored) => parse(stored);
  // All events of a delivery are often read one after the other.
  const read = new WeakMap<object, readonly Identified[]>();
  const elementsOf = (stored: Parameters<BatchSplit>[0]): readonly Identified[] => {
    const known = read.get(stored);
    if (known !== undefined) return known;
    const elements = split(stored).filter((one): one is Identified => !(one instanceof HookonceError));
    read.set(stored, elements);
    return elements;
  };
  return (stored, eventId) => {
    try {
      const elements = elementsOf(stored);
      const element =
        elements.find(({ id }) => id === eventId) ??
        elements.find(({ earlierIds }) => earlierIds.includes(eventId));
      return element?.body;
    } catch (error) {
      // The rule for batches has changed since this was stored.
      if (error instanceof HookonceError) return undefined;
      throw error;
    }
  };
}

export function createTypeOf(identify: Identify, split: BatchSplit | undefined): StoredReads["typeOf"] {
  // An event of a batch that has failed is stored with its own bytes alone, so both are tried.
  const reads: BatchSplit[] = [...(split === undefined ? [] : [split]), (stored) => [identify(stored)]];
  return (stored, eventId) => {
    for (const read of reads) {
      try {
        const found = read(stored).find((one) => !(one instanceof HookonceError) && one.id === eventId);
        if (found !== undefined && !(found instanceof HookonceError)) return found.type;
      } catch (error) {
        if (!(error instanceof HookonceError)) throw error;
      }
    }
    return undefined;
  };
}
