import type { PostgresTarget } from "../../config/postgres.ts";
import { pendingOf } from "../migration-history.ts";
import type { MoveIn } from "../move.ts";
import { applyOwn, historyOf, ownSet } from "./migrations.ts";
import { createMoveIn } from "./move-in.ts";
import { createServer } from "./server.ts";
import { duringStart } from "./start-lock.ts";
import { refuseServer } from "./start.ts";

/** That another node has the lock is no news: the command shows no progress yet. */
const sayNothing = (): void => {};

/**
 * Opens a database to move an inbox to it, and makes hookonce's own tables. The user's migrations are for a start.
 *
 * @param now Unix milliseconds
 * @throws HookonceError `database_unreachable`, `database_unusable`, `database_locked`
 */
export async function openMoveIn(target: PostgresTarget, now: number): Promise<MoveIn> {
  const server = createServer(target);
  await duringStart(server, sayNothing, async (wire) => {
    await refuseServer(wire);
    await applyOwn(wire, pendingOf(await historyOf(wire, ownSet)), now);
  });
  return createMoveIn(await server.connect());
}
