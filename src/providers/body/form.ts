import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";

/**
 * The most fields that a form may have, as in PHP (max_input_vars) and Express. Providers send about a
 * hundred.
 */
export const MAX_FIELDS = 1000;

export function isForm(headers: Headers): boolean {
  return headers["content-type"]?.toLowerCase().startsWith("application/x-www-form-urlencoded") === true;
}

/** A delivery by GET as the form that it would be by POST, because what is stored of it has no URL. */
export function readable(delivery: Delivery): Delivery {
  if (delivery.method !== "GET") return delivery;
  const query = delivery.url.indexOf("?");
  return {
    ...delivery,
    headers: { ...delivery.headers, "content-type": "application/x-www-form-urlencoded" },
    body: Buffer.from(query === -1 ? "" : delivery.url.slice(query + 1).replace(/#.*$/su, "")),
  };
}

/**
 * `curl -d` calls everything a form, but no form starts with a brace or a bracket. (`\s` matches a byte order
 * mark, too.) Nor does it start with the first line of a multipart body. Read as a form, a mail in such a body
 * could bring other fields.
 */
export function isFormText(headers: Headers, text: string): boolean {
  return isForm(headers) && !/^\s*[{[]|^--[^\r\n]*\r\n/.test(text);
}

/**
 * The fields of a form in their order, as URLSearchParams reads them. Takes 3 to 10 ms per MiB, whatever the
 * form holds, because it runs before a signature is verified.
 *
 * @throws HookonceError `too_many_fields`; `invalid_utf8`, because URLSearchParams would read both %FE and
 *   %FF as the same replacement character
 */
export function formEntries(text: string): [name: string, value: string][] {
  return piecesOf(text).flatMap((piece): [string, string][] => {
    if (piece === "") return [];
    const equals = piece.indexOf("=");
    return equals === -1
      ? [[decode(piece), ""]]
      : [[decode(piece.slice(0, equals)), decode(piece.slice(equals + 1))]];
  });
}

/** The fields of a form by name. A field that occurs more than once becomes an array. */
export function formFields(text: string): Record<string, string | string[]> {
  const fields = new Map<string, string | string[]>();
  for (const [name, value] of formEntries(text)) {
    const before = fields.get(name);
    if (before === undefined) fields.set(name, value);
    else if (Array.isArray(before)) before.push(value);
    else fields.set(name, [before, value]);
  }
  return Object.fromEntries(fields);
}

/** Empty pieces count towards the limit. Otherwise 1 MiB of ampersands would take 15 ms. */
function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (;;) {
    const end = text.indexOf("&", start);
    pieces.push(end === -1 ? text.slice(start) : text.slice(start, end));
    if (end === -1) return pieces;
    if (pieces.length === MAX_FIELDS) {
      throw new HookonceError(
        "too_many_fields",
        `The form has more than ${MAX_FIELDS} fields, the most that hookonce reads.`,
      );
    }
    start = end + 1;
  }
}

const PERCENT = 37;
const PLUS = 43;
const SPACE = 32;

/** The value of each byte as a hex digit, or -1. */
const HEX = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16);
  HEX[text.charCodeAt(0)] = digit;
  HEX[text.toUpperCase().charCodeAt(0)] = digit;
}

// Keeps a byte order mark.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A name or a value of a form without its escapes. A percent sign without two hex digits after it is kept as it is.
 *
 * @throws HookonceError `invalid_utf8`
 */
export function decode(piece: string): string {
  if (!piece.includes("%") && !piece.includes("+")) return piece;
  const bytes = Buffer.from(piece);
  let length = 0;
  for (let at = 0; at < bytes.byteLength; at++) {
    let byte = bytes[at] as number;
    if (byte === PLUS) byte = SPACE;
    else if (byte === PERCENT && at + 2 < bytes.byteLength) {
      const escaped = (digitAt(bytes, at + 1) << 4) | digitAt(bytes, at + 2);
      if (escaped >= 0) {
        byte = escaped;
        at += 2;
      }
    }
    bytes[length++] = byte;
  }
  try {
    return utf8.decode(bytes.subarray(0, length));
  } catch {
    throw new HookonceError("invalid_utf8", "The form's escapes are not UTF-8.");
  }
}

/** Both digits of an escape are or-ed, so one that is -1 makes the result negative. */
function digitAt(bytes: Uint8Array, at: number): number {
  return HEX[bytes[at] as number] as number;
}
