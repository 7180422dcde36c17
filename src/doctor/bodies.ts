import { gunzipSync } from "node:zlib";
import { isGzip } from "../providers/body/payload.ts";
import { kindOf } from "../providers/schemes.ts";
import { MAX_BODY_OF_PAIRS, type Hypothesis } from "./hypothesis.ts";
import { BOM, writtenAnew } from "./json-writers.ts";
import type { Examined } from "./trial.ts";

type Undo = (text: string, bytes: Uint8Array) => string | Uint8Array | undefined;

interface Change {
  /** Turns the body that arrived into the one that was signed. */
  readonly undo: Undo;
  /** What happened to the body on its way. */
  readonly what: string;
}

const COMPRESSED = "The body was compressed on the way, after it was signed.";

const BYTE_FOR_BYTE: readonly Change[] = [
  { undo: (text) => `${text}\n`, what: "A line break at the end of the body was lost." },
  { undo: (text) => `${text}\r\n`, what: "A line break (CRLF) at the end of the body was lost." },
  { undo: (text) => text.replace(/\r?\n$/, ""), what: "A line break was added at the end of the body." },
  {
    undo: (_, bytes) => withLineBreaks(bytes, "LF"),
    what: "The body's line breaks were converted from LF to CRLF.",
  },
  {
    undo: (_, bytes) => withLineBreaks(bytes, "CRLF"),
    what: "The body's line breaks were converted from CRLF to LF.",
  },
  {
    undo: (text) => (text.startsWith(BOM) ? text.slice(1) : undefined),
    what: "A byte order mark (EF BB BF) was added before the body.",
  },
  { undo: (text) => BOM + text, what: "The byte order mark (EF BB BF) before the body was lost." },
  {
    undo: (text) => Buffer.from(text, "latin1"),
    what: "The body was read as Latin-1 and written as UTF-8, so its letters are encoded twice.",
  },
  {
    undo: (_, bytes) => Buffer.from(bytes).toString("latin1"),
    what: "The body was converted from UTF-8 to Latin-1.",
  },
  { undo: (text) => text.trim(), what: "Spaces or line breaks were added around the body." },
  { undo: inflate, what: COMPRESSED },
];

interface Undone {
  readonly bytes: Uint8Array;
  readonly what: string;
}

const kept = new WeakMap<Uint8Array, readonly Undone[]>();

/** The body was parsed and written again somewhere between the provider and hookonce. */
export function* otherBodies({ delivery, scheme }: Examined): Generator<Hypothesis> {
  const compressed = isGzip(delivery.headers) && kindOf(scheme).configKeys.includes("signature.over");
  for (const { bytes, what } of undone(delivery.body)) {
    // The config can say that the signature covers the decompressed body. The scheme's own guesses do.
    if (compressed && what === COMPRESSED) continue;
    yield {
      change: { delivery: { ...delivery, body: bytes } },
      cause: "body_changed",
      what,
      remedy:
        "The signature covers the raw bytes. Everything in front of hookonce (a proxy, a framework, a function, the tool that saved this request) must pass them on unchanged.",
    };
  }
}

function undone(body: Uint8Array): Iterable<Undone> {
  // Larger bodies are not tried in pairs, so their list is needed only once.
  if (body.byteLength > MAX_BODY_OF_PAIRS) return undo(body);
  const found = kept.get(body) ?? [...undo(body)];
  kept.set(body, found);
  return found;
}

function* undo(body: Uint8Array): Generator<Undone> {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(body);
  const seen = new Set([Bun.hash(body)]);
  for (const { undo, what } of changes(text)) {
    const made = undo(text, body);
    if (made === undefined) continue;
    const bytes = typeof made === "string" ? Buffer.from(made) : made;
    const key = Bun.hash(bytes);
    if (seen.has(key)) continue;
    seen.add(key);
    yield { bytes, what };
  }
}

function* changes(text: string): Generator<Change> {
  yield* BYTE_FOR_BYTE;
  for (const { json, what } of writtenAnew(text)) yield { undo: () => json, what };
}

const LF = 10;
const CR = 13;

/** Byte by byte, because replacing in a text takes 20 s if it consists of line breaks. */
function withLineBreaks(bytes: Uint8Array, to: "LF" | "CRLF"): Uint8Array {
  const made = new Uint8Array(bytes.byteLength * 2);
  let length = 0;
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at] as number;
    if (byte === CR && bytes[at + 1] === LF) continue;
    if (byte === LF && to === "CRLF") made[length++] = CR;
    made[length++] = byte;
  }
  return made.subarray(0, length);
}

/** In bytes. A limit for bodies that inflate without end. */
const MAX_INFLATED = 64 * 1024 * 1024;

function inflate(_: string, bytes: Uint8Array): Uint8Array | undefined {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_INFLATED });
  } catch {
    return undefined;
  }
}
