import { expect, test } from "bun:test";
import { applyOwed } from "../../src/dashboard/page/problems.ts";
import type { StatusJson } from "../../src/http/admin/shapes.ts";
import type { JobJson } from "../../src/http/admin/job-shapes.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { testInFullRun } from "../crash/requirements.ts";

/** Which events a job selects. */

const CONFIG = `
[sources.shop]
provider = "unsigned"
event_id = "header:x-id"
type     = "header:x-type"

[sources.other]
provider = "unsigned"
event_id = "header:x-id"
type     = "header:x-type"
`;

async function deliver(
  inbox: TestInbox,
  source: string,
  id: string,
  type: string,
  body = "<note/>",
  status = 200,
): Promise<void> {
  const response = await inbox.request(`/webhook/${source}`, {
    method: "POST",
    headers: { "x-id": id, "content-type": "application/xml", ...(type === "" ? {} : { "x-type": type }) },
    body,
  });
  expect([id, response.status]).toEqual([id, status]);
}

/** Runs a job to its end. */
async function run(inbox: TestInbox, request: object): Promise<JobJson> {
  const begun = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  expect(begun.status).toBe(202);
  const { id } = (await begun.json()) as { id: string };
  for (;;) {
    const view = (await (await inbox.api(`/api/jobs/${id}`)).json()) as JobJson;
    if (view.state !== "running") return view;
    await Bun.sleep(5);
  }
}

const idsIn = (inbox: TestInbox, outcome: string): unknown[] =>
  inbox
    .rows("select event_id from hookonce_events where outcome = ? order by id", outcome)
    .map((row: { event_id: unknown }) => row.event_id);

test("each Apply button of Home selects the events that its number counts, and no others", async () => {
  await using inbox = await testInbox({ config: CONFIG });
  const types = ["", "", "*", "invoice*", "invoice.paid", "invoice.paid", "invoice\\*", "(none)"];
  for (const [n, type] of types.entries()) await deliver(inbox, "shop", `evt_${n}`, type);
  await deliver(inbox, "other", "evt_other", "");
  await inbox.restart({
    files: {
      "migrations/1.sql": "create table applied (id text not null);",
      "handlers/shop/_any.sql": "insert into applied values (:event_id);",
      "handlers/other/_any.sql": "insert into applied values (:event_id);",
    },
  });
  const { owed } = (await (await inbox.api("/api/status")).json()) as StatusJson;
  expect(owed.reduce((sum, { count }) => sum + count, 0)).toBe(types.length + 1);
  for (const one of owed) {
    const { target } = applyOwed(one);
    const { groups } = await run(inbox, { action: "apply", ...target, dry_run: true });
    expect(groups.map((one) => [one.source, one.type, one.would_run])).toEqual([
      [one.source, one.type, one.count],
    ]);
  }
  const untyped = owed.find(({ source, type }) => source === "shop" && type === "");
  if (untyped === undefined) throw new Error("there is no count of events without a type");
  expect(applyOwed(untyped).title).toBe("Apply 2 events without a type of shop");
  await run(inbox, { action: "apply", ...applyOwed(untyped).target });
  expect(idsIn(inbox, "processed")).toEqual(["evt_0", "evt_1"]);
  expect(inbox.rows("select id from applied")).toEqual([{ id: "evt_0" }, { id: "evt_1" }]);
  const list = await inbox.api("/api/events?source=shop&type=");
  expect(((await list.json()) as { items: unknown[] }).items).toHaveLength(2);
});

testInFullRun(
  "a search selects what it finds in the lists: by id, by the id's text, by the body's text",
  async () => {
    await using inbox = await testInbox({
      config: CONFIG,
      files: { "handlers/shop/done.sql": "select 1;" },
    });
    for (const [id, type, body] of [
      ["evt_1", "later", "<note>cus_ada</note>"],
      ["evt_12", "later", "<note>cus_bob</note>"],
      ["evt_3", "later", "<note>evt_1</note>"],
      ["evt_4", "done", "<note>cus_ada</note>"],
      ["evt_5", "done", "<note>CUS_ADA 100% _</note>"],
    ] as const)
      await deliver(inbox, "shop", id, type, body);
    await deliver(inbox, "other", "evt_6", "later", "<note>cus_ada</note>");
    await inbox.restart({
      files: {
        "migrations/1.sql": "create table applied (id text not null);",
        // Bob's events fail.
        "handlers/shop/later.sql": `
        insert into applied select iif(:event_id in ('evt_12', 'evt_7'), null, :event_id);`,
        "handlers/shop/done.sql": "insert into applied values (:event_id);",
        "handlers/other/later.sql": "insert into applied values (:event_id);",
      },
    });
    // One that was unhandled and has failed since, and one that has only failed.
    await run(inbox, { action: "apply", filter: { search: "cus_bob" } });
    await deliver(inbox, "shop", "evt_7", "later", "<note>cus_bob</note>", 500);

    const listed = async (search: string, outcomes: readonly string[]): Promise<number> => {
      const response = await inbox.api(`/api/events?search=${encodeURIComponent(search)}`);
      const { items } = (await response.json()) as { items: { outcome: string }[] };
      return items.filter(({ outcome }) => outcomes.includes(outcome)).length;
    };
    const selected = async (action: string, search: string): Promise<number> => {
      const { groups } = await run(inbox, { action, filter: { search }, dry_run: true });
      return groups.reduce((sum, group) => sum + group.would_run, 0);
    };
    for (const [search, owed, done] of [
      ["evt_1", 3, 0],
      ["evt_", 5, 2],
      ["cus_ada", 2, 1],
      ["cus_bob", 2, 0],
      ["100%", 0, 1],
      ["%", 0, 1],
      ["nothing", 0, 0],
    ] as const) {
      expect([search, await listed(search, ["unhandled", "failed"])]).toEqual([search, owed]);
      expect([search, await listed(search, ["processed"])]).toEqual([search, done]);
      expect([search, await selected("apply", search)]).toEqual([search, owed]);
      expect([search, await selected("discard", search)]).toEqual([search, owed]);
      expect([search, await selected("replay", search)]).toEqual([search, done]);
    }
    await run(inbox, { action: "replay", filter: { search: "cus_ada" }, reason: "twice" });
    await run(inbox, { action: "apply", filter: { search: "cus_ada", source: "shop" } });
    await run(inbox, { action: "discard", filter: { search: "evt_7" }, reason: "Bob is gone" });
    expect(inbox.rows("select id from applied order by id")).toEqual([{ id: "evt_1" }, { id: "evt_4" }]);
    expect(idsIn(inbox, "discarded")).toEqual(["evt_7"]);
    const audit = inbox.rows("select target from hookonce_audit order by id");
    expect(audit.at(-1)).toEqual({ target: "search:evt_7" });
  },
);

test("a search among many recorded events finds the few, whatever is between them", async () => {
  await using inbox = await testInbox({
    config: CONFIG,
    files: { "handlers/shop/done.sql": "select 1;" },
  });
  const few = new Set([0, 63, 64, 300, 499]);
  for (let n = 0; n < 500; n++)
    await deliver(inbox, "shop", `evt_${n}`, "done", few.has(n) ? "<a>needle</a>" : "<a>hay</a>");
  const { groups, state } = await run(inbox, {
    action: "replay",
    filter: { search: "needle" },
    dry_run: true,
  });
  expect([state, groups.map((group) => group.would_run)]).toEqual(["done", [5]]);
}, 30_000);

test("ids and a search together are refused", async () => {
  await using inbox = await testInbox({ config: CONFIG });
  const response = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ action: "apply", ids: ["evt_1"], filter: { search: "x" } }),
  });
  expect([response.status, await response.text()]).toEqual([400, expect.stringContaining("not both")]);
});

test("a filter by an outcome that an action is not for changes nothing", async () => {
  await using inbox = await testInbox({
    config: CONFIG,
    files: {
      "migrations/0001.sql": "create table effects (event_id text);",
      "handlers/shop/paid.sql": "insert into effects values (:event_id);",
    },
  });
  await deliver(inbox, "shop", "evt_1", "paid");
  await deliver(inbox, "shop", "evt_2", "unknown");
  const refused: [object, string][] = [
    [{ action: "replay", filter: { outcome: "failed" }, reason: "a test" }, "not_processed"],
    [
      { action: "replay", filter: { outcome: "unhandled" }, even_stale: true, reason: "a test" },
      "not_processed",
    ],
    [{ action: "replay", filter: { outcome: "stale" }, reason: "a test" }, "not_processed"],
    [{ action: "apply", filter: { outcome: "processed" } }, "not_owed"],
    [{ action: "discard", filter: { outcome: "processed" }, reason: "a test" }, "not_owed"],
  ];
  for (const [request, code] of refused) {
    const { state, error } = await run(inbox, request);
    expect([state, error?.code]).toEqual(["failed", code]);
  }
  expect(inbox.rows("select event_id from effects")).toEqual([{ event_id: "evt_1" }]);
  expect(idsIn(inbox, "unhandled")).toEqual(["evt_2"]);
});

testInFullRun("discard by a filter leaves what came after it was ordered", async () => {
  await using inbox = await testInbox({ config: CONFIG });
  for (let n = 0; n < 20; n++) await deliver(inbox, "shop", `evt_${n}`, "paid");
  const request = { action: "discard", filter: { type: "paid" }, reason: "a test", rate: 20 };
  const begun = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  const { id } = (await begun.json()) as { id: string };
  for (let n = 0; n < 5; n++) await deliver(inbox, "shop", `late_${n}`, "paid");
  while (((await (await inbox.api(`/api/jobs/${id}`)).json()) as JobJson).state === "running")
    await Bun.sleep(20);
  expect(idsIn(inbox, "discarded")).toHaveLength(20);
  expect(idsIn(inbox, "unhandled")).toEqual(["late_0", "late_1", "late_2", "late_3", "late_4"]);
});

const THROWS = `import { handler } from "hookonce";
export default handler(() => { throw new Error("no credit"); });`;

test("a search looks at the errors of failed events, in every list and job", async () => {
  await using inbox = await testInbox({ config: CONFIG });
  await deliver(inbox, "shop", "was_unhandled", "paid");
  await inbox.restart({
    files: { "handlers/shop/paid.ts": THROWS },
  });
  await deliver(inbox, "shop", "only_failed", "paid", "<note/>", 500);
  await deliver(inbox, "shop", "other", "unknown");
  expect((await run(inbox, { action: "apply", filter: {} })).groups).toMatchObject([
    { processed: 0, failed: 1 },
    { processed: 0, failed: 1 },
    { no_handler: 1 },
  ]);
  const search = "no credit";
  const found = await inbox.api(`/api/events?search=${encodeURIComponent(search)}`);
  const { items } = (await found.json()) as { items: { event_id: string }[] };
  expect(items.map((item) => item.event_id).sort()).toEqual(["only_failed", "was_unhandled"]);
  const job = { action: "discard", filter: { search }, reason: "a test" };
  await run(inbox, job);
  expect(new Set(idsIn(inbox, "discarded"))).toEqual(new Set(["only_failed", "was_unhandled"]));
});

test("a job with a low rate ends after its last event", async () => {
  await using inbox = await testInbox({ config: CONFIG });
  await deliver(inbox, "shop", "evt_1", "paid");
  const began = performance.now();
  const { state } = await run(inbox, { action: "discard", ids: ["evt_1"], reason: "a test", rate: 0.01 });
  expect(state).toBe("done");
  // The next event would run after 100 s.
  expect(performance.now() - began).toBeLessThan(50_000);
}, 60_000);
