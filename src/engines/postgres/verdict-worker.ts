import type { PostgresTarget } from "../../config/postgres.ts";
import type { MarkedRun } from "../marker.ts";
import { answerOrder, type WatchOrder } from "../watch-marker.ts";
import type { Connection } from "./connection.ts";
import { REMEMBER } from "./interrupted-runs.ts";
import { createServer } from "./server.ts";
import { atomically, writeOwn } from "./transaction.ts";

/** The watchdog's thread of a node. */

declare const self: Worker;

/** The only message to the thread. */
export interface NodeWatchOrder extends WatchOrder {
  readonly target: PostgresTarget;
  /** The node's name. */
  readonly node: string;
}

answerOrder<NodeWatchOrder>(self, tell);

/** In milliseconds. */
const LIMITS = { statementMs: 3000, silenceMs: 3000 } as const;

/** The row says what the next delivery is recorded with. It needs no baton, which the run that hangs still has. */
async function tell(
  { source, eventId, handlerHash }: MarkedRun,
  { target, node }: NodeWatchOrder,
): Promise<() => Promise<void>> {
  await own(target, (wire) =>
    wire.send(REMEMBER, [source, eventId, handlerHash, 0, "handler_timeout", node]),
  );
  return () =>
    own(target, (wire) =>
      wire.send("delete from hookonce.interrupted_runs where source = $1 and event_id = $2", [
        source,
        eventId,
      ]),
    );
}

async function own(target: PostgresTarget, work: (wire: Connection) => Promise<unknown>): Promise<void> {
  const wire = await createServer(target).connect(LIMITS);
  try {
    await atomically(wire, async () => {
      await writeOwn(wire);
      await work(wire);
    });
  } finally {
    await wire.drop();
  }
}
