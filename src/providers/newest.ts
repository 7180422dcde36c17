import type { Headers } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { unfit } from "./body/identity.ts";
import { canonical, compileSelector, inWords, type Read, type Selector } from "./body/selector.ts";
import { NumberLiteral } from "./body/exact-numbers.ts";
import { parseVersion } from "./version.ts";

/** A rule of `newest_wins`: an older event is not applied after a newer one with the same key. */
export interface NewestRule {
  /** Exact types, or prefixes that end in `*`. */
  readonly types: readonly string[];
  readonly key: Selector;
  readonly version: Selector;
  /** What happens to an event of the same version as another one. */
  readonly ties: "apply" | "fail";
}

/** An event's place in the order of its key. */
export interface Place {
  /** Names the rule. The key belongs to it. */
  readonly rule: string;
  readonly key: string;
  /** A whole number or a time, as the event has it. */
  readonly version: string;
  readonly ties: NewestRule["ties"];
}

/** What a place is read from: an event as its handler would receive it. */
interface Ordered {
  readonly type: string;
  readonly payloadJson: string | null;
  readonly headersJson: string;
  readonly body: Uint8Array;
}

/** Returns undefined if no rule is for the type, and an error if the event lacks what the rule reads. */
export type PlaceOf = (event: Ordered) => Place | HookonceError | undefined;

export function compileNewest(rules: readonly NewestRule[]): PlaceOf {
  const compiled = rules.map(compileRule);
  return (event) => compiled.find(({ isFor }) => isFor(event.type))?.placeOf(event);
}

/** Whether a type matches one of these: exact types, or prefixes that end in `*`. */
export function matchesType(patterns: readonly string[], type: string): boolean {
  return patterns.some((pattern) => {
    if (pattern.endsWith("\\*")) return type === `${pattern.slice(0, -2)}*`;
    return pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
  });
}

function compileRule({ types, key, version, ties }: NewestRule) {
  // Another version is another order: a count cannot be compared with a time.
  const rule = JSON.stringify({ types: [...new Set(types)].sort(), version: canonical(version) });
  const readKey = reading(key, "key");
  const readVersion = reading(version, "version");
  return {
    isFor: (type: string): boolean => matchesType(types, type),
    placeOf(event: Ordered): Place | HookonceError {
      const from = {
        headers: JSON.parse(event.headersJson) as Headers,
        payload: event.payloadJson === null ? undefined : (JSON.parse(event.payloadJson) as unknown),
        json: event.payloadJson,
        body: event.body,
      };
      const found = readKey(from, event.type);
      if (found instanceof HookonceError) return found;
      const at = readVersion(from, event.type);
      if (at instanceof HookonceError) return at;
      if (parseVersion(at) !== undefined) return { rule, key: found, version: at, ties };
      return new HookonceError(
        "invalid_version",
        `The version at ${inWords(version)} is neither a whole number nor a time such as 2026-01-31T12:00:00Z. newest_wins needs one to know which event is newer.`,
      );
    },
  };
}

/** Reads text or a number, digit for digit. */
function reading(
  selector: Selector,
  what: "key" | "version",
): (from: Parameters<Read>[0], type: string) => string | HookonceError {
  const read = compileSelector(selector, "absent");
  const place = inWords(selector);
  return (from, type) => {
    const value = read(from);
    if (value === undefined)
      return new HookonceError(
        `missing_${what}`,
        `The event has no ${what} at ${place}, where newest_wins expects it for ${type === "" ? "events without a type" : `the type "${type}"`}. Correct ${what}, or leave this type out of types.`,
      );
    if (typeof value !== "string" && typeof value !== "number" && !(value instanceof NumberLiteral))
      return new HookonceError(
        `invalid_${what}`,
        `The ${what} at ${place} is neither text nor a number. Correct ${what} of newest_wins.`,
      );
    const text = String(value);
    // 1.0 and 1 are the same number, and would be different keys.
    const isFraction = what === "key" && typeof value !== "string" && !/^-?\d+$/.test(text);
    const why = isFraction ? "is a number but not a whole number" : unfit(text);
    return why === undefined
      ? text
      : new HookonceError(
          `invalid_${what}`,
          `The ${what} at ${place} ${why}. Correct ${what} of newest_wins.`,
        );
  };
}
