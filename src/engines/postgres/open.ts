import type { PostgresTarget } from "../../config/postgres.ts";
import { HookonceError } from "../../errors.ts";
import { pendingOf } from "../migration-history.ts";
import type { ClosableReader, OpenStore, SourceRule, StartLog, StartPlan } from "../store.ts";
import { BATCH_LIMITS } from "./begin-batch.ts";
import { readLeft } from "../marker.ts";
import { logRecovered } from "../recovered-runs.ts";
import { heldByItself } from "../source-states.ts";
import { recoverRuns } from "./interrupted-runs.ts";
import { lock } from "./locks.ts";
import { historyOf, ownSet } from "./migrations.ts";
import { refuseHalfMoved } from "./move-in.ts";
import { createNode, nameOfNode, NODE_LIMITS, register } from "./nodes.ts";
import { createPool } from "./pool.ts";
import { createPostgresEngine } from "./postgres-engine.ts";
import { createProbe } from "./probe.ts";
import { createReader, READ_LIMITS } from "./reader.ts";
import { createServer } from "./server.ts";
import { createSourceStates } from "./source-states.ts";
import { rowsOf } from "./sql.ts";
import { duringStart } from "./start-lock.ts";
import { prepareDatabase } from "./start.ts";
import { ownFailure } from "./trouble.ts";
import { writeOwn } from "./transaction.ts";
import { openTx, type Tx } from "./tx.ts";
import { createWipe } from "./wipe.ts";

/** While one batch is on its way to the disk, the next one is written. */
const LANES = 2;

/** A claim must not hold up the sign of life. */
const NODE_CONNECTIONS = 2;

/** A long search must not hold up the sending of messages. */
const READERS = 3;

/**
 * Opens the database and migrates it.
 *
 * @throws HookonceError with the code and every problem that prevents a start
 */
export async function openStore(
  target: PostgresTarget,
  plan: StartPlan & { readonly rules: readonly SourceRule[] },
  log: StartLog,
): Promise<OpenStore> {
  const server = createServer(target);
  const name = nameOfNode(target.beside);
  const id = crypto.randomUUID();
  try {
    await prepareDatabase(server, plan, log);
    await duringStart(
      server,
      () => {},
      async (wire) => {
        // It may write failures, whose position is that of the last event.
        await rowsOf(wire, lock("baton"));
        await writeOwn(wire);
        const tx = openTx(wire);
        // A move that begins after this sees the node. One that has begun since the database was prepared is seen here.
        await refuseHalfMoved(wire);
        await register(wire, id, name);
        await recover(tx, target, plan, log);
        await tx.settled();
      },
    );
  } catch (error) {
    throw ownFailure(error);
  }
  return {
    engine(options) {
      const lanes = createPool(server, LANES, BATCH_LIMITS);
      const reads = createPool(server, READERS, READ_LIMITS);
      const { onNodeGone: onGone = () => {}, onNodeLost: onLost = () => {}, onNodeAsked: onAsked } = options;
      const node = createNode(createPool(server, NODE_CONNECTIONS, NODE_LIMITS), name, id, {
        onGone,
        onLost,
        onAsked,
      });
      const reader = createReader(reads, node);
      return createPostgresEngine({
        ...options,
        beside: target.beside,
        target,
        pool: lanes,
        node,
        reader: () => Promise.resolve(reader),
        probe: createProbe(lanes),
        wipe: createWipe(server),
        close: () => reads.close(),
      });
    },
    // Nothing is open.
    close() {},
  };
}

/** A run that has hung or ended the process is a failure of its source, which may be paused for it. */
async function recover(
  tx: Tx,
  { beside }: PostgresTarget,
  { rules, now }: StartPlan & { readonly rules: readonly SourceRule[] },
  log: StartLog,
): Promise<void> {
  const states = createSourceStates(tx, { countsForHold: () => true });
  await states.read();
  const recovered = await recoverRuns(
    tx,
    readLeft(beside),
    nameOfNode(beside),
    ({ source: name, handler }) => {
      const source = rules.find((rule) => rule.name === name) ?? { name };
      states.count(source, { outcome: "failed", handler, error: null }, now, "held");
    },
  );
  logRecovered(recovered, log);
  for (const { source, reason } of states.committed()) log.warn({ source, reason }, heldByItself(source));
}

/**
 * Opens the database only to read it, while nodes may be serving it.
 *
 * @returns undefined if hookonce has never started on it
 * @throws HookonceError `database_older` if a start would change hookonce's own tables first
 */
export async function openForReading(target: PostgresTarget): Promise<ClosableReader | undefined> {
  const server = createServer(target);
  const wire = await server.connect();
  try {
    const pending = pendingOf(await historyOf(wire, ownSet));
    if (pending.length === ownSet.migrations.length) return undefined;
    if (pending.length > 0)
      throw new HookonceError(
        "database_older",
        `An older hookonce made the database ${target.name}. Start hookonce serve once, which brings it up to date.`,
      );
  } finally {
    await wire.drop();
  }
  return createReader(createPool(server, READERS, READ_LIMITS));
}
