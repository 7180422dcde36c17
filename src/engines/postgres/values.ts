import { HookonceError } from "../../errors.ts";
import type { Value } from "./wire.ts";

/**
 * Values of a handler's statement as they are sent: text, which the server reads as the type of the parameter, or
 * bytes. As a number, Bun would round 1.5 for an integer.
 *
 * @throws HookonceError `value_refused` for a value that PostgreSQL cannot hold as it is
 */
export function checkedValues(values: readonly unknown[]): Value[] {
  return values.map((value, index) => checkedValue(value, `Value ${index + 1}`));
}

function checkedValue(value: unknown, which: string): Value {
  switch (typeof value) {
    case "string":
      if (value.includes("\0"))
        throw refused(
          `${which} is text with a NUL, which PostgreSQL cannot store. Store bytes, or replace it.`,
        );
      if (value.isWellFormed()) return value;
      throw refused(
        `${which} is text with half of a surrogate pair, which PostgreSQL cannot store. Use value.toWellFormed() if it may be replaced.`,
      );
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
    case "undefined":
      throw refused(`${which} is undefined. Pass null to store NULL.`);
    case "object":
      return checkedObject(value, which);
    case "function":
    case "symbol":
      throw refused(`${which} is a ${typeof value}, which PostgreSQL cannot store.`);
  }
}

function checkedObject(value: object | null, which: string): Value {
  if (value === null) return null;
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw refused(`${which} is an invalid Date.`);
    return value.toISOString();
  }
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return new Uint8Array(value);
  throw refused(
    `${which} is ${Array.isArray(value) ? "an array" : "an object"}. Pass JSON.stringify(value) to store it as JSON.`,
  );
}

function refused(message: string): HookonceError {
  return new HookonceError("value_refused", message);
}

/** A value that was read, as a handler gets it: an integer that a number holds exactly is a number. */
export function readValue(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (value instanceof Uint8Array) return new Uint8Array(value);
  // Bun reads an int4[] as an Int32Array.
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Int32Array) : value;
}
