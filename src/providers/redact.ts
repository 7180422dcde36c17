import type { Delivery, Headers } from "../event.ts";
import { HookonceError } from "../errors.ts";
import type { BatchSplit } from "./batch-split.ts";
import { NumberLiteral, parseWithExactNumbers } from "./body/exact-numbers.ts";
import { EACH, parameterOf, parseValuePath, patternIn, type Step } from "./body/path.ts";
import { parseJson, type Reading } from "./body/payload.ts";
import { replaceInBody, replaceInJson } from "./body/replace-values.ts";
import { REDACTED } from "./body/secret-spellings.ts";
import { isList, type Selector } from "./body/selector.ts";
import type { NewestRule } from "./newest.ts";
import type { Provider } from "./provider.ts";
import { kindOf, type Scheme } from "./schemes.ts";
import type { Identified } from "./identify.ts";

/*
 * `redact`: values that are stored only as long as an event is owed or sent on. An engine decides when they are
 * replaced. This file decides what is.
 */

interface Settings {
  readonly redact?: readonly string[] | undefined;
  readonly provider: Provider;
  readonly scheme?: Scheme | undefined;
  readonly eventId?: Selector | undefined;
  readonly type?: Selector | undefined;
  readonly newestWins?: readonly NewestRule[] | undefined;
}

type Stored = Pick<Delivery, "headers" | "body">;

/** A stored delivery without the values. */
export interface Redacted extends Stored {
  /** How many values were replaced. */
  readonly replaced: number;
}

/** Replaces the values that a source's `redact` names. */
export interface Redaction {
  /**
   * @param isElement whether the body is the event's own part of a batch
   * @returns undefined if none of them is there
   */
  readonly replace: (stored: Stored, isElement: boolean) => Redacted | undefined;
  /**
   * The events of a stored delivery by their ids, each as JSON. Undefined if the source's deliveries carry one event
   * each.
   */
  readonly partsOf: ((stored: Stored) => ReadonlyMap<string, string>) | undefined;
}

/** @throws HookonceError `config_invalid` for a path that cannot be read, or whose value cannot be replaced */
export function createRedaction(
  settings: Settings,
  parse: Reading,
  split: BatchSplit | undefined,
): Redaction | undefined {
  const { redact = [] } = settings;
  const { formField } = settings.provider;
  if (redact.length === 0) return undefined;
  const { headers: redactHeaders, paths } = compilePaths(redact);
  for (const path of redact) {
    const why = whyNot(path, settings);
    if (why !== undefined)
      throw new HookonceError("config_invalid", `redact has "${path}", ${why}`, { key: "redact" });
  }

  /** A body that cannot be read is replaced as a whole. Nobody can say that a value is not in it. */
  function body(stored: Stored, isElement: boolean): Redacted | undefined {
    if (paths.length === 0 || stored.body.byteLength === 0 || isReplaced(stored)) return undefined;
    try {
      const found = isElement ? inElement(stored) : replaceInBody(stored, paths, formField);
      if (found === undefined) return undefined;
      const left = isElement ? JSON.parse(textOf(found.body)) : parse(found).payload;
      return hasValue(left, paths) ? whole(stored) : { ...found, replaced: found.count };
    } catch (error) {
      if (error instanceof HookonceError) return whole(stored);
      throw error;
    }
  }

  /** Its headers are those of the whole delivery, so they do not say what it is. */
  function inElement({ headers, body: bytes }: Stored) {
    const { json, problem } = parseJson(textOf(bytes));
    if (json === null) throw problem as HookonceError;
    const { now, count } = replaceInJson(json, paths);
    return count === 0 ? undefined : { headers, body: Buffer.from(now), count };
  }

  return {
    replace(stored, isElement) {
      const headers = redactHeaders(stored.headers);
      const changed = body({ ...stored, headers: headers.now }, isElement);
      const replaced = headers.count + (changed?.replaced ?? 0);
      if (replaced === 0) return undefined;
      return { headers: headers.now, body: stored.body, ...changed, replaced };
    },
    partsOf: split === undefined ? undefined : (stored) => partsOf(split, stored),
  };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

function isReplaced({ body }: Stored): boolean {
  return body.byteLength === REDACTED.length && textOf(body) === REDACTED;
}

function whole(stored: Stored): Redacted {
  const { "content-encoding": _, ...headers } = stored.headers;
  return { headers, body: Buffer.from(REDACTED), replaced: 1 };
}

function partsOf(split: BatchSplit, stored: Stored): ReadonlyMap<string, string> {
  const parts = new Map<string, string>();
  const add = (id: string, json: string | null): void => {
    if (json !== null && !parts.has(id)) parts.set(id, json);
  };
  const identified = elementsOf(split, stored).filter(
    (one): one is Identified => !(one instanceof HookonceError),
  );
  for (const { id, body } of identified) add(id, body.json);
  // A present id counts before an earlier one.
  for (const { earlierIds, body } of identified) for (const id of earlierIds) add(id, body.json);
  return parts;
}

function elementsOf(split: BatchSplit, stored: Stored): ReturnType<BatchSplit> {
  try {
    return split(stored);
  } catch (error) {
    // The rule for batches has changed since this was stored.
    if (error instanceof HookonceError) return [];
    throw error;
  }
}

/**
 * Whether a stored payload, in which values were replaced, may have been this one. What was replaced may have been
 * anything.
 */
export function isSameButReplaced(stored: string | null, now: string | null): boolean {
  if (stored === null || now === null) return stored === now;
  return isSame(parseWithExactNumbers(stored), parseWithExactNumbers(now));
}

function isSame(stored: unknown, now: unknown): boolean {
  if (stored === REDACTED) return true;
  if (typeof stored !== "object" || stored === null || typeof now !== "object" || now === null)
    return stored === now;
  if (stored instanceof NumberLiteral) return now instanceof NumberLiteral && stored.digits === now.digits;
  const entries = Object.entries(stored);
  return (
    Array.isArray(stored) === Array.isArray(now) &&
    entries.length === Object.keys(now).length &&
    entries.every(
      ([key, value]) => Object.hasOwn(now, key) && isSame(value, (now as Record<string, unknown>)[key]),
    )
  );
}

/** Whether a value is at the end of one of these paths that was not replaced. */
function hasValue(payload: unknown, paths: readonly (readonly Step[])[]): boolean {
  // A field of a form that occurs more than once is a list in the payload.
  return paths.some((steps) =>
    valuesAt(payload, steps)
      .flat()
      .some((one) => one !== REDACTED),
  );
}

function valuesAt(value: unknown, [step, ...rest]: readonly Step[]): unknown[] {
  if (value === undefined || value === null) return [];
  if (step === undefined) return [value];
  if (step === EACH) return Array.isArray(value) ? value.flatMap((one) => valuesAt(one, rest)) : [];
  if (typeof value !== "object" || !Object.hasOwn(value, step)) return [];
  return valuesAt((value as Record<string | number, unknown>)[step], rest);
}

interface CompiledPaths {
  readonly headers: (headers: Headers) => { readonly now: Headers; readonly count: number };
  /** Those into the payload. */
  readonly paths: readonly (readonly Step[])[];
}

/** Where a value is: in a header, in a parameter of the query, or in the payload, perhaps several times. */
type Place =
  | { readonly in: "header" | "query"; readonly name: string }
  | { readonly in: "body"; readonly steps: readonly Step[] };

/** @throws HookonceError `config_invalid` */
function placeOf(path: string): Place {
  const parameter = parameterOf(path);
  if (parameter !== undefined) return { in: "query", name: parameter };
  if (path.startsWith("body:")) return { in: "body", steps: patternIn(path) };
  return parseValuePath(path, "body:$.path, header:name or query:name");
}

/** @throws HookonceError `config_invalid` if it is not a path */
export function checkRedactPath(path: string): void {
  placeOf(path);
}

/** @throws HookonceError `config_invalid` */
function compilePaths(redact: readonly string[]): CompiledPaths {
  const places = redact.map(placeOf);
  const names = (where: "header" | "query"): string[] =>
    places.flatMap((place) => (place.in === where ? [place.name] : []));
  const parameters = names("query");
  // kept-query.ts keeps parameters among the headers.
  const headers = new Set([...names("header"), ...parameters.map((name) => `query:${name}`)]);
  return {
    headers: createHeaderReplacing(headers, parameters),
    paths: places.flatMap((place) => (place.in === "body" ? [place.steps] : [])),
  };
}

/** Proxies repeat the URL in headers such as X-Original-URI and Referer, with the parameters of its query. */
function createHeaderReplacing(
  names: ReadonlySet<string>,
  parameters: readonly string[],
): CompiledPaths["headers"] {
  return (headers) => {
    let count = 0;
    const now = Object.entries(headers).map(([name, value]): [string, string] => {
      const replaced = names.has(name) && value !== "" ? REDACTED : withoutParameters(value, parameters);
      if (replaced !== value) count++;
      return [name, replaced];
    });
    return count === 0 ? { now: headers, count } : { now: Object.fromEntries(now), count };
  };
}

function withoutParameters(text: string, parameters: readonly string[]): string {
  if (parameters.length === 0 || !/[?&]/.test(text)) return text;
  return text.replaceAll(/(?<=[?&])([^?&=#\s]*)=([^&#\s]*)/gu, (pair, name: string) =>
    parameters.some((one) => new URLSearchParams(name).has(one)) ? `${name}=${REDACTED}` : pair,
  );
}

/** Why the value at a path cannot be replaced everywhere, and what to do. Undefined if it can. */
function whyNot(path: string, settings: Settings): string | undefined {
  const { provider, scheme = provider.scheme, eventId = provider.eventId, type = provider.type } = settings;
  const why = path.startsWith("body:") ? kindOf(scheme).whyNotRedacted : undefined;
  if (why !== undefined) return `but ${why}: remove it, and use hookonce forget`;
  const parameter = parameterOf(path);
  if (parameter !== undefined && provider.deliversByGet === true)
    return `but ${provider.title} may deliver by GET, and then the query is the payload: write "body:$.${parameter}"`;
  const places = (settings.newestWins ?? []).flatMap(({ key, version }) => [key, version]);
  const readers = [
    ["event_id", eventId],
    ["type", type],
    ...places.map((place) => ["newest_wins", place] as const),
  ] as const;
  const reader = readers.find(([, selector]) => readsAsIs(selector, path))?.[0];
  if (reader === undefined) return undefined;
  const remedy =
    reader === "event_id" && path.startsWith("body:") ? `, or write event_id = "sha256:${path}"` : "";
  return `which ${reader} reads, so that it is kept in any case: remove it from redact${remedy}`;
}

/** Whether a selector takes the value at this path as it is, and not a hash of it. */
function readsAsIs(selector: Selector, path: string): boolean {
  if (typeof selector === "string") return samePath(selector, path);
  if ("key_beside" in selector || "hash_without" in selector) return false;
  return isList(selector)
    ? selector.some((one) => readsAsIs(one, path))
    : selector.join.some((part) => samePath(part, path));
}

function samePath(one: string, other: string): boolean {
  if (!one.startsWith("body:")) return one.toLowerCase() === other.toLowerCase();
  return other.startsWith("body:") && stepsText(one) === stepsText(other);
}

const stepsText = (path: string): string => JSON.stringify(patternIn(path).map(String));
