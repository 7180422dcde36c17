import { HookonceError } from "../../errors.ts";
import { mayBeRounded, parseWithExactNumbers, parseWithLongNumbers } from "./exact-numbers.ts";
import type { ParsedBody } from "./payload.ts";
import { parsePath, stepsIn } from "./path.ts";
import type { Part } from "./selector.ts";

/**
 * `body:$[*]` or `body:$.entry[*].changes[*]`: each `[*]` is a step into every element of an array. An event
 * is an element of the outermost array. Each array inside it is cut down to one element, so the event keeps
 * everything that encloses its innermost element.
 */
export type BatchPath = Part;

/**
 * Takes a payload apart. Returns undefined if the payload has no array at these paths, and throws
 * `body_too_large` if the events would not fit into memory.
 */
export type Split = (body: ParsedBody) => readonly ParsedBody[] | undefined;

/**
 * In characters. What encloses an element is repeated in each of its events, so the events of a hostile body
 * could take a thousand times its size.
 */
const MAX_TOTAL = 64 * 1024 * 1024;

/** @throws HookonceError `config_invalid` that names the path that cannot be read */
export function compileBatch(paths: readonly BatchPath[]): Split {
  const eventsIn = compilePaths(paths);
  return (body) => {
    let total = 0;
    const events = eventsIn(body)?.map(({ value }) => {
      const text = JSON.stringify(value);
      total += text.length;
      if (total > MAX_TOTAL) throw tooLarge();
      return { payload: JSON.parse(text) as unknown, json: text, problem: null };
    });
    return events?.toArray();
  };
}

/**
 * Returns a function that makes a batch of one of the events in a body.
 *
 * @throws HookonceError `config_invalid`
 */
export function compileBatchOfOne(paths: readonly BatchPath[]): BatchOfOne {
  const eventsIn = compilePaths(paths);
  const pieces = paths.map(stepsOf);
  return (body, event) => {
    let found: FoundEvent | undefined;
    let count = 0;
    for (const one of eventsIn(body) ?? []) {
      count++;
      if (found === undefined && JSON.stringify(one.value) === event) found = one;
      if (found !== undefined && count > 1) return found.alone();
    }
    if (found !== undefined) return undefined;
    // An event that failed at first is stored without what enclosed it.
    const value = parseWithExactNumbers(event);
    const holds = ([, inner = []]: Steps[]): boolean =>
      inner.length > 0 && valueAt(value, inner) !== undefined;
    const [outer = [], ...inner] = pieces.find(holds) ?? pieces[0] ?? [];
    const element = inner.length === 1 ? withValue(undefined, inner[0] ?? [], value) : value;
    return withValue(undefined, outer, [element]);
  };
}

/**
 * The payload of a batch that has one event and what encloses it. Undefined if the body is that batch.
 *
 * @param event the event as {@link Split} returns it, as JSON
 */
export type BatchOfOne = (body: ParsedBody, event: string) => unknown;

/**
 * Returns a function that finds where the event is in a batch of one.
 *
 * @throws HookonceError `config_invalid`
 */
export function compilePlaceOfOne(paths: readonly BatchPath[]): (payload: unknown) => Steps {
  const pieces = paths.map(stepsOf);
  return (payload) => {
    const elements = pieces
      .map(([outer = [], ...inner]) => ({
        element: [...outer, 0],
        end: inner.length === 1 ? (inner[0] ?? []) : [],
      }))
      .filter(({ element }) => valueAt(payload, element) !== undefined);
    const within = elements
      .filter(({ end }) => end.length > 0)
      .map(({ element, end }) => element.concat(end))
      .find((steps) => valueAt(payload, steps) !== undefined);
    return within ?? elements[0]?.element ?? [];
  };
}

interface FoundEvent {
  readonly value: unknown;
  /** Makes a copy of what holds the event, without the other events. */
  readonly alone: () => unknown;
}

/** Returns a function that finds the events in a body; undefined if it has no array at these paths. */
function compilePaths(
  paths: readonly BatchPath[],
): (body: ParsedBody) => IteratorObject<FoundEvent> | undefined {
  const root: Level = { lists: [], ends: [] };
  for (const path of paths) add(root, stepsOf(path));
  return ({ payload, json }) => {
    if (json === null) return undefined;
    const source = mayBeRounded(json) ? parseWithLongNumbers(json) : payload;
    const arrays = root.lists.filter(({ steps }) => Array.isArray(valueAt(source, steps)));
    if (arrays.length === 0) return undefined;
    return arrays.values().flatMap((list) => {
      const others = arrays.filter((one) => one !== list).map(stepsTo);
      return elementsOf(source, list)
        .values()
        .flatMap((element) =>
          eventsOf(element, list).map(({ value, alone }) => ({
            value,
            alone: () => withValue(without(source, others), list.steps, [alone()]),
          })),
        );
    });
  };
}

/**
 * Reads a value that is in an element of a batch from every element: `body:$.events[0].token` from each of
 * `body:$.events[*]`. Otherwise a delivery could carry elements that nobody has checked.
 *
 * @param batch undefined if a delivery is one event
 * @returns a function that returns at least one value; undefined is a value that is missing
 * @throws HookonceError `config_invalid` if the elements of one of several lists would not be read
 */
export function compileInEach(
  batch: readonly BatchPath[] | undefined,
  place: Part,
): (payload: unknown) => unknown[] {
  const steps = stepsIn(place);
  const lists = (batch ?? [])
    .map((path) => ({ path, indexes: indexesIn(stepsOf(path), steps) }))
    .sort((a, b) => b.indexes.length - a.indexes.length);
  const indexes = lists[0]?.indexes ?? [];
  const unread = lists.find((list) => list.indexes.length < indexes.length);
  if (unread !== undefined)
    throw new HookonceError(
      "config_invalid",
      `secret_in = "${place}" is not in the elements of "${unread.path}", which batch also names, so nothing would check them: use a source for each list.`,
      { key: "secret_in" },
    );
  const pieces: Steps[] = [];
  let start = 0;
  for (const index of indexes) {
    pieces.push(steps.slice(start, index));
    start = index + 1;
  }
  const last = steps.slice(start);
  const read = (value: unknown, depth: number): unknown[] => {
    const list = pieces[depth];
    if (list === undefined) return [valueAt(value, last)];
    const elements = valueAt(value, list);
    if (!Array.isArray(elements) || elements.length === 0) return [undefined];
    return elements.flatMap((element) => read(element, depth + 1));
  };
  return (payload) => read(payload, 0);
}

/** The positions of the steps that are an index of one of a batch's arrays. */
function indexesIn(pieces: readonly Steps[], steps: Steps): number[] {
  const indexes: number[] = [];
  let at = 0;
  for (const piece of pieces.slice(0, -1)) {
    const index = at + piece.length;
    if (piece.some((step, n) => steps[at + n] !== step) || typeof steps[index] !== "number") break;
    indexes.push(index);
    at = index + 1;
  }
  return indexes;
}

type Steps = readonly (string | number)[];

/** What the paths of a batch name in the body, or in one element. */
interface Level {
  /** The arrays to take apart. */
  readonly lists: List[];
  /** Where the event is in the element, if a path continues after its last `[*]`. */
  readonly ends: Steps[];
}

interface List extends Level {
  readonly steps: Steps;
}

/** The steps of a path, split at each `[*]`. */
function stepsOf(path: BatchPath): Steps[] {
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
      `"${path}" is not the path of a batch: write a path with [*] in it, such as body:$[*] or body:$.events[*].`,
      { key: "batch" },
    );
  }
  return known;
}

function add(level: Level, [steps = [], ...rest]: readonly Steps[]): void {
  if (rest.length === 0) {
    if (steps.length > 0) level.ends.push(steps);
    return;
  }
  const same = JSON.stringify(steps);
  let list = level.lists.find((one) => JSON.stringify(one.steps) === same);
  if (list === undefined) level.lists.push((list = { steps, lists: [], ends: [] }));
  add(list, rest);
}

/**
 * The events in one element. If no path exists in an element, the element itself is the event, so no part of
 * a batch is silently dropped.
 */
function eventsOf(element: unknown, { lists, ends }: Level): FoundEvent[] {
  const arrays = lists.filter((list) => elementsOf(element, list).length > 0);
  const taken = ends.filter((steps) => valueAt(element, steps) !== undefined);
  if (arrays.length === 0 && taken.length === 0) return [{ value: element, alone: () => element }];
  const within = arrays.flatMap((list) => {
    const { steps } = list;
    const rest = without(element, arrays.filter((one) => one !== list).map(stepsTo));
    return elementsOf(element, list).flatMap((one) =>
      eventsOf(one, list).map(({ value, alone }) => ({
        value: withValue(rest, steps, [value]),
        alone: () => withValue(without(rest, taken), steps, [alone()]),
      })),
    );
  });
  const whole = taken.map((steps) => ({
    value: valueAt(element, steps),
    alone: () => without(element, [...arrays.map(stepsTo), ...taken.filter((one) => one !== steps)]),
  }));
  return [...whole, ...within];
}

function stepsTo({ steps }: List): Steps {
  return steps;
}

/** JSON leaves out undefined values, so an event does not depend on what else came with it. */
function without(holder: unknown, places: readonly Steps[]): unknown {
  return places.reduce((rest, steps) => withValue(rest, steps, undefined), holder);
}

function elementsOf(holder: unknown, { steps }: List): unknown[] {
  const value = valueAt(holder, steps);
  return Array.isArray(value) ? value : [];
}

function valueAt(value: unknown, steps: Steps): unknown {
  let at = value;
  for (const step of steps) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

/** A copy with another value at the end of the steps. Missing objects and lists on the way are created. */
function withValue(holder: unknown, [step, ...rest]: Steps, value: unknown): unknown {
  if (step === undefined) return value;
  const isList = Array.isArray(holder) || (holder === undefined && typeof step === "number");
  const copy = (isList ? [...((holder ?? []) as unknown[])] : { ...(holder as object) }) as Record<
    string | number,
    unknown
  >;
  const inner = withValue(copy[step], rest, value);
  // An assignment to __proto__ would replace the prototype instead.
  Object.defineProperty(copy, step, { value: inner, enumerable: true, configurable: true, writable: true });
  return copy;
}

function tooLarge(): HookonceError {
  return new HookonceError(
    "body_too_large",
    "The body is too large once it is split into events, because each event repeats what encloses it.",
  );
}
