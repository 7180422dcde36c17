/**
 * The exports of "hookonce" for handler files.
 *
 * Written by hand for editors. `hookonce init` copies it to `.hookonce/types/`. The code that runs is in
 * handlers/api.ts, and test/init.test.ts checks that the two agree.
 */

/* eslint-disable typescript/no-explicit-any -- the provider decides what a payload is; handlers narrow it */

import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";

/** Header names are in lower case. Repeated headers are joined by ", ". */
export type Headers = Readonly<Record<string, string>>;

/** A file in a multipart/form-data body, or a field whose bytes are not text. */
export interface EventFile {
  /** The name of its field. */
  readonly field: string;
  /** As its sender wrote it: do not use it as a path. Null for a field. */
  readonly filename: string | null;
  /** Its media type, as its sender named it. */
  readonly type: string;
  /** In bytes. */
  readonly size: number;
  /** In hex. */
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

/** An event as a handler sees it. */
export interface Event<Payload = any> {
  /** The same for every delivery of the event, and unique within its source. */
  readonly id: string;
  /** Selects the handler, for example "checkout.session.completed". Empty if the delivery has no type. */
  readonly type: string;
  /** The NAME of `[sources.NAME]` in hookonce.toml. */
  readonly source: string;
  /** When the first delivery arrived, in Unix milliseconds. It stays the same if the handler runs again. */
  readonly receivedAt: number;
  /**
   * The JSON value of the body, or for a form an object of its fields. Null if the body is neither. A file is
   * `{ filename, type, size, sha256 }`; its bytes are in `files`.
   *
   * An integer outside ±9007199254740991 (`Number.MAX_SAFE_INTEGER`), which a number cannot hold exactly, is
   * a `bigint`, however it is spelled (`1e16`, `9007199254740993.0`). All other numbers are a `number`.
   */
  readonly payload: Payload;
  /** The files of a multipart/form-data body, in their order, with their bytes. Read on first use. */
  readonly files: readonly EventFile[];
  /** The headers of this delivery, with Authorization, cookies and static secrets replaced. */
  readonly headers: Headers;
  /** The raw bytes that were signed. */
  readonly body: Uint8Array;
}

/** The result of `db.run` and `.run()`. */
export interface RunResult {
  /** Rows inserted, updated or deleted by this statement. For a view, what its INSTEAD OF trigger changed. */
  changes: number;
  /** A bigint only outside ±9007199254740991. */
  lastInsertRowid: number | bigint;
}

/**
 * Drizzle for SQLite, inside the event's transaction. Everything is synchronous: there is nothing to await. A
 * query does nothing until `.run()`, `.all()`, `.get()` or `.values()` is called on it.
 *
 * ```ts
 * db.run(sql`update credits set cents = 0 where customer = ${customer}`);
 * const row = db.select().from(credits).where(eq(credits.customer, customer)).get();
 * db.insert(credits).values({ customer, cents }).run();
 * ```
 *
 * Nothing is rounded. An integer column whose value is outside ±9007199254740991 is read as a `bigint`, and
 * any other integer as a `number`. A value that SQLite cannot store exactly is refused with its position
 * (`value_refused`): NaN, Infinity, a bigint outside 64 bits, text with half of a surrogate pair,
 * bytes whose buffer was transferred, and `undefined` (use null).
 *
 * It is only valid during this call: after the handler has returned, every statement throws
 * `handler_finished`.
 */
export type HandlerDatabase = BaseSQLiteDatabase<"sync", RunResult>;

export interface HandlerContext<Payload = any> {
  event: Event<Payload>;
  db: HandlerDatabase;
  /**
   * Writes a message to a destination of hookonce.toml, in the transaction of the event. It is sent after the commit,
   * at least once, and always with the same id.
   *
   * @param destination the NAME of `[destinations.NAME]`. The event fails if there is none, or if it has
   *   `sign = "provider"`
   * @param body text, bytes or a JSON value
   */
  enqueue: Enqueue;
}

export interface EnqueueOptions {
  /** Unique for the destination: a second message with the same id is not written. Default: made by hookonce. */
  readonly id?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export type Enqueue = (destination: string, body: unknown, options?: EnqueueOptions) => void;

/**
 * What a handler may return: nothing, or a {@link reply}. Any other value is a type error here, and fails the
 * event at run time. So do `async` handlers and generators: the transaction does not wait for them.
 */
// oxlint-disable-next-line typescript/no-invalid-void-type -- a function without a return statement returns void
export type Returned = void | undefined | null | HandlerReply;

/**
 * The function of a handler. It returns nothing or a {@link reply}. If it throws or returns anything else,
 * its writes are rolled back, the event has failed, and the next delivery runs it again.
 */
export type HandlerFunction<Payload = any> = (context: HandlerContext<Payload>) => Returned;

declare const brand: unique symbol;

/** The default export of a handler file. Made by {@link handler}. */
export interface Handler {
  readonly [brand]: true;
}

/**
 * Declares a business update. It runs synchronously inside the transaction that records the event, so what it
 * writes through `db` is committed once or not at all.
 *
 * ```ts
 * import { sql } from "drizzle-orm";
 * import { handler } from "hookonce";
 *
 * export default handler(({ event, db }) => {
 *   db.run(sql`insert into pushes (repo) values (${event.payload.repository.full_name})`);
 * });
 * ```
 *
 * The provider decides what the payload is, so its type is `any`. Check it with zod, or declare the type that
 * you expect with `handler<Push>(({ event }) => …)`, which checks nothing at run time.
 */
export declare function handler<Payload = any>(run: HandlerFunction<Payload>): Handler;

export interface Reply {
  /** Default: 200. */
  status?: number;
  headers?: Record<string, string>;
  /**
   * Text is sent as it is. Bytes are refused. Anything else becomes JSON, a bigint as its digits. At most
   * 64 KiB with the headers.
   */
  body?: unknown;
}

declare const replyBrand: unique symbol;

export interface HandlerReply {
  readonly [replyBrand]: true;
}

/**
 * The answer to the provider, for providers that expect more than a success (Slack's commands, Discord's
 * interactions, Twilio). It is committed with the event, and a duplicate gets the same reply. A batch has one
 * answer for all its events, so there it is not used.
 *
 * ```ts
 * export default handler(({ event }) => reply({ body: { type: 4, data: { content: "done" } } }));
 * ```
 */
export declare function reply(reply?: Reply): HandlerReply;
