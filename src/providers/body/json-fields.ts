import { HookonceError } from "../../errors.ts";
import { parsePath } from "./path.ts";

/** The values that stand at some paths, by path; what is not there is undefined. */
export type Fields = ReadonlyMap<string, unknown>;

/**
 * Reads some values out of JSON text, as JSON.parse would have them, and makes nothing of the rest: of the thousand small things that
 * JSON.parse makes of an event a SQL handler needs two, and to make and to forget them is a tenth of what a delivery takes.
 *
 * @returns undefined for what JSON.parse would refuse
 * @throws HookonceError `json_too_deep`
 */
export type ReadFields = (text: string) => Fields | undefined;

/** SQLite's own JSON functions give up at about 1,000. */
export const MAX_DEPTH = 900;

/** What is looked for in an object. */
interface Place {
  /** Undefined for what is only on the way to others. */
  path?: string;
  /** Where the value stands, as of the text that is being read: from its first character to behind its last one. */
  from: number;
  to: number;
  readonly names: string[];
  readonly places: Place[];
}

const ABSENT = -1;

/**
 * @param paths such as `$.data.object.id`
 * @returns undefined where one of them leads through anything but objects, or to the whole
 */
export function compileFields(paths: readonly string[]): ReadFields | undefined {
  const root = newPlace();
  const wanted: Place[] = [];
  for (const path of paths) {
    const steps = parsePath(path);
    if (steps === undefined || steps.length === 0 || !steps.every(isName)) return undefined;
    const place = steps.reduce(placeIn, root);
    if (place.path !== undefined) continue;
    place.path = path;
    wanted.push(place);
  }
  return (text) => {
    forget(root);
    if (!scan(text, root)) return undefined;
    const fields = new Map<string, unknown>();
    for (const { path, from, to } of wanted) {
      // Parsed, because a slice of the text would keep all of it in memory for as long as somebody remembers the type.
      fields.set(path as string, from === ABSENT ? undefined : JSON.parse(text.slice(from, to)));
    }
    return fields;
  };
}

/** What an array would answer to is for JSON.parse's own. */
function isName(step: string | number): step is string {
  return typeof step === "string" && !/^(?:\d+|length)$/.test(step);
}

function newPlace(): Place {
  return { from: ABSENT, to: ABSENT, names: [], places: [] };
}

function placeIn(holder: Place, name: string): Place {
  const known = holder.places[holder.names.indexOf(name)];
  if (known !== undefined) return known;
  const place = newPlace();
  holder.names.push(name);
  holder.places.push(place);
  return place;
}

function forget(place: Place): void {
  place.from = ABSENT;
  for (const inner of place.places) forget(inner);
}

const TAB = 9;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const ZERO = 48;
const NINE = 57;
const COLON = 58;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const LETTER_N = 110;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

// What may come next.
const VALUE = 0;
const VALUE_OR_END = 1;
const NAME = 2;
const NAME_OR_END = 3;
const COLON_NEXT = 4;
const COMMA_OR_END = 5;

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f]/;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const NUMBER_OR_WORD = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

// Of each level that is open: whether it is an object, and its place, if it is one that is looked for. Made once: nothing waits in here.
const isObject: boolean[] = [];
const places: (Place | undefined)[] = [];

/**
 * The grammar of https://www.rfc-editor.org/rfc/rfc8259 in one loop, 1 µs for 1.2 kB. Where the places that it comes to stand is noted in
 * them; of a name that is given twice, the last counts.
 *
 * @returns whether it is JSON
 * @throws HookonceError `json_too_deep`
 */
function scan(text: string, root: Place): boolean {
  // Where there is nothing within strings that would have to be looked at, each ends at the next quote.
  const plain = !text.includes("\\") && !CONTROL.test(text);
  let at = 0;
  let depth = 0;
  let next = VALUE;
  /** Of the value that comes next. */
  let place: Place | undefined = root;
  for (;;) {
    let unit = text.charCodeAt(at);
    while (unit === SPACE || unit === LINE_FEED || unit === CARRIAGE_RETURN || unit === TAB) {
      unit = text.charCodeAt(++at);
    }
    const start = at;
    const mayBeValue = next === VALUE || next === VALUE_OR_END;
    if (unit === QUOTE) {
      if (next === COLON_NEXT || next === COMMA_OR_END) return false;
      at = plain ? text.indexOf('"', at + 1) + 1 : endOfString(text, at + 1);
      if (at === 0) return false;
      if (!mayBeValue) {
        const holder = places[depth];
        place = holder === undefined ? undefined : placeNamed(holder, text, start, at, plain);
        next = COLON_NEXT;
        continue;
      }
    } else if (unit === COLON) {
      if (next !== COLON_NEXT) return false;
      at++;
      next = VALUE;
      continue;
    } else if (unit === COMMA) {
      if (next !== COMMA_OR_END) return false;
      at++;
      next = isObject[depth] === true ? NAME : VALUE;
      place = undefined;
      continue;
    } else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) {
      if (!mayBeValue) return false;
      if (++depth > MAX_DEPTH) {
        throw new HookonceError("json_too_deep", `The JSON is nested deeper than ${MAX_DEPTH} levels.`);
      }
      at++;
      isObject[depth] = unit === OPEN_BRACE;
      places[depth] = place;
      if (place !== undefined) place.from = start;
      next = unit === OPEN_BRACE ? NAME_OR_END : VALUE_OR_END;
      place = undefined;
      continue;
    } else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) {
      const closes = unit === CLOSE_BRACE;
      if (depth === 0 || isObject[depth] !== closes) return false;
      if (next !== COMMA_OR_END && next !== (closes ? NAME_OR_END : VALUE_OR_END)) return false;
      at++;
      place = places[depth--];
    } else {
      if (!mayBeValue) return false;
      at = unit === LETTER_N && text.startsWith("null", at) ? at + 4 : endOfNumberOrWord(text, at);
      if (at === 0) return false;
    }
    // A value has come to its end.
    if (place !== undefined) {
      if (unit !== CLOSE_BRACE && unit !== CLOSE_BRACKET) place.from = start;
      place.to = at;
    }
    if (depth === 0) return /^[ \t\n\r]*$/.test(text.slice(at));
    next = COMMA_OR_END;
  }
}

/** @returns the index behind it; 0 when it is neither */
function endOfNumberOrWord(text: string, from: number): number {
  let at = from;
  let unit = text.charCodeAt(at);
  if (unit > ZERO && unit <= NINE) {
    do unit = text.charCodeAt(++at);
    while (unit >= ZERO && unit <= NINE);
    if (unit === COMMA || unit === CLOSE_BRACE || unit === CLOSE_BRACKET) return at;
  }
  NUMBER_OR_WORD.lastIndex = from;
  return NUMBER_OR_WORD.test(text) ? NUMBER_OR_WORD.lastIndex : 0;
}

/** @returns the index behind the quote that ends it; 0 when it is none */
function endOfString(text: string, from: number): number {
  for (let at = from; ;) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) return at + 1;
    if (unit === BACKSLASH) {
      ESCAPE.lastIndex = at;
      if (!ESCAPE.test(text)) return 0;
      at = ESCAPE.lastIndex;
    } else if (unit >= SPACE) at++;
    else return 0; // a control character, or the end of the text
  }
}

/**
 * What was found under the same name before is forgotten.
 *
 * @param from of the name with its quotes
 * @param plain there are no escapes in it
 */
function placeNamed(
  { names, places }: Place,
  text: string,
  from: number,
  to: number,
  plain: boolean,
): Place | undefined {
  for (let n = 0; n < names.length; n++) {
    const name = names[n] as string;
    const same =
      to - from - 2 === name.length
        ? text.startsWith(name, from + 1)
        : !plain && isEscaped(name, text.slice(from, to));
    if (same) {
      const place = places[n] as Place;
      forget(place);
      return place;
    }
  }
  return undefined;
}

/** Each escape is longer than what it stands for. */
function isEscaped(name: string, quoted: string): boolean {
  return quoted.length - 2 > name.length && quoted.includes("\\") && JSON.parse(quoted) === name;
}
