import type { Incoming } from "../engine.ts";
import { sha256 } from "../event-bytes.ts";
import { arrayOf } from "./sql.ts";
import type { Tx } from "./tx.ts";

const INSERT_BODIES = `
  insert into hookonce.bodies (id, received_at, headers, bytes, sha256)
  select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[])`;

const INSERT_BODY =
  "insert into hookonce.bodies (id, received_at, headers, bytes, sha256) values ($1, $2, $3, $4, $5)";

/** Up to so many bytes, bodies are written as one array of hexadecimal text. More would take much memory. */
const MAX_ARRAY_BYTES = 256 * 1024;

interface NewBody {
  readonly event: number;
  readonly incoming: Incoming;
}

/** Stores the bodies of new events, each under the number of its event. */
export function createPlainBodies(tx: Tx): (rows: readonly NewBody[]) => void {
  const insertBodies = tx.query(INSERT_BODIES);
  const insertBody = tx.query(INSERT_BODY);
  return (rows) => {
    const size = rows.reduce((sum, { incoming }) => sum + incoming.input.body.byteLength, 0);
    const values = rows.map(({ event, incoming: { input } }) => ({
      event,
      ...input,
      hash: sha256(input.body),
    }));
    if (rows.length > 0 && size <= MAX_ARRAY_BYTES)
      insertBodies.run(
        arrayOf(values.map(({ event }) => event)),
        arrayOf(values.map(({ receivedAt }) => receivedAt)),
        arrayOf(values.map(({ headersJson }) => headersJson)),
        arrayOf(values.map(({ body }) => hex(body))),
        arrayOf(values.map(({ hash }) => hex(hash))),
      );
    else
      for (const { event, receivedAt, headersJson, body, hash } of values)
        insertBody.run(event, receivedAt, headersJson, body, hash);
  };
}

const hex = (bytes: Uint8Array): string =>
  `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")}`;
