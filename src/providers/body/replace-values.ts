import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { afterComma, endOfString, endOfValue, isName, skipSpace } from "./exact-numbers.ts";
import { decode, isFormText } from "./form.ts";
import { isMultipart, newPart, partsOf, writeMultipart } from "./multipart.ts";
import { EACH, type Step } from "./path.ts";
import { decompress, isGzip, MAX_DECOMPRESSED, parseJson } from "./payload.ts";
import { REDACTED } from "./secret-spellings.ts";

/** Replaces values in bodies as they are stored. All other bytes stay as they came. */

type Steps = readonly Step[];
type Stored = Pick<Delivery, "headers" | "body">;

/** Something with its values replaced, and how many there were. */
interface Replaced<What> {
  readonly now: What;
  readonly count: number;
}

const REPLACEMENT = JSON.stringify(REDACTED);

/**
 * Replaces the values at the ends of these paths in JSON. A name that occurs twice is replaced twice. Null stays, and
 * so does what was replaced before.
 *
 * @param json text that JSON.parse accepts
 */
export function replaceInJson(json: string, paths: readonly Steps[]): Replaced<string> {
  const pieces: string[] = [];
  let count = 0;
  let copied = 0;

  function replace(start: number): number {
    const end = endOfValue(json, start);
    const value = json.slice(start, end).trimEnd();
    if (value === REPLACEMENT || value === "null") return end;
    pieces.push(json.slice(copied, start), REPLACEMENT);
    copied = start + value.length;
    count++;
    return end;
  }

  /** @returns where the value ends */
  function visit(start: number, wanted: readonly Steps[]): number {
    if (wanted.length === 0) return endOfValue(json, start);
    if (wanted.some((steps) => steps.length === 0)) return replace(start);
    const opening = json[start];
    if (opening === "{") return visitMembers(start, wanted);
    return opening === "[" ? visitElements(start, wanted) : endOfValue(json, start);
  }

  function visitMembers(open: number, wanted: readonly Steps[]): number {
    let at = skipSpace(json, open + 1);
    while (json[at] === '"') {
      const name = at;
      const end = endOfString(json, name);
      const value = skipSpace(json, skipSpace(json, end) + 1);
      const inner = stepInto(wanted, (step) => step !== EACH && isName(json, name, end, String(step)));
      at = afterComma(json, visit(value, inner));
    }
    return at + 1;
  }

  function visitElements(open: number, wanted: readonly Steps[]): number {
    let at = skipSpace(json, open + 1);
    for (let index = 0; json[at] !== "]"; index++) {
      const inner = stepInto(wanted, (step) => step === EACH || String(step) === String(index));
      at = afterComma(json, visit(at, inner));
    }
    return at + 1;
  }

  visit(skipSpace(json, 0), paths);
  return { now: count === 0 ? json : pieces.join("") + json.slice(copied), count };
}

/** What is left of the paths whose first step leads there. */
function stepInto(paths: readonly Steps[], leads: (step: Step) => boolean): readonly Steps[] {
  return paths.filter(([step]) => step !== undefined && leads(step)).map(([, ...rest]) => rest);
}

/**
 * Replaces values in the body of a stored delivery: in JSON, in a form, in the JSON of a form's field, or in the parts
 * of a multipart body. A compressed body is stored without its compression.
 *
 * @param formField the form field that holds the JSON payload, if the provider sends such forms
 * @returns undefined if nothing was there
 * @throws HookonceError if the body is none of these, so that nobody can say where the values are
 */
export function replaceInBody(
  stored: Stored,
  paths: readonly Steps[],
  formField: string | undefined,
): (Stored & { readonly count: number }) | undefined {
  const bytes = decompress(stored, MAX_DECOMPRESSED);
  const { now, count } = isMultipart(stored.headers)
    ? replaceInParts(stored.headers, bytes, paths, formField)
    : replaceInText(stored.headers, bytes, paths, formField);
  if (count === 0) return undefined;
  if (!isGzip(stored.headers)) return { headers: stored.headers, body: now, count };
  const { "content-encoding": _, ...headers } = stored.headers;
  return { headers, body: now, count };
}

// Keeps a byte order mark.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function replaceInText(
  headers: Headers,
  bytes: Uint8Array,
  paths: readonly Steps[],
  formField: string | undefined,
): Replaced<Uint8Array> {
  const text = textOf(bytes);
  const { now, count } = isFormText(headers, text)
    ? replaceInForm(text, paths, formField)
    : replaceInWhole(text, paths);
  return { now: count === 0 ? bytes : Buffer.from(now), count };
}

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new HookonceError("invalid_utf8", "The body is not UTF-8.");
  }
}

/** JSON, perhaps after a byte order mark. */
function replaceInWhole(text: string, paths: readonly Steps[]): Replaced<string> {
  const mark = text.codePointAt(0) === 0xfeff ? 1 : 0;
  const json = text.slice(mark);
  const { problem } = parseJson(json);
  if (problem !== null) throw problem;
  const { now, count } = replaceInJson(json, paths);
  return { now: text.slice(0, mark) + now, count };
}

/** A field of a form, and how it is written again with another value. */
interface Field {
  readonly name: string;
  /** Undefined if it is a file. */
  readonly value: string | undefined;
}

/** What becomes of each field: the new value, or undefined if it stays. */
function newValues(
  fields: readonly Field[],
  paths: readonly Steps[],
  formField: string | undefined,
): Replaced<readonly (string | undefined)[]> {
  const inner = formField === undefined ? [] : fields.filter(({ name }) => name === formField);
  let count = 0;
  const seen = new Map<string, number>();
  const values = fields.map((field) => {
    const { name, value } = field;
    if (field === inner[0] && inner.length === 1 && value !== undefined) {
      const json = replaceInWhole(value, paths);
      count += json.count;
      return json.count === 0 ? undefined : json.now;
    }
    const index = seen.get(name) ?? 0;
    seen.set(name, index + 1);
    const isNamed = stepInto(paths, (step) => String(step) === name).some(([at, ...rest]) => {
      // A file is an object in the payload. What describes it goes with it.
      if (at === undefined || value === undefined) return true;
      return rest.length === 0 && (at === EACH || String(at) === String(index));
    });
    if (!isNamed || value === REDACTED) return undefined;
    count++;
    return REDACTED;
  });
  return { now: values, count };
}

function replaceInForm(
  text: string,
  paths: readonly Steps[],
  formField: string | undefined,
): Replaced<string> {
  const pieces = text.split("&").map((piece) => {
    const equals = piece.indexOf("=");
    const name = equals === -1 ? piece : piece.slice(0, equals);
    return { piece, written: name, name: decode(name), value: decode(piece.slice(name.length + 1)) };
  });
  const { now, count } = newValues(pieces, paths, formField);
  const written = pieces.map((one, at) => {
    const value = now[at];
    return value === undefined ? one.piece : `${one.written}=${encodeURIComponent(value)}`;
  });
  return { now: written.join("&"), count };
}

function replaceInParts(
  headers: Headers,
  bytes: Uint8Array,
  paths: readonly Steps[],
  formField: string | undefined,
): Replaced<Uint8Array> {
  const parts = partsOf(headers, bytes);
  const fields = parts.map(({ name, text }) => ({ name, value: text }));
  const { now, count } = newValues(fields, paths, formField);
  if (count === 0) return { now: bytes, count };
  const written = parts.map((part, at) => {
    const value = now[at];
    return value === undefined ? part : newPart(part.name, value);
  });
  return { now: writeMultipart(headers, written), count };
}
