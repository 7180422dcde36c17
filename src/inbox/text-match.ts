import { decompressed } from "./decompress.ts";

/** Whether a stored value contains a text, however it is encoded there. */
export interface TextMatch {
  /**
   * Lets others run while it looks through a large value.
   *
   * @param encoding the Content-Encoding of a body
   */
  (value: string | Uint8Array | null, encoding?: string): Promise<boolean>;
}

/** How many encodings may be inside each other: base64 of a form whose field is JSON with a JSON text in it is four. */
const DEPTH = 4;

/** How many characters are looked through at once: a few milliseconds at most. */
const SLICE = 128 * 1024;

/** How many times longer a text may be once it is encoded. */
const LONGEST = 24;

/**
 * Finds a text as it is, and in JSON escapes (`\u00e9`, `\/`), forms and URLs (`%40`, `+`), character references
 * (`&#64;`), base64, and these inside each other. Capitals and small letters differ. A letter with an accent is found
 * whether it is one character or two.
 */
export function createTextMatch(text: string): TextMatch {
  const wanted = [...new Set([text, text.normalize("NFC"), text.normalize("NFD")])];
  const shortest = Math.min(...wanted.map((one) => Buffer.byteLength(one)));
  // A shorter run of base64 cannot contain it.
  const shortestRun = Math.ceil((shortest * 4) / 3);
  // Bytes are compared several times as fast as strings.
  const plain = wanted.map((one) => Buffer.from(one));
  const inBase64 = [...new Set(wanted)].flatMap(base64Of);
  const hasBlank = text.includes(" ");
  const overlap = text.length * LONGEST;

  /** @param seen what was looked through already: two ways of decoding often end in the same text */
  function isIn(value: string, depth: number, seen: Set<string>): boolean {
    if (seen.has(value)) return false;
    seen.add(value);
    const bytes = Buffer.from(value);
    if (plain.some((one) => bytes.includes(one))) return true;
    if (depth === 0) return false;
    // It may be in base64 inside something longer that is no text as a whole.
    if (inBase64.some((one) => isInBase64(bytes, one))) return true;
    return decoded(value).some((one) => isIn(one, depth - 1, seen));
  }

  function decoded(value: string): string[] {
    const all: string[] = [];
    if (value.includes("\\")) all.push(withoutEscapes(value));
    if (value.includes("%")) all.push(withoutPercent(value));
    if (hasBlank && value.includes("+")) all.push(withoutPercent(value.replaceAll("+", " ")));
    if (value.includes("&")) all.push(withoutReferences(value));
    all.push(...fromBase64(value));
    return all;
  }

  function fromBase64(value: string): string[] {
    // Mail breaks base64 into lines.
    const joined = value.includes("\n") ? value.replaceAll(/[\r\n]/g, "") : value;
    const found: string[] = [];
    let begin = 0;
    // A regular expression would begin anew at each character of a run that is too short.
    for (let at = 0; at <= joined.length; at++) {
      if (isBase64(joined.charCodeAt(at))) continue;
      if (at - begin >= shortestRun)
        // What comes before it may belong to the same run.
        for (let start = begin; start < begin + 4; start++)
          if (isText(joined, start, at))
            found.push(Buffer.from(joined.slice(start, at), "base64").toString());
      begin = at + 1;
    }
    return found;
  }

  async function isInValue(value: string | Uint8Array): Promise<boolean> {
    for (const whole of textsOf(value)) {
      for (let from = 0; ; from += SLICE) {
        if (isIn(whole.slice(from, from + SLICE + overlap), DEPTH, new Set())) return true;
        if (from + SLICE + overlap >= whole.length) break;
        await Bun.sleep(0);
      }
    }
    return false;
  }

  return async (value, encoding) => {
    if (value === null) return false;
    if (await isInValue(value)) return true;
    const inflated = typeof value === "string" ? undefined : await decompressed(value, encoding);
    return inflated !== undefined && isInValue(inflated);
  };
}

/** Bytes that are not UTF-8 may be text in the encoding that browsers take for Latin-1. */
function textsOf(value: string | Uint8Array): string[] {
  if (typeof value === "string") return [value];
  const text = new TextDecoder().decode(value);
  return text.includes("\uFFFD") ? [text, new TextDecoder("windows-1252").decode(value)] : [text];
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

interface InBase64 {
  readonly text: Buffer;
  /** How many bytes of the first three are in front of the text. */
  readonly before: number;
  /** The characters that do not depend on what is around the text. */
  readonly sure: Buffer;
}

/** What a text is in base64, wherever it begins. */
function base64Of(wanted: string): InBase64[] {
  const text = Buffer.from(wanted);
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), text]);
    const whole = bytes.subarray(0, bytes.length - (bytes.length % 3)).toString("base64");
    const sure = whole.slice(before === 0 ? 0 : 4);
    // Of four bytes or fewer, nothing may be sure. An empty text would be found everywhere.
    if (sure === "") return [];
    const written = new Set([sure, sure.replaceAll("+", "-").replaceAll("/", "_")]);
    return Array.from(written, (one) => ({ text, before, sure: Buffer.from(one) }));
  });
}

/**
 * Whether the whole text is there. Of seven bytes or fewer, only three may be sure, and these are four characters that
 * many ids contain.
 */
function isInBase64(bytes: Buffer, { text, before, sure }: InBase64): boolean {
  const length = Math.ceil(((before + text.length) * 4) / 3);
  for (let at = bytes.indexOf(sure); at !== -1; at = bytes.indexOf(sure, at + 1)) {
    const start = before === 0 ? at : at - 4;
    if (start < 0) continue;
    const decoded = Buffer.from(bytes.subarray(start, start + length).toString("latin1"), "base64");
    if (decoded.subarray(before, before + text.length).equals(text)) return true;
  }
  return false;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const NONE = 255;
const VALUES = new Uint8Array(128).fill(NONE);
for (let value = 0; value < ALPHABET.length; value++) VALUES[ALPHABET.charCodeAt(value)] = value;
for (const [sign, value] of [
  ["+", 62],
  ["-", 62],
  ["/", 63],
  ["_", 63],
] as const)
  VALUES[sign.charCodeAt(0)] = value;

/** Not at the end of a text, whose code is NaN. */
const isBase64 = (code: number): boolean => (VALUES[code] ?? NONE) !== NONE;

/** How many characters show whether a run of base64 is text. Of a thousand random runs, about one looks like it. */
const LOOKED_AT = 12;

/** Most runs are ids. To decode each of them would take most of the time. */
function isText(value: string, start: number, runEnd: number): boolean {
  const end = Math.min(start + LOOKED_AT, runEnd);
  let bits = 0;
  /** How many bytes of a character of UTF-8 must follow. */
  let rest = 0;
  for (let at = start; at < end; at++) {
    bits = ((bits << 6) | (VALUES[value.charCodeAt(at)] ?? 0)) & 0xffffff;
    const place = (at - start) % 4;
    if (place === 0) continue;
    // The second character completes the first byte, the third the second, the fourth the third.
    const byte = (bits >> (6 - 2 * place)) & 255;
    if (rest > 0) {
      if (byte < 0x80 || byte > 0xbf) return false;
      rest--;
    } else if (byte >= 0xc2 && byte <= 0xf4) rest = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    else if (byte > 126 || (byte < 32 && (byte < 9 || byte > 13))) return false;
  }
  return true;
}

/** JSON's escapes. */
function withoutEscapes(value: string): string {
  return value.replace(/\\(?:u([0-9a-f]{4})|([^u]))/gi, (_all, hex?: string, short = "") =>
    hex === undefined ? (SHORT_ESCAPES[short] ?? short) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function withoutPercent(value: string): string {
  return value.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) =>
    Buffer.from(bytes.replaceAll("%", ""), "hex").toString(),
  );
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Character references of HTML and XML. */
function withoutReferences(value: string): string {
  return value.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos));/gi, (all, ...found) => {
    const [decimal, hex, name] = found as (string | undefined)[];
    if (name !== undefined) return NAMED[name.toLowerCase()] ?? all;
    const code = decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });
}
