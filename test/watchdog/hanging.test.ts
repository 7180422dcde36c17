import { afterAll, beforeAll, describe, expect } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hookonce, run } from "../cli/support/hookonce.ts";
import { describeUnless, onlyInFullRun, testUnless, testInFullRun as test } from "../crash/requirements.ts";
import { TABLES, ts } from "../handlers/sources.ts";
import { service, type Service } from "./service.ts";

const HANG = "while (true);";

const HANDLERS: Record<string, string> = {
  "good.sql": "insert into effects values (:event_id, 'good');",
  // Of two events of one type, one hangs.
  "loops.ts": ts(`effect("loops"); if (event.payload.hang) { ${HANG} }`),
  "sleeps.ts": ts("effect('sleeps'); Bun.sleepSync(1e9);"),
  "waits.ts": ts("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);"),
  // JavaScriptCore may give up on one of them after a million steps.
  "regex.ts": ts("for (;;) /^(a+)+$/.test('a'.repeat(60) + 'b');"),
  "recursive.sql":
    "insert into effects with recursive n(i) as (select 1 union all select i + 1 from n) select max(i), 'x' from n;",
  "flag.ts": ts(
    `if (existsSync(import.meta.dir + "/../../hang")) { ${HANG} } effect("flag");`,
    'import { existsSync } from "node:fs";',
  ),
};

let it: Service;
beforeAll(async () => {
  it = await service({
    "migrations/0001.sql": TABLES,
    ...Object.fromEntries(Object.entries(HANDLERS).map(([name, text]) => [`handlers/default/${name}`, text])),
  });
});
afterAll(() => it[Symbol.asyncDispose]());

const failure = (id: string) =>
  it.rows(
    `select code, handler, attempts, deliveries, length(last_body) as bytes, settled_at from hookonce_failures where event_id = '${id}'`,
  )[0];
const effects = (id: string) => it.rows(`select note from effects where event_id = '${id}'`);

/** Delivers an event whose handler hangs, until the process is killed and started again. */
async function hang(event: { event_id: string; type: string; [field: string]: unknown }): Promise<void> {
  const first = await it.deliver(event);
  expect(first.status).toBe(0);
  await it.restarted();
}

describe("a handler that never returns", () => {
  test("is ended, and the event is a failure at the next start, which answers again", async () => {
    expect(it.modeOf("marker")).toBe("600");
    const delivered = it.deliver({ event_id: "one", type: "loops", hang: true });
    expect(await it.ended()).toBe(-1);
    expect((await delivered).status).toBe(0);
    expect(it.log().at(-1)).toMatchObject({
      level: "fatal",
      source: "default",
      event: "one",
      type: "loops",
      handler: "handlers/default/loops.ts",
      code: "handler_timeout",
    });
    expect(it.modeOf("verdict")).toBe("600");
    await it.start();
    expect(await it.get("/healthz")).toBe(200);
    expect(await it.get("/readyz?within=0")).toBe(200);
    expect(it.log().find(({ level }) => level === "error")).toMatchObject({
      event: "one",
      handler: "handlers/default/loops.ts",
      code: "handler_timeout",
      msg: expect.stringContaining("hookonce apply one") as string,
    });
    expect(it.modeOf("verdict")).toBeUndefined();
    expect(failure("one")).toEqual({
      code: "handler_timeout",
      handler: "handlers/default/loops.ts",
      attempts: 1,
      deliveries: 1,
      bytes: JSON.stringify({ event_id: "one", type: "loops", hang: true }).length,
      settled_at: null,
    });
    expect(it.rows("select 1 from hookonce_events where event_id = 'one'")).toEqual([]);
    expect(effects("one")).toEqual([]);
  });

  test("is not run again by a delivery, which is answered 500 and counted", async () => {
    const { status, body } = await it.deliver({ event_id: "one", type: "loops", hang: true });
    expect([status, body["status"]]).toEqual([500, "failed"]);
    expect(failure("one")).toMatchObject({ attempts: 1, deliveries: 2, code: "handler_timeout" });
    const line = await it.logged(({ event, msg }) => event === "one" && msg === "delivery");
    expect(line).toMatchObject({
      outcome: "failed",
      code: "handler_timeout",
      handler: "handlers/default/loops.ts",
    });
  });

  test("does not keep other events from going on, of the same handler or of another", async () => {
    expect((await it.deliver({ event_id: "two", type: "loops" })).body["status"]).toBe("processed");
    expect((await it.deliver({ event_id: "three", type: "good" })).body["status"]).toBe("processed");
    expect([effects("two"), effects("three")]).toEqual([[{ note: "loops" }], [{ note: "good" }]]);
  });

  for (const type of ["recursive", "sleeps", "waits", "regex"]) {
    const reason = type === "recursive" ? undefined : onlyInFullRun();
    testUnless(
      reason,
      `is ended in every way to hang: ${type}`,
      async () => {
        await hang({ event_id: type, type });
        expect(failure(type)).toMatchObject({ code: "handler_timeout", deliveries: 1 });
        expect((await it.deliver({ event_id: type, type })).status).toBe(500);
      },
      10_000,
    );
  }
});

describeUnless(onlyInFullRun(), "a handler that never returns with other events", () => {
  test("is recorded at the next delivery if the body was too large for the marker", async () => {
    const event = { event_id: "large", type: "loops", hang: true, text: "x".repeat(70_000) };
    await hang(event);
    expect(failure("large")).toBeUndefined();
    const { status } = await it.deliver(event);
    expect(status).toBe(500);
    expect(failure("large")).toMatchObject({
      code: "handler_timeout",
      attempts: 1,
      deliveries: 1,
      bytes: JSON.stringify(event).length,
    });
    expect((await it.deliver(event)).status).toBe(500);
    expect(failure("large")).toMatchObject({ attempts: 1, deliveries: 2 });
    expect(it.rows("select * from hookonce_interrupted_runs")).toEqual([]);
  });

  test("fails alone in a batch, and the other events of the batch go on", async () => {
    const events = [
      { event_id: "b1", type: "good" },
      { event_id: "b2", type: "loops", hang: true },
      { event_id: "b3", type: "good" },
    ];
    const batch = { event_id: "", type: "", events };
    await hang(batch);
    expect(failure("b2")).toMatchObject({ bytes: JSON.stringify(events[1]).length });
    const { status, body } = await it.deliver(batch);
    expect(status).toBe(500);
    expect((body["events"] as { status: string }[]).map((one) => one.status)).toEqual([
      "processed",
      "failed",
      "processed",
    ]);
  });
});

const apply = async (...ids: string[]) => {
  const { stdout, code } = await run(["apply", ...ids, "--folder", it.folder, "--json"]);
  return {
    code,
    groups: stdout
      .trim()
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as object),
  };
};

describeUnless(onlyInFullRun(), "hookonce apply after a handler that never returns", () => {
  test("skips the event unless it is named, and then runs it again", async () => {
    const flag = join(it.folder, "hang");
    writeFileSync(flag, "");
    await hang({ event_id: "flagged", type: "flag" });
    const skipped = await apply("--type", "flag");
    const named = { failure: expect.objectContaining({ event_id: "flagged", code: "handler_timeout" }) };
    expect(skipped).toEqual({
      code: 0,
      groups: [expect.objectContaining({ type: "flag", processed: 0, failed: 0, quarantined: 1 }), named],
    });
    expect((await apply("--type", "flag", "--dry-run")).groups).toEqual([
      expect.objectContaining({ type: "flag", would_run: 0, quarantined: 1 }),
      named,
    ]);

    // It still hangs. The command loses its serve, and the failure stays.
    const hanging = apply("flagged");
    await it.restarted();
    expect((await hanging).code).toBe(1);
    expect(failure("flagged")).toMatchObject({ code: "handler_timeout", attempts: 2, deliveries: 1 });
    expect((await it.deliver({ event_id: "flagged", type: "flag" })).status).toBe(500);

    rmSync(flag);
    expect(await apply("flagged")).toEqual({
      code: 0,
      groups: [expect.objectContaining({ type: "flag", processed: 1 })],
    });
    expect(effects("flagged")).toEqual([{ note: "flag" }]);
    expect((await it.deliver({ event_id: "flagged", type: "flag" })).body["status"]).toBe("duplicate");
  }, 20_000);

  test("says in words what it skipped and how to run it", async () => {
    const { stdout } = await run(["apply", "--type", "loops", "--folder", it.folder], {
      program: hookonce,
    });
    expect(stdout).toContain(
      "skipped  default  one  loops\n        handler_timeout: skipped until its handler is changed",
    );
    expect(stdout).toContain("0 events applied, 3 skipped.");
  });
});

test("a changed handler runs the event again at its next delivery", async () => {
  it.server.signal("SIGTERM");
  expect(await it.ended()).toBe(0);
  it.write({ "handlers/default/loops.ts": ts('effect("corrected");') });
  await it.start();
  expect((await it.deliver({ event_id: "one", type: "loops", hang: true })).body["status"]).toBe("processed");
  expect(effects("one")).toEqual([{ note: "corrected" }]);
  expect(failure("one")?.["settled_at"]).toBeNumber();
});

test("a clean stop leaves no marker and no verdict", async () => {
  expect(it.modeOf("marker")).toBe("600");
  it.server.signal("SIGTERM");
  expect(await it.ended()).toBe(0);
  expect([it.modeOf("marker"), it.modeOf("verdict")]).toEqual([undefined, undefined]);
  await it.start();
});
