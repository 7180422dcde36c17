import type { Headers } from "../../event.ts";
import type { Redacted } from "../../providers/redact.ts";
import type { StoredDelivery } from "../reader.ts";
import { sha256 } from "../event-bytes.ts";
import { FREE_BODY, LEAVE_BODY, NO_BODY } from "./body-ids.ts";
import { createNeededBodies, eventsOf } from "./needed-bodies.ts";
import { createStoredBytes, SIZE } from "./stored-bytes.ts";
import type { Tx } from "./tx.ts";

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
   * Gives events of a batch a row each with only their own parts. The row that they shared is removed once no event
   * needs it.
   *
   * @param parts of all of its events, or of some
   */
  split(row: number, source: string, parts: readonly BatchPart[], rewrite?: Rewrite): Promise<void>;
  /** The same for all of its events, whose parts are found in what is stored. */
  splitAll(
    row: number,
    source: string,
    partsOf: (stored: StoredDelivery) => ReadonlyMap<string, string>,
    rewrite: Rewrite,
  ): Promise<void>;
  /** Removes a row, unless an event has it. @returns whether it was there */
  remove(row: number, source: string): Promise<boolean>;
  /** Stores what is left of a delivery that is new. Returns its row. */
  insert(event: number, receivedAt: number, redacted: Redacted, asReceived: Uint8Array): Promise<number>;
  /** The latest other body of an event. */
  changedBody(event: number, rewrite: Rewrite, isElement: boolean): Promise<boolean>;
  /** Empties the bodies of a failure that is settled. Its event has the body that it was run with. */
  emptyFailure(source: string, eventId: string): Promise<boolean>;
}

/** What a batch has of one of its events. */
export interface BatchPart {
  /** The event's row. */
  readonly event: number;
  /** Undefined if its source's `batch` or `event_id` is another one now. Then nothing of it can be read any more. */
  readonly json: string | undefined;
}

export function createBodyRewriting(tx: Tx): BodyRewriting {
  const needed = createNeededBodies(tx);
  const storedBytes = createStoredBytes(tx);
  const find = tx.query(`select received_at, headers, bytes, ${SIZE} from hookonce.bodies where id = $1`);
  const update = tx.query(
    `update hookonce.bodies set headers = $2, bytes = $3, redacted = $4 where id = $1 returning ${SIZE}`,
  );
  const insert = tx.query(
    `insert into hookonce.bodies (id, received_at, headers, bytes, redacted, sha256)
     values (${FREE_BODY}, $2, $3, $4, $5, $6) returning id, ${SIZE}`,
  );
  const keepPart = tx.query(
    `update hookonce.bodies set headers = $2, bytes = $3, redacted = $4, sha256 = $5 where id = $1 returning ${SIZE}`,
  );
  const remove = tx.query(`delete from hookonce.bodies where id = $1 returning ${SIZE}`);
  const leave = tx.query(LEAVE_BODY);
  const isNamed = tx.query(`${eventsOf("$1")} limit 1`);
  const eventIdOf = tx.query("select event_id from hookonce.events where id = $1");
  const shares = tx.query("select 1 from hookonce.results where event = $1 and body = $2 and not element");
  const move = tx.query("update hookonce.results set body = $2, element = $3 where event = $1");
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

  const insertRow = async (event: number, receivedAt: number, redacted: Redacted, asReceived: Uint8Array) =>
    (await insert.row(event, receivedAt, ...valuesOf(redacted, asReceived))) as [number, number];

  async function removeRow(row: number, source: string): Promise<boolean> {
    if (row === NO_BODY || (await isNamed.row(row)) !== undefined) return false;
    const removed = await remove.row(row);
    leave.run(row);
    if (removed !== undefined) await storedBytes.change(row, source, -Number(removed[0]));
    return removed !== undefined;
  }

  async function split(
    row: number,
    source: string,
    parts: readonly BatchPart[],
    rewrite?: Rewrite,
  ): Promise<void> {
    const found = await read(row);
    if (found === undefined) return;
    const { receivedAt, stored } = found;
    // The first event can have the shared row once no other needs it.
    const others = parts.filter(({ event }) => event !== row);
    for (const { event, json } of [...others, ...parts.filter((part) => part.event === row)]) {
      if ((await shares.row(event, row)) === undefined) continue;
      if (json === undefined) {
        move.run(event, NO_BODY, false);
        continue;
      }
      const own = { headers: stored.headers, body: Buffer.from(json) };
      const redacted = rewrite?.(own, true) ?? { ...own, replaced: 0 };
      if (event === row && (await needed.eventsOf(row)).length === 1) {
        const [size] = (await keepPart.row(row, ...valuesOf(redacted, own.body))) as [number];
        await storedBytes.change(row, source, size - found.size);
        move.run(event, row, true);
        return;
      }
      const [made, size] = await insertRow(event, receivedAt, redacted, own.body);
      await storedBytes.change(made, source, size);
      move.run(event, made, true);
    }
    await removeRow(row, source);
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

    split,

    async splitAll(row, source, partsOf, rewrite) {
      const found = await read(row);
      if (found === undefined) return;
      const parts = partsOf(found.stored);
      const all: BatchPart[] = [];
      for (const event of await needed.eventsOf(row))
        all.push({ event, json: parts.get(String((await eventIdOf.row(event))?.[0])) });
      await split(row, source, all, rewrite);
    },

    remove: removeRow,

    insert: async (...values) => (await insertRow(...values))[0],

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

function valuesOf({ headers, body, replaced }: Redacted, asReceived: Uint8Array) {
  return [JSON.stringify(headers), body, replaced === 0 ? null : replaced, sha256(asReceived)] as const;
}
