import { HookonceError } from "../../errors.ts";
import type { Order, Report } from "./checkpoint-worker.ts";

/** How long a stop waits for a pass that is under way, in milliseconds. Cut short, it is as good as never begun. */
const CLOSE_TIMEOUT_MS = 3000;

/** Makes passive checkpoints, one at a time, in a thread of its own, while the writer writes on. It starts with the first. */
export interface CheckpointThread {
  /** Whether a pass is under way. */
  readonly busy: boolean;
  /**
   * Begins a pass. What readers and the disk do not allow now is left for the next.
   *
   * @returns false when there is no thread to be had
   */
  pass(): boolean;
  /** Lets go of the database. */
  close(): Promise<void>;
}

/** @param onFatal hears `storage_failed` when the database can no longer be trusted in this process */
export function createCheckpointThread(
  database: string,
  onFatal: (error: HookonceError) => void,
): CheckpointThread {
  let worker: Worker | null | undefined;
  /** Orders that are not carried out yet. */
  let orders = 0;
  let idle = Promise.withResolvers<void>();

  function order(what: Order): void {
    orders++;
    worker?.postMessage(what);
  }

  function done(report: Report): void {
    if (report?.trouble === "fatal") {
      const message = `The write-ahead log cannot be moved into the database: ${report.message}`;
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
    // No reason to stay alive.
    worker.unref();
    order({ open: database });
  }

  return {
    get busy() {
      return orders > 0;
    },
    pass() {
      if (worker === undefined) start();
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
