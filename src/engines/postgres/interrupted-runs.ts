import type { HookonceError } from "../../errors.ts";
import type { EventSource } from "../engine.ts";
import type { Left, MarkedRun } from "../marker.ts";
import type { Recovered } from "../recovered-runs.ts";
import { died, timeout } from "../quarantine.ts";
import type { QuarantineCode } from "../reader.ts";
import { createEventStore } from "./event-store.ts";
import { readMeta, writeMeta } from "./meta.ts";
import type { Tx } from "./tx.ts";

export interface InterruptedRun {
  readonly handlerHash: string;
  readonly ends: number;
  readonly code: QuarantineCode | null;
}

/** Runs during which the process of a node ended. */
export interface InterruptedRuns {
  find(source: Pick<EventSource, "name">, eventId: string): Promise<InterruptedRun | undefined>;
  /** A run of this event has come to an end, or its failure is recorded. */
  settle(source: Pick<EventSource, "name">, eventId: string): Promise<void>;
}

/** How many of the latest ends of a node no handler was to blame for, since its last clean stop. */
const unexplainedOf = (node: string): string => `unexplained_ends ${node}`;

/** The marked runs that a node's last start has counted. It may have ended before it emptied the marker. */
const countedOf = (node: string): string => `counted_runs ${node}`;

export function createInterruptedRuns(tx: Tx): InterruptedRuns {
  const find = tx.query(
    "select handler_hash, ends, code from hookonce.interrupted_runs where source = $1 and event_id = $2",
  );
  const remove = tx.query(
    "delete from hookonce.interrupted_runs where source = $1 and event_id = $2 returning code, node",
  );
  return {
    async find({ name }, eventId) {
      const row = tx.facts.interrupted ? await find.row(name, eventId) : undefined;
      if (row === undefined) return undefined;
      const [handlerHash, ends, code] = row as [string, number, QuarantineCode | null];
      return { handlerHash, ends, code };
    },
    async settle({ name }, eventId) {
      const row = tx.facts.interrupted ? await remove.row(name, eventId) : undefined;
      // It survived, so something else had ended the process.
      const [code, node] = (row ?? []) as [code?: QuarantineCode | null, node?: string | null];
      if (code === null) await countUnexplained(tx, node ?? "");
    },
  };
}

/**
 * Records what the last process has left beside the inbox folder (marker.ts), in the open transaction. A verdict
 * makes its event a failure. A run without one blames nobody: it may have been `kill -9`, or the memory. Only when
 * the process ends again during that event, its handler is blamed.
 *
 * If the process has also ended lately while no handler ran, or while one ran that then came to an end,
 * something is killing it. Then more ends are needed: 200 times `kill -9` under load would otherwise hit one
 * event twice.
 *
 * @param node its name
 * @param onBlame called in the same transaction for each run whose handler is blamed
 */
export async function recoverRuns(
  tx: Tx,
  { killed, run, verdict }: Left,
  node: string,
  onBlame: (blamed: MarkedRun) => void = () => {},
): Promise<readonly Recovered[]> {
  if (!killed && verdict === undefined) {
    tx.query("delete from hookonce.meta where key = $1").run(unexplainedOf(node));
    return [];
  }
  const recovered: Recovered[] = [];
  const tokens = [verdict, run].flatMap((one) => (one === undefined ? [] : [one.token])).join(" ");
  if (tokens === "") await countUnexplained(tx, node);
  else if (tokens !== (await readMeta(tx, countedOf(node)))) {
    if (verdict !== undefined) recovered.push(await record(tx, verdict, timeout(verdict)));
    if (run !== undefined && run.token !== verdict?.token) {
      if (await isDoneElsewhere(tx, run)) await countUnexplained(tx, node);
      else recovered.push(await suspect(tx, run, node));
    }
    for (const { run: blamed, code } of recovered) if (code !== null) onBlame(blamed);
    writeMeta(tx, countedOf(node), tokens);
  }
  return recovered;
}

/** The provider has delivered the event to another node meanwhile, and there its handler came to an end. */
async function isDoneElsewhere(tx: Tx, { source, eventId, receivedAt }: MarkedRun): Promise<boolean> {
  const known = await createEventStore(tx, { note() {} }).find({ name: source }, eventId);
  return known?.outcome === "processed" && known.receivedAt > receivedAt;
}

async function suspect(tx: Tx, run: MarkedRun, node: string): Promise<Recovered> {
  const before = await createInterruptedRuns(tx).find({ name: run.source }, run.eventId);
  const ends = (before?.handlerHash === run.handlerHash ? before.ends : 0) + 1;
  if (ends >= 2 + Math.min(await unexplained(tx, node), 3)) return record(tx, run, died(run, ends));
  remember(tx, run, ends, null, node);
  return { run, code: null };
}

/** Makes the event a failure, or lets its next delivery do so if its body is not at hand. */
async function record(tx: Tx, run: MarkedRun, error: HookonceError): Promise<Recovered> {
  const code = error.code as QuarantineCode;
  const source = { name: run.source };
  const { eventId } = run;
  const handler = { file: run.handler, hash: run.handlerHash };
  const store = createEventStore(tx, { note() {} });
  const known = await store.find(source, eventId);
  const isHeld = known?.outcome === "held";
  const isOwed = isHeld || known?.outcome === "unhandled";
  // A processed event that was received before the run belongs to an earlier era of the id, and only the next
  // delivery knows whether its window is over.
  const isOfNextEra = known?.outcome === "processed" && known.receivedAt < run.receivedAt;
  // A failure keeps the bytes of its event alone: what is forgotten of it must not depend on the others of its batch.
  const isPart = isOwed && (await store.isPartOfBatch(known.id));
  const marked = run.delivery?.element === true ? run.delivery : undefined;
  const stored = isPart ? marked : isOwed ? await store.bodyOf(known.id) : undefined;
  if (isOfNextEra || (isPart && marked === undefined)) {
    remember(tx, run, 0, code);
    return { run, code };
  }
  if ((await store.findFailure(source, eventId)) !== undefined) {
    store.failAgain(source, eventId, handler, error);
  } else if (known !== undefined) {
    // If it is not owed any more, another run has applied it.
    // It was answered 200, so hookonce runs it again once its handler has changed.
    if (stored !== undefined)
      await store.recordFailedRun({ ...run, ...stored }, handler, error, run.receivedAt);
    // Otherwise its source would run it again as soon as it goes on resuming.
    if (isHeld) store.close(source, known, "unhandled", null);
  } else if (run.delivery !== undefined) {
    const deliveries = await store.recordFailedRun({ ...run, ...run.delivery }, handler, error);
    store.keepDelivery(source, eventId, deliveries, run.receivedAt, "failed", false);
  } else {
    remember(tx, run, 0, code);
    return { run, code };
  }
  tx.query("delete from hookonce.interrupted_runs where source = $1 and event_id = $2").run(
    run.source,
    eventId,
  );
  return { run, code };
}

export const REMEMBER = `
  insert into hookonce.interrupted_runs (source, event_id, handler_hash, ends, code, node) values ($1, $2, $3, $4, $5, $6)
  on conflict (source, event_id) do update
  set handler_hash = excluded.handler_hash, ends = excluded.ends, code = excluded.code, node = excluded.node`;

function remember(
  tx: Tx,
  run: MarkedRun,
  ends: number,
  code: QuarantineCode | null,
  node: string | null = null,
): void {
  tx.query(REMEMBER).run(run.source, run.eventId, run.handlerHash, ends, code, node);
}

async function unexplained(tx: Tx, node: string): Promise<number> {
  return Number((await readMeta(tx, unexplainedOf(node))) ?? 0);
}

async function countUnexplained(tx: Tx, node: string): Promise<void> {
  writeMeta(tx, unexplainedOf(node), String((await unexplained(tx, node)) + 1));
}
