/** A JSON number as it was written. 9007199254740993 and …992 are two ids but one JavaScript number. */
export class NumberLiteral {
  constructor(readonly digits: string) {}
  toString(): string {
    return this.digits;
  }
}

/**
 * Parses JSON with every number as a {@link NumberLiteral}. It takes 30 to 350 ms per MiB, ten times as long
 * as JSON.parse, so use it only after a signature has been verified.
 */
export function parseWithExactNumbers(text: string): unknown {
  return JSON.parse(text, keepDigits);
}

/**
 * The same for numbers of 16 digits or more, which JavaScript rounds. Every other one is a JavaScript number,
 * so how a value is written again does not depend on what else is in the text.
 */
export function parseWithLongNumbers(text: string): unknown {
  return JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && /\d{16}/.test(context?.source ?? "")
      ? new NumberLiteral(context?.source ?? "")
      : value,
  );
}

/** TypeScript's library does not declare the reviver's third argument yet. */
function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === "number" ? new NumberLiteral(context?.source ?? String(value)) : value;
}

/** Writes JSON with every {@link NumberLiteral} digit for digit. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    one instanceof NumberLiteral ? rawJson(one.digits) : one,
  );
}

/** TypeScript's library does not declare it yet. */
const rawJson = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON;

const QUOTE = 34;
const COMMA = 44;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
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
function isName(json: string, start: number, end: number, name: string): boolean {
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
function afterComma(json: string, from: number): number {
  const at = skipSpace(json, from);
  return json.charCodeAt(at) === COMMA ? skipSpace(json, at + 1) : at;
}

function endOfValue(json: string, start: number): number {
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

/** Returns where the string that begins at `start` ends. */
export function endOfString(json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1); at !== -1; at = json.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (json.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at + 1;
  }
  return json.length;
}

function skipSpace(json: string, start: number): number {
  let at = start;
  while (json.charCodeAt(at) <= 32) at++;
  return at;
}
