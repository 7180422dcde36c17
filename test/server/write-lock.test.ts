import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect, nothing } from "./support/effects.ts";

const files = { "migrations/0001.sql": effectsTable, "handlers/default/_any.sql": noteEffect };
const event = (n: number): object => ({ event_id: `evt_${n}`, type: "paid", note: n });

/** Holds the write lock, as the user's application may. */
function holdWriteLock(inbox: TestInbox): Disposable & { release(): void } {
  const other = new Database(inbox.databasePath, { strict: true });
  other.run("pragma busy_timeout = 5000");
  other.run("begin immediate");
  const release = (): void => {
    if (other.inTransaction) other.run("rollback");
  };
  return {
    release,
    [Symbol.dispose]() {
      release();
      other.close();
    },
  };
}

describe("while another connection holds the write lock", () => {
  test("deliveries wait, /healthz answers, and all events are applied after it is released", async () => {
    await using inbox = await testInbox({ files, open: { queue: { maxWaitMs: 60_000 } } });
    const { url } = inbox.listen();
    using lock = holdWriteLock(inbox);
    let answered = 0;
    const deliveries = Array.from({ length: 20 }, async (_, n) => {
      const response = await fetch(`${url}/webhook`, { method: "POST", body: JSON.stringify(event(n % 10)) });
      answered++;
      return ((await response.json()) as { status: string }).status;
    });

    const times: number[] = [];
    for (let n = 0; n < 15; n++) {
      const asked = performance.now();
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
      times.push(performance.now() - asked);
      await Bun.sleep(20);
    }
    // If the process waited for the lock, most answers would wait with it. Single ones may on a busy machine.
    times.sort((a, b) => a - b);
    expect(times[7]).toBeLessThan(1000);
    const ready = await fetch(`${url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ error: { code: "database_locked" } });
    expect(answered).toBe(0);
    expect(left(inbox)).toEqual(nothing);

    lock.release();
    const statuses = await Promise.all(deliveries);
    expect(statuses.filter((status) => status === "processed")).toHaveLength(10);
    expect(statuses.filter((status) => status === "duplicate")).toHaveLength(10);
    expect(left(inbox)).toEqual({ events: 10, failures: 0, effects: 10 });
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  }, 60_000);

  test("a delivery that waited too long is answered 503, nothing is recorded, and its retry is processed", async () => {
    await using inbox = await testInbox({ files, open: { queue: { maxWaitMs: 100 } } });
    using lock = holdWriteLock(inbox);
    const started = performance.now();
    const refused = await Promise.all(Array.from({ length: 5 }, (_, n) => inbox.deliver(event(n))));
    expect(performance.now() - started).toBeGreaterThan(95);
    expect(performance.now() - started).toBeLessThan(3000);
    for (const { status, body } of refused)
      expect([status, body.error.code]).toEqual([503, "database_locked"]);
    lock.release();
    expect(left(inbox)).toEqual(nothing);
    expect(inbox.value("select count(*) from hookonce_failures")).toBe(0);
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(0);
    expect(inbox.log.filter(({ msg }) => msg === "delivery")).toEqual(
      Array.from({ length: 5 }, () =>
        expect.objectContaining({ outcome: "rejected", code: "database_locked" }),
      ),
    );

    const retried = await Promise.all(Array.from({ length: 5 }, (_, n) => inbox.deliver(event(n))));
    expect(retried.map(({ body }) => body.status)).toEqual(Array.from({ length: 5 }, () => "processed"));
    expect(left(inbox)).toEqual({ events: 5, failures: 0, effects: 5 });
  });

  test("deliveries are applied between one lock and the next", async () => {
    await using inbox = await testInbox({ files });
    const deliveries: Promise<{ status: number }>[] = [];
    for (let n = 0; n < 8; n++) {
      using lock = holdWriteLock(inbox);
      deliveries.push(inbox.deliver(event(n)), inbox.deliver(event(n)));
      await Bun.sleep(15);
      lock.release();
    }
    for (const { status } of await Promise.all(deliveries)) expect(status).toBe(200);
    expect(left(inbox)).toEqual({ events: 8, failures: 0, effects: 8 });
    expect(inbox.value("select sum(deliveries) from hookonce_events")).toBe(16);
  });

  test("a reader does not delay deliveries", async () => {
    await using inbox = await testInbox({ files });
    using reader = new Database(inbox.databasePath, { readonly: true });
    reader.run("begin");
    expect(reader.query("select count(*) as n from effects").get()).toEqual({ n: 0 });
    expect((await inbox.deliver(event(1))).body.status).toBe("processed");
    // The reader still sees its own snapshot.
    expect(reader.query("select count(*) as n from effects").get()).toEqual({ n: 0 });
    reader.run("commit");
    expect(reader.query("select count(*) as n from effects").get()).toEqual({ n: 1 });
  });

  testUnless(
    onlyInFullRun(),
    "waiting bodies take at most 64 MiB: more are answered 503 until some are written",
    async () => {
      await using inbox = await testInbox({
        files,
        mebibytes: 200,
        config: `
[sources.default]
provider = "unsigned"
event_id = "header:x-id"
type     = "header:x-type"
max_body = "22 MiB"
`,
      });
      const large = "x".repeat(22 * 1024 * 1024);
      const deliver = (n: number) =>
        inbox.deliver(large, { headers: { "x-id": `evt_${n}`, "x-type": "blob" } });
      using lock = holdWriteLock(inbox);
      const waiting = [deliver(1), deliver(2)];
      // Memory is reserved as bodies arrive, so the third one does not fit only after the first two have
      // arrived.
      await Bun.sleep(150);
      const refused = await deliver(3);
      expect([refused.status, refused.body.error.code]).toEqual([503, "overloaded"]);
      lock.release();
      for (const { body } of await Promise.all(waiting)) expect(body.status).toBe("processed");
      expect(left(inbox)).toEqual({ events: 2, failures: 0, effects: 2 });
      expect((await deliver(3)).body.status).toBe("processed");
      expect(left(inbox)).toEqual({ events: 3, failures: 0, effects: 3 });
    },
    30_000,
  );
});
