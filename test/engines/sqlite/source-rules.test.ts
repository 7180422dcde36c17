import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { migrate, ownSet } from "../../../src/engines/sqlite/migrations.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import { reconcileSources } from "../../../src/engines/sqlite/source-rules.ts";
import { providerCalled } from "../../providers/four-providers.ts";
import { refusalOf, testInbox, type TestInbox } from "../../support/test-inbox.ts";
import type { SourceRule } from "../../../src/engines/store.ts";

const NOW = 1_790_000_000_000;
const DAY = 86_400_000;

const github = providerCalled("github");

/** A github source. Its retry window is three days. */
function source(name: string, more = ""): string {
  return `[sources.${name}]\nprovider = "github"\nsecret = "env:S"\n${more}\n`;
}

const withRule = (rule: string): string =>
  source("a", `event_id = ${rule.startsWith("{") ? rule : `'''${rule}'''`}`);

const unsigned = (id: string): string =>
  `[sources.a]\nprovider = "unsigned"\ntype = "body:$.type"\nevent_id = "${id}"\n`;

const HANDLER = "insert into effects values (:source, :event_id);";
const TABLE = "create table effects (source text, event_id text) strict;";

interface Time {
  now: number;
}

function inboxWith(config: string, time: Time = { now: NOW }): Promise<TestInbox> {
  return testInbox({
    config,
    environment: { S: github.secrets[0] },
    clock: () => time.now,
    files: {
      "migrations/0001.sql": TABLE,
      ...Object.fromEntries(["a", "b", "c"].map((name) => [`handlers/${name}/_any.sql`, HANDLER])),
    },
  });
}

async function deliver(inbox: TestInbox, name: string, id: string): Promise<string> {
  const body = JSON.stringify({ id });
  const headers = await github.sign(body, { secret: github.secrets[0], id, at: NOW / 1000 });
  const answer = await inbox.deliver(body, { source: name, headers });
  return (answer.body.status ?? answer.body.error.code) as string;
}

const refusedRestart = (inbox: TestInbox, config: string) => refusalOf(() => inbox.restart({ config }));

describe("a source that was renamed", () => {
  test("is refused without the name it had before, and with it keeps its recorded events", async () => {
    await using inbox = await inboxWith(source("a"));
    expect(await deliver(inbox, "a", "evt_1")).toBe("processed");

    const error = await refusedRestart(inbox, source("b"));
    expect(error.code).toBe("event_id_rule_changed");
    expect(error.problems).toHaveLength(1);
    expect(error.problems[0]?.message).toContain('source "a" is gone from the config');
    expect(error.problems[0]?.message).toContain('add renamed_from = "a" under its new name');
    expect(inbox.rows("select source from hookonce_events")).toEqual([{ source: "a" }]);

    await inbox.restart({ config: source("b", 'renamed_from = "a"') });
    expect(await deliver(inbox, "b", "evt_1")).toBe("duplicate");
    expect(await deliver(inbox, "b", "evt_2")).toBe("processed");
    // The line may stay in the config or be removed.
    await inbox.restart();
    expect(await deliver(inbox, "b", "evt_1")).toBe("duplicate");
    await inbox.restart({ config: source("b") });
    expect(await deliver(inbox, "b", "evt_1")).toBe("duplicate");
    expect(inbox.rows("select * from effects order by event_id")).toEqual([
      { source: "a", event_id: "evt_1:push" },
      { source: "b", event_id: "evt_2:push" },
    ]);
  });

  test("keeps its failures: the retry settles them under the new name", async () => {
    await using inbox = await inboxWith(source("a"));
    inbox.write({
      "handlers/a/_any.sql": "insert into effects values (:source, json_extract('no json', '$'));",
    });
    await inbox.restart();
    expect(await deliver(inbox, "a", "evt_1")).toBe("failed");
    await inbox.restart({ config: source("b", 'renamed_from = "a"') });
    expect(inbox.rows("select source, attempts, settled_at from hookonce_failures")).toEqual([
      { source: "b", attempts: 1, settled_at: null },
    ]);
    expect(await deliver(inbox, "b", "evt_1")).toBe("processed");
    expect(inbox.rows("select source, attempts, settled_at from hookonce_failures")).toEqual([
      { source: "b", attempts: 1, settled_at: NOW },
    ]);
    expect(inbox.value("select deliveries from hookonce_events")).toBe(2);
  });

  test("stays paused, and what is held runs under its new name", async () => {
    await using inbox = await inboxWith(source("a"));
    await inbox.pausing.pause("a", {}, "sam");
    expect(await deliver(inbox, "a", "evt_1")).toBe("held");
    await inbox.restart({ config: source("b", 'renamed_from = "a"') });
    expect(await deliver(inbox, "b", "evt_2")).toBe("held");
    await inbox.pausing.resume("b", {}, "sam");
    while (inbox.rows("select * from hookonce_source_states").length > 0) await Bun.sleep(5);
    expect(inbox.rows("select * from effects order by rowid")).toEqual([
      { source: "b", event_id: "evt_1:push" },
      { source: "b", event_id: "evt_2:push" },
    ]);
  });

  test("keeps its recorded events when it is renamed again", async () => {
    await using inbox = await inboxWith(source("a"));
    await deliver(inbox, "a", "evt_1");
    await inbox.restart({ config: source("b", 'renamed_from = "a"') });
    await inbox.restart({ config: source("c", 'renamed_from = "b"') });
    expect(await deliver(inbox, "c", "evt_1")).toBe("duplicate");
  });

  test("keeps the recorded events of both when it is merged into another source", async () => {
    await using inbox = await inboxWith(source("a") + source("b"));
    for (const id of ["evt_1", "evt_both"]) expect(await deliver(inbox, "a", id)).toBe("processed");
    for (const id of ["evt_2", "evt_both"]) expect(await deliver(inbox, "b", id)).toBe("processed");
    await inbox.restart({ config: source("b", 'renamed_from = "a"') });
    for (const id of ["evt_1", "evt_2", "evt_both"]) expect(await deliver(inbox, "b", id)).toBe("duplicate");
    await inbox.restart({ config: source("b") });
    expect(await deliver(inbox, "b", "evt_1")).toBe("duplicate");
    expect(inbox.value("select count(*) from effects")).toBe(4);
  });

  test("is refused if it is merged into a source with another event id rule", async () => {
    const b = (more: string): string => source("b", `event_id = "body:$.id"\n${more}`);
    await using inbox = await inboxWith(source("a") + b(""));
    expect(await deliver(inbox, "a", "evt_1")).toBe("processed");
    const error = await refusedRestart(inbox, b('renamed_from = "a"'));
    expect(error.code).toBe("event_id_rule_changed");
    expect(inbox.rows("select source from hookonce_events")).toEqual([{ source: "a" }]);
    await inbox.restart({ open: { acceptIdChange: true } });
    await inbox.restart();
  });

  test("is refused and not renamed if its event id rule changes at the same time", async () => {
    await using inbox = await inboxWith(source("a"));
    await deliver(inbox, "a", "evt_1");
    const error = await refusedRestart(inbox, source("b", 'renamed_from = "a"\nevent_id = "body:$.id"'));
    expect(error.problems[0]?.message).toContain('source "b": the event id now comes from "body:$.id"');
    expect(inbox.rows("select source from hookonce_events")).toEqual([{ source: "a" }]);
    await inbox.restart({ config: source("a") });
    expect(await deliver(inbox, "a", "evt_1")).toBe("duplicate");
  });
});

/** The rule of its preset. */
const GITHUB =
  '[{ join = ["header:x-github-delivery", "header:x-github-event"], with = ":" }, "header:x-github-delivery"]';

describe("a source whose event id rule changed", () => {
  const changed = source("a", 'event_id = "body:$.id"');

  test("is refused with both rules named, until --accept-id-change", async () => {
    await using inbox = await inboxWith(source("a"));
    expect(await deliver(inbox, "a", "evt_1")).toBe("processed");
    const error = await refusedRestart(inbox, changed);
    expect(error.code).toBe("event_id_rule_changed");
    expect(error.problems.map(({ message }) => message)).toEqual([
      'source "a": the event id now comes from "body:$.id" instead of [{"join":["header:x-github-delivery","header:x-github-event"],"with":":"},"header:x-github-delivery"]. Retries of recorded events would be applied again: restore event_id, or accept this by starting once with --accept-id-change.',
    ]);
    // Every start is refused, not only the first.
    expect((await refusalOf(() => inbox.restart())).code).toBe("event_id_rule_changed");

    await inbox.restart({ open: { acceptIdChange: true } });
    await inbox.restart();
    // As the message says, a retry is applied again, once.
    expect(await deliver(inbox, "a", "evt_1")).toBe("processed");
    expect(await deliver(inbox, "a", "evt_1")).toBe("duplicate");
  });

  test("is accepted if it has no events", async () => {
    await using inbox = await inboxWith(source("a"));
    await inbox.restart({ config: changed });
    expect(await deliver(inbox, "a", "evt_1")).toBe("processed");
  });

  test("is refused however long ago the last delivery was", async () => {
    const time = { now: NOW };
    await using inbox = await inboxWith(source("a"), time);
    await deliver(inbox, "a", "evt_1");
    for (const days of [3, 300]) {
      time.now = NOW + days * DAY + 1;
      expect((await refusedRestart(inbox, changed)).code).toBe("event_id_rule_changed");
    }
    await inbox.restart({ config: source("a") });
    expect(await deliver(inbox, "a", "evt_1")).toBe("duplicate");
  });

  test("is refused if it is unsigned, too", async () => {
    const time = { now: NOW };
    await using inbox = await inboxWith(unsigned("body:$.event_id"), time);
    const event = { event_id: "evt_1", id: "1", type: "t" };
    expect((await inbox.deliver(event, { source: "a" })).body.status).toBe("processed");
    time.now = NOW + 2 * DAY;
    expect((await refusedRestart(inbox, unsigned("body:$.id"))).code).toBe("event_id_rule_changed");
  });

  test.each([
    ["an upper-case header name", `event_id = ${GITHUB.replace("x-github-delivery", "X-GitHub-Delivery")}`],
    ["the preset's rule spelled out", `event_id = ${GITHUB}`],
  ])("counts as unchanged with %s", async (_, more) => {
    await using inbox = await inboxWith(source("a"));
    await deliver(inbox, "a", "evt_1");
    await inbox.restart({ config: source("a", more) });
    expect(await deliver(inbox, "a", "evt_1")).toBe("duplicate");
  });

  test.each([
    ["body:$.data.id", "body:$['data'][\"id\"]"],
    [
      '{ join = ["body:$.a", "header:X-B"], with = "." }',
      '{ with = ".", join = ["body:$[\'a\']", "header:x-b"] }',
    ],
  ])("counts as unchanged if the rule is only written differently: %s, %s", async (one, other) => {
    await using inbox = await inboxWith(withRule(one));
    const body = '{"data":{"id":"evt_1"},"a":"evt"}';
    const headers = {
      ...(await github.sign(body, { secret: github.secrets[0], id: "x", at: NOW / 1000 })),
      "x-b": "1",
    };
    expect((await inbox.deliver(body, { source: "a", headers })).body.status).toBe("processed");
    await inbox.restart({ config: withRule(other) });
    expect((await inbox.deliver(body, { source: "a", headers })).body.status).toBe("duplicate");
  });
});

describe("a source that is gone from the config", () => {
  test("is refused while its provider may still retry, and every such source is named", async () => {
    const time = { now: NOW };
    await using inbox = await inboxWith(source("a") + source("b") + source("c"), time);
    await deliver(inbox, "a", "evt_1");
    await deliver(inbox, "b", "evt_1");
    const error = await refusedRestart(inbox, source("c"));
    expect(error.problems.map(({ message }) => /source "(\w)" is gone/.exec(message)?.[1])).toEqual([
      "a",
      "b",
    ]);

    time.now = NOW + 3 * DAY + 1;
    await inbox.restart();
    // Its recorded events are kept, in case it comes back.
    await inbox.restart({ config: source("a") + source("c") });
    expect(await deliver(inbox, "a", "evt_1")).toBe("duplicate");
  });

  test("is refused for the retry window after the last delivery, not the first", async () => {
    const time = { now: NOW };
    await using inbox = await inboxWith(source("a") + source("c"), time);
    await deliver(inbox, "a", "evt_1");
    time.now = NOW + 2 * DAY;
    await deliver(inbox, "a", "evt_1");
    time.now = NOW + 3 * DAY + 1;
    expect((await refusedRestart(inbox, source("c"))).code).toBe("event_id_rule_changed");
    time.now = NOW + 5 * DAY + 1;
    await inbox.restart();
  });

  test("is refused for a day if it is unsigned and public, because the sender may retry", async () => {
    const time = { now: NOW };
    const config = `${unsigned("body:$.event_id")}allow_public = true\n${source("c")}`;
    await using inbox = await inboxWith(config, time);
    await inbox.deliver({ event_id: "evt_1", type: "t" }, { source: "a" });
    time.now = NOW + DAY;
    expect((await refusedRestart(inbox, source("c"))).code).toBe("event_id_rule_changed");
    time.now = NOW + DAY + 1;
    await inbox.restart();
  });

  test("is not refused if only serve --dev serves it, as it does the sample source", async () => {
    await using inbox = await inboxWith(unsigned("body:$.event_id") + source("c"), { now: NOW });
    await inbox.deliver({ event_id: "evt_1", type: "t" }, { source: "a" });
    await inbox.restart({ config: source("c") });
    expect(inbox.rows("select source, event_id from hookonce_events")).toEqual([
      { source: "a", event_id: "evt_1" },
    ]);
  });

  test("is accepted with --accept-id-change, and its events stay", async () => {
    await using inbox = await inboxWith(source("a") + source("c"));
    await deliver(inbox, "a", "evt_1");
    await inbox.restart({ config: source("c"), open: { acceptIdChange: true } });
    await inbox.restart();
    expect(inbox.rows("select source, event_id from hookonce_events")).toEqual([
      { source: "a", event_id: "evt_1:push" },
    ]);
  });
});

test("a start with unchanged sources writes nothing, so it does not wait for the disk", () => {
  using database = new Database(":memory:", { strict: true });
  migrate(database, ownSet(ownMigrations), NOW);
  const rule = { name: "a", provider: "github", eventIdRule: "x", earlierRules: [], retryWindowMs: DAY };
  const written = (rules: readonly SourceRule[], acceptIdChange = false): number => {
    const count = (): number => database.prepare("select total_changes()").values()[0]?.[0] as number;
    const before = count();
    reconcileSources(database, rules, { now: NOW, acceptIdChange });
    return count() - before;
  };
  expect(written([rule])).toBe(1);
  expect(written([rule])).toBe(0);
  expect(written([rule], true)).toBe(0);
  expect(written([{ ...rule, renamedFrom: "old" }])).toBe(0);
  for (const changed of [{ provider: "gitlab" }, { eventIdRule: "y" }, { retryWindowMs: 1 }])
    expect(written([{ ...rule, ...changed }])).toBe(1);
  expect(written([rule, { ...rule, name: "b" }])).toBe(2);
  expect(written([rule])).toBe(0); // b is gone, and had no events
  expect(written([rule], true)).toBeGreaterThan(0);
  expect(database.prepare("select name from hookonce_sources").values()).toEqual([["a"]]);
});
