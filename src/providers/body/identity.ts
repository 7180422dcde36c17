import { HookonceError } from "../../errors.ts";
import { NumberLiteral } from "./exact-numbers.ts";

const MAX_BYTES = 255;
// oxlint-disable-next-line no-control-regex -- it looks for control characters
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * @param place where it was looked for, in words
 * @param isForm whether the id was looked for in the fields of a form
 * @throws HookonceError `missing_event_id`, `invalid_event_id`
 */
export function checkId(id: unknown, isForm = false, place?: string): string {
  if (id === undefined) {
    const form = isForm
      ? " Its body was read as a form, because its Content-Type says that it is one. curl -d sets that Content-Type: to send JSON, add -H 'content-type: application/json'."
      : "";
    throw new HookonceError(
      "missing_event_id",
      `The delivery has no event id${place === undefined ? "" : ` at ${place}, where this source's event_id expects it`}.${form}`,
    );
  }
  if (id instanceof NumberLiteral) {
    if (/^-?(?:0|[1-9]\d*)$/.test(id.digits) && id.digits.length <= MAX_BYTES) return id.digits;
    throw new HookonceError("invalid_event_id", "The event id is a number but not a whole number.");
  }
  if (typeof id !== "string")
    throw new HookonceError("invalid_event_id", "The event id is neither text nor a whole number.");
  const why = unfit(id);
  if (why !== undefined) throw new HookonceError("invalid_event_id", `The event id ${why}.`);
  return id;
}

/** @throws HookonceError `invalid_event_type` */
export function checkType(type: unknown): string {
  if (type === undefined) return "";
  const text = typeof type === "number" ? String(type) : type;
  if (typeof text !== "string")
    throw new HookonceError("invalid_event_type", "The event type is neither text nor a number.");
  const why = text === "" ? undefined : unfit(text);
  if (why !== undefined) throw new HookonceError("invalid_event_type", `The event type ${why}.`);
  return text;
}

/** What makes a text unfit to be stored as an id, in words. */
export function unfit(text: string): string | undefined {
  if (text === "") return "is empty";
  // A UTF-16 unit takes at most three bytes of UTF-8, so most ids are short enough without counting.
  if (text.length * 3 > MAX_BYTES && Buffer.byteLength(text) > MAX_BYTES)
    return `is longer than ${MAX_BYTES} bytes`;
  if (CONTROL.test(text)) return "contains a control character";
  // Two different lone surrogates would be stored as the same replacement character.
  if (!text.isWellFormed()) return "is not well-formed Unicode";
  return undefined;
}
