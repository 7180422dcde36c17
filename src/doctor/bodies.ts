import { gunzipSync } from "node:zlib";
import type { Hypothesis } from "./hypothesis.ts";
import type { Examined } from "./trial.ts";

type Undo = (text: string, bytes: Uint8Array) => string | Uint8Array | undefined;

interface Change {
  /** Makes what was signed of what arrived. */
  readonly undo: Undo;
  /** What happened to the body on its way. */
  readonly what: string;
}

const BOM = "\ufeff";

const BYTE_FOR_BYTE: readonly Change[] = [
  { undo: (text) => `${text}\n`, what: "A line break at the end of the body was lost." },
  { undo: (text) => `${text}\r\n`, what: "A line break (CRLF) at the end of the body was lost." },
  { undo: (text) => text.replace(/\r?\n$/, ""), what: "A line break was added at the end of the body." },
  {
    undo: (text) => text.replaceAll("\r\n", "\n"),
    what: "The body's line breaks were turned from LF to CRLF.",
  },
  {
    undo: (text) => text.replaceAll(/\r?\n/g, "\r\n"),
    what: "The body's line breaks were turned from CRLF to LF.",
  },
  {
    undo: (text) => (text.startsWith(BOM) ? text.slice(1) : undefined),
    what: "A byte order mark (EF BB BF) was put before the body.",
  },
  { undo: (text) => BOM + text, what: "The byte order mark (EF BB BF) before the body was lost." },
  {
    undo: (text) => Buffer.from(text, "latin1"),
    what: "The body was read as Latin-1 and written as UTF-8: its letters are encoded twice.",
  },
  {
    undo: (_, bytes) => Buffer.from(bytes).toString("latin1"),
    what: "The body was turned from UTF-8 to Latin-1.",
  },
  { undo: (text) => text.trim(), what: "Blanks or line breaks were added around the body." },
  { undo: inflate, what: "The body was compressed on the way, after it was signed." },
];

const WRITERS: readonly { by: string; write: (value: unknown, text: string) => string }[] = [
  { by: "without blanks, as JSON.stringify writes it", write: (value) => JSON.stringify(value) },
  { by: "without blanks", write: (_, text) => respaced(text, ",", ":") },
  { by: "with 2 blanks to a level", write: (value) => JSON.stringify(value, null, 2) },
  { by: "with 4 blanks to a level", write: (value) => JSON.stringify(value, null, 4) },
  { by: "with a tab to a level", write: (value) => JSON.stringify(value, null, "\t") },
  {
    by: 'with ", " and ": ", as Python\'s json.dumps writes it',
    write: (_, text) => respaced(text, ", ", ": "),
  },
];

const LETTERS: readonly { by: string; write: (json: string) => string }[] = [
  { by: "", write: (json) => json },
  { by: ", with letters beyond ASCII as \\u escapes", write: escaped },
  { by: ", with escaped slashes", write: (json) => json.replaceAll("/", "\\/") },
  {
    by: ", with escaped slashes and letters beyond ASCII",
    write: (json) => escaped(json).replaceAll("/", "\\/"),
  },
  {
    by: ", with <, > and & as \\u escapes",
    write: (json) => json.replaceAll(/[<>&]/g, (one) => `\\u00${one.codePointAt(0)?.toString(16) ?? ""}`),
  },
];

interface Undone {
  readonly bytes: Uint8Array;
  readonly what: string;
}

/** In bytes: what is made of larger bodies is not kept for the next trial, and fewer ways of writing them are tried. */
const SMALL = 256 * 1024;

const kept = new WeakMap<Uint8Array, readonly Undone[]>();

/** A body that somebody between the provider and us has read and written anew. */
export function* otherBodies({ delivery }: Examined): Generator<Hypothesis> {
  for (const { bytes, what } of undone(delivery.body)) {
    yield {
      change: { delivery: { ...delivery, body: bytes } },
      cause: "body_changed",
      what,
      remedy:
        "The signature covers the raw bytes. Whatever stands before hookonce (a proxy, a framework, a function, the tool that saved this request) must pass them on as they came.",
    };
  }
}

function undone(body: Uint8Array): Iterable<Undone> {
  if (body.byteLength > SMALL) return undo(body);
  const found = kept.get(body) ?? [...undo(body)];
  kept.set(body, found);
  return found;
}

function* undo(body: Uint8Array): Generator<Undone> {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(body);
  const seen = new Set([keyOf(body)]);
  for (const { undo, what } of changes(text)) {
    const made = undo(text, body);
    if (made === undefined) continue;
    const bytes = typeof made === "string" ? Buffer.from(made) : made;
    const key = keyOf(bytes);
    if (seen.has(key)) continue;
    seen.add(key);
    yield { bytes, what };
  }
}

function* changes(text: string): Generator<Change> {
  yield* BYTE_FOR_BYTE;
  const value = valueOf(text);
  if (value === undefined) return;
  const before = spacingOf(text);
  for (const { by, write } of WRITERS) {
    for (const letters of text.length > SMALL ? LETTERS.slice(0, 1) : LETTERS) {
      for (const end of ["", "\n"]) {
        const what = `The body was parsed and written anew${before}. It was signed ${by}${letters.by}${end === "" ? "" : ", with a line break at its end"}.`;
        yield { undo: () => letters.write(write(value, text)) + end, what };
      }
    }
  }
}

/** What the JSON looks like now, as far as that can be told. */
function spacingOf(text: string): string {
  const trimmed = text.trim();
  if (/^[[{]\s*\n/.test(trimmed)) return ", and is now pretty-printed";
  return respaced(trimmed, ",", ":") === trimmed ? ", and has now no blanks" : "";
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text.startsWith(BOM) ? text.slice(1) : text);
  } catch {
    return undefined;
  }
}

/** Other blanks, and all else as it stands: numbers and escapes too. */
function respaced(text: string, comma: string, colon: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|[\s\ufeff]+|[,:]/gs, (token) =>
    token === "," ? comma : token === ":" ? colon : token.startsWith('"') ? token : "",
  );
}

function escaped(json: string): string {
  return json.replaceAll(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** In bytes: no more of a body that inflates without end. */
const MAX_INFLATED = 64 * 1024 * 1024;

function inflate(_: string, bytes: Uint8Array): Uint8Array | undefined {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_INFLATED });
  } catch {
    return undefined;
  }
}

function keyOf(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("base64");
}
