import type { Enqueue } from "../engine.ts";
import { contentOf } from "../enqueued.ts";
import type { GatedClient } from "./gate.ts";

const INSERT =
  "insert into hookonce.outbox (destination, body, bytes, id, headers) values ($1, $2, $3, $4, $5)";

/**
 * The `enqueue` of one run of a handler. It passes the gate like any other statement, so a message is undone with a
 * `db.transaction`. The handler need not await it.
 */
export function createEnqueue(client: GatedClient): Enqueue {
  return (destination, body, { id, headers } = {}) => {
    const { text, type } = contentOf(destination, body);
    const given = Object.entries(headers ?? {});
    const hasType = given.some(([name]) => name.toLowerCase() === "content-type");
    const all = Object.fromEntries(hasType ? given : [["content-type", type], ...given]);
    const bytes = typeof text === "string" ? null : text;
    const values = [destination, bytes === null ? text : null, bytes, id ?? null, JSON.stringify(all)];
    void client.query(INSERT, values, "arrays");
  };
}
