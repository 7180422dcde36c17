import { typeMeantBy } from "../app/unknown-types.ts";
import { nearest } from "../config/nearest.ts";
import { atCallerSync, callerOf } from "./caller.ts";
import { eventTypes } from "../providers/event-types.ts";
import { exampleFor, seedOf, type Example, type Seed, type UntypedExample } from "../simulator/example.ts";
import { examples } from "../simulator/examples.ts";

/** What is known about an event that a test delivers, besides its payload. */
export interface Made {
  readonly example: Example | UntypedExample;
  /** Empty if the provider names none. */
  readonly type: string;
  readonly seed: Seed;
}

/** Where each payload comes from. A payload that is delivered twice is the same event. */
const known = new WeakMap<object, Made>();

/** What is known about a payload: of a fixture, or of an object that was delivered before. */
export function madeFrom(payload: unknown): Made | undefined {
  return typeof payload === "object" && payload !== null ? known.get(payload) : undefined;
}

export function remember(payload: unknown, made: Made): Made {
  if (typeof payload === "object" && payload !== null) known.set(payload, made);
  return made;
}

/** The payload of a new event. `overrides` are merged into it, at any depth. */
export type MakeFixture = (overrides?: Readonly<Record<string, unknown>>) => unknown;

/**
 * Made-up payloads of every provider, by type: `fixtures.stripe["invoice.paid"]({ data: { object: … } })`. A type
 * that hookonce has no example of gets the provider's envelope.
 */
export const fixtures = byName((provider) => {
  const example = examples.get(provider);
  if (example !== undefined)
    return byName((type): MakeFixture => {
      warnOfType(provider, example, type);
      return (overrides) => makeFixture(example, type, overrides);
    });
  throw new TypeError(
    `fixtures.${provider}: there is no provider "${provider}": ${nearest(provider, [...examples.keys()], "for the list, run hookonce providers")}`,
  );
}) as Readonly<Record<string, Readonly<Record<string, MakeFixture>>>>;

/** Only a warning, because providers add types. */
function warnOfType(provider: string, { types, untyped = {} }: Example, type: string): void {
  const known = eventTypes.get(provider);
  if (known === undefined || types.includes(type) || Object.hasOwn(untyped, type)) return;
  const meant = typeMeantBy(type, known);
  if (meant === undefined) return;
  console.warn(
    `warning: fixtures.${provider}["${type}"]: hookonce knows no such type; did you mean ${meant}?`,
  );
}

/** @param word a type, or a word in the example's `untyped` */
function makeFixture(usual: Example, word: string, overrides: unknown): unknown {
  const { example, type } = exampleFor(usual, word);
  const seed = newSeed(type, Date.now());
  const payload = merged(example.event(seed), overrides);
  remember(payload, { example, type, seed });
  return payload;
}

/** @param now Unix milliseconds */
export function newSeed(type: string, now: number): Seed {
  return seedOf(Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString("hex"), type, now);
}

/** Objects are merged. Everything else, lists included, replaces what was there. */
function merged(base: unknown, changes: unknown): unknown {
  if (changes === undefined) return base;
  if (!isObject(base) || !isObject(changes)) return changes;
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes))
    result[key] = Object.hasOwn(base, key) && value !== undefined ? merged(base[key], value) : value;
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object that makes the value of each of its keys when it is first read. */
function byName(make: (name: string) => unknown): object {
  const made = new Map<string, unknown>();
  return new Proxy(Object.freeze(Object.create(null) as object), {
    get: function get(_, name) {
      // Printing or awaiting the object reads these.
      if (typeof name === "symbol" || name === "then" || name === "toJSON") return undefined;
      let value = made.get(name);
      if (value === undefined) made.set(name, (value = atCallerSync(callerOf(get), () => make(name))));
      return value;
    },
  });
}
