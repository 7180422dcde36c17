import type { Delivery, EventFile, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { nodeZlib } from "../node-modules.ts";
import { parseWithExactNumbers } from "./exact-numbers.ts";
import { formFields, isFormText } from "./form.ts";
import {
  fieldsOf,
  filesIn,
  isMultipart,
  newPart,
  partsOf,
  unverifiedFieldsIn,
  writeMultipart,
} from "./multipart.ts";
import { parsePath } from "./path.ts";
import type { Part } from "./selector.ts";

export interface ParsedBody {
  /** The JSON value, or an object of a form's fields; null if the body is neither. */
  readonly payload: unknown;
  /** The payload as JSON text, as SQL handlers get it. */
  readonly json: string | null;
  /** Why there is no payload. This is no problem if id and type are in headers. */
  readonly problem: HookonceError | null;
  /** What `sha256:body` hashes, if that is not the bytes of the body. */
  readonly hashed?: Uint8Array | string | undefined;
  /** The payload is the fields of a form that is not multipart. */
  readonly isForm?: true | undefined;
}

/**
 * Reads the payload of a delivery. Throws `json_too_deep`, `too_many_fields` and `body_too_large`, but never
 * because the body is not JSON.
 */
export type Reading = (delivery: Pick<Delivery, "headers" | "body">) => ParsedBody;

// Keeps the BOM, because this file decides whether to drop it.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const MIB = 1024 * 1024;

/**
 * In bytes. The limit for bodies that are trusted: a source's `max_body`, which is at most 60 MiB, has been
 * checked.
 */
export const MAX_DECOMPRESSED = 64 * MIB;

/** SQLite's JSON functions fail at about 1,000 levels. */
export const MAX_DEPTH = 900;

/**
 * @param formField the form field that holds the JSON payload, if the provider sends such forms
 * @param maxInflated the most bytes to which a compressed body may inflate
 * @param isVerified if false, only the fields of a multipart body are read that may hold a signature
 * @throws HookonceError `json_too_deep`, `too_many_fields`, `body_too_large`
 */
export function parseBody(
  delivery: Pick<Delivery, "headers" | "body">,
  formField?: string,
  maxInflated = MIB,
  isVerified = true,
): ParsedBody {
  if (isMultipart(delivery.headers)) return parseMultipart(delivery, formField, maxInflated, isVerified);
  const text = readText(delivery, maxInflated);
  if (typeof text !== "string") return text;
  if (!isFormText(delivery.headers, text)) return parseJson(withoutMark(text));
  let fields: Record<string, string | string[]>;
  try {
    fields = formFields(text);
  } catch (error) {
    if (error instanceof HookonceError && error.code === "invalid_utf8") return withoutPayload(error);
    throw error;
  }
  const inner = formField === undefined ? undefined : fields[formField];
  if (typeof inner === "string") return parseJson(inner);
  const write = writerOf(fields);
  return {
    payload: fields,
    get json() {
      return write();
    },
    problem: null,
    isForm: true,
  };
}

/**
 * Writes the JSON of a form's fields when it is first asked for, after the signature has been verified. In
 * JSON, a control character takes six bytes: written at once, a gzip body of 3 MB kept the server busy for
 * 0.7 s.
 */
function writerOf(fields: Readonly<Record<string, unknown>>): () => string {
  let written: string | undefined;
  return () => (written ??= JSON.stringify(fields));
}

function parseMultipart(
  delivery: Pick<Delivery, "headers" | "body">,
  formField: string | undefined,
  maxInflated: number,
  isVerified: boolean,
): ParsedBody {
  try {
    const bytes = decompress(delivery, maxInflated);
    const fields = isVerified
      ? fieldsOf(partsOf(delivery.headers, bytes))
      : unverifiedFieldsIn(delivery.headers, bytes, formField);
    const write = writerOf(fields);
    const inner = formField === undefined ? undefined : fields[formField];
    const parsed = typeof inner === "string" ? parseJson(inner) : undefined;
    return {
      payload: parsed === undefined ? fields : parsed.payload,
      get json() {
        return parsed === undefined ? write() : parsed.json;
      },
      problem: parsed?.problem ?? null,
      // Each retry has another boundary, so its bytes differ.
      get hashed() {
        return write();
      },
    };
  } catch (error) {
    if (isUnreadable(error)) return withoutPayload(error);
    throw error;
  }
}

/** Whether a body is not what its headers say, so that it has no payload. */
function isUnreadable(error: unknown): error is HookonceError {
  return (
    error instanceof HookonceError && (error.code === "invalid_json" || error.code === "invalid_multipart")
  );
}

/** The files of a stored delivery. Empty if the body cannot be read: then it has no payload either. */
export function filesOf(stored: Pick<Delivery, "headers" | "body">): EventFile[] {
  if (!isMultipart(stored.headers)) return [];
  try {
    return filesIn(stored.headers, decompress(stored, MAX_DECOMPRESSED));
  } catch (error) {
    if (isUnreadable(error)) return [];
    throw error;
  }
}

/**
 * The text of a body, inflated.
 *
 * @returns a body without a payload, with the problem, if it has no text
 */
export function readText(
  { headers, body }: Pick<Delivery, "headers" | "body">,
  maxInflated = MIB,
): string | ParsedBody {
  try {
    return utf8.decode(decompress({ headers, body }, maxInflated));
  } catch (error) {
    if (!(error instanceof HookonceError)) return none("invalid_utf8", "The body is not UTF-8.");
    if (isUnreadable(error)) return withoutPayload(error);
    throw error;
  }
}

/**
 * The bytes of a body without its compression.
 *
 * @throws HookonceError `invalid_json` if it is not gzip although its headers say so, `body_too_large`
 */
export function decompress(
  { headers, body }: Pick<Delivery, "headers" | "body">,
  maxInflated: number,
): Uint8Array {
  if (!isGzip(headers)) return body;
  const bytes = inflate(body, maxInflated);
  if (bytes !== undefined) return bytes;
  throw new HookonceError("invalid_json", "Content-Encoding says gzip, but the body is not gzip.");
}

/** Whether the body is compressed. `x-gzip` is another name for gzip (RFC 9110, 8.4.1.3). */
export function isGzip(headers: Headers): boolean {
  const encoding = headers["content-encoding"]?.toLowerCase();
  return encoding === "gzip" || encoding === "x-gzip";
}

/**
 * Whether the sender says that the body is neither JSON nor a form, such as XML. A missing
 * payload is then not a mistake.
 */
export function isOtherContent(headers: Headers): boolean {
  const type = headers["content-type"] ?? "";
  return type !== "" && !/json|x-www-form-urlencoded|form-data|text\/plain|octet-stream/i.test(type);
}

/** Drops the byte order mark that some editors write before JSON. */
export function withoutMark(text: string): string {
  return text.codePointAt(0) === 0xfeff ? text.slice(1) : text;
}

/** @returns undefined if it is not gzip */
function inflate(body: Uint8Array, maxBytes: number): Uint8Array | undefined {
  try {
    return nodeZlib().gunzipSync(body, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") return undefined;
    throw new HookonceError(
      "body_too_large",
      `The body inflates to more than ${maxBytes} bytes, the most that is accepted here: send it uncompressed, or raise max_body of this source.`,
    );
  }
}

/** @throws HookonceError `json_too_deep` */
export function parseJson(text: string): ParsedBody {
  if (text.length > MAX_DEPTH * 2 && depthOf(text) > MAX_DEPTH) {
    throw new HookonceError("json_too_deep", `The JSON is nested deeper than ${MAX_DEPTH} levels.`);
  }
  try {
    return { payload: JSON.parse(text) as unknown, json: text, problem: null };
  } catch {
    return none("invalid_json", text === "" ? "The body is empty." : "The body is not JSON.");
  }
}

function none(code: "invalid_json" | "invalid_utf8", message: string): ParsedBody {
  return withoutPayload(new HookonceError(code, message));
}

function withoutPayload(problem: HookonceError): ParsedBody {
  return { payload: null, json: null, problem };
}

/** How deep brackets nest outside of strings. Checked before parsing, which would overflow the stack. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (inString) {
      if (unit === 92) i++;
      else if (unit === 34) inString = false;
    } else if (unit === 34) inString = true;
    else if (unit === 91 || unit === 123) {
      if (++depth > deepest) deepest = depth;
    } else if (unit === 93 || unit === 125) depth--;
  }
  return deepest;
}

/**
 * A body with a changed payload. JSON stays JSON, and a field stays in its form.
 *
 * @param change is given the payload with exact numbers, and returns the new one
 * @returns the body itself if it has no payload
 */
export function changeBody(
  { headers, body }: Pick<Delivery, "headers" | "body">,
  change: (payload: unknown) => unknown,
  formField?: string,
): Uint8Array {
  if (isMultipart(headers)) return changeMultipart({ headers, body }, change, formField);
  const text = readText({ headers, body });
  const parsed = parseBody({ headers, body }, formField);
  if (typeof text !== "string" || parsed.json === null) return body;
  const changed = change(parseWithExactNumbers(parsed.json));
  if (!isFormText(headers, text)) return Buffer.from(JSON.stringify(changed));
  if (formField !== undefined) {
    const form = new URLSearchParams(text);
    if (form.has(formField)) {
      form.set(formField, JSON.stringify(changed));
      return Buffer.from(form.toString());
    }
  }
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(changed as Record<string, string | string[]>)) {
    for (const one of [value].flat()) form.append(name, one);
  }
  return Buffer.from(form.toString());
}

/** Files stay as they are. */
function changeMultipart(
  { headers, body }: Pick<Delivery, "headers" | "body">,
  change: (payload: unknown) => unknown,
  formField: string | undefined,
): Uint8Array {
  const parts = partsOf(headers, body);
  const fields = fieldsOf(parts);
  const inner = formField === undefined ? undefined : fields[formField];
  const changed = (
    typeof inner === "string"
      ? { ...fields, [formField ?? ""]: JSON.stringify(change(parseWithExactNumbers(inner))) }
      : change(fields)
  ) as Record<string, unknown>;
  const left = new Map(Object.entries(changed).map(([name, value]) => [name, [value].flat()]));
  const written = parts.map(({ name, text, head, bytes }) => {
    const value = left.get(name)?.shift();
    return { head, bytes: text === undefined || typeof value !== "string" ? bytes : Buffer.from(value) };
  });
  const added = Array.from(left).flatMap(([name, values]) =>
    values.map((value) => newPart(name, String(value))),
  );
  return writeMultipart(headers, [...written, ...added]);
}

/** A body with `value` at `body:$.path`. Missing objects on the way are created. */
export function setInBody(
  from: Pick<Delivery, "headers" | "body">,
  part: Part,
  value: unknown,
  formField?: string,
): Uint8Array {
  const path = parsePath(part.slice("body:".length)) ?? [];
  return changeBody(from, (payload) => withValue(payload, path, value), formField);
}

function withValue(payload: unknown, [step, ...rest]: readonly (string | number)[], value: unknown): unknown {
  if (step === undefined) return value;
  const holder = (
    typeof payload === "object" && payload !== null ? payload : typeof step === "number" ? [] : {}
  ) as Record<string | number, unknown>;
  holder[step] = withValue(holder[step], rest, value);
  return holder;
}
