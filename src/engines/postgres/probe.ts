import type { Engine } from "../engine.ts";
import { within } from "./deadline.ts";
import { lock } from "./locks.ts";
import type { Pool } from "./pool.ts";
import { rowsOf } from "./sql.ts";
import { atomically, writeOwn } from "./transaction.ts";
import { ownFailure } from "./trouble.ts";
import type { Wire } from "./wire.ts";

/** How long a proof may take, and how long it waits for a batch or another proof, in milliseconds. */
const LONGEST_PROBE_MS = 5000;
const LOCK_MS = 1000;

/** No source has this name. */
const NOBODY = "";

/** What a delivery writes. */
const TRIAL: readonly string[] = [
  `with event as (
       insert into hookonce.events (source, event_id, type, received_at, outcome, last_delivery_at)
       values ('${NOBODY}', 'probe', '', $1, 'processed', $1) returning id),
     body as (
       insert into hookonce.bodies (id, received_at, headers, bytes, sha256)
       select id, $1, '{}', ''::bytea, ''::bytea from event returning id)
     insert into hookonce.results (event, body) select id, id from body`,
  `insert into hookonce.failures
       (source, event_id, type, code, error, first_at, last_at, first_headers, first_body, last_headers, last_body)
     values ('${NOBODY}', 'probe', '', '', '', $1, $1, '', ''::bytea, '', ''::bytea)`,
  `insert into hookonce.deliveries (source, event_id, number, at, outcome)
     values ('${NOBODY}', 'probe', 1, $1, 'processed')`,
  `insert into hookonce.rollups (span, at, source) values ('new', $1, '${NOBODY}')`,
  `insert into hookonce.messages (message_id, destination, state, created_at, next_at, since)
     values ('probe', '${NOBODY}', 'waiting', $1, $1, $1)`,
];

/** Writes what a delivery writes, and takes it back. The transaction goes on. */
export async function tryTables(wire: Wire, now: number): Promise<void> {
  await writeOwn(wire);
  await wire.send("savepoint trial");
  for (const text of TRIAL) await wire.send(text, [now]);
  await wire.send("rollback to savepoint trial");
}

/**
 * Proves that a delivery can be stored: the baton is free, its rows are written and taken back, and another row is
 * committed as durably as a delivery is. This also shows whether the synchronous standby answers.
 */
export function createProbe(pool: Pool): Engine["probe"] {
  return async (now) => {
    try {
      await pool.use((wire) =>
        within(wire, LONGEST_PROBE_MS, () =>
          atomically(wire, async () => {
            // While a standby does not answer, the first proof has it. Others must not wait for it on the server.
            await wire.send(`set local lock_timeout = ${LOCK_MS}`);
            await rowsOf(wire, lock("baton"));
            await tryTables(wire, now);
            await wire.send("set local synchronous_commit = on");
            await wire.send(
              `insert into hookonce.meta (key, value) values ('probed_at', $1)
               on conflict (key) do update set value = excluded.value`,
              [String(now)],
            );
          }),
        ),
      );
    } catch (error) {
      throw ownFailure(error);
    }
    return { warnings: [] };
  };
}
