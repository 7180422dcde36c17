import { closest, distance } from "fastest-levenshtein";
import { REDACTED } from "../providers/body/secret-spellings.ts";

/** Stands for every element of a list that json_each() reads. */
export const EACH = Symbol("each");

/** A key, an index (from the end if it is negative), or every element. */
export type Step = string | number | typeof EACH;

/**
 * What a path finds in a payload. `null` is also a value inside one that is null. A list without elements lacks
 * nothing.
 */
export type Found = "found" | "null" | "missing";

export function lookUp(payload: unknown, [step, ...rest]: readonly Step[]): Found {
  if (payload === null) return "null";
  // A value that was replaced may have been anything.
  if (step === undefined || payload === REDACTED) return "found";
  if (step === EACH) {
    // json_each() of a single value reads this value.
    const elements = typeof payload === "object" ? Object.values(payload) : [payload];
    const all = new Set(elements.map((one) => lookUp(one, rest)));
    return all.size === 0 || all.has("found") ? "found" : all.has("null") ? "null" : "missing";
  }
  if (typeof step === "number") {
    const element: unknown = Array.isArray(payload) ? payload.at(step) : undefined;
    return element === undefined ? "missing" : lookUp(element, rest);
  }
  if (typeof payload !== "object" || Array.isArray(payload) || !Object.hasOwn(payload, step))
    return "missing";
  return lookUp((payload as Record<string, unknown>)[step], rest);
}

/** How many values of a payload are looked at to find what was meant. */
const MAX_VALUES = 2000;

/**
 * The path in these payloads that was probably meant, for one that is in none of them.
 *
 * @returns in SQLite's notation. After an {@link EACH}, it is a path in the element
 */
export function nearestPath(payloads: readonly unknown[], steps: readonly Step[]): string | undefined {
  const from = steps.lastIndexOf(EACH) + 1;
  const roots = payloads.flatMap((payload) => valuesAt(payload, steps.slice(0, from)));
  const wanted = steps.slice(from);
  const paths = new Map<string, readonly Step[]>();
  for (const root of roots) addPaths(root, [], paths);
  const name = wanted.at(-1);
  if (paths.size === 0 || name === undefined) return undefined;
  // A level was left out: $.data.customer for $.data.object.customer.
  const deeper = [...paths].filter(([, path]) => path.at(-1) === name && contains(path, wanted));
  const [best] = deeper.sort(([, a], [, b]) => a.length - b.length)[0] ?? [];
  if (best !== undefined) return best;
  const written = jsonPath(wanted);
  const allowed = Math.max(2, Math.floor(String(name).length / 3));
  const misspelled = closest(written, [...paths.keys()]);
  if (distance(written, misspelled) <= allowed) return misspelled;
  // A name beside it that is longer: $.amount_paid for $.amount.
  const begun = [...paths].filter(([, path]) => isLonger(path, wanted)).map(([path]) => path);
  if (begun.length > 0) return closest(written, begun);
  const elsewhere = [...paths].filter(([, path]) => path.at(-1) === name).map(([path]) => path);
  return typeof name === "string" && elsewhere.length > 0 ? closest(written, elsewhere) : undefined;
}

/** What a path leads to: one value or none, or one for each element. */
export function valuesAt(payload: unknown, [step, ...rest]: readonly Step[]): unknown[] {
  if (step === undefined) return [payload];
  if (typeof payload !== "object" || payload === null) return [];
  if (step === EACH) return Object.values(payload).flatMap((one) => valuesAt(one, rest));
  const one = typeof step === "number" && Array.isArray(payload) ? payload.at(step) : undefined;
  if (one !== undefined) return valuesAt(one, rest);
  return Object.hasOwn(payload, step)
    ? valuesAt((payload as Record<string, unknown>)[step as string], rest)
    : [];
}

/** Of a list, only the first element is read. */
function addPaths(value: unknown, path: readonly Step[], paths: Map<string, readonly Step[]>): void {
  if (paths.size >= MAX_VALUES) return;
  if (path.length > 0) paths.set(jsonPath(path), path);
  if (Array.isArray(value)) {
    if (value.length > 0) addPaths(value[0], [...path, 0], paths);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, one] of Object.entries(value)) addPaths(one, [...path, key], paths);
  }
}

/** Whether a path differs from another only in that its last name goes on. */
function isLonger(path: readonly Step[], begin: readonly Step[]): boolean {
  const [long, short] = [path.at(-1), begin.at(-1)];
  // One or two letters begin too many names.
  if (typeof long !== "string" || typeof short !== "string" || short.length < 3) return false;
  return jsonPath(path.slice(0, -1)) === jsonPath(begin.slice(0, -1)) && long.startsWith(short);
}

/** Whether a path has these steps in this order, with others between them. */
function contains(path: readonly Step[], steps: readonly Step[]): boolean {
  let next = 0;
  for (const step of path) if (step === steps[next]) next++;
  return next === steps.length;
}

/** In SQLite's notation, as it is between the quotation marks of SQL: https://sqlite.org/json1.html#path_arguments */
export function jsonPath(path: readonly Step[]): string {
  const written = path.map((step) => {
    if (step === EACH) return "[*]";
    if (typeof step === "number") return step < 0 ? `[#${step}]` : `[${step}]`;
    return /^[A-Za-z_]\w*$/.test(step) ? `.${step}` : `.${JSON.stringify(step).replaceAll("'", "''")}`;
  });
  return `$${written.join("")}`;
}
