import { stackOf } from "../errors.ts";

/** Where in the inbox folder errors of handlers were thrown, as `handlers/stripe/invoice.paid.ts:12`. */
const places = new WeakMap<object, string>();

/** Remembers the place of an error until it is logged. The thrown value need not be an Error. */
export function notePlace(thrown: unknown, place: string | undefined): void {
  if (place !== undefined && typeof thrown === "object" && thrown !== null) places.set(thrown, place);
}

/** @returns the place of an error or of its cause, or undefined if neither is known */
export function placeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  const own = places.get(thrown);
  if (own !== undefined || !(thrown instanceof Error)) return own;
  try {
    return typeof thrown.cause === "object" && thrown.cause !== null ? places.get(thrown.cause) : undefined;
  } catch {
    return undefined; // a getter of the user's error
  }
}

/**
 * The stack of an error as it is stored. That of a SQL handler's error has only hookonce's own code, so its
 * statement comes first.
 */
export function stackWithPlace(thrown: unknown): string | null {
  return stackOf(thrown, placeOf(thrown));
}
