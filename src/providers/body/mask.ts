import { NumberLiteral } from "./exact-numbers.ts";

type Steps = readonly (string | number)[];

/**
 * A copy of a payload with other values of the same kind at the end of the steps, and below that.
 *
 * @param payload as parseWithExactNumbers reads it
 * @returns undefined if nothing is there
 */
export function maskAt(payload: unknown, [step, ...rest]: Steps): unknown {
  if (step === undefined) return masked(payload);
  if (
    typeof payload !== "object" ||
    payload === null ||
    payload instanceof NumberLiteral ||
    !Object.hasOwn(payload, step)
  )
    return undefined;
  const inner = maskAt((payload as Record<string | number, unknown>)[step], rest);
  if (inner === undefined) return undefined;
  if (Array.isArray(payload)) return payload.map((one: unknown, at) => (at === Number(step) ? inner : one));
  // An object with the same keys, in their order. A key may be __proto__.
  return Object.fromEntries(
    Object.entries(payload).map(([key, one]) => [key, key === String(step) ? inner : one]),
  );
}

/** A value of the same kind that says nothing. */
function masked(value: unknown): unknown {
  if (typeof value === "string") return value.includes("@") ? "masked@example.com" : "masked";
  if (typeof value === "number" || value instanceof NumberLiteral) return 0;
  if (typeof value === "boolean") return false;
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, masked(one)]));
}
