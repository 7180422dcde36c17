import { Database } from "bun:sqlite";
import { describe, expect } from "bun:test";
import { makeInboxFolder, readEffects } from "../crash/inbox-folder.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { serve } from "../crash/server.ts";
import { deliver, makeEvent } from "../crash/stripe-events.ts";

/** Takes the write lock, as the user's application may. This test runs in another process than the server. */
function holdWriteLock(path: string): { release(): void } {
  const database = new Database(path, { readwrite: true });
  database.run("pragma busy_timeout = 5000");
  database.run("begin immediate");
  return {
    release() {
      database.run("rollback");
      database.close();
    },
  };
}

/** Requests /healthz every 50 ms, expects 200, and returns the slowest response time in ms. */
function watchHealth(url: string): { stop(): Promise<number> } {
  const stopping = new AbortController();
  const watching = (async () => {
    let longest = 0;
    while (!stopping.signal.aborted) {
      const asked = performance.now();
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
      longest = Math.max(longest, performance.now() - asked);
      await Bun.sleep(50);
    }
    return longest;
  })();
  return {
    stop() {
      stopping.abort();
      return watching;
    },
  };
}

// A wait inside SQLite would block /healthz for its whole duration, here seconds. Noise on two busy cores
// stays below this.
const healthyMs = 700;

describe("a write lock held by another process", () => {
  testUnless(
    onlyInFullRun(),
    "for 2 s: deliveries wait and are processed, and /healthz answers meanwhile",
    async () => {
      await using inbox = await makeInboxFolder();
      await using server = await serve(inbox);
      const url = await server.listening;
      const lock = holdWriteLock(inbox.database);
      const health = watchHealth(url);
      const started = performance.now();
      const answers = Promise.all(Array.from({ length: 20 }, (_, n) => deliver(url, makeEvent("locked", n))));
      await Bun.sleep(2000);
      lock.release();
      for (const answer of await answers)
        expect(answer).toMatchObject({ httpStatus: 200, status: "processed" });
      expect(performance.now() - started).toBeLessThan(4000);
      expect(await health.stop()).toBeLessThan(healthyMs);
      expect(readEffects(inbox.database).applied.size).toBe(20);
    },
    30_000,
  );

  testUnless(
    onlyInFullRun(),
    "for more than 5 s: 503, nothing is recorded, and the retry is processed",
    async () => {
      await using inbox = await makeInboxFolder();
      await using server = await serve(inbox);
      const url = await server.listening;
      const lock = holdWriteLock(inbox.database);
      const health = watchHealth(url);
      const event = makeEvent("locked", 0);
      const started = performance.now();
      const refused = await deliver(url, event);
      const waited = performance.now() - started;
      expect(refused).toMatchObject({ httpStatus: 503, code: "database_locked" });
      expect(Number(refused.retryAfter)).toBeGreaterThan(0);
      expect(waited).toBeGreaterThan(4000);
      expect(waited).toBeLessThan(7000);
      expect(await health.stop()).toBeLessThan(healthyMs);
      expect(readEffects(inbox.database)).toMatchObject({ listed: 0, cents: 0 });
      lock.release();
      expect(await deliver(url, event)).toMatchObject({ httpStatus: 200, status: "processed" });
      expect(readEffects(inbox.database).applied).toEqual(new Map([[event.id, 1]]));
    },
    30_000,
  );
});
