import { HookonceError } from "../errors.ts";
import type { Delivery, Headers } from "../event.ts";

const LF = 10;
const CR = 13;

/**
 * Reads a saved request: request line, headers, a blank line, and the body, byte for byte. Lines may end in
 * LF or CRLF.
 *
 * @param nowMs the time of its arrival, in Unix milliseconds
 * @throws HookonceError `request_unreadable`
 */
export function parseRequest(bytes: Uint8Array, nowMs: number, url?: string): Delivery {
  const end = endOfHead(bytes);
  const start = markOf(bytes);
  if (end === undefined) {
    throw unreadable(
      "it has no blank line after the headers. Write the request line, the headers, a blank line, and the body.",
    );
  }
  const lines = linesOf(Buffer.from(bytes.subarray(start, end.head)).toString("latin1"));
  const [method, target] = /^([A-Z]+) +(\S+)(?: +HTTP\/[\d.]+)?$/.exec(lines[0] ?? "")?.slice(1) ?? [];
  const headers = headersOf(method === undefined ? lines : lines.slice(1));
  return {
    method: method ?? "POST",
    url: url ?? urlOf(target ?? "/", headers),
    headers,
    body: bytes.slice(end.body),
    receivedAt: nowMs,
    // A file has no peer, and where it came from is not the question here.
    remoteAddress: () => "127.0.0.1",
  };
}

/**
 * Reads headers and a body that were saved separately.
 *
 * @param head a line for each header, with or without the request line before them; or a JSON object, as
 *   hookonce stores them
 * @throws HookonceError `request_unreadable`
 */
export function joinRequest(head: Uint8Array, body: Uint8Array, nowMs: number, url?: string): Delivery {
  const text = Buffer.from(head.subarray(markOf(head)))
    .toString("latin1")
    .trim();
  // Headers as they were sent are Latin-1. hookonce's own JSON is UTF-8.
  const lines = text.startsWith("{")
    ? linesOfJson(Buffer.from(head.subarray(markOf(head))).toString())
    : text;
  return parseRequest(Buffer.concat([Buffer.from(`${lines}\n\n`, "latin1"), body]), nowMs, url);
}

/** How many bytes the byte order mark takes that an editor has put before the text. */
function markOf([first, second, third]: Uint8Array): number {
  return first === 0xef && second === 0xbb && third === 0xbf ? 3 : 0;
}

function linesOfJson(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return Object.entries(value as object)
      .map(([name, one]) => `${name}: ${String(one)}`)
      .join("\n");
  } catch {
    throw unreadable("its headers begin like JSON but are not JSON.");
  }
}

function endOfHead(bytes: Uint8Array): { head: number; body: number } | undefined {
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return { head: at, body: at + 2 };
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return { head: at, body: at + 3 };
  }
  return undefined;
}

function linesOf(head: string): string[] {
  return head.split(/\r?\n|\r$/).filter((line) => line.trim() !== "");
}

function headersOf(lines: readonly string[]): Headers {
  // Without a prototype, because a header may have any name.
  const headers = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw unreadable(`"${shortened(line)}" is neither a request line nor a header.`);
    }
    const key = name.toLowerCase();
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
  }
  return headers;
}

/** The whole URL, as the server sees it. */
function urlOf(target: string, headers: Headers): string {
  if (/^https?:\/\//i.test(target)) return target;
  return `http://${headers["host"] ?? "localhost"}${target.startsWith("/") ? "" : "/"}${target}`;
}

/** Only enough of a line to recognize it, because it may hold a secret. */
function shortened(line: string): string {
  return `${line.slice(0, 12).replaceAll(/[^\u0020-\u007e]/g, "?")}${line.length > 12 ? "…" : ""}`;
}

function unreadable(why: string): HookonceError {
  return new HookonceError("request_unreadable", `The request cannot be read: ${why}`);
}
