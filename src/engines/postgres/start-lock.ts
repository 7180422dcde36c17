import { HookonceError } from "../../errors.ts";
import { tryLock } from "./locks.ts";
import type { Server } from "./server.ts";
import { rowsOf } from "./sql.ts";
import { atomically } from "./transaction.ts";
import type { Wire } from "./wire.ts";

/** How often to look whether another node's start has come to an end, and how long at most, in milliseconds. */
export const LOOK_MS = 100;
const LONGEST_MS = 60_000;

export const startsElsewhere = (ms: number): HookonceError =>
  new HookonceError(
    "database_locked",
    `Another hookonce has been starting on this database for ${ms / 1000} s, for example with a long migration. Start again when it is done.`,
  );

/**
 * Does work of a start, in a transaction on a separate connection. Nodes do this work one after another.
 *
 * It looks for the lock in short transactions. While a transaction waited for the lock, its snapshot would hold up
 * `create index concurrently` in a migration of the node that has it, and each would wait for the other.
 *
 * @param onWait called once if another node has the lock
 * @throws HookonceError `database_locked`, and what `work` throws
 */
export async function duringStart<Result>(
  server: Server,
  onWait: () => void,
  work: (wire: Wire) => Promise<Result>,
): Promise<Result> {
  const wire = await server.connect();
  try {
    const until = performance.now() + LONGEST_MS;
    for (let waits = false; ; waits = true) {
      const done = await atomically(wire, async () => {
        const [lock] = await rowsOf<{ taken: boolean }>(wire, tryLock("start"));
        return lock?.taken === true ? { result: await work(wire) } : undefined;
      });
      if (done !== undefined) return done.result;
      if (!waits) onWait();
      if (performance.now() >= until) throw startsElsewhere(LONGEST_MS);
      await Bun.sleep(LOOK_MS);
    }
  } finally {
    await wire.drop();
  }
}
