import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect, nothing } from "./support/effects.ts";
import { rawClient, requestHead } from "./support/raw-client.ts";

const files = { "migrations/0001.sql": effectsTable, "handlers/default/_any.sql": noteEffect };
const event = (n: number): object => ({ event_id: `evt_${n}`, type: "paid", note: n });

/**
 * The size of the WAL in bytes, 0 if there is none. Uses `stat`, because opening the file would drop SQLite's
 * locks.
 */
const walSize = (inbox: TestInbox): number =>
  statSync(`${inbox.databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0;

/** In milliseconds. */
const LONG = 20_000;

describe("a stop", () => {
  test("refuses new deliveries, finishes waiting ones, and moves the WAL into the database", async () => {
    await using inbox = await testInbox({ files });
    using other = new Database(inbox.databasePath);
    other.run("begin immediate");
    const waiting = Array.from({ length: 10 }, (_, n) => inbox.deliver(event(n)));
    await Bun.sleep(20);

    inbox.refuse();
    const late = await inbox.deliver(event(99));
    expect([late.status, late.body.error.code]).toEqual([503, "shutting_down"]);
    let closed = false;
    const closing = inbox.close().then(() => (closed = true));
    await Bun.sleep(50);
    expect(closed).toBe(false);

    other.run("rollback");
    other.close();
    for (const { status, body } of await Promise.all(waiting))
      expect([status, body.status]).toEqual([200, "processed"]);
    await closing;
    expect(walSize(inbox)).toBe(0);
    expect(left(inbox)).toEqual({ events: 10, failures: 0, effects: 10 });
    expect(inbox.fatal).toEqual([]);
  });

  test("answers a delivery whose body is still arriving", async () => {
    await using inbox = await testInbox({ files });
    const body = JSON.stringify(event(1));
    using client = await rawClient(inbox.listen().url);
    await client.send(requestHead("/webhook", { "content-length": body.length }) + body.slice(0, -5));
    await Bun.sleep(30);
    inbox.refuse();
    const closing = inbox.close();
    await Bun.sleep(50);
    await client.send(body.slice(-5));
    expect(await client.answer).toMatchObject({ status: 200 });
    await closing;
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });

  test("accepts no new connections", async () => {
    await using inbox = await testInbox({ files });
    const { url } = inbox.listen();
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    await inbox.close();
    const refused = await fetch(`${url}/healthz`).then(
      () => "answered",
      () => "refused",
    );
    expect(refused).toBe("refused");
    expect(left(inbox)).toEqual(nothing);
  });

  test("does not wait for idle connections", async () => {
    await using inbox = await testInbox({ files });
    const { url } = inbox.listen();
    using idle = await rawClient(url);
    using kept = await rawClient(url);
    await kept.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    expect(await kept.answer).toMatchObject({ status: 200 });
    const closing = inbox.close(LONG).then(() => "closed");
    expect(await Promise.race([closing, Bun.sleep(LONG / 2).then(() => "waits")])).toBe("closed");
    await kept.closed;
    expect(idle.answered).toBe(false);
  }, 30_000);

  test("closes the connection of a body that never ends, and records nothing", async () => {
    await using inbox = await testInbox({ files });
    using client = await rawClient(inbox.listen().url);
    await client.send(requestHead("/webhook", { "content-length": 100 }));
    await Bun.sleep(30);
    const started = performance.now();
    await inbox.close(); // The test inbox waits 0.5 s for open requests.
    expect(performance.now() - started).toBeLessThan(4000);
    expect(await client.answer).toBeNull();
    expect(left(inbox)).toEqual(nothing);
  });
});
