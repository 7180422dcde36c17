import { HookonceError } from "../../errors.ts";
import { canStartThread } from "../free-descriptors.ts";
import type { Order, Report } from "./checkpoint-worker.ts";

/**
 * How long `close` waits for a running pass, in milliseconds. Interrupting a pass is safe: nothing is lost.
 */
const CLOSE_TIMEOUT_MS = 3000;

/**
 * Runs passive checkpoints in a worker thread, one at a time, while the writer continues. The first pass
 * starts it.
 */
export interface CheckpointThread {
  /** Whether a pass is running. */
  readonly busy: boolean;
  /**
   * Starts a pass. Pages that readers or a full disk hold back are left for the next pass.
   *
   * @returns false if the thread could not be started or has failed
   */
  pass(): boolean;
  /** Closes the thread's connection to the database and ends the thread. */
  close(): Promise<void>;
}

/** @param onFatal is called with `storage_failed` when this process can no longer trust the database */
export function createCheckpointThread(
  database: string,
  onFatal: (error: HookonceError) => void,
): CheckpointThread {
  let worker: Worker | null | undefined;
  /** How many orders the thread has yet to answer. */
  let orders = 0;
  let idle = Promise.withResolvers<void>();

  function order(what: Order): void {
    orders++;
    worker?.postMessage(what);
  }

  function done(report: Report): void {
    if (report?.trouble === "fatal") {
      const message = `Cannot move the write-ahead log into the database: ${report.message}. Check the disk. The next start recovers the log.`;
      onFatal(new HookonceError("storage_failed", message));
    }
    if (--orders === 0) idle.resolve();
  }

  function start(): void {
    worker = new Worker(new URL("./checkpoint-worker.ts", import.meta.url), { smol: true });
    worker.addEventListener("message", ({ data }: MessageEvent<Report>) => done(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      worker = null;
      orders = 0;
      idle.resolve();
    });
    // The thread must not keep the process alive.
    worker.unref();
    order({ open: database });
  }

  return {
    get busy() {
      return orders > 0;
    },
    pass() {
      if (worker === undefined) {
        if (!canStartThread()) return false;
        start();
      }
      if (worker === null) return false;
      order("pass");
      return true;
    },
    async close() {
      if (worker === undefined || worker === null) return;
      idle = Promise.withResolvers();
      order("close");
      await Promise.race([idle.promise, Bun.sleep(CLOSE_TIMEOUT_MS)]);
      worker.terminate();
      worker = null;
    },
  };
}
