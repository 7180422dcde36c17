import type { Delivery, Headers } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { nodeZlib } from "../node-modules.ts";
import { parsePath } from "./path.ts";
import { NumberLiteral, parseWithExactNumbers, type Part } from "./selector.ts";

export interface ParsedBody {
  /** The JSON value, or an object of a form's fields; null when the body is neither. */
  readonly payload: unknown;
  /** The payload as JSON text, as SQL handlers get it. */
  readonly json: string | null;
  /** Why there is no payload. Fine where id and type stand in headers. */
  readonly problem: HookonceError | null;
  /** What is signed of the body, where that is not its bytes: what an id is the hash of. */
  readonly signed?: Uint8Array | string;
}

/**
 * Reads the payload of a delivery. Throws `json_too_deep` and `body_too_large`, but never because the body is
 * not JSON.
 */
export type Reading = (delivery: Pick<Delivery, "headers" | "body">) => ParsedBody;

// With the BOM left in place: whether to drop it is decided here, not by the decoder.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const MIB = 1024 * 1024;

/** SQLite's JSON functions fail at about 1,000 levels. */
export const MAX_DEPTH = 900;

/**
 * @param formField a form field that holds the JSON payload, where the provider sends such forms
 * @param maxInflated the most bytes that a compressed body may become
 * @throws HookonceError `json_too_deep`, `body_too_large`
 */
export function parseBody(
  delivery: Pick<Delivery, "headers" | "body">,
  formField?: string,
  maxInflated = MIB,
): ParsedBody {
  const text = readText(delivery, maxInflated);
  if (typeof text !== "string") return text;
  if (!isFormText(delivery.headers, text)) return parseJson(withoutMark(text));
  if (!escapesAreUtf8(text)) return none("invalid_utf8", "The form's escapes are not UTF-8.");
  const fields = formFields(text);
  const inner = formField === undefined ? undefined : fields[formField];
  return typeof inner === "string"
    ? parseJson(inner)
    : { payload: fields, json: JSON.stringify(fields), problem: null };
}

/**
 * A body's text, inflated.
 *
 * @returns why there is none, where it is not what it says
 */
export function readText(
  { headers, body }: Pick<Delivery, "headers" | "body">,
  maxInflated = MIB,
): string | ParsedBody {
  const bytes = headers["content-encoding"]?.toLowerCase() === "gzip" ? inflate(body, maxInflated) : body;
  if (bytes === undefined) return none("invalid_json", "The body is not gzip, as Content-Encoding says.");
  try {
    return utf8.decode(bytes);
  } catch {
    return none("invalid_utf8", "The body is not UTF-8.");
  }
}

/** `curl -d` calls everything a form, and no form starts with a brace. (`\s` is a byte order mark, too.) */
export function isFormText(headers: Headers, text: string): boolean {
  return isForm(headers) && !/^\s*[{[]/.test(text);
}

/** Without the byte order mark that some editors put before JSON. */
export function withoutMark(text: string): string {
  return text.codePointAt(0) === 0xfeff ? text.slice(1) : text;
}

export function isForm(headers: Headers): boolean {
  return headers["content-type"]?.toLowerCase().startsWith("application/x-www-form-urlencoded") === true;
}

/** @returns undefined for what is not gzip */
function inflate(body: Uint8Array, maxBytes: number): Uint8Array | undefined {
  try {
    return nodeZlib().gunzipSync(body, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") return undefined;
    throw new HookonceError(
      "body_too_large",
      `The body inflates to more than the ${maxBytes} bytes that this source takes (max_body).`,
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
  return { payload: null, json: null, problem: new HookonceError(code, message) };
}

/** URLSearchParams would read %FE and %FF as one and the same replacement character. */
function escapesAreUtf8(text: string): boolean {
  try {
    for (const [run] of text.matchAll(/(?:%[0-9a-f]{2})+/gi)) decodeURIComponent(run);
    return true;
  } catch {
    return false;
  }
}

/** A field that is given more than once becomes an array. */
function formFields(text: string): Record<string, string | string[]> {
  const fields = new Map<string, string | string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(fields);
}

/** How deep brackets nest, those in strings aside. Looked at before parsing, which would take the stack with it. */
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

/** JSON with every number as it was written, where JavaScript's own reading would lose digits. */
export function exactJson(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    one instanceof NumberLiteral ? rawJson(one.digits) : one,
  );
}

/** TypeScript's library does not know it yet. */
const rawJson = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON;

/**
 * A body with its payload changed: JSON as JSON, a form's field in its form.
 *
 * @param change gets the payload with exact numbers, and returns the new one
 * @returns the body itself when there is no payload in it
 */
export function changeBody(
  { headers, body }: Pick<Delivery, "headers" | "body">,
  change: (payload: unknown) => unknown,
  formField?: string,
): Uint8Array {
  const text = readText({ headers, body });
  const parsed = parseBody({ headers, body }, formField);
  if (typeof text !== "string" || parsed.json === null) return body;
  const changed = change(parseWithExactNumbers(parsed.json));
  if (!isFormText(headers, text)) return Buffer.from(exactJson(changed));
  if (formField !== undefined) {
    const form = new URLSearchParams(text);
    if (form.has(formField)) {
      form.set(formField, exactJson(changed));
      return Buffer.from(form.toString());
    }
  }
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(changed as Record<string, string | string[]>)) {
    for (const one of [value].flat()) form.append(name, one);
  }
  return Buffer.from(form.toString());
}

/** A body with `value` at `body:$.path`; objects on the way there are made. */
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
