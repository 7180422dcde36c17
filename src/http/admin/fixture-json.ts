import { HookonceError } from "../../errors.ts";
import { parseWithExactNumbers } from "../../providers/body/exact-numbers.ts";
import { maskAt } from "../../providers/body/mask.ts";
import { parsePath } from "../../providers/body/path.ts";

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
    const masked = maskAt(value, steps);
    if (masked === undefined) throw refusal(`"${path}" finds nothing in this payload: correct or remove it`);
    return masked;
  }, parseWithExactNumbers(json));
  return `${JSON.stringify(fixture, null, 2)}\n`;
}

function refusal(why: string): HookonceError {
  return new HookonceError("invalid_request", `The request is invalid: redact: ${why}.`);
}
