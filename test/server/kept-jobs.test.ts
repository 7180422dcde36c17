import { expect, test } from "bun:test";
import type { JobJson } from "../../src/http/admin/job-shapes.ts";
import { testInbox, type TestInbox, type TestInboxOptions } from "../support/test-inbox.ts";
import { testInFullRun } from "../crash/requirements.ts";

/** What is kept of jobs, and for how long. */

const HANDLERS = {
  "migrations/1.sql": "create table applied (id text not null);",
  "handlers/default/paid.sql": "insert into applied values (:event_id);",
};

async function start(inbox: TestInbox, request: object): Promise<string> {
  const begun = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json", "x-hookonce-actor": "ada" },
    body: JSON.stringify(request),
  });
  expect(begun.status).toBe(202);
  return ((await begun.json()) as { id: string }).id;
}

async function view(inbox: TestInbox, id: string): Promise<JobJson> {
  return (await (await inbox.api(`/api/jobs/${id}`)).json()) as JobJson;
}

async function ended(inbox: TestInbox, id: string): Promise<JobJson> {
  for (;;) {
    const seen = await view(inbox, id);
    if (seen.state !== "running") return seen;
    await Bun.sleep(5);
  }
}

const run = async (inbox: TestInbox, request: object): Promise<JobJson> =>
  ended(inbox, await start(inbox, request));

const audit = (inbox: TestInbox): unknown[] =>
  inbox.rows("select actor, action, target, reason from hookonce_audit order by id");

async function withUnhandled(count: number, options: TestInboxOptions = {}): Promise<TestInbox> {
  const inbox = await testInbox(options);
  for (let n = 1; n <= count; n++) await inbox.deliver({ event_id: `evt_${n}`, type: "paid" });
  await inbox.restart({ files: HANDLERS });
  return inbox;
}

test("a job that finds nothing to change leaves no row, and one that changes something is audited", async () => {
  await using inbox = await withUnhandled(3);
  for (const [state, request] of [
    ["done", { action: "apply", filter: { type: "other" } }],
    ["done", { action: "discard", filter: { type: "other" }, reason: "a test" }],
    ["done", { action: "replay", filter: { type: "paid" }, reason: "a test" }],
    ["done", { action: "apply", dry_run: true }],
  ] as const)
    expect((await run(inbox, request)).state).toBe(state);
  expect(inbox.rows("select * from hookonce_jobs")).toEqual([]);
  // What is refused changes nothing either, but its error can be seen later.
  const refused = await run(inbox, { action: "replay", ids: ["evt_1"], reason: "a test" });
  expect(refused).toMatchObject({ state: "failed", error: { code: "not_processed" } });
  expect(audit(inbox)).toEqual([]);

  await run(inbox, { action: "apply", filter: { type: "paid", limit: 2 } });
  await run(inbox, { action: "discard", ids: ["evt_3"], filter: { source: "default" }, reason: "too late" });
  expect(audit(inbox)).toEqual([
    { actor: "ada", action: "apply", target: "type:paid limit:2", reason: null },
    { actor: "ada", action: "discard", target: "evt_3 source:default", reason: "too late" },
  ]);
  await inbox.restart();
  const { items } = (await (await inbox.api("/api/jobs")).json()) as { items: JobJson[] };
  expect(items.map(({ action, target, state }) => [action, target, state])).toEqual([
    ["discard", "evt_3 source:default", "done"],
    ["apply", "type:paid limit:2", "done"],
    ["replay", "evt_1", "failed"],
  ]);
});

test("a stop is in the audit list with who stopped what", async () => {
  await using inbox = await withUnhandled(20);
  const id = await start(inbox, { action: "apply", filter: { type: "paid" }, rate: 5 });
  while (audit(inbox).length === 0) await Bun.sleep(5);
  const headers = { "x-hookonce-actor": "bob" };
  const stop = await inbox.api(`/api/jobs/${id}`, { method: "DELETE", headers });
  expect(stop.status).toBe(200);
  expect((await ended(inbox, id)).state).toBe("stopped");
  while (audit(inbox).length === 1) await Bun.sleep(5);
  expect(audit(inbox)).toEqual([
    { actor: "ada", action: "apply", target: "type:paid", reason: null },
    { actor: "bob", action: "stop", target: "apply type:paid", reason: null },
  ]);
  await inbox.restart();
  expect(await view(inbox, id)).toMatchObject({ state: "stopped" });
  // To stop one that has ended changes nothing. One that never was is unknown.
  expect((await inbox.api(`/api/jobs/${id}`, { method: "DELETE", headers })).status).toBe(200);
  expect((await inbox.api("/api/jobs/none", { method: "DELETE", headers })).status).toBe(404);
  expect(audit(inbox)).toHaveLength(2);
});

const FAILS_ON_TWO = `
  insert into applied values (:event_id);
  insert into applied select null where :event_id in ('evt_3', 'evt_30');`;

const changed = (job: JobJson): number =>
  job.groups.reduce((sum, one) => sum + one.processed + one.failed + one.discarded, 0);

/** Runs a job whose serve stops twice in the middle of its page. */
async function interrupted(inbox: TestInbox, request: object): Promise<JobJson> {
  const id = await start(inbox, { ...request, rate: 50 });
  for (const atLeast of [5, 15]) {
    while (changed(await view(inbox, id)) < atLeast) await Bun.sleep(5);
    await inbox.restart();
  }
  return ended(inbox, id);
}

const UPKEEP = { upkeep: { minuteMs: 60_000 } };
const IDS = Array.from({ length: 40 }, (_, n) => `evt_${n + 1}`);

for (const [name, selection, processed] of [
  ["all", { filter: { type: "paid" } }, 38],
  ["35", { filter: { type: "paid", limit: 35 } }, 33],
  ["40 ids", { ids: IDS }, 38],
] as const)
  testInFullRun(`a job of ${name} that was stopped within a page counts each event once`, async () => {
    await using inbox = await withUnhandled(IDS.length, UPKEEP);
    await inbox.restart({ files: { ...HANDLERS, "handlers/default/paid.sql": FAILS_ON_TWO } });
    const applied = await interrupted(inbox, { action: "apply", ...selection });
    expect(applied.groups).toMatchObject([{ processed, failed: 2, already_done: 0 }]);
    expect(applied.at_least).toBeUndefined();
    expect(inbox.value("select count(*) from applied")).toBe(processed);
  });

testInFullRun("a replay and a discard that were stopped within a page count each event once", async () => {
  await using inbox = await withUnhandled(IDS.length, UPKEEP);
  const discarded = await interrupted(inbox, { action: "discard", ids: IDS.slice(20), reason: "a test" });
  expect(discarded.groups).toMatchObject([{ discarded: 20, already_done: 0, unfit: 0 }]);
  await run(inbox, { action: "apply" });
  const replayed = await interrupted(inbox, { action: "replay", filter: { type: "paid" }, reason: "a test" });
  expect(replayed.groups).toMatchObject([{ processed: 20, already_done: 0 }]);
  expect(inbox.value("select count(*) from applied")).toBe(40);
});

const ADD_JOBS = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ?)
  insert into hookonce_jobs (id, action, actor, started_at, ended_at, request, progress)
  select 'job ' || i, 'apply', 'ada', i, iif(i = 1, null, i),
    '{"action":"apply","filter":{},"dryRun":false}',
    '{"state":"running","error":null,"imported":null,"groups":[],"failures":[],"isAudited":true,
      "target":"all","position":{"ids":0,"ordered":{"event":0,"change":0}}}' from n`;

testInFullRun("the latest 1,000 jobs are kept, and those that run, which are listed first", async () => {
  await using inbox = await withUnhandled(2);
  inbox.rows(ADD_JOBS, 1200);
  const { id } = await run(inbox, { action: "apply", filter: { limit: 1 } });
  while (inbox.value("select ended_at from hookonce_jobs where id = ?", id) === null) await Bun.sleep(5);
  expect(inbox.rows("select count(*) as rows, min(started_at) as first from hookonce_jobs")).toEqual([
    { rows: 1001, first: 1 },
  ]);
  expect(inbox.value("select min(started_at) from hookonce_jobs where ended_at is not null")).toBe(202);
  const { items } = (await (await inbox.api("/api/jobs")).json()) as { items: JobJson[] };
  expect(items).toHaveLength(100);
  expect(items.slice(0, 3).map((one) => one.id)).toEqual(["job 1", id, "job 1200"]);
});

test("lines of the audit list go when they are old and 10,000 later ones exist", async () => {
  await using inbox = await withUnhandled(1);
  const lines = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ?)
    insert into hookonce_audit (at, actor, action, target) select ?, 'ada', 'apply', 'all' from n`;
  inbox.rows(lines, 50, 1);
  inbox.rows(lines, 10_100, Date.now() - 86_400_000);
  await run(inbox, { action: "apply", filter: {} });
  expect(inbox.value("select count(*) from hookonce_audit where at = 1")).toBe(0);
  expect(inbox.value("select count(*) from hookonce_audit")).toBe(10_101);
  // Old ones stay if there are few.
  await using other = await withUnhandled(1);
  other.rows(lines, 50, 1);
  await run(other, { action: "apply", filter: {} });
  expect(other.value("select count(*) from hookonce_audit")).toBe(51);
});
