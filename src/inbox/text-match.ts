/** Whether a stored value contains a text, however it is encoded there. */
export interface TextMatch {
  /** Lets others run while it looks through a large value. */
  (value: string | Uint8Array | null): Promise<boolean>;
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
  const runs = new RegExp(`[A-Za-z0-9+/_-]{${Math.ceil((shortest * 4) / 3)},}`, "g");
  const hasBlank = text.includes(" ");
  const overlap = text.length * LONGEST;

  /** @param seen what was looked through already: two ways of decoding often end in the same text */
  function isIn(value: string, depth: number, seen: Set<string>): boolean {
    if (seen.has(value)) return false;
    seen.add(value);
    if (wanted.some((one) => value.includes(one))) return true;
    return depth > 0 && decoded(value).some((one) => isIn(one, depth - 1, seen));
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
    return [...joined.matchAll(runs)].flatMap(([run]) => {
      // What comes before it may belong to the same run.
      const starts = [0, 1, 2, 3].map((start) => Buffer.from(run.slice(start), "base64").toString());
      return starts.filter((one) => isWorthALook(one));
    });
  }

  /** Most runs are ids, and no text at all. */
  const isWorthALook = (value: string): boolean =>
    wanted.some((one) => value.includes(one)) ||
    /^[^\uFFFD]*$/.test(value.slice(0, 64).replace(/\uFFFD$/, ""));

  return async (value) => {
    if (value === null) return false;
    for (const whole of textsOf(value)) {
      for (let from = 0; ; from += SLICE) {
        if (isIn(whole.slice(from, from + SLICE + overlap), DEPTH, new Set())) return true;
        if (from + SLICE + overlap >= whole.length) break;
        await Bun.sleep(0);
      }
    }
    return false;
  };
}

/** Bytes that are not UTF-8 may be text in the encoding that browsers take for Latin-1. */
function textsOf(value: string | Uint8Array): string[] {
  if (typeof value === "string") return [value];
  const text = new TextDecoder().decode(value);
  return text.includes("\uFFFD") ? [text, new TextDecoder("windows-1252").decode(value)] : [text];
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

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
