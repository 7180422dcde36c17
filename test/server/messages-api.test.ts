import { describe, expect, test } from "bun:test";
import type { JobJson } from "../../src/http/admin/job-shapes.ts";
import type { EventDetail, MessageDetail, MessageJson, StatusJson } from "../../src/http/admin/shapes.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { describeUnless, onlyInFullRun, testInFullRun } from "../crash/requirements.ts";

/** Messages in the API: lists, one message, jobs that send again and give up, and the state of destinations. */

const START = 1_800_000_000_000;

const CONFIG = `
[sources.shop]
provider = "unsigned"
event_id = "body:$.id"
type     = "body:$.type"

[destinations.app]
url = "https://app.example.com:8443/hooks/{source}?key=hunter2"

[destinations.deploy]
command = ["/bin/true", "hunter2"]
`;

const FILES = { "handlers/shop/_any.sql": "select 1;" };

/** What an answer of one of these routes may hold. */
interface Body {
  readonly items: readonly MessageJson[];
  readonly next: string | null;
  readonly error: { readonly code: string; readonly message: string };
}

/** What one of these routes answers. */
interface Answers {
  readonly list: Body;
  readonly message: MessageDetail;
  readonly event: EventDetail;
  readonly status: StatusJson;
  readonly job: JobJson;
}

async function get<Kind extends keyof Answers>(
  inbox: TestInbox,
  path: string,
  _kind: Kind,
): Promise<{ status: number; body: Answers[Kind] }> {
  const response = await inbox.api(path);
  return { status: response.status, body: (await response.json()) as Answers[Kind] };
}

async function send(inbox: TestInbox, method: string, path: string, json: object): Promise<Response> {
  const headers = { "content-type": "application/json", "x-hookonce-actor": "ada" };
  return inbox.api(path, { method, headers, body: JSON.stringify(json) });
}

/** Runs a job to its end. */
async function run(inbox: TestInbox, request: object): Promise<JobJson> {
  const begun = await send(inbox, "POST", "/api/jobs", request);
  const text = await begun.text();
  expect([begun.status, text]).toEqual([202, expect.any(String)]);
  const { id } = JSON.parse(text) as { id: string };
  for (;;) {
    const { body } = await get(inbox, `/api/jobs/${id}`, "job");
    if (body.state !== "running") return body;
    await Bun.sleep(5);
  }
}

/** Four events. A message to app for each, and one to deploy for the first. */
async function filled(): Promise<TestInbox> {
  let now = START;
  const inbox = await testInbox({
    config: CONFIG,
    files: FILES,
    clock: () => (now += 1000),
  });
  for (const [id, type] of [
    ["evt_1", "invoice.paid"],
    ["evt_2", "invoice.voided"],
    ["evt_3", "push"],
    ["evt_4", "push*"],
  ] as const)
    await inbox.deliver({ id, type }, { source: "shop" });
  await run(inbox, { action: "resend", to: "app" });
  await run(inbox, { action: "resend", to: "deploy", ids: ["evt_1"] });
  return inbox;
}

const states = (inbox: TestInbox): unknown[] =>
  inbox
    .rows("select destination || ' ' || event_id || ' ' || state as one from hookonce_messages order by id")
    .map(({ one }: { one: string }) => one);

/** As an attempt that has failed for good leaves it. */
function giveUp(inbox: TestInbox, eventId: string, destination = "app"): string {
  inbox.rows(
    `update hookonce_messages set state = 'dead', attempts = 5, tries = 5, last_status = 500,
       last_error = 'The answer was 500.', settled_at = created_at + 1000
     where destination = ? and event_id = ?`,
    destination,
    eventId,
  );
  inbox.rows(
    `insert into hookonce_attempts select id, 5, created_at + 900, 12, 500, 'The answer was 500.', 'try later'
     from hookonce_messages where destination = ? and event_id = ?`,
    destination,
    eventId,
  );
  return idOf(inbox, eventId, destination);
}

const idOf = (inbox: TestInbox, eventId: string, destination = "app"): string =>
  inbox.value(
    "select message_id from hookonce_messages where destination = ? and event_id = ?",
    destination,
    eventId,
  ) as string;

const shortOf = ({ items }: Pick<Body, "items">): string[] =>
  items.map(({ destination, event_id: id }) => `${destination} ${id}`);

describe("GET /api/messages", () => {
  for (const [query, found] of [
    ["", ["deploy evt_1", "app evt_4", "app evt_3", "app evt_2", "app evt_1"]],
    ["?destination=deploy", ["deploy evt_1"]],
    ["?destination=nobody", []],
    ["?state=waiting&limit=2", ["deploy evt_1", "app evt_4"]],
    ["?state=dead", []],
    ["?state=sending", []],
    ["?source=shop&event_id=evt_1", ["deploy evt_1", "app evt_1"]],
    ["?source=other", []],
    ["?type=invoice.*", ["deploy evt_1", "app evt_2", "app evt_1"]],
    ["?type=push", ["app evt_3"]],
    ["?type=push\\*", ["app evt_4"]],
    [`?until=${START}`, []],
    [`?since=${START}&until=${START + 1_000_000}&type=push`, ["app evt_3"]],
  ] as const)
    test(`with ${query || "no filter"}`, async () => {
      await using inbox = await filled();
      const { status, body } = await get(inbox, `/api/messages${query}`, "list");
      expect([status, shortOf(body)]).toEqual([200, [...found]]);
    });

  for (const [query, code] of [
    ["?state=lost", "invalid_request"],
    ["?limit=0", "invalid_request"],
    ["?limit=501", "invalid_request"],
    ["?cursor=x", "invalid_cursor"],
    ["?cursor=-1", "invalid_cursor"],
    ["?outcome=failed", "invalid_request"],
    ["?since=yesterday", "invalid_request"],
  ] as const)
    test(`${query} is refused`, async () => {
      await using inbox = await testInbox({ config: CONFIG });
      const { status, body } = await get(inbox, `/api/messages${query}`, "list");
      expect([status, body.error.code]).toEqual([400, code]);
    });

  test("has the fields that the page and the commands show", async () => {
    await using inbox = await filled();
    const id = giveUp(inbox, "evt_2");
    const { body } = await get(inbox, "/api/messages?state=dead", "list");
    expect(body.items).toEqual([
      {
        id,
        destination: "app",
        source: "shop",
        event_id: "evt_2",
        type: "invoice.voided",
        state: "dead",
        attempts: 5,
        created_at: expect.any(Number),
        next_at: null,
        last_status: 500,
        last_error: "The answer was 500.",
      },
    ]);
    expect(body.next).toBeNull();
    expect(id).toMatch(/^msg_[a-z2-7]{52}$/);
  });

  test("pages from the newest to the oldest, each message once", async () => {
    await using inbox = await filled();
    giveUp(inbox, "evt_1");
    giveUp(inbox, "evt_2");
    giveUp(inbox, "evt_1", "deploy");
    for (const [filter, all] of [
      ["", 5],
      ["&state=dead", 3],
      ["&state=dead&destination=app", 2],
    ] as const) {
      const seen: string[] = [];
      let cursor = "";
      for (let page = 0; page < 20; page++) {
        const { body } = await get(inbox, `/api/messages?limit=1${filter}${cursor}`, "list");
        seen.push(...shortOf(body));
        if (body.next === null) break;
        cursor = `&cursor=${body.next}`;
      }
      expect([filter, seen.length, new Set(seen).size]).toEqual([filter, all, all]);
    }
  });

  testInFullRun(
    "many dead messages are read page by page, each once, and those that a filter wants among them",
    async () => {
      await using inbox = await filled();
      inbox.rows(
        `insert into hookonce_messages (message_id, destination, state, source, type, created_at, next_at, since)
       with n (n) as (select 1 union all select n + 1 from n where n < 10600)
       select 'm' || n, iif(n % 2 = 0, 'app', 'deploy'), 'dead', iif(n < 3, 'rare', 'shop'), 'x', n, n, n from n`,
      );
      for (const [filter, all] of [
        ["", 10_600],
        ["&destination=app", 5300],
        ["&source=rare", 2],
      ] as const) {
        const seen = new Set<string>();
        let count = 0;
        let cursor = "";
        do {
          const { body } = await get(inbox, `/api/messages?state=dead&limit=500${filter}${cursor}`, "list");
          count += body.items.length;
          for (const { id } of body.items) seen.add(id);
          cursor = body.next === null ? "" : `&cursor=${body.next}`;
        } while (cursor !== "");
        expect([filter, count, seen.size]).toEqual([filter, all, all]);
      }
      const job = await run(inbox, {
        action: "discard",
        filter: { state: "dead" },
        reason: "x",
        dry_run: true,
      });
      expect(job.groups.reduce((sum, group) => sum + group.would_run, 0)).toBe(10_600);
    },
    30_000,
  );

  test("a page looks at a limited number of rows, and goes on at the next one", async () => {
    await using inbox = await filled();
    inbox.rows(
      `insert into hookonce_messages (message_id, destination, state, created_at, next_at, since)
       with n (n) as (select 1 union all select n + 1 from n where n < 10050)
       select 'm' || n, 'app', 'delivered', n, n, n from n`,
    );
    const first = await get(inbox, "/api/messages?source=shop&limit=500", "list");
    expect([shortOf(first.body), first.body.next]).toEqual([[], expect.any(String)]);
    const second = await get(inbox, `/api/messages?source=shop&limit=500&cursor=${first.body.next}`, "list");
    expect([second.body.items.length, second.body.next]).toEqual([5, null]);
  });
});

describe("GET /api/messages/{id}", () => {
  test("has its attempts, with what the receiver answered", async () => {
    await using inbox = await filled();
    const id = giveUp(inbox, "evt_3");
    const { body } = await get(inbox, `/api/messages/${id}`, "message");
    expect(body).toMatchObject({ id, destination: "app", state: "dead", reason: null });
    expect(body.timeline).toEqual([
      {
        number: 5,
        at: expect.any(Number),
        ms: 12,
        status: 500,
        error: "The answer was 500.",
        answer: "try later",
      },
    ]);
  });

  test("an own id that two destinations have needs the destination", async () => {
    await using inbox = await filled();
    inbox.rows("update hookonce_messages set message_id = 'order/17' where event_id = 'evt_1'");
    const path = `/api/messages/${encodeURIComponent("order/17")}`;
    const both = await get(inbox, path, "list");
    expect([both.status, both.body.error]).toEqual([
      409,
      {
        code: "ambiguous_message",
        message:
          'Several destinations have a message "order/17": app (waiting), deploy (waiting). Add --destination NAME.',
      },
    ]);
    const one = await get(inbox, `${path}?destination=deploy`, "message");
    expect([one.status, one.body.destination]).toEqual([200, "deploy"]);
    const none = await get(inbox, `${path}?destination=nobody`, "list");
    expect([none.status, none.body.error.code]).toEqual([404, "unknown_message"]);
  });
});

test("an event shows its messages", async () => {
  await using inbox = await filled();
  giveUp(inbox, "evt_1");
  const { body } = await get(inbox, "/api/event?event_id=evt_1", "event");
  expect(
    body.messages.map(({ destination, state, timeline }) => [destination, state, timeline.length]),
  ).toEqual([
    ["app", "dead", 1],
    ["deploy", "waiting", 0],
  ]);
  expect(body.messages[0]?.timeline[0]).toMatchObject({ status: 500, ms: 12, answer: "try later" });
});

test("the status shows destinations, without a secret, and those that the config has no more", async () => {
  await using inbox = await filled();
  giveUp(inbox, "evt_2");
  inbox.rows(
    "insert into hookonce_destinations values ('deploy', 'paused', 'the answer was 410', 1800000000000)",
  );
  inbox.rows("update hookonce_messages set destination = 'old' where event_id = 'evt_4'");
  const { body } = await get(inbox, "/api/status", "status");
  const none = { count: 0, capped: false };
  const one = { count: 1, capped: false };
  expect(body.destinations).toEqual([
    {
      name: "app",
      kind: "url",
      target: "app.example.com:8443",
      state: "open",
      reason: null,
      paused_since: null,
      waiting: { count: 2, capped: false },
      sending: none,
      dead: one,
      oldest_at: expect.any(Number),
      last_minute: none,
      last_delivered_at: null,
      last_failure: { at: expect.any(Number), status: 500, error: "The answer was 500." },
    },
    {
      name: "deploy",
      kind: "command",
      target: "/bin/true",
      state: "paused",
      reason: "the answer was 410",
      paused_since: 1_800_000_000_000,
      waiting: one,
      sending: none,
      dead: none,
      oldest_at: expect.any(Number),
      last_minute: none,
      last_delivered_at: null,
      last_failure: null,
    },
    expect.objectContaining({ name: "old", kind: null, target: null, state: "open", waiting: one }),
  ]);
  expect(JSON.stringify(body)).not.toContain("hunter2");
});

describeUnless(onlyInFullRun(), "a job that sends again", () => {
  test("sends a dead message again, and one that was delivered only if it is named", async () => {
    await using inbox = await filled();
    const id = giveUp(inbox, "evt_2");
    inbox.rows("update hookonce_messages set state = 'delivered' where event_id = 'evt_3'");
    const dry = await run(inbox, { action: "resend", dry_run: true, filter: { destination: "app" } });
    expect(dry.groups).toMatchObject([{ destination: "app", outcome: "dead", would_run: 1, resent: 0 }]);
    const job = await run(inbox, { action: "resend", filter: { destination: "app" } });
    expect([job.state, job.target, job.groups]).toMatchObject([
      "done",
      "destination:app",
      [{ destination: "app", source: "shop", type: "invoice.voided", outcome: "dead", resent: 1 }],
    ]);
    expect(
      inbox.rows("select state, attempts, tries from hookonce_messages where message_id = ?", id),
    ).toEqual([{ state: "waiting", attempts: 5, tries: 0 }]);
    await run(inbox, { action: "resend", ids: [idOf(inbox, "evt_3")] });
    expect(states(inbox)).toEqual([
      "app evt_1 waiting",
      "app evt_2 waiting",
      "app evt_3 waiting",
      "app evt_4 waiting",
      "deploy evt_1 waiting",
    ]);
    expect(inbox.rows("select actor, action, target from hookonce_audit where id > 2 order by id")).toEqual([
      { actor: "ada", action: "resend", target: "destination:app" },
      { actor: "ada", action: "resend", target: idOf(inbox, "evt_3") },
    ]);
  });

  test("leaves a message alone that a command is being run for", async () => {
    await using inbox = await filled();
    inbox.rows("update hookonce_messages set state = 'sending' where destination = 'deploy'");
    const job = await run(inbox, { action: "resend", ids: [idOf(inbox, "evt_1", "deploy")] });
    expect([job.state, job.error?.code]).toEqual(["failed", "message_sending"]);
    expect(states(inbox)).toContain("deploy evt_1 sending");
  });

  test("sends events to a destination, each once for a job, and again for another job", async () => {
    await using inbox = await filled();
    const before = inbox.value("select count(*) from hookonce_messages");
    const dry = await run(inbox, {
      action: "resend",
      to: "app",
      filter: { type: "invoice.*" },
      dry_run: true,
    });
    expect(dry.groups.map((group) => [group.type, group.would_run])).toEqual([
      ["invoice.paid", 1],
      ["invoice.voided", 1],
    ]);
    expect(inbox.value("select count(*) from hookonce_messages")).toBe(before);
    const limited = { type: "invoice.*", limit: 1 };
    const job = await run(inbox, { action: "resend", to: "app", filter: limited });
    expect([job.target, job.groups]).toMatchObject([
      "to:app type:invoice.* limit:1",
      [{ source: "shop", type: "invoice.paid", outcome: "processed", resent: 1 }],
    ]);
    expect(
      inbox.value("select count(distinct message_id) from hookonce_messages where destination = 'app'"),
    ).toBe(5);
  });

  test("sends no event that is owed, and says so of one whose payload is gone", async () => {
    await using inbox = await testInbox({ config: CONFIG });
    await inbox.deliver({ id: "evt_owed", type: "paid" }, { source: "shop" });
    const owed = await run(inbox, { action: "resend", to: "app", ids: ["evt_owed"] });
    expect([owed.state, owed.error?.message]).toEqual([
      "failed",
      'Owed events cannot be sent to a destination, and the event "evt_owed" is unhandled. hookonce apply runs what is owed, and sends it on.',
    ]);
    await inbox.restart({ files: { "handlers/shop/_any.sql": "select 1;" } });
    await run(inbox, { action: "apply" });
    inbox.rows("delete from hookonce_results");
    const gone = await run(inbox, { action: "resend", to: "app" });
    expect([gone.groups, gone.failures]).toMatchObject([
      [{ resent: 0, unfit: 1 }],
      [{ event_id: "evt_owed", code: "event_not_stored" }],
    ]);
    expect(inbox.value("select count(*) from hookonce_messages")).toBe(0);
  });
});

describeUnless(onlyInFullRun(), "a job that discards", () => {
  test("gives up on unsent messages, with a reason that stays with them", async () => {
    await using inbox = await filled();
    const dead = giveUp(inbox, "evt_2");
    inbox.rows("update hookonce_messages set state = 'delivered' where event_id = 'evt_3'");
    const job = await run(inbox, {
      action: "discard",
      filter: { destination: "app", type: "invoice.*" },
      reason: "sent by hand",
    });
    expect(job.groups.map((group) => [group.type, group.outcome, group.discarded])).toEqual([
      ["invoice.paid", "waiting", 1],
      ["invoice.voided", "dead", 1],
    ]);
    expect(states(inbox)).toEqual([
      "app evt_1 discarded",
      "app evt_2 discarded",
      "app evt_3 delivered",
      "app evt_4 waiting",
      "deploy evt_1 waiting",
    ]);
    const { body } = await get(inbox, `/api/messages/${dead}`, "message");
    expect(body.reason).toBe("sent by hand");
    // An event is not discarded because its messages are.
    expect(inbox.value("select count(*) from hookonce_events where outcome = 'discarded'")).toBe(0);
    const again = await run(inbox, { action: "resend", ids: [dead] });
    expect(again.groups).toMatchObject([{ outcome: "discarded", resent: 1 }]);
  });

  test("is refused for a message that is delivered", async () => {
    await using inbox = await filled();
    inbox.rows("update hookonce_messages set state = 'delivered' where event_id = 'evt_3'");
    const job = await run(inbox, { action: "discard", ids: [idOf(inbox, "evt_3")], reason: "x" });
    expect([job.state, job.error?.code]).toEqual(["failed", "message_settled"]);
  });
});

describe("POST /api/jobs refuses", () => {
  const ours = `msg_${"a".repeat(52)}`;
  for (const [what, request, words] of [
    [
      "ids of events and of messages together",
      { action: "discard", ids: [ours, "evt_1"], reason: "x" },
      "not both",
    ],
    ["messages for apply", { action: "apply", filter: { destination: "app" } }, "are for messages"],
    ["messages for replay", { action: "replay", filter: { state: "dead" }, reason: "x" }, "are for messages"],
    ["a destination for discard", { action: "discard", to: "app", reason: "x" }, "Only resend"],
    ["a search in messages", { action: "resend", filter: { search: "x" } }, "not for messages"],
    ["an outcome of messages", { action: "resend", filter: { outcome: "failed" } }, "not for messages"],
    ["a state of events", { action: "resend", to: "app", filter: { state: "dead" } }, "are for messages"],
    ["ids with a filter", { action: "resend", ids: [ours], filter: { state: "dead" } }, "not both"],
    ["a discard without a reason", { action: "discard", ids: [ours] }, "need a reason"],
    ["a rate of nothing", { action: "resend", ids: [ours], rate: 0 }, "rate"],
  ] as const)
    test(what, async () => {
      await using inbox = await testInbox({ config: CONFIG });
      const response = await send(inbox, "POST", "/api/jobs", request);
      const { error } = (await response.json()) as Body;
      expect([response.status, error.code, error.message]).toEqual([
        400,
        "invalid_request",
        expect.stringContaining(words),
      ]);
    });

  test("a message and a destination that do not exist end the job", async () => {
    await using inbox = await testInbox({ config: CONFIG });
    const message = await run(inbox, { action: "resend", ids: [ours] });
    expect(message.error).toEqual({
      code: "unknown_message",
      message: `There is no message "${ours}". To list messages: hookonce messages`,
    });
    const destination = await run(inbox, { action: "resend", to: "ap" });
    expect(destination.error).toEqual({
      code: "unknown_destination",
      message: 'There is no destination "ap" in hookonce.toml. Its destinations are app, deploy.',
    });
    const event = await run(inbox, {
      action: "discard",
      ids: [ours],
      filter: { source: "shop" },
      reason: "x",
    });
    expect(event.error?.code).toBe("unknown_event");
    expect(inbox.value("select count(*) from hookonce_audit")).toBe(0);
  });
});

test("the state of a destination is refused without a serve, and for another word", async () => {
  await using inbox = await testInbox({ config: CONFIG });
  const refused = await send(inbox, "PUT", "/api/destinations/app/state", { state: "held" });
  expect(refused.status).toBe(400);
  const alone = await send(inbox, "PUT", "/api/destinations/app/state", { state: "paused" });
  const { error } = (await alone.json()) as Body;
  expect([alone.status, error.code]).toEqual([409, "not_serving"]);
});
