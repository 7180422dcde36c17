import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { messageOf } from "../../src/errors.ts";
import type { JobJson } from "../../src/http/admin/job-shapes.ts";
import { ascii, filesWith } from "../support/files-with.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

setDefaultTimeout(60_000);

const TEXT = "zoë.ünal@example.com";

const CONFIG = `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"

[sources.batches]
provider = "unsigned"
event_id = "body:$.id"
type     = "body:$.type"
batch    = "body:$.events[*]"
handlers = "default"

[sources.signed]
provider = "github"
secret   = "env:SECRET"

[sources.ordered]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
newest_wins = { types = ["user.*"], key = "body:$.email", version = "body:$.version" }

[destinations.app]
url = "http://127.0.0.1:1/"
sign = "none"
`;

const FILES = {
  "migrations/0001_effects.sql": `create table effects (event_id text not null);
create table never (id integer not null) strict;`,
  "handlers/default/paid.sql": "insert into effects values (:event_id);",
  "handlers/default/noted.sql": "select 1;",
  "handlers/default/told.sql": `insert into effects values (:event_id);
insert into hookonce_outbox (destination, body) values ('app', :payload);`,
  "handlers/default/fails.ts": `import { handler } from "hookonce";
export default handler(({ event }) => {
  throw new Error("no account for " + (event.payload as { email: string }).email);
});`,
  "handlers/default/replies.ts": `import { handler, reply } from "hookonce";
export default handler(({ event }) => reply({ body: { hello: (event.payload as { email: string }).email } }));`,
  "handlers/default/packs.ts": `import { handler } from "hookonce";
import { brotliCompressSync } from "node:zlib";
export default handler(({ event, enqueue }) => {
  enqueue("app", brotliCompressSync(event.body), { headers: { "content-encoding": "br" } });
});`,
  "handlers/ordered/user.sql": "insert into effects values (:event_id);",
};

const environment = { SECRET: "a long enough secret for tests" };

const setUp = (): Promise<TestInbox> => testInbox({ config: CONFIG, files: FILES, environment });

const dataOf = ({ folder }: TestInbox): string => join(folder, "data");

async function runJob(inbox: TestInbox, json: object): Promise<JobJson> {
  const answer = await inbox.api("/api/jobs", {
    method: "POST",
    body: JSON.stringify(json),
    headers: { "content-type": "application/json" },
  });
  const started = (await answer.json()) as { id: string };
  if (answer.status !== 202) throw new Error(JSON.stringify(started));
  for (;;) {
    const job = (await (await inbox.api(`/api/jobs/${started.id}`)).json()) as JobJson;
    if (job.state !== "running") return job;
    await Bun.sleep(5);
  }
}

const forget = (inbox: TestInbox, match: string, more: object = {}): Promise<JobJson> =>
  runJob(inbox, { action: "forget", match, reason: "asked to", ...more });

const sum = ({ groups }: JobJson, name: "forgotten" | "left" | "would_run"): number =>
  groups.reduce((all, group) => all + group[name], 0);

/** A delivery with exactly these bytes. */
async function post(
  inbox: TestInbox,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers = {},
): Promise<unknown> {
  const answer = await inbox.request(path, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
  return answer.json();
}

describe("forget --match", () => {
  test("leaves the text in no file, wherever it was stored", async () => {
    await using inbox = await setUp();
    const email = TEXT;
    await post(inbox, "/webhook", ascii({ event_id: "plain", type: "paid", email }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "utf8", type: "paid", email }));
    const inside = Buffer.from(`{"for":"${email}"}`).toString("base64");
    await post(inbox, "/webhook", JSON.stringify({ event_id: "base64", type: "paid", inside }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "nested", type: "paid", a: ascii({ email }) }));
    await post(
      inbox,
      "/webhook",
      JSON.stringify({ event_id: "url", type: "paid", u: `https://x.test/?e=${encodeURIComponent(email)}` }),
    );
    await post(inbox, "/webhook", JSON.stringify({ event_id: "header", type: "paid" }), {
      "x-for": encodeURIComponent(email),
    });
    await post(inbox, "/webhook", JSON.stringify({ event_id: "changed", type: "paid" }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "changed", type: "paid", email }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "told", type: "told", email }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "replies", type: "replies", email }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: `id of ${email}`, type: "noted" }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "type", type: `user of ${email}` }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "fails", type: "fails", email }));
    await post(
      inbox,
      "/webhook/ordered",
      JSON.stringify({ event_id: "o1", type: "user.x", email, version: 2 }),
    );
    await post(
      inbox,
      "/webhook",
      JSON.stringify({ event_id: "other", type: "paid", email: "somebody@else.test" }),
    );
    await runJob(inbox, { action: "discard", ids: ["type"], reason: `${email} is a test` });
    await runJob(inbox, { action: "apply", filter: { search: email } });
    await post(inbox, "/webhook/signed", JSON.stringify({ email }), {
      "x-hub-signature-256": `sha256=${"0".repeat(64)}`,
      "x-github-delivery": "1",
      "x-github-event": "push",
    });
    expect(inbox.refused.list("signed", 20)).toHaveLength(1);
    expect(filesWith(dataOf(inbox), email)).not.toEqual([]);
    const logged = inbox.log.length;

    const left = await forget(inbox, email);
    expect({ state: left.state, left: sum(left, "left"), log: left.erased?.log }).toEqual({
      state: "done",
      left: 1,
      log: "erased",
    });
    expect(left.failures).toEqual([
      expect.objectContaining({ event_id: "fails", code: "event_owed" }),
    ] as unknown as typeof left.failures);

    const all = await forget(inbox, email, { owed: true });
    expect({ forgotten: sum(all, "forgotten"), left: sum(all, "left") }).toEqual({ forgotten: 1, left: 0 });
    expect(filesWith(dataOf(inbox), email)).toEqual([]);
    expect(inbox.refused.list("signed", 20)).toEqual([]);
    expect(JSON.stringify(inbox.log.slice(logged))).not.toContain(email);
    expect(JSON.stringify(await (await inbox.api("/api/jobs")).json())).not.toContain(email);
    expect(JSON.stringify(await (await inbox.api("/api/audit")).json())).not.toContain(email);

    expect(inbox.value("select outcome from hookonce_events where event_id = 'fails'")).toBe("discarded");
    expect(inbox.value("select state from hookonce_messages")).toBe("discarded");
    const other = (await (await inbox.api("/api/event?event_id=other")).json()) as { payload: unknown };
    expect(other.payload).toMatchObject({ email: "somebody@else.test" });
    expect(inbox.value("pragma integrity_check")).toBe("ok");
  });

  test("looks into compressed bodies", async () => {
    await using inbox = await setUp();
    const packed = (path: string, value: object, headers = {}): Promise<unknown> =>
      post(inbox, path, Bun.gzipSync(Buffer.from(ascii(value))), { "content-encoding": "gzip", ...headers });
    await packed("/webhook", { event_id: "new", type: "paid", email: TEXT });
    await packed("/webhook", { event_id: "changed", type: "paid" });
    await packed("/webhook", { event_id: "changed", type: "paid", email: TEXT });
    await packed("/webhook", { event_id: "fails", type: "fails", email: TEXT });
    await packed("/webhook", { event_id: "packs", type: "packs", email: TEXT });
    await packed("/webhook", { event_id: "other", type: "paid", email: "somebody@else.test" });
    const events = [1, 2, 3].map((n) => ({ id: `b${n}`, type: "paid", email: n === 2 ? TEXT : "a@x.test" }));
    await packed("/webhook/batches", { events });
    await packed(
      "/webhook/signed",
      { email: TEXT },
      {
        "x-hub-signature-256": `sha256=${"0".repeat(64)}`,
        "x-github-delivery": "1",
        "x-github-event": "push",
      },
    );
    expect(inbox.refused.list("signed", 20)).toHaveLength(1);
    const done = await forget(inbox, TEXT, { owed: true });
    expect({ forgotten: sum(done, "forgotten"), left: sum(done, "left") }).toEqual({ forgotten: 5, left: 0 });
    expect(done.erased).toMatchObject({ messages: 1, requests: 1 });
    const shown = async (id: string): Promise<unknown> =>
      (await inbox.api(`/api/event?event_id=${id}`)).json();
    for (const id of ["new", "changed", "fails", "packs", "b2"])
      expect(await shown(id)).toMatchObject({ payload: null, payload_removed: true, changed: null });
    expect(await shown("other")).toMatchObject({ payload: { email: "somebody@else.test" } });
    expect(await shown("b3")).toMatchObject({ payload: events[2] });
    expect(inbox.rows("select state, body from hookonce_messages")).toEqual([
      { state: "discarded", body: null },
    ]);
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(3);
    expect(inbox.value("select count(*) from hookonce_failures where last_body <> x''")).toBe(0);
  });

  test("removes a body that no event has", async () => {
    await using inbox = await setUp();
    inbox.rows(
      `insert into hookonce_bodies (id, received_at, headers, bytes) values (9, 1, '{}', '{"email":"${TEXT}"}') returning id`,
    );
    expect((await forget(inbox, TEXT)).state).toBe("done");
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
  });

  test("a provider's retry of a forgotten event is a duplicate and stores nothing", async () => {
    await using inbox = await setUp();
    const first = JSON.stringify({ event_id: "1", type: "paid", email: TEXT });
    const named = JSON.stringify({ event_id: `for ${TEXT}`, type: "noted" });
    const failing = JSON.stringify({ event_id: "3", type: "fails", email: TEXT });
    for (const body of [first, named, failing]) await post(inbox, "/webhook", body);
    await forget(inbox, TEXT, { owed: true });
    for (const body of [first, named, failing, first.replace("}", ',"more":1}')])
      expect(await post(inbox, "/webhook", body)).toMatchObject({ status: "duplicate" });
    expect(inbox.value("select count(*) from effects")).toBe(1);
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(0);
    expect(inbox.value("select count(*) from hookonce_changed_bodies")).toBe(0);
    expect(inbox.rows("select event_id, deliveries from hookonce_events order by id")).toMatchObject([
      { event_id: "1", deliveries: 3 },
      { event_id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string, deliveries: 2 },
      { event_id: "3", deliveries: 2 },
    ]);
    expect(filesWith(dataOf(inbox), TEXT).filter((path) => !path.endsWith("-wal"))).toEqual([]);
    const found = await inbox.api(`/api/event?event_id=${encodeURIComponent(`for ${TEXT}`)}`);
    expect(found.status).toBe(200);
    // After a restart as well.
    await inbox.restart();
    expect(await post(inbox, "/webhook", named)).toMatchObject({ status: "duplicate" });
  });

  test("an import of a hidden id finds it", async () => {
    await using inbox = await setUp();
    await post(inbox, "/webhook", JSON.stringify({ event_id: `for ${TEXT}`, type: "noted" }));
    await forget(inbox, TEXT);
    const events = [[`for ${TEXT}`, "paid", 1]];
    expect((await runJob(inbox, { action: "import", source: "default", events })).imported).toMatchObject({
      fresh: 0,
      known: 1,
    });
    expect(inbox.value("select count(*) from hookonce_events")).toBe(1);
  });

  test("the newest of a hidden key still wins", async () => {
    await using inbox = await setUp();
    const user = (id: string, version: number): string =>
      JSON.stringify({ event_id: id, type: "user.x", email: TEXT, version });
    await post(inbox, "/webhook/ordered", user("a", 5));
    await forget(inbox, TEXT);
    expect(await post(inbox, "/webhook/ordered", user("b", 4))).toMatchObject({ status: "stale" });
    expect(await post(inbox, "/webhook/ordered", user("c", 6))).toMatchObject({ status: "processed" });
    expect(await post(inbox, "/webhook/ordered", user("d", 5))).toMatchObject({ status: "stale" });
    expect(inbox.value("select count(*) from hookonce_positions")).toBe(1);
  });

  test("one event of a batch is forgotten, and the others stay readable", async () => {
    await using inbox = await setUp();
    const events = [
      { id: "b1", type: "paid", email: "a@x.test" },
      { id: "b2", type: "paid", email: TEXT },
      { id: "b3", type: "paid", email: "c@x.test" },
    ];
    const body = JSON.stringify({ account: "acct", events });
    await post(inbox, "/webhook/batches", body);
    const done = await forget(inbox, TEXT);
    expect(sum(done, "forgotten")).toBe(1);
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
    for (const event of [events[0], events[2]]) {
      const shown = await (await inbox.api(`/api/event?event_id=${event?.id}`)).json();
      expect(shown).toMatchObject({ payload: event });
    }
    const shown = await (await inbox.api("/api/event?event_id=b2")).json();
    expect(shown).toMatchObject({ payload_removed: true, forgotten: "asked to", reason: null });
    await post(inbox, "/webhook/batches", body);
    expect(inbox.value("select count(*) from effects")).toBe(3);
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
    expect(await runJob(inbox, { action: "replay", ids: ["b3"], reason: "again" })).toMatchObject({
      groups: [{ processed: 1 }],
    });
  });

  test("events of batches are forgotten, however many deliveries follow them", async () => {
    await using inbox = await setUp();
    const batch = (name: string, type = "noted"): object[] =>
      ["a@x.test", TEXT, TEXT, null].map((email, index) => ({ id: `${name}${index + 1}`, type, email }));
    for (const name of ["a", "b", "c"]) {
      await post(inbox, "/webhook/batches", JSON.stringify({ for: TEXT, events: batch(name) }));
      for (let n = 0; n < 9; n++)
        await post(inbox, "/webhook", JSON.stringify({ event_id: `${name}-${n}`, type: "noted" }));
    }
    await post(inbox, "/webhook/batches", JSON.stringify({ events: batch("o", "later") }));
    const done = await forget(inbox, TEXT);
    expect({ forgotten: sum(done, "forgotten"), left: sum(done, "left") }).toEqual({ forgotten: 6, left: 2 });
    expect(sum(await forget(inbox, TEXT, { owed: true }), "forgotten")).toBe(2);
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
    const shown = await (await inbox.api("/api/event?event_id=b1")).json();
    expect(shown).toMatchObject({ payload: batch("b")[0] });
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(2 * 4 + 27);
  });

  test("a failed event that is forgotten takes no body of another event with it", async () => {
    await using inbox = await setUp();
    const events = [1, 2, 3, 4].map((n) => ({ id: `b${n}`, type: "later", email: `${n}@x.test` }));
    await post(inbox, "/webhook/batches", JSON.stringify({ events }));
    await post(inbox, "/webhook/batches", JSON.stringify({ events: [{ ...events[0], id: "b5" }] }));
    // One event of the batch is forgotten, so that each of the others has a body for itself.
    await runJob(inbox, { action: "forget", ids: ["b2"], owed: true, reason: "asked to" });
    const failing = [1, 2, 3, 4].map((n) => ({ event_id: `f${n}`, type: "fails", email: TEXT }));
    for (const one of failing) await post(inbox, "/webhook", JSON.stringify(one));
    const ids = failing.map((one) => one.event_id);
    const done = await runJob(inbox, { action: "forget", ids, owed: true, reason: "asked to" });
    expect(sum(done, "forgotten")).toBe(4);
    for (const event of [events[0], events[2], events[3]])
      expect(await (await inbox.api(`/api/event?event_id=${event?.id}`)).json()).toMatchObject({
        outcome: "unhandled",
        payload: event,
      });
    for (const id of ids)
      expect(await (await inbox.api(`/api/event?event_id=${id}`)).json()).toMatchObject({ payload: null });
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
  });

  test("the body of another event never takes the place of one that was forgotten", async () => {
    await using inbox = await setUp();
    const events = [1, 2, 3].map((n) => ({ id: `b${n}`, type: "noted", n }));
    await post(inbox, "/webhook/batches", JSON.stringify({ events }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "last", type: "noted" }));
    await runJob(inbox, { action: "forget", ids: ["last"], reason: "asked to" });
    await runJob(inbox, { action: "forget", ids: ["b2"], reason: "asked to" });
    const shown = async (id: string): Promise<unknown> =>
      (await inbox.api(`/api/event?event_id=${id}`)).json();
    for (const id of ["last", "b2"])
      expect(await shown(id)).toMatchObject({ payload: null, payload_removed: true });
    // No event that arrives later gets one of their ids for its body, and it keeps its own.
    await post(inbox, "/webhook", JSON.stringify({ event_id: "later", type: "noted", n: 5 }));
    for (const n of [1, 3]) expect(await shown(`b${n}`)).toMatchObject({ payload: events[n - 1] });
    expect(await shown("later")).toMatchObject({ payload: { n: 5 } });
    expect(inbox.rows("select event, body from hookonce_results order by event")).toEqual(
      [1, 0, 3, 0, 5].map((body, index) => ({ event: index + 1, body })),
    );
    const again = await runJob(inbox, { action: "forget", ids: ["last", "b2"], reason: "asked to" });
    expect(again.groups).toMatchObject([{ forgotten: 0, already_done: 1 }, { already_done: 1 }]);
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(3);
  });

  test("an event of a batch that fails when it is applied later is forgotten without the others", async () => {
    await using inbox = await setUp();
    const events = [
      { id: "b1", type: "later", email: TEXT },
      { id: "b2", type: "later", email: "other@example.com" },
    ];
    await post(inbox, "/webhook/batches", JSON.stringify({ events }));
    await inbox.close();
    await inbox.restart({ files: { "handlers/default/later.ts": FILES["handlers/default/fails.ts"] } });
    await runJob(inbox, { action: "apply" });
    expect(inbox.rows("select event_id, last_body, element from hookonce_failures order by id")).toEqual(
      events.map((event) => ({
        event_id: event.id,
        last_body: new Uint8Array(Buffer.from(JSON.stringify(event))),
        element: 1,
      })),
    );
    const job = await forget(inbox, TEXT, { owed: true });
    expect(job.groups).toMatchObject([{ forgotten: 1, left: 0 }]);
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
    expect(await (await inbox.api("/api/event?event_id=b2")).json()).toMatchObject({
      outcome: "failed",
      payload: events[1],
    });
  });

  test("what is written while it looks is found by its second round", async () => {
    await using inbox = await setUp();
    for (let n = 0; n < 300; n++)
      await post(
        inbox,
        "/webhook",
        JSON.stringify({ event_id: `e${n}`, type: "paid", filler: "x".repeat(500) }),
      );
    const job = forget(inbox, TEXT);
    await post(inbox, "/webhook", JSON.stringify({ event_id: "e5", type: "paid", email: TEXT }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "new", type: "paid", email: TEXT }));
    expect(sum(await job, "forgotten")).toBe(2);
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
    expect(
      await post(inbox, "/webhook", JSON.stringify({ event_id: "new", type: "paid", email: TEXT })),
    ).toMatchObject({ status: "duplicate" });
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
  });

  test("an error of a message that is written while it looks is found, too", async () => {
    await using inbox = await setUp();
    await post(inbox, "/webhook", JSON.stringify({ event_id: "1", type: "told" }));
    await runJob(inbox, { action: "replay", ids: ["1"], reason: `for ${TEXT}` });
    // The audit list is looked through after the messages.
    inbox.rows(`create trigger later after update on hookonce_audit when new.reason = '(forgotten)'
      begin update hookonce_messages set last_error = 'no zoë.ün' || 'al@example.com' where id = 1; end`);
    await forget(inbox, TEXT);
    expect(inbox.rows("select last_error, state from hookonce_messages where id = 1")).toEqual([
      { last_error: "(forgotten)", state: "waiting" },
    ]);
    inbox.rows("drop trigger later");
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
  });

  test("refuses a short text, a reason with the text, and a missing reason", async () => {
    await using inbox = await setUp();
    const refusal = (match: string, more: object = {}): Promise<string> =>
      forget(inbox, match, more).then(
        () => "",
        (error: unknown) => messageOf(error),
      );
    expect(await refusal("abc")).toContain("fewer than 4 characters");
    expect(await refusal(TEXT, { reason: `for ${TEXT}` })).toContain("The reason contains the text");
    expect(await refusal(TEXT, { reason: undefined })).toContain("forget needs a reason");
    expect(await refusal(TEXT, { ids: ["1"] })).toContain("Give one of match, ids and filter");
    expect(inbox.value("select count(*) from hookonce_jobs")).toBe(0);
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
  });

  test("a dry run counts and changes nothing", async () => {
    await using inbox = await setUp();
    await post(inbox, "/webhook", JSON.stringify({ event_id: "1", type: "told", email: TEXT }));
    const body = {
      events: [
        { id: "b1", type: "paid" },
        { id: "b2", type: "paid", email: TEXT },
      ],
    };
    await post(inbox, "/webhook/batches", JSON.stringify(body));
    await runJob(inbox, { action: "replay", ids: ["1"], reason: `for ${TEXT}` });
    await until(() => inbox.value("select count(*) from hookonce_jobs where ended_at is null") === 0);
    const job = await forget(inbox, TEXT, { dry_run: true });
    expect(sum(job, "would_run")).toBe(2);
    // The reason of the replay is in the result, in the job and in the audit list.
    expect(job.erased).toMatchObject({ messages: 2, texts: 3, log: null });
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(2);
  });
});

describe("forget by id or filter", () => {
  test("erases the payloads of these events, and their ids stay", async () => {
    await using inbox = await setUp();
    for (const n of [1, 2, 3, 4])
      await post(inbox, "/webhook", JSON.stringify({ event_id: `e${n}`, type: n < 4 ? "paid" : "told", n }));
    await post(inbox, "/webhook", JSON.stringify({ event_id: "u", type: "unknown" }));
    const named = await runJob(inbox, { action: "forget", ids: ["e1"], reason: "asked to" });
    expect(sum(named, "forgotten")).toBe(1);
    const filtered = await runJob(inbox, {
      action: "forget",
      filter: { source: "default" },
      reason: "asked to",
    });
    expect({ forgotten: sum(filtered, "forgotten"), left: sum(filtered, "left") }).toEqual({
      forgotten: 3,
      left: 1,
    });
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(1);
    expect(inbox.value("select body from hookonce_messages")).toBe(null);
    expect(inbox.rows("select event_id from hookonce_events where outcome = 'processed'")).toHaveLength(4);
    expect(await runJob(inbox, { action: "replay", ids: ["e2"], reason: "again" })).toMatchObject({
      groups: [{ failed: 1 }],
    });
    const again = await runJob(inbox, { action: "forget", ids: ["e1"], reason: "asked to" });
    expect(again.groups).toMatchObject([{ forgotten: 0, already_done: 1 }]);
    const resent = await runJob(inbox, { action: "resend", filter: { state: "discarded" } });
    expect(resent.groups).toMatchObject([{ resent: 0, already_done: 1 }]);
  });
});

/** A destination that answers with what it was sent once it may. */
function receiver(status: number) {
  const asked = Promise.withResolvers<void>();
  const may = Promise.withResolvers<void>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = await request.text();
      asked.resolve();
      await may.promise;
      return new Response(body, { status });
    },
  });
  return {
    url: String(server.url),
    asked: asked.promise,
    answer: may.resolve,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

const sending = (url: string): Promise<TestInbox> =>
  testInbox({
    config: CONFIG.replace("http://127.0.0.1:1/", url),
    files: FILES,
    environment,
    sendsOn: true,
  });

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await Bun.sleep(10);
}

describe("forget and messages", () => {
  test.each([200, 500])("erases the answer of a receiver that has said %d", async (status) => {
    await using app = receiver(status);
    app.answer();
    await using inbox = await sending(app.url);
    await post(inbox, "/webhook", JSON.stringify({ event_id: "1", type: "told", email: TEXT }));
    await until(
      () => inbox.value("select count(*) from hookonce_attempts where answer like '%example%'") === 1,
    );
    expect((await forget(inbox, TEXT)).erased).toMatchObject({ messages: 1, log: "erased" });
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
    const state = status === 200 ? "delivered" : "discarded";
    expect(inbox.rows("select state, reason from hookonce_messages")).toEqual([
      { state, reason: "its content was forgotten" },
    ]);
  });

  test("stores no answer that comes after its message was forgotten", async () => {
    await using app = receiver(500);
    await using inbox = await sending(app.url);
    await post(inbox, "/webhook", JSON.stringify({ event_id: "1", type: "told", email: TEXT }));
    await app.asked;
    await forget(inbox, TEXT);
    app.answer();
    await until(() => inbox.value("select count(*) from hookonce_attempts") === 1);
    expect(inbox.rows("select state, last_status from hookonce_messages")).toEqual([
      { state: "discarded", last_status: 500 },
    ]);
    expect(filesWith(dataOf(inbox), TEXT)).toEqual([]);
  });

  test("a handler's own id that was hidden is still unique", async () => {
    await using inbox = await testInbox({
      config: CONFIG,
      environment,
      files: {
        ...FILES,
        "handlers/default/told.sql":
          "insert into hookonce_outbox (destination, body, id) values ('app', 'hello', :payload ->> '$.email');",
      },
    });
    const email = "customer-4711";
    await post(inbox, "/webhook", JSON.stringify({ event_id: "1", type: "told", email }));
    await forget(inbox, email);
    await post(inbox, "/webhook", JSON.stringify({ event_id: "2", type: "told", email }));
    expect(inbox.rows("select message_id, state from hookonce_messages")).toEqual([
      { message_id: expect.stringMatching(/^sha256:/) as string, state: "discarded" },
    ]);
  });
});
