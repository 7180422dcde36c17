import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { createIds, type IdKind } from "./event-ids.ts";
import { createEvents, requestOf } from "./events.ts";

/** A file of signed requests of the same length, which wrk's script (wrk.lua) sends. */
export interface LoadFile {
  readonly path: string;
  /** In bytes. */
  readonly requestBytes: number;
  readonly requests: number;
}

/** How many time-ordered ids share a millisecond, for 20,000 events a second. */
const PER_MS = 20;

/**
 * Writes a load file. Each round needs a new one, because a signature is valid for five minutes and ids must
 * be new. The requests are signed here and not in the load generator, so that the generator's cost is small
 * and the same for every design.
 */
export function writeLoadFile(path: string, kind: IdKind, requests: number): LoadFile {
  const nextEvent = createEvents(createIds(kind, Date.now(), PER_MS));
  const seconds = Math.floor(Date.now() / 1000);
  const requestBytes = requestOf(nextEvent(), seconds).length;
  const chunk = Buffer.alloc(requestBytes * 2000);
  const file = openSync(path, "w");
  try {
    let used = 0;
    for (let n = 0; n < requests; n++) {
      used += chunk.write(requestOf(nextEvent(), seconds), used, "latin1");
      if (used === chunk.length || n === requests - 1) {
        writeSync(file, chunk, 0, used);
        used = 0;
      }
    }
    // Otherwise the kernel would write the file while the servers wait for their own syncs.
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return { path, requestBytes, requests };
}
