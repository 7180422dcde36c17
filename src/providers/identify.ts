import type { Delivery, Identity } from "../event.ts";
import { NumberLiteral } from "./body/exact-numbers.ts";
import { checkId, checkType } from "./body/identity.ts";
import { isOtherContent, type ParsedBody, type Reading } from "./body/payload.ts";
import {
  compileSelector,
  ESCAPE,
  inWords,
  type Read,
  type Readable,
  type Selector,
} from "./body/selector.ts";

export interface Identified extends Identity {
  readonly body: ParsedBody;
  /** Other ids that earlier versions of hookonce gave this event, the latest first. */
  readonly earlierIds: readonly string[];
}

/** @throws HookonceError if the event id is missing or not valid */
export type Identify = (delivery: Pick<Delivery, "headers" | "body">, body?: ParsedBody) => Identified;

export function createIdentifier(
  eventId: Selector,
  earlier: readonly Selector[],
  readType: Read,
  parse: Reading,
): Identify {
  const readId = compileSelector(eventId, "absent");
  const place = inWords(eventId);
  const readUnescaped = compileSelector(eventId, "absent", false);
  const isInBody = JSON.stringify(eventId).includes('"body:');
  const readEarlier = earlier.map((rule) => compileSelector(rule, "absent"));
  return (delivery, body = parse(delivery)) => {
    const from = {
      headers: delivery.headers,
      payload: body.payload,
      body: body.hashed ?? delivery.body,
    };
    // Ids are compared digit for digit: 9007199254740993 and …992 are two ids but one JavaScript number.
    const exact = { ...from, json: body.json };
    const read = readId(exact);
    const type = readType(from);
    const isTyped = type !== undefined || isOtherContent(delivery.headers);
    if ((read === undefined || !isTyped) && body.problem !== null) throw body.problem;
    const id = checkId(read, body.isForm === true && isInBody, place);
    // Before the parts of an id were escaped, they were only joined.
    const reads = id.includes(ESCAPE) ? [readUnescaped, ...readEarlier] : readEarlier;
    const earlierIds = reads.length === 0 ? NO_IDS : otherIds(id, reads, exact);
    return { id, type: checkType(type), body, earlierIds };
  };
}

const NO_IDS: readonly string[] = [];

function otherIds(id: string, reads: readonly Read[], from: Readable): readonly string[] {
  const ids = reads
    .map((read) => read(from))
    .filter((one) => typeof one === "string" || one instanceof NumberLiteral)
    .map(String);
  return [...new Set(ids)].filter((one) => one !== id);
}
