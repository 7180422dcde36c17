import { closest, distance } from "fastest-levenshtein";
import { CONFIG_FILE, type ConfiguredSource } from "../config/load.ts";
import type { Problem } from "../errors.ts";
import { keyOf } from "../handlers/find.ts";
import type { HandlersRead } from "../handlers/load.ts";
import type { KnownTypes } from "../providers/known-types.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";

/**
 * Returns a warning if an event type of a provider is unknown, with the type that was probably meant. It is
 * only a warning, because providers add types.
 *
 * @returns undefined if the type is known, or if hookonce has no list for the provider
 */
export async function unknownType(provider: Provider, type: string): Promise<string | undefined> {
  const known = (await load()).get(provider.name);
  return known === undefined ? undefined : problemWith(type, provider, known, known.types);
}

/**
 * The elements of `types` in `forward` that cover a type and, as a handler's name does, all types below it:
 * `issues.*` for `issues`.
 */
export async function patternsFor({ name }: Provider, type: string): Promise<string[]> {
  const names = (await load()).get(name)?.types ?? [];
  if (!names.some((one) => one.startsWith(`${type}.`))) return [type];
  return names.includes(type) ? [type, `${type}.*`] : [`${type}.*`];
}

/** Warns about handlers whose name is not an event type of their source's provider. They would never run. */
export async function warnOfUnknownTypes(
  sources: readonly ConfiguredSource[],
  { code }: Pick<HandlersRead, "code">,
): Promise<Problem[]> {
  if (code.length === 0) return [];
  const known = await load();
  return code.flatMap(({ source, key, code: { file } }) => {
    const problems = sources
      .filter(({ name, handlers }) => (handlers ?? name) === source)
      .map((one) => {
        const provider = providers.get(one.provider);
        const types = provider === undefined ? undefined : known.get(provider.name);
        // Skip sources whose config reads the type from another place, and sources that replace another one.
        if (provider === undefined || types === undefined || one.type !== undefined || key === "_any")
          return undefined;
        return problemWith(key, provider, types, types.types.map(keyOf));
      });
    const [first] = problems;
    // It is enough if one source has this type.
    return first === undefined || problems.includes(undefined) ? [] : [{ file, message: first }];
  });
}

/** Warns about `types` in `forward` that no event of the source's provider has. Nothing would be sent on for them. */
export async function warnOfUnknownForwards(sources: readonly ConfiguredSource[]): Promise<Problem[]> {
  const forwarding = sources.filter(({ forward = [] }) => forward.some(({ types }) => types !== undefined));
  if (forwarding.length === 0) return [];
  const known = await load();
  return forwarding.flatMap(({ name, provider: preset, type, forward = [], lineOf }) => {
    const provider = providers.get(preset);
    const types = known.get(preset);
    if (provider === undefined || types === undefined || type !== undefined) return [];
    return forward.flatMap(({ types: patterns = [] }, index) =>
      patterns.flatMap((pattern) => {
        const problem = patternProblem(pattern, provider, types);
        if (problem === undefined) return [];
        const line = lineOf("forward", index, "types");
        return [{ file: CONFIG_FILE, line, message: `sources.${name}.forward.types: ${problem}` }];
      }),
    );
  });
}

/** @param pattern a type, or a prefix and `*` */
function patternProblem(pattern: string, provider: Provider, known: KnownTypes): string | undefined {
  const { types, whole, others } = known;
  if (/(?<!\\)\*$/.test(pattern)) {
    const prefix = pattern.slice(0, -1);
    if (!whole || others !== undefined || types.some((one) => one.startsWith(prefix))) return undefined;
    return `hookonce knows no event type of ${provider.title} that begins with "${prefix}"; to list the known types: hookonce providers ${provider.name}`;
  }
  const below = types.find((one) => one.startsWith(`${pattern}.`));
  if (below === undefined || types.includes(pattern)) return problemWith(pattern, provider, known, types);
  return `"${pattern}" is not the whole type of an event of ${provider.title}, as "${below}" is. For all types that begin with it, write "${pattern}.*"`;
}

async function load(): Promise<ReadonlyMap<string, KnownTypes>> {
  return (await import("../providers/event-types.ts")).eventTypes;
}

/**
 * How many letters may be wrong if the list is incomplete, because a larger difference may be another type.
 */
const CLOSE = 2;

/** The type that was probably meant by one that is not known. */
export function typeMeantBy(type: string, known: KnownTypes): string | undefined {
  return isKnown(type, known, known.types) ? undefined : nearestOf(type, known, known.types);
}

function problemWith(
  type: string,
  { name, title }: Provider,
  known: KnownTypes,
  names: readonly string[],
): string | undefined {
  if (isKnown(type, known, names)) return undefined;
  const meant = nearestOf(type, known, names);
  if (!known.whole && meant === undefined) return undefined;
  const remedy =
    meant === undefined ? `to list the known types: hookonce providers ${name}` : `did you mean ${meant}?`;
  return `hookonce knows no event type "${type}" of ${title}; ${remedy}`;
}

function isKnown(type: string, { others }: KnownTypes, names: readonly string[]): boolean {
  // `issues` is the general form of `issues.opened`.
  return names.some((one) => one === type || one.startsWith(`${type}.`)) || others?.test(type) === true;
}

function nearestOf(type: string, { whole }: KnownTypes, names: readonly string[]): string | undefined {
  const lower = type.toLowerCase();
  const byLower = new Map(names.map((one) => [one.toLowerCase(), one]));
  const best = closest(lower, [...byLower.keys()]);
  const isClose = distance(lower, best) <= (whole ? Math.max(CLOSE, type.length / 3) : CLOSE);
  return isClose ? (byLower.get(best) ?? best) : undefined;
}
