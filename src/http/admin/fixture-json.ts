import { HookonceError } from "../../errors.ts";
import { NumberLiteral, parseWithExactNumbers } from "../../providers/body/exact-numbers.ts";
import { parsePath } from "../../providers/body/path.ts";

type Steps = readonly (string | number)[];

/**
 * The payload of an event as the text of a fixture, with other values of the same kind in some places.
 *
 * @param json the payload
 * @param paths as in `body:$.data.object.email`. Everything below a path is masked
 * @throws HookonceError `invalid_request` if a path finds nothing: a misspelled one would leave its value
 */
export function fixtureText(json: string, paths: readonly string[]): string {
  const fixture = paths.reduce((value, path) => {
    const steps = path.startsWith("body:") ? parsePath(path.slice("body:".length)) : undefined;
    if (steps === undefined)
      throw refusal(`"${path}" is not a path: write a path such as body:$.data.object.email`);
    return maskAt(value, steps, path);
  }, parseWithExactNumbers(json));
  return `${JSON.stringify(fixture, null, 2)}\n`;
}

function maskAt(value: unknown, [step, ...rest]: Steps, path: string): unknown {
  if (step === undefined) return masked(value);
  if (
    typeof value !== "object" ||
    value === null ||
    value instanceof NumberLiteral ||
    !Object.hasOwn(value, step)
  )
    throw refusal(`"${path}" finds nothing in this payload: correct or remove it`);
  if (Array.isArray(value))
    return value.map((one, at) => (at === Number(step) ? maskAt(one, rest, path) : one));
  // An object with the same keys, in their order. A key may be __proto__.
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, key === String(step) ? maskAt(one, rest, path) : one]),
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

function refusal(why: string): HookonceError {
  return new HookonceError("invalid_request", `The request is invalid: redact: ${why}.`);
}
