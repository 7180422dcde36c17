import { fdatasyncSync, closeSync, openSync, statSync } from "node:fs";
import { HookonceError } from "../../errors.ts";
import type { CopyOptions } from "../store.ts";
import type { CopyOrder, CopyReport } from "./copy-worker.ts";

/** How often the progress is reported, and what was written is synced, in milliseconds. */
const TICK_MS = 50;

/**
 * Copies a database with all its tables, while other processes use it. Runs in a thread.
 *
 * @param path the file of the copy, which does not exist yet
 * @throws HookonceError `disk_full`, `database_locked`, `backup_failed`
 */
export async function copyDatabase(database: string, path: string, options: CopyOptions = {}): Promise<void> {
  const worker = new Worker(new URL("./copy-worker.ts", import.meta.url), { smol: true });
  const ended = Promise.withResolvers<Extract<CopyReport, { ended: true }>>();
  let bytes = 0;
  worker.addEventListener("message", ({ data }: MessageEvent<CopyReport>) => {
    if ("ended" in data) ended.resolve(data);
    else bytes = data.bytes;
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    ended.resolve({ ended: true, error: { message: event.message, code: "" } });
  });
  // The copy goes on until the process ends. Nothing can stop VACUUM INTO.
  worker.unref();
  const abort = (): void => ended.reject(options.signal?.reason);
  options.signal?.addEventListener("abort", abort);
  const spread = spreadWrites(path);
  const timer = setInterval(() => {
    spread.sync();
    options.onProgress?.(Math.min(bytes, statSync(path, { throwIfNoEntry: false })?.size ?? 0), bytes);
  }, TICK_MS);
  try {
    worker.postMessage({ database, copy: path, room: options.room ?? 1 } satisfies CopyOrder);
    const { error } = await ended.promise;
    if (error !== undefined) throw failure(error, database, path);
  } finally {
    clearInterval(timer);
    options.signal?.removeEventListener("abort", abort);
    spread.end();
    worker.terminate();
  }
}

/**
 * Syncs the copy while it is being written. Otherwise the sync of a delivery may wait until the system has written
 * hundreds of megabytes of the copy.
 */
function spreadWrites(path: string): { sync(): void; end(): void } {
  let descriptor: number | undefined;
  return {
    sync() {
      try {
        descriptor ??= openSync(path, "r+");
        fdatasyncSync(descriptor);
      } catch {
        // It does not exist yet. A failed sync comes again when the file is complete.
      }
    },
    end() {
      if (descriptor !== undefined) closeSync(descriptor);
    },
  };
}

function failure(
  { message, code }: { readonly message: string; readonly code: string },
  database: string,
  path: string,
): HookonceError {
  if (code.startsWith("SQLITE_FULL") || code === "ENOSPC")
    return new HookonceError(
      "disk_full",
      `There is no room for a copy of the database at ${path}: ${message}.`,
    );
  if (/^SQLITE_(?:BUSY|LOCKED)/.test(code))
    return new HookonceError("database_locked", `Another process keeps the database ${database} locked.`);
  return new HookonceError(
    "backup_failed",
    `The database ${database} cannot be copied: ${message}${code === "" ? "" : ` (${code})`}.`,
  );
}
