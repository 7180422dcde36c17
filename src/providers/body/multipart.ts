import type { EventFile, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { MAX_FIELDS } from "./form.ts";
import { invalid, readHead } from "./multipart-head.ts";

/*
 * multipart/form-data (RFC 7578). Bun's own parser cannot be used: it is asynchronous, and handlers and
 * transactions are not. It also accepts a million parts and headers of any size, leaves out parts without a
 * name, and replaces bytes that are not UTF-8.
 */

/** One part of a body. Its bytes are part of the body, not a copy. */
export interface Part {
  readonly name: string;
  /** Undefined if the part is a field, not a file. */
  readonly filename: string | undefined;
  readonly type: string;
  readonly bytes: Uint8Array;
  /** The text of a field; undefined if the part is a file, its bytes are not text, or the text is not read. */
  readonly text: string | undefined;
  /** Its headers as they came, without the empty line. */
  readonly head: Uint8Array;
}

/** The most bytes that the headers of one part may have. Senders use about 200. */
const MAX_HEAD = 8 * 1024;

const CRLF = "\r\n";
const BLANK_LINE = "\r\n\r\n";

export function isMultipart(headers: Headers): boolean {
  return headers["content-type"]?.toLowerCase().startsWith("multipart/form-data") === true;
}

/**
 * The parts of a body in their order. Parts inside a part are not read. Finding them takes 1 to 6 ms per MiB,
 * whatever the body contains, and decoding a text up to 30 ms per MiB, if it is in windows-1252.
 *
 * @param bytes without their compression
 * @param isRead decides which fields are decoded
 * @throws HookonceError `invalid_multipart`, `too_many_fields`
 */
export function partsOf(
  headers: Headers,
  bytes: Uint8Array,
  isRead: (field: Field) => boolean = () => true,
): Part[] {
  const body = asBuffer(bytes);
  return placesOf(body, boundaryOf(headers)).map(({ start, end }) => {
    const room = body.subarray(start, Math.min(end, start + MAX_HEAD + BLANK_LINE.length));
    const headLength = room.indexOf(BLANK_LINE);
    if (headLength === -1)
      throw invalid(
        `the headers of a part do not end within ${MAX_HEAD} bytes, the most that hookonce reads`,
      );
    const content = start + headLength + BLANK_LINE.length;
    return partOf(room.subarray(0, headLength), body.subarray(content, end), isRead);
  });
}

interface Place {
  readonly start: number;
  readonly end: number;
}

/** Where the parts are, without the lines of the boundary. Nothing else is read before they are counted. */
function placesOf(body: Buffer, boundary: string): Place[] {
  const delimiter = Buffer.from(`${CRLF}--${boundary}`);
  // RFC 2046 allows text before the first boundary, but nobody sends any. If it were accepted, whoever has one
  // signed body could name a boundary that is somewhere in it, and have it read as a form.
  const first = delimiter.subarray(body[0] === CR ? 0 : CRLF.length);
  if (!body.subarray(0, first.length).equals(first)) throw invalid("it does not begin with its boundary");
  let at = first.length;
  const places: Place[] = [];
  while (!isLast(body, at)) {
    if (places.length === MAX_FIELDS) {
      throw new HookonceError(
        "too_many_fields",
        `The form has more than ${MAX_FIELDS} parts, the most that hookonce reads.`,
      );
    }
    const start = lineAfter(body, at);
    const next = nextDelimiter(body, delimiter, start);
    places.push({ start, end: next.at });
    at = next.after;
  }
  return places;
}

/** RFC 2046, 5.1.1: at most 70 characters. */
function boundaryOf(headers: Headers): string {
  const [, quoted, plain] =
    /;[ \t]*boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70})(?=[\s;]|$))/i.exec(
      headers["content-type"] ?? "",
    ) ?? [];
  const boundary = quoted ?? plain;
  if (boundary !== undefined) return boundary;
  throw invalid("its Content-Type names no boundary of at most 70 characters");
}

/** More lines than these would take most of the time, and no real body has one. */
const MAX_ALIKE = 1000;

/** @throws HookonceError `invalid_multipart` if there is none */
function nextDelimiter(body: Buffer, delimiter: Buffer, from: number): { at: number; after: number } {
  let alike = 0;
  for (let at = body.indexOf(delimiter, from); at !== -1; at = body.indexOf(delimiter, at + 1)) {
    const after = at + delimiter.length;
    if (isLast(body, after) || lineEnd(body, after) !== undefined) return { at, after };
    // A line that only begins like the delimiter is content.
    if (++alike === MAX_ALIKE) throw invalid(`${MAX_ALIKE} lines of a part begin like its boundary`);
  }
  throw invalid("its last boundary is missing, so it may be incomplete");
}

const DASH = 45;
const CR = 13;
const SPACE = 32;
const TAB = 9;

function isLast(body: Buffer, after: number): boolean {
  return body[after] === DASH && body[after + 1] === DASH;
}

/** Where the line of a delimiter ends. Only blanks may come before that; undefined if something else does. */
function lineEnd(body: Buffer, after: number): number | undefined {
  let at = after;
  while (at < after + MAX_BLANKS && (body[at] === SPACE || body[at] === TAB)) at++;
  return body[at] === CR && body[at + 1] === 10 ? at : undefined;
}

/** RFC 2046 allows any number. Nobody sends any. */
const MAX_BLANKS = 100;

function lineAfter(body: Buffer, after: number): number {
  const end = lineEnd(body, after);
  if (end !== undefined) return end + CRLF.length;
  throw invalid("its first boundary is not on a line of its own");
}

/** A field before its text is decoded. */
interface Field extends Pick<Part, "name" | "bytes"> {
  /** Its Content-Type. */
  readonly given: string | undefined;
}

function partOf(head: Buffer, bytes: Buffer, isRead: (field: Field) => boolean): Part {
  const { name, filename, given } = readHead(head);
  if (name === undefined) throw invalid("a part has no name");
  const type = given ?? (filename === undefined ? "text/plain" : "application/octet-stream");
  const isText = filename === undefined && isRead({ name, bytes, given });
  return { name, filename, type, bytes, text: isText ? textOf(bytes, given) : undefined, head };
}

// Keeps a byte order mark.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes text in the encoding that its part names, else in UTF-8. SendGrid sends mail as it was written. */
function textOf(bytes: Uint8Array, type: string | undefined): string | undefined {
  const charset = charsetOf(type);
  try {
    const decoder = charset === undefined ? utf8 : new TextDecoder(charset as Bun.Encoding, { fatal: true });
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** @returns undefined for UTF-8 */
function charsetOf(type: string | undefined): string | undefined {
  const charset = /;\s*charset="?([^\s;"]{1,40})/i.exec(type ?? "")?.[1];
  return charset === undefined || /^(?:utf-?8|us-ascii)$/i.test(charset) ? undefined : charset;
}

/** What a payload holds of a file. */
type FileInPayload = Omit<EventFile, "field" | "bytes">;

/** The fields by name. A file becomes an object. A name that occurs more than once becomes an array. */
export function fieldsOf(parts: readonly Part[]): Record<string, unknown> {
  return byName(parts, (part) => part.text ?? inPayload(part));
}

/** In bytes. A secret, a signature or a time is shorter. */
const MAX_UNVERIFIED_TEXT = 1024;

/**
 * What a signature is read from before it is verified: the short fields, and the one that holds the payload.
 * Every other one is null.
 *
 * @param bytes without their compression
 * @throws HookonceError `invalid_multipart`, `too_many_fields`
 */
export function unverifiedFieldsIn(
  headers: Headers,
  bytes: Uint8Array,
  formField: string | undefined,
): Record<string, unknown> {
  const parts = partsOf(
    headers,
    bytes,
    (field) =>
      charsetOf(field.given) === undefined &&
      (field.bytes.byteLength <= MAX_UNVERIFIED_TEXT || field.name === formField),
  );
  return byName(parts, ({ text }) => text ?? null);
}

function byName(parts: readonly Part[], read: (part: Part) => unknown): Record<string, unknown> {
  const fields = new Map<string, unknown[]>();
  for (const part of parts) {
    const value = read(part);
    const before = fields.get(part.name);
    if (before === undefined) fields.set(part.name, [value]);
    else before.push(value);
  }
  return Object.fromEntries(
    Array.from(fields, ([name, values]) => [name, values.length === 1 ? values[0] : values]),
  );
}

function inPayload({ filename, type, bytes }: Part): FileInPayload {
  return { filename: filename ?? null, type, size: bytes.byteLength, sha256: sha256(bytes) };
}

function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

/**
 * The files of a delivery, and fields that are not text, in their order. Their bytes are copies.
 *
 * @param bytes without their compression
 * @throws HookonceError `invalid_multipart`, `too_many_fields`
 */
export function filesIn(headers: Headers, bytes: Uint8Array): EventFile[] {
  return partsOf(headers, bytes)
    .filter(({ text }) => text === undefined)
    .map((part) => Object.assign(inPayload(part), { field: part.name, bytes: new Uint8Array(part.bytes) }));
}

/** The parts written as a body, with the boundary of these headers. */
export function writeMultipart(headers: Headers, parts: readonly Pick<Part, "head" | "bytes">[]): Buffer {
  const boundary = boundaryOf(headers);
  const pieces = parts.flatMap(({ head, bytes }) => [
    Buffer.from(`--${boundary}${CRLF}`),
    head,
    Buffer.from(BLANK_LINE),
    bytes,
    Buffer.from(CRLF),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--${CRLF}`)]);
}

/** A part that is written as browsers write it. */
export function newPart(
  name: string,
  content: string | Uint8Array,
  file?: { readonly filename: string; readonly type: string },
): Pick<Part, "head" | "bytes"> {
  const filename = file === undefined ? "" : `; filename="${quoted(file.filename)}"`;
  const type = file === undefined ? "" : `${CRLF}Content-Type: ${file.type}`;
  return {
    head: Buffer.from(`Content-Disposition: form-data; name="${quoted(name)}"${filename}${type}`),
    bytes: typeof content === "string" ? Buffer.from(content) : content,
  };
}

function quoted(text: string): string {
  return text.replaceAll(/["\r\n]/g, encodeURIComponent);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
