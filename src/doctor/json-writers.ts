import { HookonceError } from "../errors.ts";
import { parseJson } from "../providers/body/payload.ts";

export const BOM = "\ufeff";

/** In UTF-16 units. Longer texts are not tried; beyond the second limit, fewer ways of writing are tried. */
const MAX_TEXT = 4 * 1024 * 1024;
const ALL_LETTERS = 256 * 1024;

/**
 * Pretty-printing is quadratic in depth. Text that would grow beyond both of these (a factor, and UTF-16
 * units) is not tried, because it is not what was sent.
 */
const MAX_GROWTH = 8;
const ALWAYS_WRITTEN = 64 * 1024;

const WRITERS: readonly { by: string; indent?: number | "\t"; write: (json: Json) => string }[] = [
  { by: "without spaces, as JSON.stringify writes it", write: ({ value }) => JSON.stringify(value) },
  { by: "without spaces", write: ({ text }) => respaced(text, ",", ":") },
  { by: "with 2 spaces per level", indent: 2, write: ({ value }) => JSON.stringify(value, null, 2) },
  { by: "with 4 spaces per level", indent: 4, write: ({ value }) => JSON.stringify(value, null, 4) },
  { by: "with a tab per level", indent: "\t", write: ({ value }) => JSON.stringify(value, null, "\t") },
  {
    by: 'with ", " and ": ", as Python\'s json.dumps writes it',
    write: ({ text }) => respaced(text, ", ", ": "),
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

interface Json {
  readonly text: string;
  readonly value: unknown;
}

/**
 * The ways in which JSON may have been written before it was parsed and written again. None if the text is
 * not JSON, or is nested too deep to be accepted.
 */
export function* writtenAnew(text: string): Generator<{ json: string; what: string }> {
  if (text.length > MAX_TEXT) return;
  const value = valueOf(text);
  if (value === undefined) return;
  const levels = levelsOf(text);
  const before = spacingOf(text);
  for (const { by, indent, write } of WRITERS) {
    const blanks = levels * (indent === "\t" ? 1 : (indent ?? 0));
    if (text.length + blanks > Math.max(ALWAYS_WRITTEN, text.length * MAX_GROWTH)) continue;
    const written = write({ text, value });
    for (const letters of text.length > ALL_LETTERS ? LETTERS.slice(0, 1) : LETTERS) {
      const json = letters.write(written);
      for (const end of ["", "\n"]) {
        const what = `The body was parsed and written again${before}. The signed text was written ${by}${letters.by}${end === "" ? "" : ", with a line break at its end"}.`;
        yield { json: json + end, what };
      }
    }
  }
}

/** How the JSON is spaced now, if that is clear. */
function spacingOf(text: string): string {
  const trimmed = text.trim();
  if (/^[[{]\s*\n/.test(trimmed)) return ", and is now pretty-printed";
  return respaced(trimmed, ",", ":") === trimmed ? ", and now has no spaces" : "";
}

function valueOf(text: string): unknown {
  try {
    const { payload, json } = parseJson(text.startsWith(BOM) ? text.slice(1) : text);
    return json === null ? undefined : payload;
  } catch (error) {
    if (error instanceof HookonceError) return undefined;
    throw error;
  }
}

/** The levels of indentation of all lines together, if each bracket and each member is on a separate line. */
function levelsOf(json: string): number {
  let depth = 0;
  let levels = 0;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/gs)) {
    if (token === "[" || token === "{") depth++;
    else if (token === "]" || token === "}") depth--;
    if (!token.startsWith('"')) levels += depth;
  }
  return levels;
}

/**
 * Returns the same text with other whitespace. Everything else stays as it is, including numbers and escapes.
 */
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
