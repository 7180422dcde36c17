import { describe, expect, test } from "bun:test";
import type { SourceStateJson, StatusJson } from "../../src/http/admin/shapes.ts";
import { holdWarnings } from "../../src/inbox/hold-warnings.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const CONFIG = `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"

[sources.chat]
provider = "slack"
secret   = "env:S"
`;

const FILES = {
  "migrations/0001_effects.sql": `create table effects (event_id text not null);
create table bad (event_id text not null);
create table never (id integer not null);`,
  "handlers/default/paid.sql": `insert into effects values (:event_id);
insert into never select null where :event_id in (select event_id from bad);`,
};

const HOUR = 3_600_000;

async function shop() {
  let now = Date.UTC(2026, 0, 1);
  const inbox = await testInbox({
    config: CONFIG,
    files: FILES,
    environment: { S: "secret" },
    clock: () => now,
    upkeep: { minuteMs: 60_000 },
  });
  return { inbox, now: () => now, pass: (ms: number): void => void (now += ms) };
}

const path = (name: string): string => `/api/sources/${name}/state`;

function put(inbox: TestInbox, json: object, name = "default"): Promise<Response> {
  return inbox.api(path(name), {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(json),
  });
}

async function stateOf(inbox: TestInbox, name = "default"): Promise<SourceStateJson> {
  return (await (await inbox.api(path(name))).json()) as SourceStateJson;
}

async function status(inbox: TestInbox): Promise<StatusJson> {
  return (await (await inbox.api("/api/status")).json()) as StatusJson;
}

async function errorOf(answer: Response): Promise<unknown[]> {
  const { error } = (await answer.json()) as { error: { code: string; message: string } };
  return [answer.status, error.code, error.message];
}

const deliver = async (inbox: TestInbox, id: string): Promise<string> =>
  (await inbox.deliver({ event_id: id, type: "paid" }, { source: "default" })).body.status;

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error("it did not happen within 20 s");
    await Bun.sleep(5);
  }
}

const OPEN: SourceStateJson = {
  name: "default",
  state: "open",
  since: null,
  until: null,
  reason: null,
  stop_on_failure: false,
  held: { count: 0, capped: false },
  oldest_at: null,
  warnings: [],
};

test("a source is paused and resumed, and the status and the audit list say so", async () => {
  const { inbox, now } = await shop();
  await using _ = inbox;
  expect(await stateOf(inbox)).toEqual(OPEN);
  const answer = await put(inbox, { state: "held", reason: "a new handler" });
  const held = { ...OPEN, state: "held", since: now(), reason: "a new handler" } as const;
  expect([answer.status, await answer.json()]).toEqual([200, held]);
  expect(await deliver(inbox, "a")).toBe("held");
  const { sources, paused, owed } = await status(inbox);
  expect(sources.map(({ name, state }) => `${name} ${state}`)).toEqual(["default held", "chat open"]);
  const withOne = { ...held, held: { count: 1, capped: false }, oldest_at: now() };
  expect([paused, await stateOf(inbox)]).toEqual([[withOne], withOne]);
  expect(owed).toMatchObject([{ source: "default", outcome: "held", count: 1 }]);

  expect((await put(inbox, { state: "open" })).status).toBe(200);
  await until(async () => (await stateOf(inbox)).state === "open");
  expect(await deliver(inbox, "a")).toBe("duplicate");
  const audit = inbox.rows("select action, target, reason from hookonce_audit order by id");
  expect(audit).toEqual([
    { action: "pause", target: "default", reason: "a new handler" },
    { action: "resume", target: "default", reason: null },
  ]);
});

test("a pause for two hours resumes by itself, and a refusing source may be one, too", async () => {
  const { inbox, now, pass } = await shop();
  await using _ = inbox;
  expect(await (await put(inbox, { state: "refusing", for: "2h" })).json()).toMatchObject({
    state: "refusing",
    until: now() + 2 * HOUR,
  });
  pass(2 * HOUR + 1);
  await until(async () => (await stateOf(inbox)).state === "open");
  expect(await deliver(inbox, "a")).toBe("processed");
});

test("a resume answers once the source is resuming, and stops at the first failure if it is told so", async () => {
  const { inbox } = await shop();
  await using _ = inbox;
  await put(inbox, { state: "held" });
  for (const id of ["a", "b", "c"]) await deliver(inbox, id);
  inbox.rows("insert into bad values ('b') returning 1");
  const answer = (await (
    await put(inbox, { state: "open", stop_on_failure: true })
  ).json()) as SourceStateJson;
  expect(answer.state === "resuming" || answer.state === "held").toBe(true);
  await until(async () => (await stateOf(inbox)).state === "held");
  expect(await stateOf(inbox)).toMatchObject({
    reason: "an event failed after resume --stop-on-failure",
    held: { count: 1 },
  });
  expect(inbox.rows("select event_id from effects")).toEqual([{ event_id: "a" }]);
});

test.each([
  [{ state: "paused" }, "state"],
  [{ state: "held", for: "0s" }, "longer than 0s"],
  [{ state: "held", for: 7200 }, 'for = "7200s"'],
  [{ state: "open", for: "2h" }, "Only a pause has it"],
  [{ state: "open", reason: "x" }, "Only a pause has it"],
  [{ state: "held", stop_on_failure: true }, "Only a resume stops on a failure"],
  [{ state: "held", until: 5 }, "until"],
])("%j is refused", async (json, words) => {
  const { inbox } = await shop();
  await using _ = inbox;
  expect(await errorOf(await put(inbox, json))).toEqual([
    400,
    "invalid_request",
    expect.stringContaining(words),
  ]);
  expect(await stateOf(inbox)).toEqual(OPEN);
});

test("a source that does not exist is not paused, and the nearest one is named", async () => {
  const { inbox } = await shop();
  await using _ = inbox;
  for (const answer of [await put(inbox, { state: "held" }, "defualt"), await inbox.api(path("defualt"))])
    expect(await errorOf(answer)).toEqual([404, "unknown_source", expect.stringContaining("default")]);
});

test("a source whose answer is used is refused without held_reply, and only held: it may refuse deliveries", async () => {
  const { inbox } = await shop();
  await using _ = inbox;
  const [code, name, message] = await errorOf(await put(inbox, { state: "held" }, "chat"));
  expect([code, name]).toEqual([409, "held_reply_missing"]);
  expect(message).toContain("Slack shows the answer to a command or a click to the user");
  expect(message).toContain("hookonce pause chat --refuse");
  expect(await stateOf(inbox, "chat")).toMatchObject({ state: "open" });
  expect((await put(inbox, { state: "refusing" }, "chat")).status).toBe(200);
  await inbox.restart({ config: CONFIG.replace('"env:S"', '"env:S"\nheld_reply = { body = "Back soon" }') });
  expect(await (await put(inbox, { state: "held" }, "chat")).json()).toMatchObject({ state: "held" });
});

test("a paused source that the config has no more is shown, and can be resumed", async () => {
  const { inbox } = await shop();
  await using _ = inbox;
  await put(inbox, { state: "refusing" }, "chat");
  await inbox.restart({ config: CONFIG.slice(0, CONFIG.indexOf("[sources.chat]")) });
  const { sources, paused } = await status(inbox);
  expect(sources.map(({ name }) => name)).toEqual(["default"]);
  expect(paused).toMatchObject([{ name: "chat", state: "refusing" }]);
  expect(await (await put(inbox, { state: "open" }, "chat")).json()).toMatchObject({
    name: "chat",
    state: "open",
  });
});

const codes = (...args: Parameters<typeof holdWarnings>): string[] =>
  holdWarnings(...args).map(({ code }) => code);

describe("a long pause and a long backlog", () => {
  const paused = {
    name: "shop",
    state: "held",
    since: 0,
    until: null,
    reason: null,
    stopOnFailure: false,
    held: 0,
    isCapped: false,
    oldestAt: null,
  } as const;
  test.each([
    ["a day old", {}, 24 * HOUR, []],
    ["more than a day old", {}, 24 * HOUR + 1, ["long_pause"]],
    ["refusing for more than a day", { state: "refusing" }, 25 * HOUR, ["long_pause"]],
    [
      "resuming with events that are old",
      { state: "resuming", since: 48 * HOUR, oldestAt: 0 },
      49 * HOUR,
      ["long_pause"],
    ],
    ["10,000 events long", { held: 10_000 }, 1, []],
    ["10,001 events long", { held: 10_001 }, 1, ["held_backlog"]],
  ] as const)("%s", (_, change, now, expected) => {
    expect(codes([{ ...paused, ...change }], now)).toEqual([...expected]);
  });

  test("are warnings of the status, of /readyz and of the log, once each, until they end", async () => {
    const { inbox, pass } = await shop();
    await using _ = inbox;
    await put(inbox, { state: "held" });
    await deliver(inbox, "a");
    inbox.rows(
      `with recursive n (i) as (select 1 union all select i + 1 from n where i < 10000)
       insert into hookonce_events (source, event_id, type, received_at, outcome, deliveries, last_delivery_at)
       select 'default', 'more ' || i, 'other', 0, 'held', 1, 0 from n returning 1`,
    );
    pass(30 * HOUR);
    const readyz = async (): Promise<string[]> => {
      const { warnings = [] } = (await (await inbox.request("/readyz")).json()) as {
        warnings?: { code: string; message: string }[];
      };
      return warnings.map(({ message }) => message);
    };
    const expected = [
      "The source default has held events for 30h. To run them: hookonce resume default",
      "10,001 events of the source default are held",
    ];
    await until(async () => (await readyz()).length === 2);
    expect(await readyz()).toEqual(expected);
    expect((await stateOf(inbox)).warnings).toEqual(expected);
    await until(() => inbox.log.filter(({ msg }) => msg === expected[1]).length === 1);
    await Bun.sleep(50);
    for (const message of expected)
      expect(inbox.log.filter(({ msg }) => msg === message)).toMatchObject([
        { level: 40, source: "default" },
      ]);
    inbox.rows("delete from hookonce_events where type = 'other' returning 1");
    await until(async () => (await readyz()).length === 1);
  });
});
