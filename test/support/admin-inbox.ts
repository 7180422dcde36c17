import type { AdminInbox } from "../../src/http/admin/inbox.ts";
import { createRefusedRing } from "../../src/http/refused.ts";
import { EMPTY } from "../../src/app/empty-reader.ts";
import { createBackgroundJobs } from "../../src/inbox/background-jobs.ts";

/** What the API shows of an inbox without events, except for what a test gives. */
export function adminInbox(parts: Partial<AdminInbox> = {}): AdminInbox {
  return {
    reader: () => Promise.resolve(EMPTY),
    sources: new Map(),
    described: () => [],
    destinations: [],
    outbox: null,
    measured: null,
    pausing: null,
    whyNotHeld: () => undefined,
    handlerOf: () => null,
    jobs: createBackgroundJobs(() => Promise.reject(new Error("no job is run"))),
    refused: createRefusedRing(),
    verdictOf: () => Promise.resolve(undefined),
    tryHandler: () => Promise.reject(new Error("nothing is tried")),
    reload: () => Promise.reject(new Error("nothing is loaded")),
    record: () => Promise.reject(new Error("nothing is recorded")),
    saveFixture() {
      throw new Error("nothing is saved");
    },
    retention: { payloadsMs: null, maxBytes: null },
    disk: () =>
      Promise.resolve({ database: "data/hookonce.db", databaseBytes: 0, logBytes: 0, freeBytes: null }),
    onError(error) {
      throw error;
    },
    serving: null,
    health: () => Promise.reject(new Error("nobody asks")),
    received: () => 0,
    recentMatches: () => [],
    shownSecrets: () => [],
    outdated: () => [],
    clock: Date.now,
    stopping: new AbortController().signal,
    ...parts,
  };
}
