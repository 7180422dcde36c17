import { expect } from "bun:test";
import { readLeft } from "../../src/engines/marker.ts";
import { testInFullRun as test } from "../crash/requirements.ts";
import { TABLES, ts } from "../handlers/sources.ts";
import { service, type Service } from "./service.ts";

const HANG = `if (event.payload.hang) { while (true); } effect("ran");`;

/** The state of the source, as a pause and a resume write it. */
function setState(it: Service, state: "held" | "resuming"): void {
  it.rows(
    `insert into hookonce_source_states (name, state, since) values ('default', '${state}', 1)
     on conflict (name) do update set state = excluded.state returning name`,
  );
}

async function open(it: Service): Promise<void> {
  while (it.rows("select * from hookonce_source_states").length > 0) await Bun.sleep(20);
}

const outcomes = (it: Service) =>
  it
    .rows("select event_id, outcome from hookonce_events order by id")
    .map((row) => Object.values(row).join(" "));
const effects = (it: Service) =>
  it.rows("select event_id from effects order by rowid").map((row) => row["event_id"]);

test("a held event whose handler hangs costs one restart, and those after it are run", async () => {
  await using it = await service({ "migrations/0001.sql": TABLES, "handlers/default/loops.ts": ts(HANG) });
  setState(it, "held");
  for (const id of ["one", "two", "three"])
    expect(await it.deliver({ event_id: id, type: "loops", hang: id === "two" })).toMatchObject({
      status: 200,
    });
  expect(effects(it)).toEqual([]);
  setState(it, "resuming");
  expect(await it.ended()).toBe(-1);
  await it.start();
  await open(it);
  expect(outcomes(it)).toEqual(["one processed", "two unhandled", "three processed"]);
  expect(effects(it)).toEqual(["one", "three"]);
  expect(it.rows("select event_id, code, settled_at from hookonce_failures")).toEqual([
    { event_id: "two", code: "handler_timeout", settled_at: null },
  ]);
});

test("kill -9 during the run of a held event blames nobody, and the event runs again before those after it", async () => {
  await using it = await service({
    "migrations/0001.sql": TABLES,
    "handlers/default/slow.ts": ts("if (event.payload.slow) Bun.sleepSync(300); effect('ran');"),
  });
  setState(it, "held");
  for (const id of ["one", "two", "three"])
    await it.deliver({ event_id: id, type: "slow", slow: id === "two" });
  setState(it, "resuming");
  while (readLeft(it.database).run?.eventId !== "two") await Bun.sleep(2);
  it.server.signal("SIGKILL");
  await it.restarted();
  await open(it);
  expect(effects(it)).toEqual(["one", "two", "three"]);
  expect(outcomes(it)).toEqual(["one processed", "two processed", "three processed"]);
  expect(it.rows("select * from hookonce_failures")).toEqual([]);
  expect(it.rows("select * from hookonce_interrupted_runs")).toEqual([]);
});
