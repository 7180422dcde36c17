import { expect, test } from "bun:test";
import { describeUnless, needsLinux, onlyInLongRun } from "../crash/requirements.ts";
import { binary, ensureBinary } from "../crash/server.ts";
import { TABLES, ts } from "../handlers/sources.ts";
import { killLoop } from "../watchdog/kill-loop.ts";
import { service, type Service } from "../watchdog/service.ts";

/** The compiled binary, with its own patience of 30 s. */
async function start(files: Record<string, string>): Promise<Service> {
  await ensureBinary();
  return service({ "migrations/0001.sql": TABLES, ...files }, (folder) => [
    binary,
    "serve",
    folder,
    "--dev",
    "--listen",
    "127.0.0.1:0",
  ]);
}

describeUnless(onlyInLongRun() ?? needsLinux(), "the watchdog of the compiled binary", () => {
  test("200 times kill -9 at random moments, with handlers of 1 ms: no event is quarantined", async () => {
    const { interruptedRuns, applied, ...rest } = await killLoop(200);
    expect(rest).toEqual({ quarantined: [], failures: [], wrong: [] });
    expect(interruptedRuns).toBeGreaterThan(50);
    console.log(`${interruptedRuns} of 200 ends were in the middle of a run; ${applied} events were applied`);
  }, 600_000);

  test("suspended for 40 s in the middle of a run, it kills nobody", async () => {
    await using it = await start({
      "handlers/default/long.ts": ts("effect('long'); Bun.sleepSync(20_000);"),
    });
    const delivered = it.deliver({ event_id: "one", type: "long" });
    await Bun.sleep(5000);
    it.server.signal("SIGSTOP");
    await Bun.sleep(40_000);
    it.server.signal("SIGCONT");
    expect((await delivered).body["status"]).toBe("processed");
    expect(it.rows("select note from effects")).toEqual([{ note: "long" }]);
  }, 120_000);

  test("a handler that never returns is ended after 30 s, and the others go on after the restart", async () => {
    await using it = await start({
      "handlers/default/loops.ts": ts("while (true);"),
      "handlers/default/recursive.sql":
        "insert into effects with recursive n(i) as (select 1 union all select i + 1 from n) select max(i), 'x' from n;",
      "handlers/default/good.sql": "insert into effects values (:event_id, 'good');",
    });
    for (const type of ["loops", "recursive"]) {
      const before = performance.now();
      expect((await it.deliver({ event_id: type, type })).status).toBe(0);
      expect(await it.ended()).toBe(-1);
      const seconds = (performance.now() - before) / 1000;
      expect(seconds).toBeGreaterThan(29);
      expect(seconds).toBeLessThan(35);
      await it.start();
      expect(await it.get("/healthz")).toBe(200);
      expect((await it.deliver({ event_id: type, type })).status).toBe(500);
      expect((await it.deliver({ event_id: `good_${type}`, type: "good" })).status).toBe(200);
    }
    expect(it.rows("select event_id, code from hookonce_failures order by event_id")).toEqual([
      { event_id: "loops", code: "handler_timeout" },
      { event_id: "recursive", code: "handler_timeout" },
    ]);
  }, 120_000);
});
