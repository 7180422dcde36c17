// The usual way: a transaction per event, over 8 connections, in the same tables. What can be sent together is.
import { connectTo } from "../../../src/engines/postgres/connection.ts";
import { bodyOf, measure, orderOf } from "../postgres-load.ts";

const CONNECTIONS = 8;

const order = orderOf();
const [server] = order.target.servers;
if (server === undefined) throw new Error("the target names no server");
const wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => connectTo(order.target, server)));
await measure(order, CONNECTIONS, async (id, client) => {
  const wire = wires[client];
  if (wire === undefined) throw new Error("there is no such connection");
  const body = bodyOf(id);
  const now = Date.now();
  const bytes = Buffer.from(body);
  const [, , inserted] = await Promise.all([
    wire.send("begin"),
    wire.send("set local hookonce.own = 'on'"),
    wire.send(
      "insert into hookonce.events (source, event_id, type, received_at, outcome, handler, last_delivery_at) values ('shop', $1, 'paid', $2, 'processed', 'handlers/shop/paid.sql', $2) on conflict do nothing returning id",
      [id, now],
    ),
  ]);
  const row = Number(inserted.rows[0]?.[0]);
  const answers = await Promise.all([
    wire.send("set local hookonce.own = 'off'"),
    wire.send(
      "insert into balances values ((($1::text)::jsonb) ->> 'customer', ((($2::text)::jsonb) ->> 'cents')::bigint) on conflict (customer) do update set cents = balances.cents + excluded.cents",
      [body, body],
    ),
    wire.send("set local hookonce.own = 'on'"),
    wire.send(
      "insert into hookonce.bodies (id, received_at, headers, bytes, sha256) values ($1, $2, '{}', $3, sha256($3))",
      [row, now, bytes],
    ),
    wire.send(
      "insert into hookonce.results (event, body, rows_changed, handler_hash) values ($1, $1, 1, '1')",
      [row],
    ),
    wire.send("commit"),
  ]);
  if (answers.at(-1)?.command !== "COMMIT") throw new Error(`${id} was not committed`);
});
await Promise.all(wires.map((wire) => wire.drop()));
