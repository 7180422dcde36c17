/** A JSON number as it was written. 9007199254740993 and …992 are two ids but one JavaScript number. */
export class NumberLiteral {
  constructor(readonly digits: string) {}
  toString(): string {
    return this.digits;
  }
  /** JSON.stringify writes it digit for digit. */
  toJSON(): unknown {
    return rawJson(this.digits);
  }
}

/** TypeScript's library does not declare it yet. */
const rawJson = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON;

/**
 * Parses JSON. A number that JavaScript would write otherwise (`1.50`, `1e3`, 9007199254740993) is a
 * {@link NumberLiteral}, so JSON.stringify writes each number as it came.
 */
export function parseWithExactNumbers(text: string): unknown {
  return parseReplacing(text, (number, start, end) => {
    const digits = text.slice(start, end);
    return String(number) !== digits && Number(digits) === number ? new NumberLiteral(digits) : undefined;
  });
}

/**
 * The same for numbers that JavaScript may round: those of 16 digits or more, or too large for it. Every other
 * one is a JavaScript number, so how a value is written again does not depend on what else is in the text.
 */
export function parseWithLongNumbers(text: string): unknown {
  return parseReplacing(text, (number, start, end) => {
    const digits = text.slice(start, end);
    return mayBeRounded(digits) && Number(digits) === number ? new NumberLiteral(digits) : undefined;
  });
}

/** Whether a text may contain a number that JavaScript rounds, or that is too large for it. */
export function mayBeRounded(json: string): boolean {
  return hasLongNumber(json) || /\d[eE]\+?\d{3}/.test(json);
}

/**
 * Whether 16 digits follow each other, perhaps in a string. JavaScript holds integers of fewer digits exactly.
 * It looks at one character in 16, which takes a tenth of the time of a regular expression.
 */
export function hasLongNumber(json: string): boolean {
  for (let at = 15; at < json.length; at += 16) {
    if (!isDigit(json.charCodeAt(at))) continue;
    let start = at;
    let end = at + 1;
    while (isDigit(json.charCodeAt(start - 1))) start--;
    while (isDigit(json.charCodeAt(end))) end++;
    if (end - start >= 16) return true;
  }
  return false;
}

/**
 * @param number what JSON.parse has in this place. It is that of another text if a name occurs twice in an object,
 *   because the last value counts
 * @param start where the number is in the text
 * @returns what replaces the number, a bigint or a {@link NumberLiteral}; undefined to keep it
 */
export type Replace = (number: number, start: number, end: number) => bigint | NumberLiteral | undefined;

/** Where a value is: an object or a list, and the key or the index in it. */
interface Place {
  /** The object or the list; undefined until it is needed. */
  holder: unknown;
  readonly isList: boolean;
  index: number;
  /** Whether a key follows. */
  awaitsKey: boolean;
  /** Where the key is in the text, with its quotation marks. */
  keyStart: number;
  keyEnd: number;
  readonly outer: Place | undefined;
}

/**
 * Parses JSON, and replaces numbers that JavaScript may round or write otherwise: those with a fraction, an
 * exponent, or 16 digits or more. A reviver would take 10 to 50 times as long as JSON.parse, because it is
 * called for every value. This takes two to four times as long, because most of the text is only skipped.
 */
export function parseReplacing(json: string, replace: Replace): unknown {
  const top: unknown[] = [JSON.parse(json)];
  let place = placeIn(top, true, undefined);
  for (let at = 0; at < json.length;) {
    const unit = json.charCodeAt(at);
    if (unit === QUOTE) {
      const end = endOfString(json, at);
      if (place.awaitsKey) {
        place.awaitsKey = false;
        place.keyStart = at;
        place.keyEnd = end;
      }
      at = end;
    } else if (unit === COMMA) {
      place.index++;
      place.awaitsKey = !place.isList;
      at++;
    } else if (isDigit(unit) || unit === MINUS) {
      const start = at;
      // JavaScript writes -0 as 0.
      let isPlain = unit !== MINUS || json.charCodeAt(at + 1) !== ZERO;
      for (at++; ; at++) {
        const next = json.charCodeAt(at);
        if (isDigit(next)) continue;
        if (next !== POINT && next !== PLUS && next !== MINUS && next !== SMALL_E && next !== LARGE_E) break;
        isPlain = false;
      }
      if (!isPlain || at - start > 15) replaceAt(place, start, at);
    } else {
      if (unit === OPEN_BRACE || unit === OPEN_BRACKET) {
        place = placeIn(undefined, unit === OPEN_BRACKET, place);
      } else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) {
        place = place.outer as Place;
      }
      at++;
    }
  }
  return top[0];

  function replaceAt(where: Place, start: number, end: number): void {
    const holder = holderOf(where, json);
    // Of a name that occurs twice, the last value may be of another kind.
    if (holder === null) return;
    const key = keyOf(where, json);
    const before = holder[key];
    const isReplaced = typeof before === "bigint" || before instanceof NumberLiteral;
    if (!isReplaced && typeof before !== "number") return;
    const number = isReplaced ? Number(json.slice(start, end)) : before;
    const after = replace(number, start, end);
    if (after !== undefined) holder[key] = after;
    else if (isReplaced) holder[key] = number;
  }
}

function placeIn(holder: unknown, isList: boolean, outer: Place | undefined): Place {
  return { holder, isList, index: 0, awaitsKey: !isList, keyStart: 0, keyEnd: 0, outer };
}

function keyOf({ isList, index, keyStart, keyEnd }: Place, json: string): string | number {
  if (isList) return index;
  const name = json.slice(keyStart + 1, keyEnd - 1);
  return name.includes("\\") ? (JSON.parse(`"${name}"`) as string) : name;
}

/** @returns null if it is no object or list */
function holderOf(place: Place, json: string): Record<string | number, unknown> | null {
  if (place.holder === undefined) {
    const outer = place.outer as Place;
    place.holder = holderOf(outer, json)?.[keyOf(outer, json)] ?? null;
  }
  return typeof place.holder === "object" ? (place.holder as Record<string | number, unknown> | null) : null;
}

function isDigit(unit: number): boolean {
  return unit >= 48 && unit <= 57;
}

const QUOTE = 34;
const PLUS = 43;
const COMMA = 44;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const COLON = 58;
const LARGE_E = 69;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const SMALL_E = 101;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/**
 * Returns the number at the end of a path, as it is written. It scans the text without creating values, which
 * takes 1 to 10 ms per MiB.
 *
 * @param json text that JSON.parse accepts
 * @returns undefined if there is no number
 */
export function numberAt(json: string, path: readonly (string | number)[]): NumberLiteral | undefined {
  const at = placeOf(json, path);
  if (at === undefined) return undefined;
  const number = /-?\d[\d.eE+-]*/y;
  number.lastIndex = at;
  const digits = number.exec(json)?.[0];
  return digits === undefined ? undefined : new NumberLiteral(digits);
}

/**
 * The same text without the member at the end of a path, as if it had never been there. Undefined if there is
 * none.
 */
export function withoutMember(json: string, path: readonly (string | number)[]): string | undefined {
  const object = placeOf(json, path.slice(0, -1));
  if (object === undefined || json.charCodeAt(object) !== OPEN_BRACE) return undefined;
  const member = findMember(json, object, String(path.at(-1)));
  if (member === undefined) return undefined;
  const end = endOfValue(json, member.value);
  const next = afterComma(json, end);
  if (next > skipSpace(json, end)) return json.slice(0, member.name) + json.slice(next);
  // It is the last member, so the comma before it goes, too.
  const before = json.slice(0, member.name).trimEnd();
  return (before.endsWith(",") ? before.slice(0, -1) : before) + json.slice(end);
}

/** Returns where the value at the end of a path begins. */
function placeOf(json: string, path: readonly (string | number)[]): number | undefined {
  let at: number | undefined = skipSpace(json, 0);
  for (const step of path) {
    const opening = json.charCodeAt(at);
    if (opening === OPEN_BRACE) at = memberOf(json, at, String(step));
    else if (opening === OPEN_BRACKET) at = elementOf(json, at, String(step));
    else return undefined;
    if (at === undefined) return undefined;
  }
  return at;
}

function memberOf(json: string, open: number, name: string): number | undefined {
  return findMember(json, open, name)?.value;
}

/**
 * Returns where the name and the value of a member begin. If a name occurs twice, the last one counts, as in
 * JSON.parse.
 */
function findMember(json: string, open: number, name: string): { name: number; value: number } | undefined {
  let found: { name: number; value: number } | undefined;
  let at = skipSpace(json, open + 1);
  while (json.charCodeAt(at) === QUOTE) {
    const end = endOfString(json, at);
    const value = skipSpace(json, skipSpace(json, end) + 1);
    if (isName(json, at, end, name)) found = { name: at, value };
    at = afterComma(json, endOfValue(json, value));
  }
  return found;
}

function elementOf(json: string, open: number, index: string): number | undefined {
  if (!/^(?:0|[1-9]\d*)$/.test(index)) return undefined;
  let at = skipSpace(json, open + 1);
  for (let left = Number(index); left > 0 && at < json.length; left--) {
    if (json.charCodeAt(at) === CLOSE_BRACKET) return undefined;
    at = afterComma(json, endOfValue(json, at));
  }
  return at;
}

/** Whether the string from `start` to `end`, with its quotation marks, is this name. */
export function isName(json: string, start: number, end: number, name: string): boolean {
  let at = start + 1;
  for (let index = 0; index < name.length; index++) {
    let unit = json.charCodeAt(at++);
    if (unit === BACKSLASH) {
      const escape = json[at++] ?? "";
      if (escape === "u") unit = Number.parseInt(json.slice(at, (at += 4)), 16);
      else unit = (ESCAPES[escape] ?? escape).charCodeAt(0);
    }
    if (unit !== name.charCodeAt(index)) return false;
  }
  return at === end - 1;
}

const ESCAPES: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** Returns where the next element or member begins, or the position of the closing bracket. */
export function afterComma(json: string, from: number): number {
  const at = skipSpace(json, from);
  return json.charCodeAt(at) === COMMA ? skipSpace(json, at + 1) : at;
}

export function endOfValue(json: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < json.length) {
    const unit = json.charCodeAt(at);
    if (unit === QUOTE) {
      at = endOfString(json, at);
      if (depth === 0) return at;
      continue;
    }
    if (unit === OPEN_BRACE || unit === OPEN_BRACKET) depth++;
    else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) {
      // The end of the array or object that contains a number, true, false or null.
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (unit === COMMA && depth === 0) return at;
    at++;
  }
  return at;
}

/** How many members the objects in a text have. A name that occurs twice is counted twice. */
export function countNames(json: string): number {
  let count = 0;
  for (let at = 0; at < json.length;) {
    const unit = json.charCodeAt(at);
    if (unit === COLON) count++;
    at = unit === QUOTE ? endOfString(json, at) : at + 1;
  }
  return count;
}

/** Returns where the string that begins at `start` ends. */
export function endOfString(json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1); at !== -1; at = json.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (json.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at + 1;
  }
  return json.length;
}

export function skipSpace(json: string, start: number): number {
  let at = start;
  while (json.charCodeAt(at) <= 32) at++;
  return at;
}
