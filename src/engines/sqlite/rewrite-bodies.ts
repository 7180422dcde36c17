import type { Database } from "bun:sqlite";
import type { Headers } from "../../event.ts";
import type { Redacted } from "../../providers/redact.ts";
import type { StoredDelivery } from "../reader.ts";
import { sha256 } from "./event-bytes.ts";
import { createNeededBodies } from "./needed-bodies.ts";
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
   * Gives each event of a batch a row with only its own part, and removes the one that they share.
   *
   * @param parts the events of the batch by their ids, as JSON
   */
  splitBody(
    row: number,
    source: string,
    partsOf: (stored: StoredDelivery) => ReadonlyMap<string, string>,
    rewrite: Rewrite,
  ): void;
  /** Stores what is left of a delivery that is new. Returns its row. */
  insert(event: number, receivedAt: number, redacted: Redacted, asReceived: Uint8Array): number;
  /** The latest other body of an event. */
  changedBody(event: number, rewrite: Rewrite, isElement: boolean): boolean;
  /** Empties the bodies of a failure that is settled. Its event has the body that it was run with. */
  emptyFailure(source: string, eventId: string): boolean;
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
     values (iif(exists (select 1 from hookonce_bodies where id = ?1), null, ?1), ?2, ?3, ?4, ?5, ?6)
     returning id, ${SIZE}`,
  );
  const remove = db.query("delete from hookonce_bodies where id = ?1");
  const eventIdOf = db.query("select event_id from hookonce_events where id = ?1");
  const move = db.query("update hookonce_results set body = ?2, element = 1 where event = ?1");
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

  /** @param event null: the row gets an id that no row has had, so that nothing takes it for the one that it replaces */
  function insertRow(
    event: number | null,
    receivedAt: number,
    { headers, body, replaced }: Redacted,
    asReceived: Uint8Array,
  ) {
    const count = replaced === 0 ? null : replaced;
    const values = [event, receivedAt, JSON.stringify(headers), body, count, sha256(asReceived)];
    const [row, size] = insert.values(...values)[0] as [number, number];
    return { row, size };
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

    splitBody(row, source, partsOf, rewrite) {
      const found = read(row);
      if (found === undefined) return;
      const { receivedAt, size, stored } = found;
      const parts = partsOf(stored);
      for (const event of needed.eventsOf(row)) {
        const part = parts.get(String(eventIdOf.values(event)[0]?.[0]));
        // The source's batch or event_id is another one now. Nothing of the event can be read any more.
        if (part === undefined) continue;
        const own = { headers: stored.headers, body: Buffer.from(part) };
        const made = insertRow(null, receivedAt, rewrite(own, true) ?? { ...own, replaced: 0 }, own.body);
        storedBytes.change(made.row, source, made.size);
        move.run(event, made.row);
      }
      remove.run(row);
      storedBytes.change(row, source, -size);
    },

    insert: (...values) => insertRow(...values).row,

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
