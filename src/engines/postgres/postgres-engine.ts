import type { PostgresTarget } from "../../config/postgres.ts";
import type { Engine, EngineOptions, HandlerCode, LoadedHandler } from "../engine.ts";
import { noMarker, type Marker } from "../marker.ts";
import { watchRuns } from "../watchdog.ts";
import { createBatchWriter, refusal } from "./batch.ts";
import { createGates, type OpenGate } from "./gate.ts";
import { createLanes } from "./lane.ts";
import { nameOfNode, type Node } from "./nodes.ts";
import type { Pool } from "./pool.ts";
import { loadSqlHandler } from "./sql-handler.ts";
import { rollBack } from "./transaction.ts";
import { ownFailure } from "./trouble.ts";
import type { NodeWatchOrder } from "./verdict-worker.ts";
import type { Wire } from "./wire.ts";

export interface PostgresEngineOptions extends EngineOptions {
  /** The path beside which this node keeps its files. */
  readonly beside: string;
  /** Where the watchdog tells other nodes of a handler that hangs. */
  readonly target: PostgresTarget;
  readonly pool: Pool;
  readonly node: Pick<Node, "id" | "show" | "close">;
  readonly reader: Engine["reader"];
  readonly probe: Engine["probe"];
  /** Removes what was erased from the files of the server. */
  readonly wipe: Engine["wipe"];
  /** Closes what the reader and the probe use. */
  readonly close: () => Promise<void>;
}

/** A database of a server, with hookonce's tables, migrated. */
export function createPostgresEngine(options: PostgresEngineOptions): Engine {
  const { pool, node, policy, onRun, onPause, onMessages, onLateError, redactionOf } = options;
  const marker = markerOf(options);
  const laneOf = createLanes({
    policy,
    enqueueProblem: options.enqueueProblem,
    redactionOf,
    marker,
    node: () => node.id,
  });
  const batches = createBatchWriter({ isRedacted: (source) => redactionOf?.(source) !== undefined });
  const openGate = createGates();

  return {
    overlaps: false,
    reader: options.reader,
    async commit(list, { workMs, handlers }) {
      let done;
      try {
        done = await pool.use((wire) => batches.commit(laneOf(wire), list, handlers, workMs));
      } catch (error) {
        // No connection could be opened. The provider's retry comes when the server may be back.
        const refused = refusal(error);
        return { begun: list.length, blocked: undefined, results: Promise.resolve(list.map(() => refused)) };
      }
      const { results, blocked, notes, pauses, sent } = done;
      for (const note of notes) onRun?.(note);
      for (const pause of pauses) onPause?.(pause);
      if (sent.size > 0) onMessages?.(sent);
      return { begun: results.length, blocked, results: Promise.resolve(results) };
    },
    async loadHandler(code) {
      try {
        return await pool.use((wire) => loadHandler(wire, code, openGate, onLateError));
      } catch (error) {
        throw ownFailure(error);
      }
    },
    handlerModules,
    probe: options.probe,
    show: (loaded) => node.show(loaded),
    wipe() {
      marker.blank();
      return options.wipe();
    },
    async close() {
      await pool.close();
      await node.close();
      await options.close();
      marker.close();
    },
  };
}

/** How many ticks later than a handler's own deadline the process ends. */
const PATIENCE = 5;

function markerOf({ beside, target, watch, onNotWatched = () => {} }: PostgresEngineOptions): Marker {
  if (watch === undefined) return noMarker;
  // A handler that waits is ended by its deadline. Only one that never yields must end the process.
  return watchRuns(beside, { ...watch, limit: watch.limit + PATIENCE }, onNotWatched, (order) => {
    const worker = new Worker(new URL("./verdict-worker.ts", import.meta.url), { smol: true });
    worker.postMessage({ ...order, target, node: nameOfNode(beside) } satisfies NodeWatchOrder);
    return worker;
  });
}

export async function handlerModules(): Promise<Readonly<Record<string, object>>> {
  // Loaded only for TypeScript handlers.
  return (await import("./drizzle-modules.ts")).drizzleModules;
}

/** Checks a handler against the tables of a connection, in a transaction that is rolled back. */
export async function loadHandler(
  wire: Wire,
  code: HandlerCode,
  openGate: OpenGate,
  onLateError: EngineOptions["onLateError"],
): Promise<LoadedHandler | Awaited<ReturnType<typeof loadSqlHandler>>> {
  if (code.language === "ts") {
    // Loaded only for TypeScript handlers, because drizzle adds 10 ms to a start.
    const { loadTsHandler } = await import("./ts-handler.ts");
    return loadTsHandler(code, { openGate, onLateError });
  }
  await wire.send("begin");
  try {
    return await loadSqlHandler(wire, code);
  } finally {
    await rollBack(wire);
  }
}
