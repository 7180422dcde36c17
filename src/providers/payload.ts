import type { Delivery } from "../event.ts";
import { HookonceError } from "../errors.ts";

export interface ParsedBody {
  /** The JSON value, or an object of a form's fields; null when the body is neither. */
  readonly payload: unknown;
  /** The payload as JSON text, as SQL handlers get it. */
  readonly json: string | null;
  /** Why there is no payload. Fine where id and type stand in headers. */
  readonly problem: HookonceError | null;
}

/** SQLite's own JSON functions give up at about 1,000. */
const MAX_DEPTH = 900;

// With the BOM left in place: whether to drop it is decided here, not by the decoder.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * @param formField a form field that holds the JSON payload, where the provider sends such forms
 * @throws HookonceError `json_too_deep`
 */
export function parseBody(delivery: Pick<Delivery, "headers" | "body">, formField?: string): ParsedBody {
  const { body } = delivery;
  let text: string;
  try {
    text = utf8.decode(body);
  } catch {
    return none("invalid_utf8", "The body is not UTF-8.");
  }
  const mediaType = delivery.headers["content-type"]?.toLowerCase();
  // `curl -d` calls everything a form, and no form starts with a brace. (`\s` is a byte order mark, too.)
  if (mediaType?.startsWith("application/x-www-form-urlencoded") === true && !/^\s*[{[]/.test(text)) {
    if (!escapesAreUtf8(text)) return none("invalid_utf8", "The form's escapes are not UTF-8.");
    const fields = formFields(text);
    const inner = formField === undefined ? undefined : fields[formField];
    return typeof inner === "string"
      ? parseJson(inner)
      : { payload: fields, json: JSON.stringify(fields), problem: null };
  }
  return parseJson(text.codePointAt(0) === 0xfeff ? text.slice(1) : text);
}

function parseJson(text: string): ParsedBody {
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
