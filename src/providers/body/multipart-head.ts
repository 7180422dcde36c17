import { HookonceError } from "../../errors.ts";

/** What the headers of a part of multipart/form-data say. `given` is its Content-Type. */
type Head = Record<"name" | "filename" | "given", string | undefined>;

const CRLF = "\r\n";

/** What nearly every part has as its headers. It takes a third of the time to read them like this. */
const USUAL_HEAD =
  /^content-disposition: form-data; name="([^"\\%\r\n\u0080-\u00ff]*)"(?:; filename="([^"\\%\r\n\u0080-\u00ff]*)")?(?:\r\ncontent-type: ([\u0020-\u007e]*))?$/i;

/** @throws HookonceError `invalid_multipart` */
export function readHead(head: Buffer): Head {
  const usual = USUAL_HEAD.exec(head.toString("latin1"));
  return usual === null ? readAnyHead(head) : { name: usual[1], filename: usual[2], given: usual[3] };
}

function readAnyHead(head: Buffer): Head {
  const headers = headersIn(head);
  const encoding = headers.get("content-transfer-encoding");
  if (encoding !== undefined && !/^(?:7bit|8bit|binary)$/i.test(encoding))
    throw invalid(
      `a part has the Content-Transfer-Encoding ${JSON.stringify(encoding.slice(0, 40))}, and only 7bit, 8bit and binary are read (RFC 7578, 4.7)`,
    );
  const parameters = parametersOf(headers.get("content-disposition") ?? "");
  return {
    name: parameters.get("name"),
    filename: parameters.get("filename") ?? extendedValue(parameters.get("filename*")),
    given: headers.get("content-type"),
  };
}

function headersIn(head: Buffer): Map<string, string> {
  const headers = new Map<string, string>();
  if (head.byteLength === 0) return headers;
  // A line that begins with a blank continues the one before it.
  for (const line of textOfHead(head)
    .replaceAll(/\r\n[ \t]+/g, " ")
    .split(CRLF)) {
    const colon = line.indexOf(":");
    if (colon === -1) throw invalid("a part has a header without a colon");
    const name = line.slice(0, colon).trim().toLowerCase();
    if (headers.has(name)) throw invalid(`a part has the header ${JSON.stringify(name)} twice`);
    headers.set(name, line.slice(colon + 1).trim());
  }
  return headers;
}

// Keeps a byte order mark.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOfHead(head: Buffer): string {
  try {
    return utf8.decode(head);
  } catch {
    return head.toString("latin1");
  }
}

/** `form-data; name="field"; filename="a \"b\".txt"` */
function parametersOf(disposition: string): Map<string, string> {
  const parameters = new Map<string, string>();
  let at = disposition.indexOf(";");
  while (at !== -1) {
    const equals = disposition.indexOf("=", at);
    if (equals === -1) break;
    const name = disposition
      .slice(at + 1, equals)
      .trim()
      .toLowerCase();
    if (parameters.has(name)) throw invalid(`a part has two values for ${JSON.stringify(name)}`);
    let from = equals + 1;
    while (disposition[from] === " ") from++;
    const { value, end } =
      disposition[from] === '"' ? quotedAt(disposition, from + 1) : plainAt(disposition, from);
    parameters.set(name, value);
    at = disposition.indexOf(";", end);
  }
  return parameters;
}

interface Value {
  readonly value: string;
  readonly end: number;
}

function plainAt(text: string, from: number): Value {
  const semicolon = text.indexOf(";", from);
  const end = semicolon === -1 ? text.length : semicolon;
  return { value: text.slice(from, end).trim(), end };
}

const QUOTATION_MARK = 34;
const BACKSLASH = 92;

/** Character by character: a regular expression takes four times as long if everything is escaped. */
function quotedAt(text: string, from: number): Value {
  let value = "";
  let kept = from;
  for (let at = from; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTATION_MARK) return { value: withoutEscapes(value + text.slice(kept, at)), end: at + 1 };
    const next = unit === BACKSLASH ? text.charCodeAt(at + 1) : 0;
    if (next !== QUOTATION_MARK && next !== BACKSLASH) continue;
    value += text.slice(kept, at);
    kept = ++at;
  }
  throw invalid("a part has a value whose quotation mark is not closed");
}

/** Browsers write `%22` for a quotation mark and `%0D%0A` for a line break. */
function withoutEscapes(value: string): string {
  return value.includes("%")
    ? value.replaceAll("%22", '"').replaceAll(/%0D/gi, "\r").replaceAll(/%0A/gi, "\n")
    : value;
}

/** `UTF-8''na%C3%AFve.txt` (RFC 8187), which RFC 7578 does not allow but Python's urllib3 wrote. */
function extendedValue(value: string | undefined): string | undefined {
  const encoded = value?.replace(/^utf-8'[^']*'/i, "");
  if (encoded === undefined) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

export function invalid(why: string): HookonceError {
  return new HookonceError("invalid_multipart", `The body is not valid multipart/form-data: ${why}.`);
}
