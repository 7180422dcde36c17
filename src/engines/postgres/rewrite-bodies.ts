import type { Tx } from "./tx.ts";
import type { Headers } from "../../event.ts";
import type { Redacted } from "../../providers/redact.ts";
import type { StoredDelivery } from "../reader.ts";
import { sha256 } from "../event-bytes.ts";
import { createNeededBodies } from "./needed-bodies.ts";
import { FREE_BODY } from "./statements.ts";
import { createStoredBytes, SIZE } from "./stored-bytes.ts";

/**
 * Returns what replaces a stored delivery. Undefined if nothing of it has to change.
 *
 * @param isElement whether the body is the event's own part of a batch
 */
export type Rewrite = (stored: StoredDelivery, isElement: boolean) => Redacted | undefined;

/** Changes what is stored of deliveries. Every call belongs to the caller's open transaction. */
export interface BodyRewriting {
  /**
   * Rewrites a row of the table of bodies. Its hash stays that of the bytes as received, so that a later delivery can
   * still be compared.
   *
   * @returns whether something was replaced
   */
  body(row: number, source: string, rewrite: Rewrite, isElement: boolean): Promise<boolean>;
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
  ): Promise<void>;
  /** Stores what is left of a delivery that is new. Returns its row. */
  insert(event: number, receivedAt: number, redacted: Redacted, asReceived: Uint8Array): Promise<number>;
  /** The latest other body of an event. */
  changedBody(event: number, rewrite: Rewrite, isElement: boolean): Promise<boolean>;
  /** Empties the bodies of a failure that is settled. Its event has the body that it was run with. */
  emptyFailure(source: string, eventId: string): Promise<boolean>;
}

export function createBodyRewriting(tx: Tx): BodyRewriting {
  const needed = createNeededBodies(tx);
  const storedBytes = createStoredBytes(tx);
  const find = tx.query(`select received_at, headers, bytes, ${SIZE} from hookonce.bodies where id = $1`);
  const update = tx.query(
    `update hookonce.bodies set headers = $2, bytes = $3, redacted = $4
     where id = $1 returning ${SIZE}`,
  );
  const insert = tx.query(
    `insert into hookonce.bodies (id, received_at, headers, bytes, redacted, sha256)
     values (case when $1::bigint is null then nextval('hookonce.events_id_seq') else ${FREE_BODY} end, $2, $3, $4, $5, $6)
     returning id, ${SIZE}`,
  );
  const remove = tx.query("delete from hookonce.bodies where id = $1");
  const eventIdOf = tx.query("select event_id from hookonce.events where id = $1");
  const move = tx.query("update hookonce.results set body = $2, element = true where event = $1");
  const findChanged = tx.query("select headers, body from hookonce.changed_bodies where event = $1");
  const updateChanged = tx.query(
    "update hookonce.changed_bodies set headers = $2, body = $3 where event = $1",
  );
  const emptyFailure = tx.query(
    `update hookonce.failures set first_headers = '', first_body = ''::bytea, last_headers = '', last_body = ''::bytea
     where source = $1 and event_id = $2 and settled_at is not null and last_headers <> ''`,
  );

  async function read(row: number) {
    const found = await find.row(row);
    if (found === undefined) return undefined;
    const [receivedAt, headers, bytes, size] = found as [number, string, Uint8Array, number];
    return { receivedAt, stored: storedOf(headers, bytes), size };
  }

  /** @param event null: the row gets an id that no row has had, so that nothing takes it for the one that it replaces */
  async function insertRow(
    event: number | null,
    receivedAt: number,
    { headers, body, replaced }: Redacted,
    asReceived: Uint8Array,
  ) {
    const count = replaced === 0 ? null : replaced;
    const values = [event, receivedAt, JSON.stringify(headers), body, count, sha256(asReceived)];
    const [row, size] = (await insert.row(...values)) as [number, number];
    return { row, size };
  }

  return {
    async body(row, source, rewrite, isElement) {
      const found = await read(row);
      const redacted = found && rewrite(found.stored, isElement);
      if (found === undefined || redacted === undefined) return false;
      const { headers, body, replaced } = redacted;
      const [size] = (await update.row(row, JSON.stringify(headers), body, replaced)) as [number];
      await storedBytes.change(row, source, size - found.size);
      return true;
    },

    async splitBody(row, source, partsOf, rewrite) {
      const found = await read(row);
      if (found === undefined) return;
      const { receivedAt, size, stored } = found;
      const parts = partsOf(stored);
      for (const event of await needed.eventsOf(row)) {
        const part = parts.get(String((await eventIdOf.row(event))?.[0]));
        // The source's batch or event_id is another one now. Nothing of the event can be read any more.
        if (part === undefined) continue;
        const own = { headers: stored.headers, body: Buffer.from(part) };
        const made = await insertRow(
          null,
          receivedAt,
          rewrite(own, true) ?? { ...own, replaced: 0 },
          own.body,
        );
        await storedBytes.change(made.row, source, made.size);
        move.run(event, made.row);
      }
      remove.run(row);
      await storedBytes.change(row, source, -size);
    },

    insert: async (...values) => (await insertRow(...values)).row,

    async changedBody(event, rewrite, isElement) {
      const found = (await findChanged.row(event)) as [string, Uint8Array] | undefined;
      const redacted = found && rewrite(storedOf(...found), isElement);
      if (redacted === undefined) return false;
      updateChanged.run(event, JSON.stringify(redacted.headers), redacted.body);
      return true;
    },

    emptyFailure: async (source, eventId) => (await emptyFailure.changes(source, eventId)) > 0,
  };
}

function storedOf(headers: string, body: Uint8Array): StoredDelivery {
  return { headers: JSON.parse(headers) as Headers, body };
}
