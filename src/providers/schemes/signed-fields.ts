import { HookonceError } from "../../errors.ts";
import { exactJson, NumberLiteral, parseWithExactNumbers } from "../body/exact-numbers.ts";
import type { Reading } from "../body/payload.ts";

/**
 * A field of a body as its provider signs it. An object or a list is refused: the provider did not sign the
 * text that JavaScript makes of it.
 *
 * @param separator what separates the signed fields; a field that contains it is refused
 * @throws HookonceError `signature_malformed`
 */
export function signedText(name: string, value: unknown, separator?: string): string {
  if (value === undefined || value === null) return "";
  const text = textOf(value);
  if (text === undefined) throw malformed(name, "is neither text nor a number");
  if (separator !== undefined && text.includes(separator))
    throw malformed(name, "contains what separates the signed fields");
  return text;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  // Bodies that are about to be signed are parsed with exact numbers.
  return value instanceof NumberLiteral ? value.digits : undefined;
}

function malformed(name: string, why: string): HookonceError {
  return new HookonceError("signature_malformed", `${name} ${why}, so the signature cannot cover it.`);
}

/**
 * For signatures over fields of a JSON body. If a key occurs twice, JavaScript reads the last value, and that
 * one was verified, but SQLite would read the first. So the JSON is written again, with each key once. This
 * takes up to 350 ms per MiB, so it waits until the JSON is asked for, after the signature has been verified.
 */
export function withoutRepetition(asItCame: Reading): Reading {
  return (delivery) => {
    const body = asItCame(delivery);
    const { json } = body;
    if (json === null) return body;
    let written: string | undefined;
    return {
      ...body,
      get json() {
        return (written ??= exactJson(parseWithExactNumbers(json)));
      },
    };
  };
}
