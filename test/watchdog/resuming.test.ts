import { expect } from "bun:test";
import { readLeft } from "../../src/engines/marker.ts";
import { testInFullRun as test } from "../crash/requirements.ts";
import { TABLES, ts } from "../handlers/sources.ts";
import { service, type Service } from "./service.ts";

const HANG = `if (event.payload.hang) { while (true); } effect("ran");`;

/** The state of the source, as a pause and a resume write it. */
function setState(
  it: Service,
  state: "held" | "resuming",
  { stopOnFailure = false, source = "default" } = {},
): void {
  it.rows(
    `insert into hookonce_source_states (name, state, since, stop_on_failure)
     values ('${source}', '${state}', 1, ${stopOnFailure ? 1 : 0})
     on conflict (name) do update set state = excluded.state, stop_on_failure = excluded.stop_on_failure,
       ran_place = -1, ran_failure = 0 returning name`,
  );
}

const STATE = "select state, reason from hookonce_source_states";
const said = (it: Service) =>
  it.logged(({ msg }) => String(msg).startsWith("hookonce has paused the source"));

/** The same config with `hold_after = 2`. */
const HOLD_AFTER = `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
hold_after = 2
`;

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

test("of a batch whose handler hangs for one held event, the failure keeps that event alone", async () => {
  await using it = await service({ "migrations/0001.sql": TABLES, "handlers/default/loops.ts": ts(HANG) });
  setState(it, "held", { source: "batches" });
  const large = "x".repeat(70_000);
  const events = [
    { event_id: "one", type: "loops", hang: true },
    { event_id: "two", type: "loops" },
    { event_id: "three", type: "loops", hang: true, large },
  ];
  expect(await it.deliver({ event_id: "", type: "", events })).toMatchObject({ status: 200 });
  setState(it, "resuming", { source: "batches" });
  // The part of the third is too large for the marker: its next run records the failure.
  for (let n = 0; n < 2; n++) await it.restarted();
  await open(it);
  expect(outcomes(it)).toEqual(["one unhandled", "two processed", "three unhandled"]);
  const kept = it.rows("select cast(last_body as text) as body, code from hookonce_failures order by id");
  expect(kept.map(({ body, code }) => [JSON.parse(String(body)), code])).toEqual([
    [events[0], "handler_timeout"],
    [events[2], "handler_timeout"],
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

test("a handler that hangs stops a resume --stop-on-failure, and its event runs first once the handler has changed", async () => {
  await using it = await service({ "migrations/0001.sql": TABLES, "handlers/default/loops.ts": ts(HANG) });
  setState(it, "held");
  for (const id of ["one", "two", "three", "four"])
    await it.deliver({ event_id: id, type: "loops", hang: id !== "one" });
  setState(it, "resuming", { stopOnFailure: true });
  expect(await it.ended()).toBe(-1);
  await it.start();
  const reason = "an event failed after resume --stop-on-failure";
  expect(it.rows(STATE)).toEqual([{ state: "held", reason }]);
  expect(await said(it)).toMatchObject({ source: "default", reason });
  expect(outcomes(it)).toEqual(["one processed", "two unhandled", "three held", "four held"]);

  it.write({ "handlers/default/loops.ts": ts(`effect("ran");`) });
  await it.server[Symbol.asyncDispose]();
  await it.start();
  setState(it, "resuming", { stopOnFailure: true });
  await open(it);
  expect(effects(it)).toEqual(["one", "two", "three", "four"]);
});

test("handlers that hang in a row pause the source after hold_after of them, in a resume and at deliveries", async () => {
  await using it = await service({
    "hookonce.toml": HOLD_AFTER,
    "migrations/0001.sql": TABLES,
    "handlers/default/loops.ts": ts(HANG),
  });
  // One that succeeds begins the count anew.
  for (const [id, hang] of [
    ["a", true],
    ["b", false],
    ["c", true],
  ] as const) {
    await it.deliver({ event_id: id, type: "loops", hang });
    if (hang) await it.restarted();
  }
  expect(it.rows(STATE)).toEqual([]);
  expect(await it.deliver({ event_id: "d", type: "loops", hang: true })).toMatchObject({ status: 0 });
  await it.restarted();
  const reason = "2 failures in a row (hold_after = 2)";
  expect(it.rows(STATE)).toEqual([{ state: "held", reason }]);
  expect(await said(it)).toMatchObject({ source: "default", reason });
  for (const id of ["e", "f", "g"])
    expect(await it.deliver({ event_id: id, type: "loops", hang: true })).toMatchObject({ status: 200 });

  setState(it, "resuming");
  for (let n = 0; n < 2; n++) await it.restarted();
  expect(it.rows(STATE)).toEqual([{ state: "held", reason }]);
  expect(outcomes(it)).toEqual(["b processed", "e unhandled", "f unhandled", "g held"]);
  expect(it.rows("select actor, action, target, reason from hookonce_audit")).toEqual(
    Array.from({ length: 2 }, () => ({ actor: "hookonce", action: "pause", target: "default", reason })),
  );
});
