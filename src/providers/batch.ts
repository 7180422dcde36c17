import { HookonceError } from "../errors.ts";
import { exactJson, type ParsedBody } from "./payload.ts";
import { parsePath, parseWithExactNumbers, type Part } from "./selector.ts";

/** `body:$[*]` or `body:$.entry[*].changes[*]`: every `[*]` is one step into each element of an array. */
export type BatchPath = Part;

/** @returns a function that takes a payload apart; undefined where the payload is no such batch */
export type Split = (body: ParsedBody) => readonly ParsedBody[] | undefined;

/** @throws HookonceError `config_invalid` naming the path that cannot be read */
export function compileBatch(paths: readonly BatchPath[]): Split {
  const compiled = paths.map(compilePath);
  return ({ payload, json }) => {
    if (json === null) return undefined;
    // JavaScript would round numbers of 16 digits and more; reading them exactly takes ten times as long.
    const source = /\d{16}/.test(json) ? parseWithExactNumbers(json) : payload;
    const elements: unknown[] = [];
    let found = false;
    for (const steps of compiled) {
      if (collect(source, steps, elements)) found = true;
    }
    if (!found) return undefined;
    return elements.map((element) => {
      const text = exactJson(element);
      return { payload: JSON.parse(text) as unknown, json: text, problem: null };
    });
  };
}

/** The steps of a path, cut at each `[*]`. */
function compilePath(path: BatchPath): (string | number)[][] {
  const steps = path.startsWith("body:$")
    ? path
        .slice("body:$".length)
        .split("[*]")
        .map((piece) => parsePath(`$${piece}`))
    : [];
  const known = steps.filter((one) => one !== undefined);
  if (steps.length < 2 || known.length < steps.length) {
    throw new HookonceError(
      "config_invalid",
      `"${path}" is no batch: write a path with [*] in it, such as body:$[*] or body:$.events[*].`,
    );
  }
  return known;
}

/** @returns whether there was an array where the path says there is one */
function collect(value: unknown, [steps, ...rest]: readonly (string | number)[][], into: unknown[]): boolean {
  let at: unknown = value;
  for (const step of steps ?? []) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return false;
    at = (at as Record<string | number, unknown>)[step];
  }
  if (rest.length === 0) {
    into.push(at);
    return true;
  }
  if (!Array.isArray(at)) return false;
  if (at.length === 0) return true;
  let found = false;
  for (const element of at as unknown[]) {
    if (collect(element, rest, into)) found = true;
  }
  return found;
}
