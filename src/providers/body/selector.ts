import type { Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { NumberLiteral, numberAt, withoutMember } from "./exact-numbers.ts";
import { parameterOf, parsePath, parseValuePath, stepsIn } from "./path.ts";

/**
 * Where a value is: a part, a list (the first that is present), several parts joined, or the name of the one
 * key of the payload that is not in `key_beside` (this is how Telegram's updates name their type).
 */
export type Selector =
  | Part
  | readonly Selector[]
  | { readonly join: readonly Part[]; readonly with: string }
  | KeyBeside
  | HashWithout;

/** `of` is a part. Its value is used instead of the payload. */
export interface KeyBeside {
  readonly key_beside: readonly string[];
  readonly of?: Part | undefined;
}

/**
 * A hash of the payload without these parts, such as a count of attempts, which make each retry's body another
 * one.
 */
export interface HashWithout {
  readonly hash_without: readonly Part[];
}

/**
 * `header:x-github-event`, `query:id`, `body:$.data.object.id` or `key:$.message.is_deleted` (the last name itself, if
 * its value is there and not false). For ids also:
 *
 * - `sha256:body`, a hash of the body (in a batch: of the element). Use it if a retry has the same body, byte
 *   for byte, and no two events have the same body.
 * - `sha256:body:$.path`, a hash of the value at a path: for a text that may be too long for an id.
 * - `new:delivery`, a new id for every delivery. For pings that only say "something has changed": any other
 *   rule would lose events.
 */
export type Part = string;

/** What a selector reads from. */
export interface Readable {
  readonly headers: Headers;
  readonly payload: unknown;
  /** The payload as JSON text. With it, numbers are read digit for digit, as {@link NumberLiteral}. */
  readonly json?: string | null;
  /** For `sha256:body`. */
  readonly body: Uint8Array | string;
}

/** Returns the value as it is in the JSON, or undefined if it is missing or null. */
export type Read = (from: Readable) => unknown;

/**
 * @param missing what a join does if a part is missing. `skip` leaves out the part (for a type). `absent`
 *   returns no value (for an id)
 * @param escapes whether two different tuples never join to one text, as in an id
 * @throws HookonceError `config_invalid` that names what cannot be read
 */
export function compileSelector(
  selector: Selector,
  missing: "skip" | "absent",
  escapes = missing === "absent",
): Read {
  if (typeof selector === "string") return compilePart(selector);
  if ("key_beside" in selector) return compileKeyBeside(selector);
  if ("hash_without" in selector) return compileHashWithout(selector);
  if (!isList(selector)) return compileJoin(selector.join, selector.with, missing, escapes);
  const choices = selector.map((choice) => compileSelector(choice, missing, escapes));
  return (from) => {
    for (const read of choices) {
      const value = read(from);
      if (value !== undefined && value !== "") return value;
    }
    return undefined;
  };
}

export function isList(selector: Exclude<Selector, Part>): selector is readonly Selector[] {
  return Array.isArray(selector);
}

function compileJoin(
  parts: readonly Part[],
  separator: string,
  missing: "skip" | "absent",
  escapes: boolean,
): Read {
  const reads = parts.map(compilePart);
  const escape = escapes ? escapeOf(separator) : (part: string) => part;
  return (from) => {
    const found: string[] = [];
    for (const read of reads) {
      const value = read(from);
      if (isText(value)) found.push(escape(String(value)));
      else if (missing === "absent") return undefined;
    }
    // If all parts of an id are empty, every such delivery would be the same event.
    if (found.length === 0 || (missing === "absent" && found.every((part) => part === ""))) return undefined;
    return found.join(separator);
  };
}

/** The character before each character of a separator, and before itself, in a part of an id. */
export const ESCAPE = "\\";

/**
 * Without it `1:2` and `3` would be the same id as `1` and `2:3`. Each character of the separator is escaped:
 * with `::`, the parts `a:` and `b` would otherwise be `a` and `:b`.
 */
function escapeOf(separator: string): (part: string) => string {
  if (separator === "" || separator.includes(ESCAPE)) {
    throw new HookonceError(
      "config_invalid",
      `event_id: with = ${JSON.stringify(separator)} cannot separate the parts of an id, because other parts could join to the same id. Write a separator without a backslash, such as ":".`,
      { key: "event_id" },
    );
  }
  const special = new RegExp(`[${RegExp.escape(separator)}\\\\]`, "gu");
  return (part) => part.replace(special, `${ESCAPE}$&`);
}

function compileKeyBeside({ key_beside: others, of }: KeyBeside): Read {
  const read: Read = of === undefined ? ({ payload }) => payload : compilePart(of);
  return (from) => {
    const value = read(from);
    return typeof value === "object" && value !== null
      ? Object.keys(value).find((key) => !others.includes(key))
      : undefined;
  };
}

function compileHashWithout({ hash_without: parts }: HashWithout): Read {
  const paths = parts.map(stepsIn);
  return ({ json, body }) => {
    let text: string | undefined;
    for (const path of paths) text = withoutMember(text ?? json ?? "", path) ?? text;
    // A form has its fields as JSON, with these parts and without.
    return sha256(text ?? json ?? body);
  };
}

function sha256(content: Uint8Array | string): string {
  return new Bun.CryptoHasher("sha256").update(content).digest("hex");
}

export const HASH_OF_BODY = "sha256:body";

function compilePart(part: Part): Read {
  if (part === HASH_OF_BODY) return ({ body }) => sha256(body);
  if (part.startsWith(`${HASH_OF_BODY}:`)) {
    const read = compilePath(stepsIn(part.slice("sha256:".length)));
    return (from) => {
      const value = read(from);
      return isText(value) ? sha256(String(value)) : undefined;
    };
  }
  // A UUIDv7 grows with time, so new ids go to the end of the index.
  if (part === "new:delivery") return () => Bun.randomUUIDv7();
  if (part.startsWith("key:")) {
    const steps = stepsIn(part);
    const read = compilePath(steps);
    return (from) => {
      const value = read(from);
      return value === undefined || value === false ? undefined : steps.at(-1);
    };
  }
  // kept-query.ts has put the parameter there.
  if (parameterOf(part) !== undefined) return headerAt(part);
  const path = parseValuePath(
    part,
    "header:name, query:name, body:$.path, key:$.path, sha256:body, sha256:body:$.path or new:delivery",
  );
  return path.in === "body" ? compilePath(path.steps) : headerAt(path.name);
}

function headerAt(name: string): Read {
  return ({ headers }) => (Object.hasOwn(headers, name) && headers[name] !== "" ? headers[name] : undefined);
}

function compilePath(path: readonly (string | number)[]): Read {
  return ({ payload, json }) => {
    let value = payload;
    for (const step of path) {
      // Own properties only: a body must not reach what every object inherits.
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
      value = (value as Record<string | number, unknown>)[step];
    }
    if (typeof value !== "number" || typeof json !== "string") return value ?? undefined;
    // The JSON does not contain the length of an array.
    return numberAt(json, path) ?? new NumberLiteral(String(value));
  };
}

/**
 * Returns the canonical form of a selector. Two selectors that read the same value have the same form,
 * however the config writes them.
 */
export function canonical(selector: Selector): Selector {
  if (typeof selector === "string") return canonicalPart(selector);
  if ("key_beside" in selector) return selector;
  if ("hash_without" in selector) return { hash_without: selector.hash_without.map(canonicalPart) };
  if (!isList(selector)) return { join: selector.join.map(canonicalPart), with: selector.with };
  return selector.length === 1 && selector[0] !== undefined
    ? canonical(selector[0])
    : selector.map(canonical);
}

/** Where a selector looks, in words. */
export function inWords(selector: Selector): string {
  if (typeof selector === "string") return selector;
  if ("key_beside" in selector) return selector.of ?? "the top of the body";
  if ("hash_without" in selector) return "sha256:body";
  return isList(selector) ? selector.map(inWords).join(" or ") : selector.join.join(" and ");
}

const NAME = /^[\p{L}\p{N}_$-]+$/u;

function canonicalPart(part: Part): Part {
  const [, kind, path] = /^(body|key|sha256:body):(.*)$/su.exec(part) ?? [];
  if (kind === undefined || path === undefined) return part.startsWith("query:") ? part : part.toLowerCase();
  const steps = parsePath(path) ?? [];
  const spelled = steps.map((step) =>
    typeof step === "string" && NAME.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`,
  );
  return `${kind}:$${spelled.join("")}`;
}

function isText(value: unknown): value is string | number | NumberLiteral {
  return typeof value === "string" || typeof value === "number" || value instanceof NumberLiteral;
}
