/**
 * What a handler file imports from "hookonce".
 *
 * Written by hand for editors, copied to `.hookonce/types/` by `hookonce init`; what runs is handlers/api.ts.
 * test/init.test.ts holds the two together.
 */

/* eslint-disable typescript/no-explicit-any -- a payload is whatever the provider sends; handlers narrow it */

import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";

/** Header names in lower case; repeated headers joined by ", ". */
export type Headers = Readonly<Record<string, string>>;

/** An event as a handler sees it. */
export interface Event<Payload = any> {
  /** What makes it the same event when it comes again. Unique within its source. */
  readonly id: string;
  /** What chose this handler, such as "checkout.session.completed". May be empty where the source does not say. */
  readonly type: string;
  /** The source it came through: the NAME of `[sources.NAME]` in hookonce.toml. */
  readonly source: string;
  /** Unix milliseconds, of the first delivery: the same when a handler runs again. */
  readonly receivedAt: number;
  /** The JSON value of the body (for a form body, an object of its fields); null when it is neither. */
  readonly payload: Payload;
  /** Of this delivery, without Authorization, cookies and static secrets. */
  readonly headers: Headers;
  /** The raw bytes, as they were signed. */
  readonly body: Uint8Array;
}

/** What `db.run` and `.run()` return. */
export interface RunResult {
  /** Rows inserted, updated or deleted by this statement. */
  changes: number;
  lastInsertRowid: number | bigint;
}

/**
 * Drizzle over SQLite, inside the event's transaction. Everything is synchronous: nothing is awaited, and a query
 * that is built does nothing until `.run()`, `.all()`, `.get()` or `.values()` is called on it.
 *
 * ```ts
 * db.run(sql`update credits set cents = 0 where customer = ${customer}`);
 * const row = db.select().from(credits).where(eq(credits.customer, customer)).get();
 * db.insert(credits).values({ customer, cents }).run();
 * ```
 *
 * It belongs to this one call: once the handler has returned, every statement throws `handler_finished`.
 */
export type HandlerDatabase = BaseSQLiteDatabase<"sync", RunResult>;

export interface HandlerContext<Payload = any> {
  event: Event<Payload>;
  db: HandlerDatabase;
}

/**
 * Anything but a promise. A handler runs inside a transaction that does not wait for it, so an `async` one is a type
 * error here and a failed event at run time. So is a drizzle query that is returned instead of run.
 */
export type Synchronous =
  | void
  | undefined
  | null
  | string
  | number
  | bigint
  | boolean
  | symbol
  | (object & { readonly then?: never });

/**
 * The function of a handler. Of what it returns only two things matter: that it is no promise, and whether it is a {@link reply}.
 * When it throws, what it wrote is undone, the event is a failure, and the next delivery runs it again.
 */
export type HandlerFunction<Payload = any> = (context: HandlerContext<Payload>) => Synchronous;

declare const brand: unique symbol;

/** What a handler file exports as its default. Made by {@link handler}. */
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
 * The payload is whatever the provider sent, so it is `any`: check it with zod, or say what you expect of it with
 * `handler<Push>(({ event }) => …)`, which checks nothing at run time.
 */
export declare function handler<Payload = any>(run: HandlerFunction<Payload>): Handler;

export interface Reply {
  /** 200 when it is not said. */
  status?: number;
  headers?: Record<string, string>;
  /** Text as it is; anything else becomes JSON. At most 64 KiB. */
  body?: unknown;
}

declare const replyBrand: unique symbol;

export interface HandlerReply {
  readonly [replyBrand]: true;
}

/**
 * What the provider is answered, where it wants more than that all went well (Slack's commands, Discord's interactions, Twilio).
 * It is committed with the event, and a duplicate gets the same reply. In a batch, which has one answer for all, it is not used.
 *
 * ```ts
 * export default handler(({ event }) => reply({ body: { type: 4, data: { content: "done" } } }));
 * ```
 */
export declare function reply(reply?: Reply): HandlerReply;
