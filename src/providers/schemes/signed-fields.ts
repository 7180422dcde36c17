import { HookonceError } from "../../errors.ts";
import { NumberLiteral } from "../body/selector.ts";

/**
 * A field of a body, as its provider signs it. What JavaScript would make of an object or a list is nothing that anybody has signed.
 *
 * @param separator stands between the fields that are signed, and so must not stand in this one
 * @throws HookonceError `signature_malformed`
 */
export function signedText(name: string, value: unknown, separator?: string): string {
  if (value === undefined || value === null) return "";
  const text = textOf(value);
  if (text === undefined) throw malformed(name, "is neither text nor a number");
  if (separator !== undefined && text.includes(separator))
    throw malformed(name, "holds what stands between signed fields");
  return text;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  // With its exact digits: so it is read where something is signed.
  return value instanceof NumberLiteral ? value.digits : undefined;
}

function malformed(name: string, why: string): HookonceError {
  return new HookonceError("signature_malformed", `${name} ${why}: the signature cannot cover it.`);
}
