import { HookonceError } from "../../errors.ts";

/**
 * Where a value is in a delivery: in a header (its name in lower case), or in the payload at the end of these
 * steps.
 */
export type ValuePath =
  | { readonly in: "header"; readonly name: string }
  | { readonly in: "body"; readonly steps: readonly (string | number)[] };

/**
 * The one grammar for paths in hookonce.toml and in presets: `header:x-request-id`, `body:$.data.id`,
 * `body:$.items[0]['event id']`.
 *
 * @param allowed what the key accepts, for the error message
 * @throws HookonceError `config_invalid`
 */
export function parseValuePath(text: string, allowed = "header:name or body:$.path"): ValuePath {
  if (text.startsWith("header:")) {
    const name = text.slice("header:".length).toLowerCase();
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name))
      throw unreadable(text, "a header name, such as header:x-request-id");
    return { in: "header", name };
  }
  if (!text.startsWith("body:")) throw unreadable(text, allowed);
  return { in: "body", steps: stepsIn(text) };
}

/**
 * The header that a path names, in lower case.
 *
 * @throws HookonceError `config_invalid` if it is not a path to a header
 */
export function headerOf(path: string): string {
  const read = parseValuePath(path, "header:name");
  if (read.in === "header") return read.name;
  throw new HookonceError("config_invalid", `"${path}" is not in a header: write header:name.`);
}

/**
 * The parameter that `query:name` names, as it is after decoding.
 *
 * @returns undefined if it is another kind of path
 * @throws HookonceError `config_invalid` if the name is missing
 */
export function parameterOf(path: string): string | undefined {
  if (!path.startsWith("query:")) return undefined;
  const name = path.slice("query:".length);
  // The whole query was written, as in query:?key=, and no parameter has such a name.
  if (name === "" || /^\?|[&=]/.test(name))
    throw unreadable(path, "the name of a query parameter alone, such as query:token");
  return name;
}

/** The first parameter of this name in the query of a URL. */
export function parameterIn(url: string, name: string): string | undefined {
  const query = url.indexOf("?");
  if (query === -1) return undefined;
  return new URLSearchParams(url.slice(query + 1).replace(/#.*$/su, "")).get(name) ?? undefined;
}

/**
 * The steps of the JSON path after the colon of `body:$.data.id`.
 *
 * @throws HookonceError `config_invalid`
 */
export function stepsIn(text: string): readonly (string | number)[] {
  const steps = parsePath(text.slice(text.indexOf(":") + 1));
  if (steps !== undefined) return steps;
  throw unreadable(text, "a path such as body:$.data.id or body:$.items[0]['event id']");
}

/**
 * The steps of a path that may lead to several values of the payload.
 *
 * @throws HookonceError `config_invalid`
 */
export function patternIn(text: string): readonly Step[] {
  const steps = text.startsWith("body:") ? parsePattern(text.slice("body:".length)) : undefined;
  if (steps !== undefined && steps.length > 0) return steps;
  throw unreadable(text, "a path such as body:$.data.email or body:$.lines[*].email");
}

function unreadable(text: string, expected: string): HookonceError {
  return new HookonceError("config_invalid", `"${text}" is not a path: write ${expected}.`);
}

/** @returns the steps of a JSON path such as `$.data.id`; undefined if it is not one */
export function parsePath(path: string): (string | number)[] | undefined {
  const steps = parsePattern(path);
  return steps?.every((step) => step !== EACH) === true ? steps : undefined;
}

/** The step `[*]`, which leads into every element of a list. */
export const EACH = Symbol("[*]");

export type Step = string | number | typeof EACH;

/** The same for a path that may lead to several values, such as `$.lines[*].email`. */
export function parsePattern(path: string): Step[] | undefined {
  if (!path.startsWith("$")) return undefined;
  const step =
    /\.(?<name>[\p{L}\p{N}_$-]+)|\[(?<index>\d+|\*)\]|\['(?<single>[^']*)'\]|\["(?<double>[^"]*)"\]/uy;
  step.lastIndex = 1;
  const steps: Step[] = [];
  while (step.lastIndex < path.length) {
    const found = step.exec(path)?.groups;
    if (found === undefined) return undefined;
    const name = found["name"] ?? found["single"] ?? found["double"];
    steps.push(name ?? (found["index"] === "*" ? EACH : Number(found["index"])));
  }
  return steps;
}
