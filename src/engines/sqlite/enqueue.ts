import type { Enqueue } from "../engine.ts";
import { contentOf } from "../enqueued.ts";
import type { GatedClient } from "./gate.ts";

const INSERT = "insert into hookonce_outbox (destination, body, id, headers) values (?, ?, ?, ?)";

/**
 * The `enqueue` of one call of a handler. It passes the gate like any other statement, so a message is undone with a
 * `db.transaction`, and none is written once the handler has returned.
 */
export function createEnqueue(client: GatedClient): Enqueue {
  return (destination, body, { id, headers } = {}) => {
    const { text, type } = contentOf(destination, body);
    const given = Object.entries(headers ?? {});
    const hasType = given.some(([name]) => name.toLowerCase() === "content-type");
    const all = Object.fromEntries(hasType ? given : [["content-type", type], ...given]);
    client.run(INSERT, destination, text, id ?? null, JSON.stringify(all));
  };
}
