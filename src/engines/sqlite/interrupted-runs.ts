import type { Database } from "bun:sqlite";
import type { HookonceError } from "../../errors.ts";
import type { EventSource } from "../engine.ts";
import type { QuarantineCode } from "../reader.ts";
import type { Left, MarkedRun } from "../marker.ts";
import type { Recovered } from "../recovered-runs.ts";
import { died, timeout } from "../quarantine.ts";
import { createEventStore } from "./event-store.ts";
import { readMeta, writeMeta } from "./meta.ts";
import { atomically } from "./transaction.ts";

export interface InterruptedRun {
  readonly handlerHash: string;
  readonly ends: number;
  readonly code: QuarantineCode | null;
}

/** Runs during which the process ended. Every call belongs to a transaction that the caller has open. */
export interface InterruptedRuns {
  find(source: Pick<EventSource, "name">, eventId: string): InterruptedRun | undefined;
  /** A run of this event has come to an end, or its failure is recorded. */
  settle(source: Pick<EventSource, "name">, eventId: string): void;
  readonly any: boolean;
}

/** How many of the latest ends no handler was to blame for, since the last clean stop. */
const UNEXPLAINED = "unexplained_ends";

/** The marked runs that the last start has counted. It may have ended before it emptied the marker. */
const COUNTED = "counted_runs";

export function createInterruptedRuns(db: Database): InterruptedRuns {
  const look = db.query("select exists (select 1 from hookonce_interrupted_runs)");
  const find = db.query(
    "select handler_hash, ends, code from hookonce_interrupted_runs where source = ? and event_id = ?",
  );
  const remove = db.query(
    "delete from hookonce_interrupted_runs where source = ? and event_id = ? returning code",
  );
  // Almost always there is none, and then a delivery does without the look-up. Only this process writes the
  // table.
  let any: boolean | undefined;
  const hasAny = (): boolean => (any ??= look.values()[0]?.[0] === 1);
  return {
    get any() {
      return hasAny();
    },
    find({ name }, eventId) {
      const row = hasAny() ? find.values(name, eventId)[0] : undefined;
      if (row === undefined) return undefined;
      const [handlerHash, ends, code] = row as [string, number, QuarantineCode | null];
      return { handlerHash, ends, code };
    },
    settle({ name }, eventId) {
      // The row may come back by a rollback, so `any` stays.
      const row = hasAny() ? remove.values(name, eventId)[0] : undefined;
      // It survived, so something else had ended the process.
      if (row !== undefined && row[0] === null) countUnexplained(db);
    },
  };
}

/**
 * Records what the last process has left beside the database (marker.ts). A verdict makes its event a
 * failure. A run without one blames nobody: it may have been `kill -9`, or the memory. Only when the process
 * ends again during that event, its handler is blamed.
 *
 * If the process has also ended lately while no handler ran, or while one ran that then came to an end,
 * something is killing it. Then more ends are needed: 200 times `kill -9` under load would otherwise hit one
 * event twice.
 *
 * @param onBlame called in the same transaction for each run whose handler is blamed
 */
export function recoverRuns(
  db: Database,
  { killed, run, verdict }: Left,
  onBlame: (blamed: MarkedRun) => void = () => {},
): readonly Recovered[] {
  if (!killed && verdict === undefined) {
    if (readMeta(db, UNEXPLAINED) !== undefined) atomically(db, () => writeMeta(db, UNEXPLAINED, "0"));
    return [];
  }
  return atomically(db, () => {
    const recovered: Recovered[] = [];
    const tokens = [verdict, run].flatMap((one) => (one === undefined ? [] : [one.token])).join(" ");
    if (tokens === "") countUnexplained(db);
    else if (tokens !== readMeta(db, COUNTED)) {
      if (verdict !== undefined) recovered.push(record(db, verdict, timeout(verdict)));
      if (run !== undefined && run.token !== verdict?.token) recovered.push(suspect(db, run));
      for (const { run: blamed, code } of recovered) if (code !== null) onBlame(blamed);
      writeMeta(db, COUNTED, tokens);
    }
    return recovered;
  });
}

function suspect(db: Database, run: MarkedRun): Recovered {
  const before = createInterruptedRuns(db).find({ name: run.source }, run.eventId);
  const ends = (before?.handlerHash === run.handlerHash ? before.ends : 0) + 1;
  if (ends >= 2 + Math.min(unexplained(db), 3)) return record(db, run, died(run, ends));
  remember(db, run, ends, null);
  return { run, code: null };
}

/** Makes the event a failure, or lets its next delivery do so if its body is not at hand. */
function record(db: Database, run: MarkedRun, error: HookonceError): Recovered {
  const code = error.code as QuarantineCode;
  const source = { name: run.source };
  const { eventId } = run;
  const handler = { file: run.handler, hash: run.handlerHash };
  const store = createEventStore(db);
  const known = store.find(source, eventId);
  const isHeld = known?.outcome === "held";
  const isOwed = isHeld || known?.outcome === "unhandled";
  // A processed event that was received before the run belongs to an earlier era of the id, and only the next
  // delivery knows whether its window is over.
  const isOfNextEra = known?.outcome === "processed" && known.receivedAt < run.receivedAt;
  // A failure keeps the bytes of its event alone: what is forgotten of it must not depend on the others of its batch.
  const isPart = isOwed && store.isPartOfBatch(known.id);
  const marked = run.delivery?.element === true ? run.delivery : undefined;
  const stored = isPart ? marked : isOwed ? store.bodyOf(known.id) : undefined;
  if (isOfNextEra || (isPart && marked === undefined)) {
    remember(db, run, 0, code);
    return { run, code };
  }
  if (store.findFailure(source, eventId) !== undefined) {
    store.failAgain(source, eventId, handler, error);
  } else if (known !== undefined) {
    // If it is not owed any more, another run has applied it.
    // It was answered 200, so hookonce runs it again once its handler has changed.
    if (stored !== undefined) store.recordFailedRun({ ...run, ...stored }, handler, error, run.receivedAt);
    // Otherwise its source would run it again as soon as it goes on resuming.
    if (isHeld) store.close(source, known, "unhandled", null);
  } else if (run.delivery !== undefined) {
    const deliveries = store.recordFailedRun({ ...run, ...run.delivery }, handler, error);
    store.keepDelivery(source, eventId, deliveries, run.receivedAt, "failed", false);
  } else {
    remember(db, run, 0, code);
    return { run, code };
  }
  db.query("delete from hookonce_interrupted_runs where source = ? and event_id = ?").run(
    run.source,
    eventId,
  );
  return { run, code };
}

function remember(db: Database, run: MarkedRun, ends: number, code: QuarantineCode | null): void {
  db.query(
    `insert into hookonce_interrupted_runs (source, event_id, handler_hash, ends, code) values (?, ?, ?, ?, ?)
     on conflict (source, event_id) do update
     set handler_hash = excluded.handler_hash, ends = excluded.ends, code = excluded.code`,
  ).run(run.source, run.eventId, run.handlerHash, ends, code);
}

function unexplained(db: Database): number {
  return Number(readMeta(db, UNEXPLAINED) ?? 0);
}

function countUnexplained(db: Database): void {
  writeMeta(db, UNEXPLAINED, String(unexplained(db) + 1));
}
