import { describe, expect, test } from "bun:test";
import { testInbox, type TestInbox, type TestInboxOptions } from "../support/test-inbox.ts";

/** Which messages are written, without anything that sends them. */

const DESTINATIONS = `
[destinations.app]
url = "http://127.0.0.1:9/app"
sign = "none"

[destinations.signed]
url = "http://127.0.0.1:9/signed"

[destinations.deploy]
command = ["true"]
`;

const configOf = ({ forward, keys = "" }: { forward?: string; keys?: string }): string => `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
${keys}
${forward === undefined ? "" : `forward = ${forward}`}
${DESTINATIONS}`;

const shop = (options: TestInboxOptions & { forward?: string; keys?: string } = {}): Promise<TestInbox> =>
  testInbox({ ...options, config: configOf(options) });

const messages = (inbox: TestInbox): unknown[] =>
  inbox
    .rows("select destination, event_id, type, state from hookonce_messages order by id")
    .map(({ destination, event_id, type, state }) => `${destination} ${event_id} ${type} ${state}`);

describe("forward", () => {
  test.each([
    ["all types", '["app"]', ["a app", "ab app", "b app"]],
    ["one type", '[{ to = "app", types = ["a"] }]', ["a app"]],
    ["a prefix", '[{ to = "app", types = ["a*"] }]', ["a app", "ab app"]],
    ["several types", '[{ to = "app", types = ["b", "ab"] }]', ["ab app", "b app"]],
    ["where", `[{ to = "app", where = ":payload ->> '$.event_id' = 'b'" }]`, ["b app"]],
    ["where is NULL", `[{ to = "app", where = ":payload ->> '$.missing' = 1" }]`, []],
    [
      "types and where",
      `[{ to = "app", types = ["a*"], where = ":type <> 'a'" }, "deploy"]`,
      ["a deploy", "ab app", "ab deploy", "b deploy"],
    ],
    [
      "a destination that is named twice gets one",
      '[{ to = "app", types = ["a*"] }, { to = "app", types = ["ab"] }]',
      ["a app", "ab app"],
    ],
  ])("%s", async (_, forward, expected) => {
    await using inbox = await shop({ forward });
    for (const type of ["a", "ab", "b"]) await inbox.deliver({ event_id: type, type });
    const found = inbox.rows(
      "select event_id || ' ' || destination as row from hookonce_messages order by id",
    );
    expect(found.map(({ row }) => row)).toEqual(expected);
  });

  test("an event without a handler is processed if it is sent on, and ignored if no destination takes it", async () => {
    await using inbox = await shop({ forward: '[{ to = "app", types = ["a"] }]' });
    expect((await inbox.deliver({ event_id: "1", type: "a" })).body.status).toBe("processed");
    expect((await inbox.deliver({ event_id: "2", type: "b" })).body.status).toBe("ignored");
    expect(messages(inbox)).toEqual(["app 1 a waiting"]);
  });

  test("duplicates at the same time, and a later retry, write one message", async () => {
    await using inbox = await shop({ forward: '["app"]' });
    const event = { event_id: "1", type: "a" };
    await Promise.all(Array.from({ length: 20 }, () => inbox.deliver(event)));
    await inbox.restart();
    expect((await inbox.deliver(event)).body.status).toBe("duplicate");
    expect(messages(inbox)).toEqual(["app 1 a waiting"]);
  });

  test("a failed event writes none, and the run that applies it writes one", async () => {
    const files = {
      "migrations/0001_prices.sql":
        "create table prices (cents integer not null); create table effects (cents integer not null);",
      "handlers/default/_any.sql": `insert into hookonce_outbox (destination, body) values ('deploy', 'go');
insert into effects values ((select cents from prices));`,
    };
    await using inbox = await shop({ forward: '["app"]', files });
    const event = { event_id: "1", type: "a" };
    expect((await inbox.deliver(event)).status).toBe(500);
    expect((await inbox.deliver(event)).status).toBe(500);
    expect(messages(inbox)).toEqual([]);
    expect(inbox.value("select count(*) from hookonce_enqueued")).toBe(0);

    inbox.rows("insert into prices values (500)");
    const jobs = await inbox.api("/api/jobs", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ action: "apply" }),
    });
    expect(jobs.status).toBe(202);
    while (messages(inbox).length === 0) await Bun.sleep(10);
    expect((await inbox.deliver(event)).body.status).toBe("duplicate");
    expect(messages(inbox)).toEqual(["app 1 a waiting", "deploy 1 a waiting"]);
  });

  test("an event that is older than the newest writes none", async () => {
    await using inbox = await shop({
      forward: '["app"]',
      keys: 'newest_wins = { types = ["*"], key = "body:$.key", version = "body:$.v" }',
    });
    await inbox.deliver({ event_id: "2", type: "a", key: "k", v: 2 });
    expect((await inbox.deliver({ event_id: "1", type: "a", key: "k", v: 1 })).body.status).toBe("stale");
    expect(messages(inbox)).toEqual(["app 2 a waiting"]);
  });

  test("an element of a batch is sent on by itself", async () => {
    await using inbox = await shop({ forward: '["app"]', keys: 'batch = "body:$.events[*]"' });
    await inbox.deliver({
      events: [
        { event_id: "1", type: "a" },
        { event_id: "2", type: "b" },
      ],
    });
    expect(messages(inbox)).toEqual(["app 1 a waiting", "app 2 b waiting"]);
  });

  test("an event that came before forward is sent on by apply", async () => {
    await using inbox = await shop();
    expect((await inbox.deliver({ event_id: "1", type: "a" })).body.status).toBe("unhandled");
    await inbox.restart({ config: configOf({ forward: '["app"]' }) });
    await inbox.api("/api/jobs", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ action: "apply" }),
    });
    while (messages(inbox).length === 0) await Bun.sleep(10);
    expect(messages(inbox)).toEqual(["app 1 a waiting"]);
    expect((await inbox.deliver({ event_id: "1", type: "a" })).body.status).toBe("duplicate");
  });

  test("a replay writes messages with other ids", async () => {
    await using inbox = await shop({ forward: '["app"]' });
    await inbox.deliver({ event_id: "1", type: "a" });
    for (const count of [2, 3]) {
      await inbox.api("/api/jobs", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ action: "replay", ids: ["1"], reason: "a test" }),
      });
      while (messages(inbox).length < count) await Bun.sleep(10);
    }
    expect(inbox.value("select count(distinct message_id) from hookonce_messages")).toBe(3);
  });
});

const enqueueing = (to: string): TestInboxOptions => ({
  files: {
    "handlers/default/_any.sql": `insert into hookonce_outbox (destination, body, id) values ('${to}', 'hello', :payload ->> '$.message');`,
  },
});

describe("a handler that enqueues", () => {
  test("writes a message in the event's transaction, one for each id", async () => {
    await using inbox = await shop(enqueueing("app"));
    await inbox.deliver({ event_id: "1", type: "a", message: "m-1" });
    await inbox.deliver({ event_id: "2", type: "a", message: "m-1" });
    await inbox.deliver({ event_id: "3", type: "a" });
    expect(inbox.rows("select message_id, event_id from hookonce_messages order by id")).toEqual([
      { message_id: "m-1", event_id: "1" },
      { message_id: expect.stringMatching(/^msg_[a-z2-7]{52}$/), event_id: "3" },
    ]);
  });

  test.each([
    [
      "nowhere",
      "unknown_destination",
      'There is no destination "nowhere". hookonce.toml has app, signed, deploy.',
    ],
    [
      "signed",
      "enqueue_refused",
      'A handler cannot write a message to the destination "signed": its messages are signed as their provider signs, and a handler\'s message has no provider. Write sign = "standard-webhooks" or sign = "none" in hookonce.toml, or name another destination.',
    ],
  ])("to %s fails with %s", async (to, code, error) => {
    await using inbox = await shop(enqueueing(to));
    expect((await inbox.deliver({ event_id: "1", type: "a" })).status).toBe(500);
    expect(inbox.rows("select code, error from hookonce_failures")).toEqual([{ code, error }]);
    expect(messages(inbox)).toEqual([]);
    expect(inbox.value("select count(*) from hookonce_enqueued")).toBe(0);
  });

  test("to a destination of a config without any says what to add", async () => {
    await using inbox = await testInbox(enqueueing("app"));
    await inbox.deliver({ event_id: "1", type: "a" });
    expect(inbox.value("select error from hookonce_failures")).toBe(
      'There is no destination "app". Add [destinations.app] to hookonce.toml.',
    );
  });
});
