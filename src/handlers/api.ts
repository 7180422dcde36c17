import type { BaseSQLiteDatabase } from "drizzle-orm/sqlite-core";
import type { Event } from "../event.ts";

/** What a handler file may import from "hookonce". Its types for editors: templates/types/hookonce.d.ts. */

export interface RunResult {
  /** Rows inserted, updated or deleted by this statement. */
  changes: number;
  lastInsertRowid: number | bigint;
}

/** `db` of one call: drizzle over SQLite, inside the event's transaction. Useless once the handler has returned. */
export type HandlerDatabase = BaseSQLiteDatabase<"sync", RunResult>;

// oxlint-disable-next-line typescript/no-explicit-any -- a payload is whatever the provider sends
export type AnyPayload = any;

export interface HandlerContext<Payload = AnyPayload> {
  event: Omit<Event, "payload"> & { readonly payload: Payload };
  db: HandlerDatabase;
}

export type HandlerFunction<Payload = AnyPayload> = (context: HandlerContext<Payload>) => void;

const brand = Symbol.for("hookonce.handler");

export interface Handler {
  readonly [brand]: true;
  readonly run: HandlerFunction;
}

/**
 * Declares a business update. It runs synchronously inside the transaction that puts the event on the guest list,
 * so what it writes through `db` is committed once or not at all.
 *
 * ```ts
 * export default handler(({ event, db }) => {
 *   db.run(sql`insert into pushes (repo) values (${event.payload.repository.full_name})`);
 * });
 * ```
 */
export function handler<Payload = AnyPayload>(run: HandlerFunction<Payload>): Handler {
  if (typeof run !== "function")
    throw new TypeError("handler() takes a function: handler(({ event, db }) => { … })");
  return Object.freeze({ [brand]: true as const, run: run as HandlerFunction });
}

/** Whether a module's default export was made by {@link handler}. */
export function isHandler(value: unknown): value is Handler {
  return typeof value === "object" && value !== null && brand in value;
}
