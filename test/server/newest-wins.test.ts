import { describe, expect, test } from "bun:test";
import type { EventDetail, EventJson, List, RollupJson, StatusJson } from "../../src/http/admin/shapes.ts";
import type { JobJson } from "../../src/http/admin/job-shapes.ts";
import { refusedStart, testInbox, type TestInbox, type TestInboxOptions } from "../support/test-inbox.ts";

const MIGRATION = "create table state (key text primary key, version text not null) strict;";
const HANDLER = `insert into state values (:payload ->> '$.key', :payload ->> '$.version')
on conflict do update set version = excluded.version;
insert into state select null, null where :payload ->> '$.fails';`;

const config = (rule: string, more = ""): string => `[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
newest_wins = ${rule}
${more}`;

const RULE = '{ types = ["paid"], key = "body:$.key", version = "body:$.version" }';

const inboxWith = (rule = RULE, options: TestInboxOptions = {}): Promise<TestInbox> =>
  testInbox({
    config: config(rule),
    ...options,
    files: { "migrations/0001.sql": MIGRATION, "handlers/default/paid.sql": HANDLER, ...options.files },
  });

const event = (id: string, version: unknown, more: object = {}): object => ({
  event_id: id,
  type: "paid",
  key: "k",
  version,
  ...more,
});

async function json<Answer>(inbox: TestInbox, path: string): Promise<Answer> {
  return (await (await inbox.api(path)).json()) as Answer;
}

async function job(inbox: TestInbox, request: object): Promise<JobJson> {
  const begun = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  const { id } = (await begun.json()) as { id: string };
  for (;;) {
    const view = await json<JobJson>(inbox, `/api/jobs/${id}`);
    if (view.state !== "running") return view;
    await Bun.sleep(2);
  }
}

describe("a stale event", () => {
  test("is answered 200, and every list, count and log says that it is stale, and why", async () => {
    await using inbox = await inboxWith(RULE, { upkeep: { minuteMs: 10 } });
    await inbox.deliver(event("new", 2));
    const { status, body } = await inbox.deliver(event("old", 1));
    expect([status, body]).toEqual([200, { status: "stale", event_id: "old", message: "Webhook received" }]);
    expect((await inbox.deliver(event("old", 1))).body.status).toBe("duplicate");

    const { items } = await json<List<EventJson>>(inbox, "/api/events?outcome=stale");
    expect(items).toMatchObject([{ event_id: "old", outcome: "stale", handler: null, deliveries: 2 }]);
    const detail = await json<EventDetail>(inbox, "/api/event?source=default&event_id=old");
    expect(detail).toMatchObject({
      outcome: "stale",
      reason: "The event new with the version 2 was applied before this one, which has the version 1.",
      payload: { version: 1 },
      timeline: [{ outcome: "stale" }, { outcome: "duplicate" }],
    });
    expect(inbox.log).toContainEqual(expect.objectContaining({ event: "old", outcome: "stale" }));
    for (;;) {
      const { today } = await json<StatusJson>(inbox, "/api/status");
      if (today.stale === 1 && today.duplicate === 1) break;
      await Bun.sleep(5);
    }
    const rollups = await json<List<RollupJson>>(inbox, "/api/rollups?by=minute");
    expect(rollups.items.reduce((sum, { stale }) => sum + stale, 0)).toBe(1);
    expect(inbox.rows("select * from state")).toEqual([{ key: "k", version: "2" }]);
  });

  test("of a batch is answered with its outcome", async () => {
    await using inbox = await inboxWith(RULE, {
      config: config(RULE, 'batch = "body:$[*]"'),
    });
    const { status, body } = await inbox.deliver([event("new", 2), event("old", 1), event("newer", 3)]);
    expect(status).toBe(200);
    expect(body.events.map((one: { status: string }) => one.status)).toEqual([
      "processed",
      "stale",
      "processed",
    ]);
  });

  test("is replayed only with even_stale, and a later event that is older is still stale", async () => {
    await using inbox = await inboxWith();
    await inbox.deliver(event("new", 3));
    await inbox.deliver(event("old", 1));
    const replay = { action: "replay", ids: ["old"], reason: "a test" };
    expect((await job(inbox, replay)).error).toMatchObject({
      code: "not_processed",
      message: expect.stringContaining("--even-stale"),
    });
    const { groups } = await job(inbox, { ...replay, even_stale: true });
    expect(groups).toMatchObject([{ processed: 1, failed: 0 }]);
    expect(inbox.rows("select version from state")).toEqual([{ version: "1" }]);
    expect((await inbox.deliver(event("other", 2))).body.status).toBe("stale");
    // With a filter, too.
    const all = { action: "replay", filter: { type: "paid" }, reason: "a test" };
    expect((await job(inbox, all)).groups).toMatchObject([{ outcome: "processed", processed: 2 }]);
    expect((await job(inbox, { ...all, even_stale: true })).groups).toMatchObject([
      { outcome: "processed", processed: 2 },
      { outcome: "stale", processed: 1 },
    ]);
  });

  test("is counted by an apply that closes an older failure", async () => {
    await using inbox = await inboxWith();
    await inbox.deliver(event("old", 1, { fails: true }));
    await inbox.deliver(event("new", 2));
    expect((await job(inbox, { action: "apply" })).groups).toMatchObject([
      { stale: 1, processed: 0, failed: 0 },
    ]);
    expect((await json<StatusJson>(inbox, "/api/status")).owed).toEqual([]);
  });

  test("is closed by hookonce's own retry", async () => {
    let now = Date.UTC(2026, 0, 1);
    await using inbox = await inboxWith(RULE, {
      config: config(RULE, 'retry_for = "1d"'),
      clock: () => now,
      upkeep: { minuteMs: 1000 },
    });
    await inbox.deliver(event("old", 1, { fails: true }));
    await inbox.deliver(event("new", 2));
    now += 60_000;
    while (inbox.value("select outcome from hookonce_events where event_id = 'old'") !== "stale")
      await Bun.sleep(5);
    expect(inbox.value("select count(*) from hookonce_failures where settled_at is null")).toBe(0);
  });
});

describe("a tie with ties = fail", () => {
  const TIES = RULE.replace(" }", ', ties = "fail" }');

  test("is a failure that is answered 200, and neither retried nor run by apply without its id", async () => {
    let now = Date.UTC(2026, 0, 1);
    await using inbox = await inboxWith(TIES, {
      config: config(TIES, 'retry_for = "1d"'),
      clock: () => now,
      upkeep: { minuteMs: 1000 },
    });
    await inbox.deliver(event("a", 1));
    const { status, body } = await inbox.deliver(event("b", 1));
    expect([status, body]).toEqual([200, { status: "failed", event_id: "b", message: "Webhook received" }]);
    const failure = () =>
      inbox.rows("select code, next_at, error from hookonce_failures where event_id = 'b'");
    expect(failure()).toMatchObject([{ code: "version_tie", next_at: null }]);
    expect(failure()[0].error).toContain("hookonce apply b");
    now += 3_600_000;
    const applied = await job(inbox, { action: "apply" });
    expect(applied.groups).toMatchObject([{ failed: 1, processed: 0 }]);
    expect(failure()).toMatchObject([{ code: "version_tie", next_at: null }]);
    expect((await job(inbox, { action: "apply", ids: ["b"] })).groups).toMatchObject([{ processed: 1 }]);
    expect((await inbox.deliver(event("b", 1))).body.status).toBe("duplicate");
  });

  test("that a retry finds ends the retries", async () => {
    let now = Date.UTC(2026, 0, 1);
    await using inbox = await inboxWith(TIES, {
      config: config(TIES, 'retry_for = "1d"'),
      clock: () => now,
      upkeep: { minuteMs: 1000 },
    });
    await inbox.deliver(event("b", 1, { fails: true }));
    await inbox.deliver(event("a", 1));
    now += 60_000;
    while (inbox.value("select code from hookonce_failures") !== "version_tie") await Bun.sleep(5);
    expect(inbox.value("select next_at from hookonce_failures")).toBeNull();
  });
});

test("a failure that a delivery without a version has caused is applied by the one that has it", async () => {
  await using inbox = await inboxWith();
  const { status, body } = await inbox.deliver(event("a", undefined));
  expect([status, body.status]).toEqual([500, "failed"]);
  expect(inbox.rows("select code, error from hookonce_failures")).toMatchObject([
    { code: "missing_version", error: expect.stringContaining("body:$.version") },
  ]);
  expect((await inbox.deliver(event("a", 1))).body.status).toBe("processed");
});

test("a source that is renamed keeps the order of its events", async () => {
  await using inbox = await inboxWith();
  await inbox.deliver(event("new", 2));
  await inbox.restart({
    config: config(RULE, 'renamed_from = "default"').replace("sources.default", "sources.shop"),
    files: { "handlers/shop/paid.sql": HANDLER },
  });
  expect((await inbox.deliver(event("old", 1), { source: "shop" })).body.status).toBe("stale");
});

async function problem(rule: string): Promise<string> {
  const { problems } = await refusedStart({ config: config(rule) });
  return problems.map(({ message, line }) => `${line}: ${message}`).join("\n");
}

describe("the config of newest_wins", () => {
  test.each([
    [
      '{ types = [], key = "body:$.a", version = "body:$.b" }',
      "6: sources.default.newest_wins.types is an empty list",
    ],
    [
      '{ types = ["a.*.b"], key = "body:$.a", version = "body:$.b" }',
      'newest_wins.types: "a.*.b" has a * that is not its last character',
    ],
    ['{ types = ["a"], key = "body:$.a" }', "sources.default.newest_wins.version"],
    ['{ types = ["a"], key = "payload.a", version = "body:$.b" }', "6: sources.default.newest_wins.key"],
    [
      '{ types = ["a"], key = "body:$.a", versoin = "body:$.b" }',
      "newest_wins.versoin is not a key; did you mean version",
    ],
    [
      '{ types = ["a"], key = "body:$.a", version = "body:$.b", ties = "last" }',
      '"last" is not one of the choices',
    ],
    ["[]", "6: sources.default.newest_wins is an empty list"],
  ])("%s is an error that says what to write", async (rule, text) => {
    expect(await problem(rule)).toContain(text);
  });

  test("may be a list of rules, each with its own order", async () => {
    const other = RULE.replace('"paid"', '"open"');
    await using inbox = await inboxWith(`[${RULE}, ${other}]`, {
      files: { "handlers/default/open.sql": HANDLER },
    });
    expect((await inbox.deliver(event("a", 2))).body.status).toBe("processed");
    expect((await inbox.deliver(event("b", 1, { type: "open" }))).body.status).toBe("processed");
    expect((await inbox.deliver(event("c", 1))).body.status).toBe("stale");
  });
});
