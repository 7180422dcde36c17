import { describe, expect } from "bun:test";
import {
  describeUnless,
  needsCommand,
  needsLinux,
  needsRoot,
  onlyInFullRun,
  testInFullRun as test,
} from "../crash/requirements.ts";
import { injectFaults } from "../faults/strace.ts";
import { TABLES, ts } from "../handlers/sources.ts";
import { LIMIT, service, TICK_MS, type Service } from "./service.ts";

const SPAWN = 'import { spawnSync } from "node:child_process";';

const HANDLERS: Record<string, string> = {
  "good.sql": "insert into effects values (:event_id, 'good');",
  // Around the guard that makes process.kill throw.
  "dies.ts": ts(
    'effect("dies"); spawnSync("kill", ["-9", String(process.pid)]); Bun.sleepSync(1000);',
    SPAWN,
  ),
  "long.ts": ts('effect("long"); Bun.sleepSync(event.payload.ms);'),
};

const start = (): Promise<Service> =>
  service({
    "migrations/0001.sql": TABLES,
    ...Object.fromEntries(Object.entries(HANDLERS).map(([name, text]) => [`handlers/default/${name}`, text])),
  });

const interrupted = (it: Service) =>
  it.rows("select event_id, ends, code from hookonce_interrupted_runs order by event_id");

describe("the process is killed while a handler runs", () => {
  test("once: nobody is blamed, and the event runs again at its next delivery", async () => {
    await using it = await start();
    const event = { event_id: "one", type: "long", ms: 300 };
    const delivered = it.deliver(event);
    await it.running();
    it.server.signal("SIGKILL");
    await delivered;
    await it.restarted();
    expect(await it.logged(({ level }) => level === "warn")).toMatchObject({
      event: "one",
      type: "long",
      handler: "handlers/default/long.ts",
      msg: "hookonce ended while this handler ran: the event runs again, alone in its transaction",
    });
    expect(interrupted(it)).toEqual([{ event_id: "one", ends: 1, code: null }]);
    expect(it.rows("select * from hookonce_failures")).toEqual([]);

    const others = ["a", "b", "c"].map((id) => it.deliver({ event_id: id, type: "good" }));
    expect((await it.deliver({ ...event, ms: 0 })).body["status"]).toBe("processed");
    expect((await Promise.all(others)).map(({ body }) => body["status"])).toEqual(Array(3).fill("processed"));
    expect(interrupted(it)).toEqual([]);
    expect(it.rows("select count(*) as n from effects where event_id = 'one'")).toEqual([{ n: 1 }]);
  });

  test("twice by its handler: the event is a failure, and others go on", async () => {
    await using it = await start();
    const event = { event_id: "one", type: "dies" };
    for (const ends of [1, 2]) {
      expect((await it.deliver(event)).status).toBe(0);
      expect(await it.ended()).toBe(-1);
      await it.start();
      if (ends === 1) expect(it.rows("select * from hookonce_failures")).toEqual([]);
    }
    expect(await it.logged(({ level }) => level === "error")).toMatchObject({
      event: "one",
      code: "handler_died",
      handler: "handlers/default/dies.ts",
    });
    expect(it.rows("select code, attempts, deliveries, error from hookonce_failures")).toEqual([
      {
        code: "handler_died",
        attempts: 1,
        deliveries: 1,
        error: expect.stringContaining(
          "ended 2 times while handlers/default/dies.ts ran for this event",
        ) as string,
      },
    ]);
    const again = await it.deliver(event);
    expect([again.status, again.body["status"]]).toEqual([500, "failed"]);
    expect((await it.deliver({ event_id: "two", type: "good" })).body["status"]).toBe("processed");
    expect(interrupted(it)).toEqual([]);
  });
});

describeUnless(onlyInFullRun(), "the process is killed or stopped again and again", () => {
  test("by two handlers in turn: each is found out at its second time", async () => {
    await using it = await start();
    for (const id of ["one", "two", "one", "two"]) {
      expect((await it.deliver({ event_id: id, type: "dies" })).status).toBe(0);
      await it.restarted();
    }
    expect(it.rows("select event_id, code from hookonce_failures order by event_id")).toEqual([
      { event_id: "one", code: "handler_died" },
      { event_id: "two", code: "handler_died" },
    ]);
  });

  test("again and again, by something else: nobody is blamed", async () => {
    await using it = await start();
    // Between runs, then twice in the middle of the same event.
    it.server.signal("SIGKILL");
    await it.restarted();
    for (const ends of [1, 2]) {
      const delivered = it.deliver({ event_id: "one", type: "long", ms: 300 });
      await it.running();
      it.server.signal("SIGKILL");
      await delivered;
      await it.restarted();
      expect(interrupted(it)).toEqual([{ event_id: "one", ends, code: null }]);
    }
    expect((await it.deliver({ event_id: "one", type: "long", ms: 0 })).body["status"]).toBe("processed");
    expect(it.rows("select * from hookonce_failures")).toEqual([]);
  });

  test("a machine that is suspended in the middle of a run kills nobody", async () => {
    await using it = await start();
    const delivered = it.deliver({ event_id: "one", type: "long", ms: 200 });
    await it.running();
    it.server.signal("SIGSTOP");
    await Bun.sleep(2 * LIMIT * TICK_MS);
    it.server.signal("SIGCONT");
    expect((await delivered).body["status"]).toBe("processed");
    expect((await it.deliver({ event_id: "two", type: "good" })).body["status"]).toBe("processed");
  });
});

describeUnless(
  onlyInFullRun() ?? needsLinux() ?? needsRoot() ?? needsCommand("strace"),
  "a disk that takes long to sync",
  () => {
    test("is logged, and never a reason to end the process", async () => {
      await using it = await start();
      // The watchdog begins with the first run.
      await it.deliver({ event_id: "one", type: "good" });
      const seconds = (3 * LIMIT * TICK_MS) / 1000;
      const tracer = await injectFaults(it.pid, {
        inject: `fsync,fdatasync:delay_enter=${seconds * 1e6}:when=1`,
        path: `${it.database}-wal`,
      });
      try {
        const before = performance.now();
        expect((await it.deliver({ event_id: "two", type: "good" })).body["status"]).toBe("processed");
        expect(performance.now() - before).toBeGreaterThan(seconds * 1000);
      } finally {
        await tracer[Symbol.asyncDispose]();
      }
      const slow = it.log().filter(({ msg }) => String(msg).startsWith("the disk is slow to sync"));
      expect(slow.map(({ level, ms }) => [level, Number(ms) / TICK_MS])).toEqual(
        [5, 10, 20, 40].map((ticks) => ["warn", ticks]),
      );
      expect(await it.logged(({ msg }) => msg === "the sync has ended")).toMatchObject({ level: "warn" });
    }, 20_000);
  },
);

describeUnless(
  onlyInFullRun() ?? needsLinux() ?? needsRoot() ?? needsCommand("unshare"),
  "as the first process of a container, which SIGKILL from inside does not end",
  () => {
    test("a handler that never returns still ends it", async () => {
      await using it = await service({ "handlers/default/loops.ts": ts("while (true);") }, (folder) => [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        process.execPath,
        `${import.meta.dir}/serve-watched.ts`,
        folder,
        String(TICK_MS),
        String(LIMIT),
      ]);
      expect((await it.logged(({ msg }) => msg === "listening"))["pid"]).toBe(1);
      expect((await it.deliver({ event_id: "one", type: "loops" })).status).toBe(0);
      expect(await it.ended()).toBe(137);
      await it.start();
      expect((await it.deliver({ event_id: "one", type: "loops" })).status).toBe(500);
    }, 20_000);
  },
);
