import { describe, expect } from "bun:test";
import { makeInboxFolder, readEffects } from "../crash/inbox-folder.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { serve } from "../crash/server.ts";
import { centsPerEvent, deliver, makeEvent, type Answer, type SignedEvent } from "../crash/stripe-events.ts";
import { mountSmallDisk, needsMount } from "./small-disk.ts";

const reason = onlyInFullRun() ?? needsMount();

type Delivered = readonly [SignedEvent, Answer];

async function deliverAll(url: string, events: SignedEvent[]): Promise<Delivered[]> {
  return Promise.all(events.map(async (event) => [event, await deliver(url, event)] as const));
}

function eventsFrom(first: number, count: number): SignedEvent[] {
  return Array.from({ length: count }, (_, n) => makeEvent("full", first + n));
}

/**
 * Delivers 16 new events at a time until 10 such batches met a full disk. Returns each event with its answer.
 */
async function deliverUntilFull(url: string, first: number): Promise<Delivered[]> {
  const delivered: Delivered[] = [];
  for (let n = first, full = 0; full < 10; n += 16) {
    const batch = await deliverAll(url, eventsFrom(n, 16));
    delivered.push(...batch);
    if (batch.some(([, answer]) => answer.httpStatus !== 200)) full++;
    if (n > 50_000) throw new Error("the disk does not get full");
  }
  return delivered;
}

describe("a full disk", () => {
  // The first disk is filled by the filler alone. The second leaves 8 MiB, which the database and its WAL
  // fill.
  for (const [name, mebibytes, fillerBytes] of [
    ["filled by another program", 4, undefined],
    ["filled by the database itself", 12, 4 * 1024 * 1024],
  ] as const) {
    testUnless(
      reason,
      `${name}: 503 and nothing recorded while it is full; once there is room, the same events are processed`,
      async () => {
        await using inbox = await makeInboxFolder();
        await using disk = mountSmallDisk(inbox.data, mebibytes);
        await using server = await serve(inbox);
        const url = await server.listening;
        const early = await deliverAll(url, eventsFrom(0, 8));
        expect(early.map(([, { httpStatus }]) => httpStatus)).toEqual(Array.from({ length: 8 }, () => 200));

        disk.fill(fillerBytes);
        const delivered = [...early, ...(await deliverUntilFull(url, 8))];
        const accepted = delivered.filter(([, { httpStatus }]) => httpStatus === 200);
        const refused = delivered.filter(([, { httpStatus }]) => httpStatus !== 200);
        for (const [, answer] of refused)
          expect(answer).toMatchObject({ httpStatus: 503, code: "disk_full" });
        for (const [, answer] of refused) expect(Number(answer.retryAfter)).toBeGreaterThan(0);
        expect((await fetch(`${url}/healthz`)).status).toBe(200);
        const unready = await fetch(`${url}/readyz?within=0`);
        expect([unready.status, await unready.json()]).toEqual([
          503,
          { error: { code: "disk_full", message: expect.any(String) as string } },
        ]);
        expect(server.output()).toContain("database or disk is full (SQLITE_FULL)");

        const whileFull = readEffects(inbox.database);
        expect([...whileFull.applied.keys()].sort()).toEqual(accepted.map(([{ id }]) => id).sort());
        expect(whileFull).toMatchObject({
          cents: accepted.length * centsPerEvent,
          listed: accepted.length,
          integrity: "ok",
        });

        await disk.free();
        expect((await fetch(`${url}/readyz?within=0`)).status).toBe(200);
        const again = await deliverAll(url, refused.map(([event]) => event).slice(0, 100));
        for (const [, answer] of again)
          expect(answer).toMatchObject({ httpStatus: 200, status: "processed" });
        const known = await deliverAll(url, accepted.map(([event]) => event).slice(0, 100));
        for (const [, answer] of known)
          expect(answer).toMatchObject({ httpStatus: 200, status: "duplicate" });
        const afterwards = readEffects(inbox.database);
        expect(afterwards.applied.size).toBe(accepted.length + again.length);
        expect([...afterwards.applied.values()].every((times) => times === 1)).toBe(true);
        expect(afterwards.integrity).toBe("ok");

        server.signal("SIGTERM");
        expect(await server.exited).toBe(0);
      },
      60_000,
    );
  }
});
