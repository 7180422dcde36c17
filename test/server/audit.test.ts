import { expect, test } from "bun:test";
import type { JobJson } from "../../src/http/admin/job-shapes.ts";
import type { AuditJson, List } from "../../src/http/admin/shapes.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

/** What the audit list says: who, when, what, why, and how many. */

const FILES = {
  "migrations/1.sql": "create table applied (id text not null check (id <> 'evt_3'));",
  "handlers/default/paid.sql": "insert into applied values (:event_id);",
};

async function send(inbox: TestInbox, method: string, path: string, body?: object): Promise<Response> {
  const response = await inbox.api(path, {
    method,
    headers: { "content-type": "application/json", "x-hookonce-actor": "ada" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect([path, response.ok]).toEqual([path, true]);
  return response;
}

async function run(inbox: TestInbox, request: object): Promise<void> {
  const { id } = (await (await send(inbox, "POST", "/api/jobs", request)).json()) as { id: string };
  for (;;) {
    const { state } = (await (await inbox.api(`/api/jobs/${id}`)).json()) as JobJson;
    if (state !== "running") return;
    await Bun.sleep(5);
  }
}

async function audit(inbox: TestInbox, query = ""): Promise<List<AuditJson>> {
  return (await (await inbox.api(`/api/audit${query}`)).json()) as List<AuditJson>;
}

async function withUnhandled(): Promise<TestInbox> {
  const inbox = await testInbox({ upkeep: { minuteMs: 60_000 } });
  for (let n = 1; n <= 5; n++) await inbox.deliver({ event_id: `evt_${n}`, type: "paid" });
  await inbox.restart({ files: FILES });
  return inbox;
}

test("each kind of job says how many events it has changed, and other changes say no number", async () => {
  await using inbox = await withUnhandled();
  await run(inbox, { action: "apply", filter: { type: "paid" } });
  await run(inbox, { action: "replay", ids: ["evt_1", "evt_2"], reason: "a test" });
  await run(inbox, { action: "discard", ids: ["evt_3"], reason: "too late" });
  await run(inbox, {
    action: "import",
    source: "default",
    events: ["evt_1", "a", "b"].map((id) => [id, "paid", 1000]),
  });
  await send(inbox, "POST", "/api/tokens", { name: "ci", scopes: ["read"] });
  await send(inbox, "DELETE", "/api/tokens/ci");
  await send(inbox, "POST", "/api/fixtures", { source: "default", event_id: "evt_1" });
  const { items } = await audit(inbox);
  const lines = items.map(({ actor, action, target, reason, count }) => [
    actor,
    action,
    target,
    reason,
    count,
  ]);
  expect(lines.toReversed()).toEqual([
    ["ada", "apply", "type:paid", null, 4],
    ["ada", "replay", "evt_1, evt_2", "a test", 2],
    ["ada", "discard", "evt_3", "too late", 1],
    ["ada", "import", "default: 3 ids", null, 2],
    ["ada", "token create", "ci", null, null],
    ["ada", "token revoke", "ci", null, null],
    ["ada", "fixture", "handlers/default/fixtures/paid.json", null, null],
  ]);
  expect(items.every((one) => Object.keys(one).sort().join() === "action,actor,at,count,reason,target")).toBe(
    true,
  );
});

test("the count survives a restart, and that of a job that goes on counts from the beginning", async () => {
  await using inbox = await withUnhandled();
  await send(inbox, "POST", "/api/jobs", { action: "apply", filter: { type: "paid" }, rate: 10 });
  while ((await audit(inbox)).items.length === 0) await Bun.sleep(5);
  await inbox.restart();
  const countOf = async (): Promise<unknown> => (await audit(inbox)).items[0]?.count;
  const deadline = performance.now() + 20_000;
  while ((await countOf()) !== 4 && performance.now() < deadline) await Bun.sleep(20);
  expect(await countOf()).toBe(4);
  expect((await audit(inbox)).items).toHaveLength(1);
}, 30_000);

test("the list is read page by page, the latest first", async () => {
  await using inbox = await testInbox();
  for (let n = 0; n < 7; n++) await send(inbox, "POST", "/api/tokens", { name: `t${n}`, scopes: ["read"] });
  const seen: string[] = [];
  let pages = 0;
  for (let cursor: string | null = ""; cursor !== null; pages++) {
    const page: List<AuditJson> = await audit(inbox, `?limit=3${cursor === "" ? "" : `&cursor=${cursor}`}`);
    seen.push(...page.items.map(({ target }) => target));
    cursor = page.next;
  }
  expect(seen).toEqual(["t6", "t5", "t4", "t3", "t2", "t1", "t0"]);
  expect(pages).toBe(3);
});
