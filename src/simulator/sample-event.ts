import type { Incoming } from "../engines/engine.ts";
import { HookonceError, messageOf } from "../errors.ts";
import type { Delivery } from "../event.ts";
import { keyOf } from "../handlers/find.ts";
import { incomingOf } from "../inbox/receive.ts";
import type { KnownTypes } from "../providers/known-types.ts";
import { isOnlyScheme } from "../providers/provider.ts";
import type { Source } from "../providers/source.ts";
import { exampleFor, seedOf, type Example, type Seed } from "./example.ts";
import { examples } from "./examples.ts";
import { fitExample } from "./fitted-example.ts";
import { requestOf } from "./request.ts";

/** An event, or why there is none. */
export type Sample = Incoming | { readonly why: string };

/**
 * The made-up events for a handler, as its source reads them: one, or for `_any` also one of each kind that
 * has no type.
 *
 * @param id 24 hex digits
 * @param key the part of the handler's path that is matched with the event's type
 * @param now Unix milliseconds
 * @returns none if there is no sample: what such a source receives is up to its sender
 */
export function sampleEvents(
  source: Source,
  key: string,
  known: ReadonlyMap<string, KnownTypes>,
  id: string,
  now: number,
): Sample[] {
  const { provider } = source;
  const example = examples.get(provider.name);
  if (example === undefined || isOnlyScheme(provider)) return [];
  const type = typeFor(key, example.types, known.get(provider.name)?.types ?? []);
  const words = key === "_any" ? [type, ...Object.keys(example.untyped ?? {})] : [type];
  return words.map((word) => {
    const made = exampleFor(example, word);
    return sampleOf(source, made.example, seedOf(id, made.type, now));
  });
}

function sampleOf(source: Source, example: Example, seed: Seed): Sample {
  const request = requestOf(fitExample(example, source.ownRules), [seed], "http://localhost");
  const made: Delivery = { ...request, receivedAt: seed.ms, remoteAddress: () => null };
  const delivery = source.keepQuery?.(made) ?? made;
  try {
    const body = source.parse(delivery);
    if (source.split === undefined) return incomingOf(source.identify(delivery, body), delivery, source);
    const [first] = source.split(delivery, body);
    if (first === undefined || first instanceof HookonceError) throw first;
    return incomingOf(first, delivery, source, body);
  } catch (error) {
    // The config reads ids or events from elsewhere than the preset.
    return { why: `the made-up event does not fit source "${source.name}": ${messageOf(error)}` };
  }
}

/** The first type that runs this handler. */
function typeFor(key: string, usual: readonly string[], known: readonly string[]): string {
  if (key === "_any") return usual[0] ?? "";
  const types = [...usual, ...known];
  return (
    types.find((type) => keyOf(type) === key) ??
    types.find((type) => keyOf(type).startsWith(`${key}.`)) ??
    key
  );
}
