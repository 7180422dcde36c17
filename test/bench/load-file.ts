import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { createIds, type IdKind } from "./event-ids.ts";
import { createEvents, requestOf } from "./events.ts";

/** Signed requests, one after the other, all of the same length: what wrk's script (wrk.lua) sends. */
export interface LoadFile {
  readonly path: string;
  /** In bytes. */
  readonly requestBytes: number;
  readonly requests: number;
}

/** Of the time-ordered ids that share a millisecond: 20,000 events a second. */
const PER_MS = 20;

/**
 * Made anew for each round: a signature is good for five minutes, and no id may have been seen before. Signing here and not in the load
 * generator keeps its cost small, and the same for every design.
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
    // Or the kernel would write it out while the servers wait for their own.
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return { path, requestBytes, requests };
}
