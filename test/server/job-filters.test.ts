import { expect, test } from "bun:test";
import { applyOwed } from "../../src/dashboard/page/problems.ts";
import type { StatusJson } from "../../src/http/admin/shapes.ts";
import type { JobView } from "../../src/inbox/background-jobs.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

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
): Promise<void> {
  const response = await inbox.request(`/webhook/${source}`, {
    method: "POST",
    headers: { "x-id": id, "content-type": "application/xml", ...(type === "" ? {} : { "x-type": type }) },
    body,
  });
  expect([id, response.status]).toEqual([id, 200]);
}

/** Runs a job to its end. */
async function run(inbox: TestInbox, request: object): Promise<JobView> {
  const begun = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  expect(begun.status).toBe(202);
  const { id } = (await begun.json()) as { id: string };
  for (;;) {
    const view = (await (await inbox.api(`/api/jobs/${id}`)).json()) as JobView;
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
  const { owed, owed_cap: cap } = (await (await inbox.api("/api/status")).json()) as StatusJson;
  expect(owed.reduce((sum, { count }) => sum + count, 0)).toBe(types.length + 1);
  for (const one of owed) {
    const { target } = applyOwed(one, cap);
    const { groups } = await run(inbox, { action: "apply", ...target, dry_run: true });
    expect(groups.map(({ source, type, wouldRun }) => [source, type, wouldRun])).toEqual([
      [one.source, one.type, one.count],
    ]);
  }
  const untyped = owed.find(({ source, type }) => source === "shop" && type === "");
  if (untyped === undefined) throw new Error("there is no count of events without a type");
  expect(applyOwed(untyped, cap).title).toBe("Apply 2 events without a type of shop");
  await run(inbox, { action: "apply", ...applyOwed(untyped, cap).target });
  expect(idsIn(inbox, "processed")).toEqual(["evt_0", "evt_1"]);
  expect(inbox.rows("select id from applied")).toEqual([{ id: "evt_0" }, { id: "evt_1" }]);
  const list = await inbox.api("/api/events?source=shop&type=");
  expect(((await list.json()) as { items: unknown[] }).items).toHaveLength(2);
});
