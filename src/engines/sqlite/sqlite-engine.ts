import { Database } from "bun:sqlite";
import { realpathSync } from "node:fs";
import type { HookonceError } from "../../errors.ts";
import type { Engine, EngineOptions, HandlerCode, Job, JobResult, LoadedHandler } from "../engine.ts";
import { noMarker, type Marker } from "../marker.ts";
import { watchRuns } from "../watchdog.ts";
import { createBatchWriter } from "./batch.ts";
import { createCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { createDurability, durableAtCommit, type Durability } from "./durability.ts";
import { createEventStore } from "./event-store.ts";
import { watchFiles, type FileWatch } from "./file-watch.ts";
import { createGates, directAccess, type OpenGate } from "./gate.ts";
import { explainReads, guardFiles } from "./guarded-engine.ts";
import { createHandlerRuns } from "./handler-runs.ts";
import { createInterruptedRuns } from "./interrupted-runs.ts";
import { createJobs } from "./jobs.ts";
import { generationOf } from "./log-index.ts";
import { markingLog } from "./log-mark.ts";
import { watchLogSize } from "./log-size.ts";
import { takeOverLogSync, type LogSync } from "./log-sync.ts";
import { readMeta } from "./meta.ts";
import { createOutbox } from "./outbox.ts";
import { createProbe } from "./probe.ts";
import { createRedactions } from "./redactions.ts";
import { createRollupWrites } from "./rollup-writes.ts";
import { countingRows, OPTIMIZE } from "./row-counts.ts";
import { loadSqlHandler } from "./sql-handler.ts";
import { troubleOf, unavailable } from "./sqlite-error.ts";
import { createTransaction } from "./transaction.ts";
import { createWipe } from "./wipe.ts";

export interface SqliteEngineOptions extends EngineOptions {
  /** Called once with the reason why COMMIT itself waits for the disk, which is slower. */
  readonly onSyncInCommit: (reason: string) => void;
  /** Replaces the real one in tests. Null: COMMIT itself waits for the disk. */
  readonly logSync?: LogSync | null | undefined;
}

/** @param connection the writer's, migrated, and used for nothing else */
export function createSqliteEngine(connection: Database, options: SqliteEngineOptions): Engine {
  const files = watchFiles(connection);
  const onFatal = (error: unknown): void => options.onFatal(files.explain(error));
  return guardFiles(createUnguarded(connection, files, { ...options, onFatal }), files, onFatal);
}

function createUnguarded(connection: Database, files: FileWatch, options: SqliteEngineOptions): Engine {
  const { policy, onFatal, onLateError, onRun, onPause } = options;
  const createdByUs = readMeta(connection, "created_by") === "hookonce";
  const marker = markerOf(connection, options);
  const logSync =
    options.logSync === undefined ? logSyncOf(connection, createdByUs, options) : options.logSync;
  const sync = logSync === null ? null : markedSync(logSync, marker, options.onSync);
  const durability: Durability = sync === null ? durableAtCommit : createDurability(sync);
  const checkpoint = checkpointOf(connection, createdByUs, onFatal);
  const store = createEventStore(connection);
  const interrupted = createInterruptedRuns(connection);
  const outbox = createOutbox(connection, options.enqueueProblem);
  const runs = createHandlerRuns(policy, interrupted, marker, outbox, () => {
    try {
      files.checkLock();
    } catch (error) {
      // The marker stays, so that the next start knows which handler it was.
      onFatal(error);
    }
  });
  const transaction = createTransaction(connection, sync === null ? marker : undefined);
  const redactions = createRedactions(connection, options.redactionOf ?? (() => undefined), marker);
  const jobs = createJobs(connection, store, policy, runs, interrupted, outbox, redactions);
  const batches = createBatchWriter(transaction, jobs, store, createRollupWrites(connection));
  const openGate = createGates(connection);
  let reader: ReturnType<typeof openReaderLater> | undefined;
  const probe = createProbe(connection, transaction, checkpoint);
  const logSize = watchLogSize(options.onLargeLog ?? (() => {}));
  const countChanges = connection.query("select total_changes()");
  const changes = (): unknown => countChanges.values()[0]?.[0];
  let closed = false;

  /** Runs in a later turn of the event loop, after the answers have been sent. */
  function runCheckpoint(): void {
    if (closed) return;
    try {
      checkpoint.run();
    } catch (error) {
      onFatal(error);
    }
  }

  return {
    overlaps: sync !== null,
    async reader() {
      reader ??= openReaderLater(connection.filename, files, durability);
      try {
        return await reader;
      } catch (error) {
        // For example without a free descriptor. The next call tries again.
        reader = undefined;
        throw error;
      }
    },
    // oxlint-disable-next-line typescript/require-await -- SQLite is synchronous; what it throws is to reject
    async commit(list, { workMs, handlers }) {
      const before = changes();
      const { results, blocked, notes, pauses } = batches.commit(list, handlers, workMs);
      for (const note of notes) onRun?.(note);
      for (const pause of pauses) onPause?.(pause);
      const begun = results.length;
      // An idle inbox syncs nothing, although its counters are looked at each minute.
      const durable = durability.after(changes() === before ? 0 : begun);
      if (hasReturnedPages(list, results)) checkpoint.want();
      if (redactions.takeRewritten()) checkpoint.wantEmpty();
      if (checkpoint.due()) setImmediate(runCheckpoint);
      logSize.see(checkpoint.size().used);
      const sent = outbox.takeWritten();
      const done = sent.size === 0 ? durable : durable.then(() => options.onMessages?.(sent));
      return { begun, blocked, results: done.then(() => results) };
    },
    loadHandler: (code) => loadHandler(connection, code, openGate, onLateError),
    handlerModules,
    probe(now) {
      try {
        probe(now);
      } catch (error) {
        if (troubleOf(error) !== "fatal") throw error;
        onFatal(error);
        throw unavailable("fatal", error);
      }
      try {
        sync?.now();
      } catch (error) {
        onFatal(error);
        throw error;
      }
      const warning = logSize.warning();
      return { warnings: warning === undefined ? [] : [warning] };
    },
    // No other process does.
    show() {},
    wipe: createWipe({ marker, checkpoint, durability, onFatal, isClosed: () => closed }),
    async close() {
      closed = true;
      await durability.settled();
      await checkpoint.close();
      (await reader)?.close();
      try {
        if (createdByUs) connection.run(OPTIMIZE);
        // If there is no room to move the log into the database, the log stays and nothing is lost.
        connection.run("pragma wal_checkpoint(truncate)");
      } catch (error) {
        if (troubleOf(error) === "fatal") throw error;
      } finally {
        connection.close(true);
      }
      marker.close();
    },
  };
}

/** Whether the last of the pages that retention returns to the disk are free now. */
function hasReturnedPages(jobs: readonly Job[], results: readonly (JobResult | HookonceError)[]): boolean {
  return results.some((result, index) => {
    const job = jobs[index];
    if (job?.kind !== "retention" || job.step.remove !== "free pages") return false;
    return result !== null && "isEnd" in result && result.isEnd && result.removed > 0;
  });
}

function markerOf({ filename }: Database, { watch, onNotWatched = () => {} }: SqliteEngineOptions): Marker {
  return watch === undefined ? noMarker : watchRuns(realpathSync(filename), watch, onNotWatched);
}

/** A sync that never ends is no reason to end the process, so the watchdog must know what it is. */
function markedSync(sync: LogSync, marker: Marker, onSync: EngineOptions["onSync"] = () => {}): LogSync {
  return {
    async beside() {
      const began = performance.now();
      marker.beginSync();
      try {
        await sync.beside();
      } finally {
        marker.endSync();
      }
      onSync(performance.now() - began);
    },
    now() {
      const began = performance.now();
      marker.beginSync();
      try {
        sync.now();
      } finally {
        marker.endSync();
      }
      onSync(performance.now() - began);
    },
  };
}

function logSyncOf(connection: Database, createdByUs: boolean, options: SqliteEngineOptions): LogSync | null {
  // An application that shares its database can read a commit at once. A power cut must not undo it, so in
  // such a database COMMIT itself waits for the disk.
  if (!createdByUs) return null;
  const taken = takeOverLogSync(connection);
  if ("beside" in taken) return taken;
  options.onSyncInCommit(taken.reason);
  return null;
}

function checkpointOf(
  connection: Database,
  createdByUs: boolean,
  onFatal: SqliteEngineOptions["onFatal"],
): Checkpoint {
  const checkpoint = createCheckpoint(connection, onFatal);
  // hookonce leaves no statistics (sqlite_stat1) in a database that belongs to an application.
  if (!createdByUs) return checkpoint;
  return markingLog(connection, countingRows(connection, checkpoint), generationOf(connection));
}

async function openReaderLater(path: string, files: FileWatch, durability: Durability) {
  // Loaded on first use, because drizzle adds 10 ms to a start.
  const { openReader } = await import("./reader.ts");
  const reader = openReader(new Database(path, { readonly: true, strict: true }));
  const dueMessages: typeof reader.dueMessages = async (...args) => {
    const due = await reader.dueMessages(...args);
    // A commit can be read before it is on the disk.
    if (due.length > 0) await durability.after(0);
    return due;
  };
  return explainReads({ ...reader, dueMessages }, files);
}

export async function handlerModules(): Promise<Readonly<Record<string, object>>> {
  // Loaded only for TypeScript handlers.
  return (await import("./drizzle-modules.ts")).drizzleModules;
}

async function loadTs(
  ...args: Parameters<typeof import("./ts-handler.ts").loadTsHandler>
): Promise<LoadedHandler> {
  // Loaded only for TypeScript handlers, because drizzle adds 10 ms to a start.
  const { loadTsHandler } = await import("./ts-handler.ts");
  return loadTsHandler(...args);
}

/** Checks a handler against the tables of this connection, which may be a rehearsal's. */
export function loadHandler(
  connection: Database,
  code: HandlerCode,
  openGate?: OpenGate,
  onLateError: SqliteEngineOptions["onLateError"] = () => {},
  access = directAccess(connection),
): ReturnType<Engine["loadHandler"]> {
  return code.language === "sql"
    ? loadSqlHandler(access, code)
    : loadTs(code, openGate ?? createGates(connection, access), onLateError);
}
