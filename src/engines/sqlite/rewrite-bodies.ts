import type { Database } from "bun:sqlite";
import type { Headers } from "../../event.ts";
import type { Redacted } from "../../providers/redact.ts";
import type { StoredDelivery } from "../reader.ts";
import { LEAVE_BODY, NEW_BODY_ID, NO_BODY } from "./body-ids.ts";
import { sha256 } from "../event-bytes.ts";
import { createNeededBodies, eventsOf } from "./needed-bodies.ts";
import { createStoredBytes, SIZE } from "./stored-bytes.ts";

/**
 * Returns what replaces a stored delivery. Undefined if nothing of it has to change.
 *
 * @param isElement whether the body is the event's own part of a batch
 */
export type Rewrite = (stored: StoredDelivery, isElement: boolean) => Redacted | undefined;

/**
 * Changes what is stored of deliveries. The connection has `secure_delete`, so nothing of what was there stays in the
 * pages. Every call belongs to the caller's open transaction.
 */
export interface BodyRewriting {
  /**
   * Rewrites a row of the table of bodies. Its hash stays that of the bytes as received, so that a later delivery can
   * still be compared.
   *
   * @returns whether something was replaced
   */
  body(row: number, source: string, rewrite: Rewrite, isElement: boolean): boolean;
  /**
   * Gives events of a batch a row each with only their own parts. The row that they shared is removed once no event
   * needs it.
   *
   * @param parts of all of its events, or of some
   */
  split(row: number, source: string, parts: readonly BatchPart[], rewrite?: Rewrite): void;
  /** Does the same for all events of the row. Their parts are read from the stored batch. */
  splitAll(
    row: number,
    source: string,
    partsOf: (stored: StoredDelivery) => ReadonlyMap<string, string>,
    rewrite: Rewrite,
  ): void;
  /** Removes a row, unless an event has it. @returns whether it was there */
  remove(row: number, source: string): boolean;
  /** Stores what is left of a delivery that is new. Returns its row. */
  insert(event: number, receivedAt: number, redacted: Redacted, asReceived: Uint8Array): number;
  /** The latest other body of an event. */
  changedBody(event: number, rewrite: Rewrite, isElement: boolean): boolean;
  /** Empties the bodies of a failure that is settled. Its event has the body that it was run with. */
  emptyFailure(source: string, eventId: string): boolean;
}

/** What a batch has of one of its events. */
export interface BatchPart {
  /** The event's row. */
  readonly event: number;
  /** Undefined if its source's `batch` or `event_id` is another one now. Then nothing of it can be read any more. */
  readonly json: string | undefined;
}

export function createBodyRewriting(db: Database): BodyRewriting {
  const needed = createNeededBodies(db);
  const storedBytes = createStoredBytes(db);
  const find = db.query(`select received_at, headers, bytes, ${SIZE} from hookonce_bodies where id = ?1`);
  const update = db.query(
    `update hookonce_bodies set headers = ?2, bytes = ?3, redacted = ?4, sha256 = coalesce(sha256, ?5)
     where id = ?1 returning ${SIZE}`,
  );
  const insert = db.query(
    `insert into hookonce_bodies (id, received_at, headers, bytes, redacted, sha256)
     values (${NEW_BODY_ID}, ?2, ?3, ?4, ?5, ?6) returning id, ${SIZE}`,
  );
  const keepPart = db.query(
    `update hookonce_bodies set headers = ?2, bytes = ?3, redacted = ?4, sha256 = ?5 where id = ?1
     returning id, ${SIZE}`,
  );
  const remove = db.query(`delete from hookonce_bodies where id = ?1 returning ${SIZE}`);
  const leave = db.query(LEAVE_BODY);
  const isNamed = db.query(`${eventsOf("?1")} limit 1`);
  const eventIdOf = db.query("select event_id from hookonce_events where id = ?1");
  const shares = db.query("select 1 from hookonce_results where event = ?1 and body = ?2 and element = 0");
  const move = db.query("update hookonce_results set body = ?2, element = ?3 where event = ?1");
  const findChanged = db.query("select headers, body from hookonce_changed_bodies where event = ?1");
  const updateChanged = db.query(
    "update hookonce_changed_bodies set headers = ?2, body = ?3 where event = ?1",
  );
  const emptyFailure = db.query(
    `update hookonce_failures set first_headers = '', first_body = x'', last_headers = '', last_body = x''
     where source = ?1 and event_id = ?2 and settled_at is not null and last_headers <> ''`,
  );

  function read(row: number) {
    const found = find.values(row)[0];
    if (found === undefined) return undefined;
    const [receivedAt, headers, bytes, size] = found as [number, string, Uint8Array, number];
    return { receivedAt, stored: storedOf(headers, bytes), size };
  }

  const insertRow = (event: number, receivedAt: number, redacted: Redacted, asReceived: Uint8Array) =>
    insert.values(event, receivedAt, ...valuesOf(redacted, asReceived))[0] as [number, number];

  function removeRow(row: number, source: string): boolean {
    if (row === NO_BODY || isNamed.values(row).length > 0) return false;
    const removed = remove.values(row);
    leave.run(row);
    for (const [size] of removed) storedBytes.change(row, source, -Number(size));
    return removed.length > 0;
  }

  function split(row: number, source: string, parts: readonly BatchPart[], rewrite?: Rewrite): void {
    const found = read(row);
    if (found === undefined) return;
    const { receivedAt, stored } = found;
    // The first event can have the shared row once no other needs it.
    const others = parts.filter(({ event }) => event !== row);
    for (const { event, json } of [...others, ...parts.filter((part) => part.event === row)]) {
      if (shares.values(event, row).length === 0) continue;
      if (json === undefined) {
        move.run(event, NO_BODY, 0);
        continue;
      }
      const own = { headers: stored.headers, body: Buffer.from(json) };
      const redacted = rewrite?.(own, true) ?? { ...own, replaced: 0 };
      if (event === row && needed.eventsOf(row).length === 1) {
        const [, size] = keepPart.values(row, ...valuesOf(redacted, own.body))[0] as [number, number];
        storedBytes.change(row, source, size - found.size);
        move.run(event, row, 1);
        return;
      }
      const [made, size] = insertRow(event, receivedAt, redacted, own.body);
      storedBytes.change(made, source, size);
      move.run(event, made, 1);
    }
    removeRow(row, source);
  }

  return {
    body(row, source, rewrite, isElement) {
      const found = read(row);
      const redacted = found && rewrite(found.stored, isElement);
      if (found === undefined || redacted === undefined) return false;
      const { headers, body, replaced } = redacted;
      const was = sha256(found.stored.body);
      const [size] = update.values(row, JSON.stringify(headers), body, replaced, was)[0] as [number];
      storedBytes.change(row, source, size - found.size);
      return true;
    },

    split,

    splitAll(row, source, partsOf, rewrite) {
      const found = read(row);
      if (found === undefined) return;
      const parts = partsOf(found.stored);
      const all = needed.eventsOf(row).map((event) => ({
        event,
        json: parts.get(String(eventIdOf.values(event)[0]?.[0])),
      }));
      split(row, source, all, rewrite);
    },

    remove: removeRow,

    insert: (...values) => insertRow(...values)[0],

    changedBody(event, rewrite, isElement) {
      const found = findChanged.values(event)[0] as [string, Uint8Array] | undefined;
      const redacted = found && rewrite(storedOf(...found), isElement);
      if (redacted === undefined) return false;
      updateChanged.run(event, JSON.stringify(redacted.headers), redacted.body);
      return true;
    },

    emptyFailure: (source, eventId) => emptyFailure.run(source, eventId).changes > 0,
  };
}

function storedOf(headers: string, body: Uint8Array): StoredDelivery {
  return { headers: JSON.parse(headers) as Headers, body };
}

function valuesOf({ headers, body, replaced }: Redacted, asReceived: Uint8Array) {
  return [JSON.stringify(headers), body, replaced === 0 ? null : replaced, sha256(asReceived)] as const;
}
