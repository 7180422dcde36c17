import { HookonceError } from "../../errors.ts";
import { countNames, NumberLiteral, parseWithExactNumbers } from "../body/exact-numbers.ts";
import type { Reading } from "../body/payload.ts";

/**
 * A text field of a body as its provider signs it. Anything else than text is refused: the provider did not
 * sign the text that JavaScript makes of it. A number has many spellings (7, 7.0, 7e0), and with each of them
 * one delivery would be another event.
 *
 * @param separator what separates the signed fields; a field that contains it is refused
 * @throws HookonceError `signature_malformed`
 */
export function signedText(name: string, value: unknown, separator?: string): string {
  if (value === undefined || value === null) return "";
  const text = typeof value === "boolean" ? String(value) : value;
  if (typeof text !== "string") throw malformed(name, "is not text");
  if (separator !== undefined && text.includes(separator))
    throw malformed(name, "contains what separates the signed fields");
  return text;
}

/**
 * The same for a field that is a whole number. It may also be its text.
 *
 * @throws HookonceError `signature_malformed`
 */
export function signedInteger(name: string, value: unknown, separator: string): string {
  // Bodies that are about to be signed are parsed with exact numbers.
  const number = value instanceof NumberLiteral ? Number(value.digits) : value;
  if (typeof number !== "number") return signedText(name, value, separator);
  // A larger one would be verified as its neighbour.
  if (!Number.isSafeInteger(number)) throw malformed(name, "is not a whole number below 2^53");
  return String(number);
}

function malformed(name: string, why: string): HookonceError {
  return new HookonceError("signature_malformed", `${name} ${why}, so the signature cannot cover it.`);
}

/**
 * For signatures over fields of a JSON body. If a key occurs twice, JavaScript reads the last value, and that
 * one was verified, but SQLite would read the first. So that JSON is written again, with each key once. This
 * takes up to 150 ms per MiB, so it waits until the JSON is asked for, after the signature has been verified.
 */
export function withoutRepetition(asItCame: Reading): Reading {
  return (delivery) => {
    const body = asItCame(delivery);
    const { payload, problem, isForm } = body;
    if (problem !== null) return body;
    let written: string | undefined;
    return {
      payload,
      problem,
      isForm,
      get hashed() {
        return body.hashed;
      },
      get json() {
        return (written ??= withNamesOnce(body.json ?? "null", payload));
      },
    };
  };
}

function withNamesOnce(json: string, payload: unknown): string {
  return countNames(json) === countKeys(payload) ? json : JSON.stringify(parseWithExactNumbers(json));
}

/** How many members the objects in a payload have. */
function countKeys(payload: unknown): number {
  if (typeof payload !== "object" || payload === null) return 0;
  const values: unknown[] = Object.values(payload);
  let count = Array.isArray(payload) ? 0 : values.length;
  for (const value of values) count += countKeys(value);
  return count;
}
