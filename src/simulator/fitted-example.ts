import { parametersIn } from "../providers/body/kept-query.ts";
import { parameterOf, parsePath, parseValuePath } from "../providers/body/path.ts";
import {
  compileSelector,
  isList,
  type Part,
  type Readable,
  type Selector,
} from "../providers/body/selector.ts";
import type { TestMark } from "../providers/provider.ts";
import type { SourceSettings } from "../providers/source.ts";
import { seedOf, type Example, type Seed } from "./example.ts";

type Steps = readonly (string | number)[];

/** What a source's config can have instead of its preset's rule. */
export type OwnRules = Pick<SourceSettings, "eventId" | "type" | "batch">;

/**
 * The example for a source whose config reads id, type or the events of a batch from other places than its
 * preset. It gets an id and the type there, unless the example has them there already. A rule that names no
 * place, such as `sha256:body`, changes nothing.
 */
export function fitExample(example: Example, { eventId, type, batch }: OwnRules): Example {
  const readId = eventId === undefined ? undefined : compileSelector(eventId, "absent");
  const readType = type === undefined ? undefined : compileSelector(type, "skip");
  const placesOf = (seed: Seed): Place[] => {
    const other = seedOf((seed.id.startsWith("f") ? "0" : "f").repeat(24), seed.type, seed.ms);
    const from = readable(example, seed);
    const id = readId?.(from);
    const idIsThere = id !== undefined && id !== readId?.(readable(example, other));
    return [
      ...(idIsThere ? [] : placesIn(eventId, `evt_${seed.id}`)),
      ...(readType?.(from) === seed.type ? [] : placesIn(type, seed.type)),
    ];
  };
  const wrap = example.wrap ?? wrapFor(batch);
  return {
    ...example,
    ...(wrap === undefined ? {} : { wrap }),
    event: (seed) =>
      placesOf(seed).reduce<unknown>(
        (body, { at, value }) => (at.in === "body" ? withValue(body, at.steps, value) : body),
        example.event(seed),
      ),
    headers: (seed) => ({
      ...example.headers?.(seed),
      ...Object.fromEntries(
        placesOf(seed).flatMap(({ at, value }) => (at.in === "header" ? [[at.name, value]] : [])),
      ),
    }),
    ...(parametersIn([eventId ?? [], type ?? []]).length === 0
      ? {}
      : {
          query: (seed) =>
            Object.fromEntries(
              placesOf(seed).flatMap(({ at, value }) => (at.in === "query" ? [[at.name, value]] : [])),
            ),
        }),
  };
}

/**
 * The example as the provider sends it if it is a test. Undefined if the config cannot make one: the provider marks no
 * tests, or marks them in a header that is part of the signature.
 */
export function testExample(example: Example, marks: readonly TestMark[] = []): Example | undefined {
  for (const { at, is, begins = "" } of marks) {
    const place = parseValuePath(at);
    if (place.in !== "body") continue;
    const marked = (body: unknown, { id }: Seed): unknown =>
      withValue(body, place.steps, is ?? `${begins}${id}`);
    const { wrap } = example;
    // What encloses the events of a batch has the mark.
    return wrap === undefined
      ? { ...example, event: (seed) => marked(example.event(seed), seed) }
      : { ...example, wrap: (events, seed) => marked(wrap(events, seed), seed) };
  }
  return undefined;
}

function readable(example: Example, seed: Seed): Readable {
  return { headers: example.headers?.(seed) ?? {}, payload: example.event(seed), body: "" };
}

interface Place {
  readonly at: ReturnType<typeof parseValuePath> | { readonly in: "query"; readonly name: string };
  readonly value: string;
}

/** The places that a selector reads, and what to write there so that it reads this value. */
function placesIn(selector: Selector | undefined, value: string): Place[] {
  if (selector === undefined || value === "") return [];
  if (typeof selector === "string") {
    const name = parameterOf(selector);
    if (name !== undefined) return [{ at: { in: "query", name }, value }];
    return isPlace(selector) ? [{ at: parseValuePath(selector), value }] : [];
  }
  if ("key_beside" in selector || "hash_without" in selector) return [];
  if (isList(selector)) {
    for (const choice of selector) {
      const places = placesIn(choice, value);
      if (places.length > 0) return places;
    }
    return [];
  }
  const { join, with: separator } = selector;
  const pieces = value.split(separator);
  const rest = pieces.slice(join.length - 1).join(separator);
  return join.flatMap((part, index) => {
    const piece = index === join.length - 1 ? rest : pieces[index];
    return placesIn(part, piece === undefined || piece === "" ? value : piece);
  });
}

function isPlace(part: Part): boolean {
  return part.startsWith("header:") || part.startsWith("body:");
}

function withValue(body: unknown, [step, ...rest]: Steps, value: unknown): unknown {
  if (step === undefined) return value;
  if (typeof step === "number") {
    const list: unknown[] = Array.isArray(body) ? [...(body as unknown[])] : [];
    while (list.length < step) list.push({});
    list[step] = withValue(list[step], rest, value);
    return list;
  }
  const object = typeof body === "object" && body !== null && !Array.isArray(body) ? body : {};
  return { ...object, [step]: withValue((object as Record<string, unknown>)[step], rest, value) };
}

/** For a batch with one array, such as `body:$.events[*]`. */
function wrapFor(batch: OwnRules["batch"]): Example["wrap"] {
  const [path, ...others] = batch ?? [];
  const [before, after, ...more] = path?.slice("body:".length).split("[*]") ?? [];
  if (before === undefined || after === undefined || others.length > 0 || more.length > 0) return undefined;
  const outer = parsePath(before);
  const inner = parsePath(`$${after}`);
  if (outer === undefined || inner === undefined) return undefined;
  return (events) =>
    withValue(
      undefined,
      outer,
      events.map((event) => withValue(undefined, inner, event)),
    );
}
