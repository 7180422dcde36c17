import { HookonceError, messageOf } from "../errors.ts";
import { idProblem } from "./message-ids.ts";
import { writeJson } from "./payload.ts";

/** What handlers and other processes enqueue, and the messages that are made of it. */

/** What messages are written for. */
export interface Sending {
  /** The event's row. */
  readonly event: number;
  /** Unix milliseconds. */
  readonly at: number;
  /** What makes their ids differ from those of the first run: a replay, or a job that sends again. */
  readonly run?: string | undefined;
}

/** How many rows of other processes become messages in one transaction, and how many bytes of bodies. */
export const ADOPTED_AT_ONCE = 64;
export const ADOPTED_BYTES = 1024 * 1024;

/** A row of the view into which handlers and other processes insert. */
export interface Enqueued {
  readonly id: number;
  readonly destination: string;
  readonly body: Uint8Array;
  /** Whether it was inserted as bytes, and not as text. */
  readonly isBytes: boolean;
  readonly messageId: string | null;
  /** JSON text. */
  readonly headers: string | null;
}

/** The headers of a message whose body is JSON. */
export const JSON_HEADERS = JSON.stringify({ "content-type": "application/json" });

/** The body of a message that a handler gives to `enqueue`, with its type. */
export function contentOf(destination: string, body: unknown): { text: string | Uint8Array; type: string } {
  if (typeof body === "string") return { text: body, type: "text/plain; charset=utf-8" };
  if (body instanceof Uint8Array) return { text: body, type: "application/octet-stream" };
  const json = writeJson(body);
  if (typeof json === "string") return { text: json, type: "application/json" };
  throw new HookonceError(
    "message_invalid",
    `The message for the destination "${destination}" cannot be sent: its body must be text, bytes or a JSON value.`,
  );
}

/** The largest body that can be enqueued, in bytes. */
const MAX_BODY = 5 * 1024 * 1024;

/** Why an enqueued row cannot become a message. */
export function problemOf({ destination, messageId, body, headers }: Enqueued): HookonceError | undefined {
  const invalid = (why: string): HookonceError =>
    new HookonceError(
      "message_invalid",
      `The message for the destination "${destination}" cannot be sent: ${why}.`,
    );
  if (body.byteLength > MAX_BODY)
    return invalid(`its body has ${body.byteLength} bytes, and at most ${MAX_BODY} are allowed`);
  const id = messageId === null ? undefined : idProblem(messageId);
  if (id !== undefined) return invalid(id);
  const header = headers === null ? undefined : headersProblem(headers);
  return header === undefined ? undefined : invalid(header);
}

/** The headers to store, as JSON: those that are valid, with the type of the body. */
export function headersOf({ headers, body, isBytes }: Enqueued): string {
  const given =
    headers === null || headersProblem(headers) !== undefined
      ? {}
      : (JSON.parse(headers) as Record<string, string>);
  if (Object.keys(given).some((name) => name.toLowerCase() === "content-type")) return JSON.stringify(given);
  return JSON.stringify({ "content-type": typeOf(body, isBytes), ...given });
}

function typeOf(body: Uint8Array, isBytes: boolean): string {
  if (isBytes) return "application/octet-stream";
  try {
    JSON.parse(Buffer.from(body).toString());
    return "application/json";
  } catch {
    return "text/plain; charset=utf-8";
  }
}

function headersProblem(json: string): string | undefined {
  const what = 'headers must be a JSON object of texts, as in {"content-type": "text/plain"}';
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return what;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return what;
  if (!Object.values(value).every((one) => typeof one === "string")) return what;
  try {
    void new Headers(value as Record<string, string>);
    return undefined;
  } catch (error) {
    return `a header cannot be sent (${messageOf(error)})`;
  }
}
