import { Database } from "bun:sqlite";
import { describe, expect } from "bun:test";
import { stat } from "node:fs/promises";
import { makeInboxFolder, readEffects, type InboxFolder } from "../crash/inbox-folder.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { serve, type Server } from "../crash/server.ts";
import { deliver, makeEvent } from "../crash/stripe-events.ts";
import { deliverSlowly } from "./raw-request.ts";

/** Sends SIGTERM and expects exit code 0 within 10 s and an empty WAL. */
async function endsWell(server: Server, inbox: InboxFolder): Promise<void> {
  const asked = performance.now();
  server.signal("SIGTERM");
  const code = await Promise.race([server.exited, Bun.sleep(12_000).then(() => "still running")]);
  expect(code).toBe(0);
  expect(performance.now() - asked).toBeLessThan(10_000);
  expect(await walBytes(inbox)).toBe(0);
}

async function walBytes(inbox: InboxFolder): Promise<number> {
  try {
    return (await stat(`${inbox.database}-wal`)).size;
  } catch {
    return 0;
  }
}

describe("SIGTERM", () => {
  testUnless(
    onlyInFullRun(),
    "under load: requests in flight are answered, and every event answered 200 is applied",
    async () => {
      await using inbox = await makeInboxFolder();
      await using server = await serve(inbox);
      const url = await server.listening;
      let next = 0;
      const stopping = new AbortController();
      const answered: string[] = [];
      const cutOff: number[] = [];
      const client = async (): Promise<void> => {
        while (!stopping.signal.aborted) {
          const event = makeEvent("term", next++);
          const began = performance.now();
          try {
            const answer = await deliver(url, event);
            expect([200, 503]).toContain(answer.httpStatus);
            if (answer.httpStatus === 200) answered.push(event.id);
          } catch {
            cutOff.push(began);
            return;
          }
        }
      };
      const clients = Promise.all(Array.from({ length: 32 }, client));
      await Bun.sleep(700);
      const signalled = performance.now();
      await endsWell(server, inbox);
      stopping.abort();
      await clients;
      // A request sent less than 50 ms before the signal may not have reached the server.
      expect(cutOff.filter((began) => began < signalled - 50)).toEqual([]);
      expect(answered.length).toBeGreaterThan(100);
      const { applied, integrity } = readEffects(inbox.database);
      expect(answered.filter((id) => applied.get(id) !== 1)).toEqual([]);
      expect(integrity).toBe("ok");
    },
    30_000,
  );

  testUnless(
    onlyInFullRun(),
    "while deliveries wait for the write lock: they are answered 200",
    async () => {
      await using inbox = await makeInboxFolder();
      await using server = await serve(inbox);
      const url = await server.listening;
      const lock = new Database(inbox.database, { readwrite: true });
      lock.run("begin immediate");
      const answers = Promise.all(Array.from({ length: 32 }, (_, n) => deliver(url, makeEvent("term", n))));
      await Bun.sleep(300);
      server.signal("SIGTERM");
      await Bun.sleep(1000);
      lock.run("rollback");
      lock.close();
      for (const answer of await answers)
        expect(answer).toMatchObject({ httpStatus: 200, status: "processed" });
      expect(await server.exited).toBe(0);
      expect(await walBytes(inbox)).toBe(0);
      expect(readEffects(inbox.database).applied.size).toBe(32);
    },
    30_000,
  );

  testUnless(
    onlyInFullRun(),
    "while a body is being received: the server waits for it and answers",
    async () => {
      await using inbox = await makeInboxFolder();
      await using server = await serve(inbox);
      const slow = await deliverSlowly(await server.listening, makeEvent("term", 0));
      await Bun.sleep(200);
      const ended = endsWell(server, inbox);
      await Bun.sleep(500);
      slow.finish();
      expect(await slow.statusLine).toBe("HTTP/1.1 200 OK");
      await ended;
      expect(readEffects(inbox.database).applied.size).toBe(1);
    },
    30_000,
  );

  testUnless(
    onlyInFullRun(),
    "while a body never ends: the server exits anyway",
    async () => {
      await using inbox = await makeInboxFolder();
      await using server = await serve(inbox);
      const slow = await deliverSlowly(await server.listening, makeEvent("term", 0));
      await Bun.sleep(200);
      await endsWell(server, inbox);
      expect(await slow.statusLine).not.toBe("HTTP/1.1 200 OK");
      expect(readEffects(inbox.database).applied.size).toBe(0);
    },
    30_000,
  );
});
