import type { Enqueue } from "../engines/engine.ts";
import { writeJson } from "../engines/payload.ts";
import { HookonceError } from "../errors.ts";
import type { Event, Reply } from "../event.ts";

/**
 * The exports of "hookonce" for handler files. Their types for editors are in templates/types/hookonce.d.ts.
 */

// oxlint-disable-next-line typescript/no-explicit-any -- a payload is whatever the provider sends
export type AnyPayload = any;

// oxlint-disable-next-line typescript/no-explicit-any -- each engine has its own; an inbox folder's types name it
export type AnyDatabase = any;

export interface HandlerContext<Payload = AnyPayload, Db = AnyDatabase> {
  event: Omit<Event, "payload"> & { readonly payload: Payload };
  db: Db;
  /**
   * Writes a message to a destination of hookonce.toml, in the transaction of the event. It is sent after the commit,
   * at least once, and always with the same id.
   *
   * @param body text, bytes or a JSON value
   * @throws HookonceError `message_invalid`, `handler_finished`; the event fails if the destination does not exist, or
   *   has `sign = "provider"`
   */
  enqueue: Enqueue;
}

export type HandlerFunction<Payload = AnyPayload> = (context: HandlerContext<Payload>) => unknown;

const brand = Symbol.for("hookonce.handler");

export interface Handler {
  readonly [brand]: true;
  readonly run: HandlerFunction;
}

/**
 * Declares a business update. It runs synchronously inside the transaction that records the event, so what it
 * writes through `db` is committed once or not at all.
 *
 * ```ts
 * export default handler(({ event, db }) => {
 *   db.run(sql`insert into pushes (repo) values (${event.payload.repository.full_name})`);
 * });
 * ```
 */
export function handler<Payload = AnyPayload>(run: HandlerFunction<Payload>): Handler {
  if (typeof run !== "function")
    throw new TypeError("handler() needs a function: handler(({ event, db }) => { … })");
  return Object.freeze({ [brand]: true as const, run: run as HandlerFunction });
}

/** Whether a module's default export was made by {@link handler}. */
export function isHandler(value: unknown): value is Handler {
  return typeof value === "object" && value !== null && brand in value;
}

const replyBrand = Symbol.for("hookonce.reply");

export interface HandlerReply {
  readonly [replyBrand]: true;
  readonly reply: Reply;
}

export interface ReplyOptions {
  /** The HTTP status, 200 by default. */
  status?: number;
  headers?: Record<string, string>;
  /** Text is sent unchanged. Anything else is sent as JSON, a BigInt as its digits. */
  body?: unknown;
}

/**
 * The largest reply, headers and body together, in bytes. A reply is stored with its event and read again for
 * each duplicate.
 */
const MAX_REPLY = 64 * 1024;

/**
 * Makes the answer to the provider. A handler returns it. It is committed with the event, and a duplicate
 * gets the same reply.
 *
 * ```ts
 * export default handler(({ event, db }) => reply({ body: { type: 4, data: { content: "done" } } }));
 * ```
 *
 * @throws HookonceError `invalid_reply` if the status, a header or the body cannot be sent
 */
export function reply({ status = 200, headers = {}, body }: ReplyOptions = {}): HandlerReply {
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw invalid(`status ${String(status)} is not an integer from 200 to 599`);
  // JSON would make an object of them, with one key for each byte.
  if (ArrayBuffer.isView(body) || body instanceof ArrayBuffer)
    throw invalid("body is bytes, and must be text or a JSON value: use new TextDecoder().decode(bytes)");
  const text = body === undefined ? "" : typeof body === "string" ? body : writeJson(body);
  if (typeof text !== "string") throw invalid("body must be text or a JSON value");
  if (text !== "" && (status === 204 || status === 205 || status === 304))
    throw invalid(`status ${status} does not allow a body`);
  let checked: Headers;
  try {
    checked = new Headers(headers);
  } catch (cause) {
    throw invalid("a header has an invalid name or value", cause);
  }
  if (!checked.has("content-type") && text !== "")
    checked.set("content-type", typeof body === "string" ? "text/plain; charset=utf-8" : "application/json");
  const size = Array.from(checked).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (size + Buffer.byteLength(text) > MAX_REPLY)
    throw invalid(`body and headers are larger than the ${MAX_REPLY} bytes allowed`);
  return Object.freeze({
    [replyBrand]: true as const,
    reply: { status, headers: checked.toJSON(), body: text },
  });
}

function invalid(why: string, cause?: unknown): HookonceError {
  return new HookonceError("invalid_reply", `The reply cannot be sent: ${why}.`, { cause });
}

/** Whether what a handler returned was made by {@link reply}. */
export function isReply(value: unknown): value is HandlerReply {
  return typeof value === "object" && value !== null && replyBrand in value;
}
