import { rmSync } from "node:fs";
import { messageOf } from "../errors.ts";
import { markerPathOf, noMarker, openMarker, verdictPathOf, type Marker } from "./marker.ts";
import type { WatchFailed, WatchOrder } from "./watch-marker.ts";

export interface WatchLimits {
  readonly tickMs: number;
  /** In ticks: how long one run of a handler may take. */
  readonly limit: number;
}

/** A handler that has not returned after 30 s never will, and no provider waits longer for an answer. */
export const WATCH_LIMITS: WatchLimits = { tickMs: 1000, limit: 30 };

/**
 * Marks the runs of a database's handlers, and ends the process if one never returns. That handler has the
 * only thread that could answer, even to `/healthz` and SIGTERM, so another thread watches. SQL handlers are
 * watched, too: a recursive query without an end hangs like a loop.
 *
 * The thread (7 MB, and 0.7 ms of the main thread) starts at once. Bun ends the process if it starts a thread
 * while no file descriptor is free, so clients with many connections could do that to the first delivery.
 *
 * @param database the real path
 * @param onFailed hears why nothing is marked or watched
 * @param startThread starts the thread and gives it its order
 */
export function watchRuns(
  database: string,
  limits: WatchLimits,
  onFailed: (reason: string) => void,
  startThread: (order: WatchOrder) => Worker = startOwnThread,
): Marker {
  const marker = openMarker(markerPathOf(database));
  if ("reason" in marker) {
    onFailed(marker.reason);
    return noMarker;
  }
  const verdict = verdictPathOf(database);
  try {
    rmSync(verdict, { force: true });
  } catch (error) {
    // For example, it is a folder.
    onFailed(messageOf(error));
    marker.close();
    return noMarker;
  }
  const worker = startThread({ marker: markerPathOf(database), verdict, ...limits });
  worker.addEventListener("message", ({ data }: MessageEvent<WatchFailed>) => onFailed(data.reason));
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    onFailed(event.message);
  });
  // The thread must not keep the process alive.
  worker.unref();
  return {
    ...marker,
    close() {
      worker.terminate();
      marker.close();
    },
  };
}

function startOwnThread(order: WatchOrder): Worker {
  const worker = new Worker(new URL("./watchdog-worker.ts", import.meta.url), { smol: true });
  worker.postMessage(order);
  return worker;
}
