import { describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect } from "./support/effects.ts";
import { githubSignature, secrets } from "./support/signed.ts";

const config = (extra = ""): string => `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
${extra}
`;

/** Records everything that a handler receives of an event. */
const wide = `create table told (event_id text not null, type text, received_at integer, note any, headers text) strict; ${effectsTable}`;
const tellAll =
  "insert into told values (:event_id, :type, :received_at, :payload ->> '$.note', :headers ->> '$.x-attempt');";

const paid = { event_id: "evt_1", type: "paid", note: "first" };
const status = async (inbox: TestInbox, payload: object, attempt = "1"): Promise<string> =>
  (await inbox.deliver(payload, { headers: { "x-attempt": attempt } })).body.status as string;

describe("an event without a handler", () => {
  test("is kept once and stays unhandled, however often it is delivered", async () => {
    await using inbox = await testInbox({ files: { "migrations/0001.sql": effectsTable } });
    expect(await Promise.all([paid, paid, paid].map((event) => status(inbox, event)))).toEqual([
      "unhandled",
      "unhandled",
      "unhandled",
    ]);
    await inbox.restart();
    expect(await status(inbox, paid)).toBe("unhandled");
    expect(
      inbox.rows(
        "select outcome, handler, deliveries, rows_changed from hookonce_events left join hookonce_results on event = id",
      ),
    ).toEqual([{ outcome: "unhandled", handler: null, deliveries: 4, rows_changed: 0 }]);
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 0 });
  });

  test("is applied once, with its first body, by the first delivery after a handler was added", async () => {
    let now = 1_000_000;
    await using inbox = await testInbox({ files: { "migrations/0001.sql": wide }, clock: () => now });
    expect(await status(inbox, paid, "1")).toBe("unhandled");
    now += 1000;
    expect(await status(inbox, { ...paid, note: "second" }, "2")).toBe("unhandled");

    now += 1000;
    await inbox.restart({ files: { "handlers/default/paid.sql": tellAll } });
    // A start by itself applies nothing.
    expect(inbox.rows("select * from told")).toEqual([]);
    expect(await status(inbox, { ...paid, note: "third" }, "3")).toBe("processed");
    expect(await status(inbox, paid, "4")).toBe("duplicate");

    expect(inbox.rows("select * from told")).toEqual([
      { event_id: "evt_1", type: "paid", received_at: 1_000_000, note: "first", headers: "1" },
    ]);
    expect(
      inbox.rows(
        "select outcome, handler, received_at, last_delivery_at, deliveries, changed_bodies, rows_changed from hookonce_events left join hookonce_results on event = id",
      ),
    ).toEqual([
      {
        outcome: "processed",
        handler: "handlers/default/paid.sql",
        received_at: 1_000_000,
        last_delivery_at: 1_002_000,
        deliveries: 4,
        changed_bodies: 2,
        rows_changed: 1,
      },
    ]);
  });

  test("is applied with the headers of its first delivery, even if the later body is the same", async () => {
    await using inbox = await testInbox({ files: { "migrations/0001.sql": wide } });
    expect(await status(inbox, paid, "1")).toBe("unhandled");
    await inbox.restart({ files: { "handlers/default/paid.sql": tellAll } });
    expect(await status(inbox, paid, "2")).toBe("processed");
    expect(inbox.value("select headers from told")).toBe("1");
  });

  test("is applied once by many concurrent deliveries after a handler was added", async () => {
    await using inbox = await testInbox({ files: { "migrations/0001.sql": effectsTable } });
    expect(await status(inbox, paid)).toBe("unhandled");
    await inbox.restart({ files: { "handlers/default/_any.sql": noteEffect } });
    const statuses = await Promise.all(Array.from({ length: 12 }, () => status(inbox, paid)));
    expect(statuses.filter((outcome) => outcome === "processed")).toHaveLength(1);
    expect(statuses.filter((outcome) => outcome === "duplicate")).toHaveLength(11);
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });

  test("is applied by the handler of its stored type, whatever type a later delivery has", async () => {
    await using inbox = await testInbox({ files: { "migrations/0001.sql": wide } });
    expect(await status(inbox, paid)).toBe("unhandled");
    await inbox.restart({
      files: {
        "handlers/default/paid.sql": tellAll,
        "handlers/default/refunded.sql": "insert into told values ('refunded!', :type, 0, null, null);",
      },
    });
    expect(await status(inbox, { ...paid, type: "refunded" })).toBe("processed");
    expect(inbox.rows("select event_id, type from told")).toEqual([{ event_id: "evt_1", type: "paid" }]);
    expect(inbox.rows("select type, handler from hookonce_events")).toEqual([
      { type: "paid", handler: "handlers/default/paid.sql" },
    ]);
  });

  test("keeps its id when the same body arrives under another one", async () => {
    const bySameBody = config('same_body = "duplicate"').replace("body:$.event_id", "header:x-id");
    await using inbox = await testInbox({ config: bySameBody, files: { "migrations/0001.sql": wide } });
    const send = async (id: string): Promise<string> =>
      (await inbox.deliver({ type: "paid" }, { headers: { "x-id": id } })).body.status as string;
    expect(await send("a")).toBe("unhandled");
    await inbox.restart({ config: bySameBody, files: { "handlers/default/_any.sql": tellAll } });
    expect(await send("b")).toBe("processed");
    expect(await send("a")).toBe("duplicate");
    expect(inbox.rows("select event_id from told")).toEqual([{ event_id: "a" }]);
  });

  test("stays unhandled while its new handler fails, and is applied once the handler succeeds", async () => {
    await using inbox = await testInbox({
      files: {
        "migrations/0001.sql": `${effectsTable} create table switch (off integer not null) strict; insert into switch values (1);`,
      },
    });
    expect(await status(inbox, paid)).toBe("unhandled");
    await inbox.restart({
      files: {
        "handlers/default/_any.sql": `${noteEffect} insert into effects select null, null, null from switch where off;`,
      },
    });
    expect(await status(inbox, paid)).toBe("failed");
    expect(await status(inbox, paid)).toBe("failed");
    expect(left(inbox)).toEqual({ events: 1, failures: 1, effects: 0 });
    expect(inbox.value("select outcome from hookonce_events")).toBe("unhandled");
    inbox.rows("update switch set off = 0 returning 1");
    expect(await status(inbox, paid)).toBe("processed");
    expect(await status(inbox, paid)).toBe("duplicate");
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
    expect(inbox.rows("select attempts from hookonce_failures")).toEqual([{ attempts: 2 }]);
  });

  test("is applied with the payload of its stored form if the provider sends forms", async () => {
    const github = `
[sources.default]
provider = "github"
secret   = "env:GITHUB_WEBHOOK_SECRET"
`;
    await using inbox = await testInbox({
      config: github,
      environment: secrets,
      files: { "migrations/0001.sql": wide },
    });
    const send = async (note: string): Promise<string> => {
      const form = new URLSearchParams({ payload: JSON.stringify({ note }) }).toString();
      const response = await inbox.request("/webhook", {
        method: "POST",
        body: form,
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          "x-github-delivery": "evt_1",
          "x-github-event": "push",
          "x-hub-signature-256": githubSignature(form),
        },
      });
      return ((await response.json()) as { status: string }).status;
    };
    expect(await send("first")).toBe("unhandled");
    await inbox.restart({ files: { "handlers/default/push.sql": tellAll } });
    expect(await send("second")).toBe("processed");
    expect(inbox.rows("select event_id, note from told")).toEqual([
      { event_id: "evt_1:push", note: "first" },
    ]);
  });

  test("counts all of its deliveries, including failed ones", async () => {
    await using inbox = await testInbox({ files: { "migrations/0001.sql": effectsTable } });
    await status(inbox, paid);
    await inbox.restart({
      files: {
        "handlers/default/_any.sql": `${noteEffect}
insert into effects select null, null, null
where not exists (select 1 from hookonce_failures where event_id = :event_id);`,
      },
    });
    expect([await status(inbox, paid), await status(inbox, paid), await status(inbox, paid)]).toEqual([
      "failed",
      "processed",
      "duplicate",
    ]);
    expect(inbox.value("select deliveries from hookonce_events")).toBe(4);
  });

  test('is done if unhandled = "ignore": its id is kept, its body is not, and it never runs', async () => {
    const ignoring = config('unhandled = "ignore"');
    await using inbox = await testInbox({ config: ignoring, files: { "migrations/0001.sql": effectsTable } });
    expect(await status(inbox, paid)).toBe("ignored");
    expect(inbox.rows("select event_id, type, outcome, handler from hookonce_events")).toEqual([
      { event_id: "evt_1", type: "paid", outcome: "ignored", handler: null },
    ]);
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(0);
    expect(inbox.value("select count(*) from hookonce_results")).toBe(0);
    await inbox.restart({ files: { "handlers/default/paid.sql": noteEffect } });
    expect(await status(inbox, paid)).toBe("duplicate");
    expect(await status(inbox, { ...paid, event_id: "evt_2" })).toBe("processed");
    expect(left(inbox)).toEqual({ events: 2, failures: 0, effects: 1 });
  });

  test('is a duplicate if unhandled = "ignore" and its id was applied before under a handled type', async () => {
    await using inbox = await testInbox({
      config: config('unhandled = "ignore"'),
      files: { "migrations/0001.sql": effectsTable, "handlers/default/paid.sql": noteEffect },
    });
    expect(await status(inbox, paid)).toBe("processed");
    // The same id arrives with a type that has no handler.
    expect(await status(inbox, { ...paid, type: "refunded" })).toBe("duplicate");
    expect(inbox.value("select deliveries from hookonce_events")).toBe(2);
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });

  test('is a failure if unhandled = "fail", and is applied once there is a handler', async () => {
    let now = 1_000_000;
    await using inbox = await testInbox({
      config: config('unhandled = "fail"'),
      files: { "migrations/0001.sql": wide },
      clock: () => (now += 1000),
    });
    expect((await inbox.deliver(paid)).status).toBe(500);
    expect(inbox.rows("select code, handler, attempts from hookonce_failures")).toEqual([
      { code: "no_handler", handler: null, attempts: 1 },
    ]);
    const first = inbox.value("select first_at from hookonce_failures") as number;
    await inbox.restart({ files: { "handlers/default/paid.sql": tellAll } });
    expect(await status(inbox, paid)).toBe("processed");
    expect(inbox.rows("select event_id, received_at from told")).toEqual([
      { event_id: "evt_1", received_at: first },
    ]);
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 0 });
  });
});

describe("_any", () => {
  test("handles every type without a more specific file, and events without a type", async () => {
    await using inbox = await testInbox({
      files: {
        "migrations/0001.sql": effectsTable,
        "handlers/default/_any.sql": "insert into effects values ('_any', :event_id, :type);",
        "handlers/default/issues.sql": "insert into effects values ('issues', :event_id, :type);",
        "handlers/default/issues.opened.sql":
          "insert into effects values ('issues.opened', :event_id, :type);",
      },
    });
    const types = ["issues.opened", "issues.opened.now", "issues.closed", "issues", "push", "_any", ""];
    for (const [n, type] of types.entries()) await inbox.deliver({ event_id: `evt_${n}`, type });
    await inbox.deliver({ event_id: "evt_none" });
    expect(inbox.rows("select source as handler, note as type from effects")).toEqual([
      { handler: "issues.opened", type: "issues.opened" },
      { handler: "issues.opened", type: "issues.opened.now" },
      { handler: "issues", type: "issues.closed" },
      { handler: "issues", type: "issues" },
      { handler: "_any", type: "push" },
      { handler: "_any", type: "_any" },
      { handler: "_any", type: "" },
      { handler: "_any", type: "" },
    ]);
  });
});

test("the log says whether an event without a handler is kept", async () => {
  for (const [extra, outcome, says] of [
    ["", "unhandled", "the event is kept. Add a handler, then run hookonce reload and hookonce apply"],
    ['unhandled = "ignore"', "ignored", "only the id is kept"],
  ] as const) {
    await using inbox = await testInbox({
      config: config(extra),
      files: { "migrations/0001.sql": effectsTable },
    });
    expect(await status(inbox, paid)).toBe(outcome);
    expect(inbox.log.filter(({ msg }) => msg.startsWith("no handler")).map(({ msg }) => msg)).toEqual([
      expect.stringContaining(says) as string,
    ]);
  }
});

test("a type path that finds nothing is named once in the log, and by the event", async () => {
  await using inbox = await testInbox({
    config: '[sources.a]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.evnt"\n',
    files: { "handlers/a/_any.sql": "select 1;" },
  });
  for (const id of ["evt_1", "evt_2"]) await inbox.deliver({ id, event: "paid" }, { source: "a" });
  expect(
    inbox.log.filter(({ msg }) => msg.startsWith("this source looks for")).map(({ msg }) => msg),
  ).toEqual([
    "this source looks for the type at body:$.evnt, but nothing is there, so the event has no type. Correct type in hookonce.toml if it should have one",
  ]);
  const event = await inbox.api("/api/event?event_id=evt_1");
  expect(await event.json()).toMatchObject({ type: "", type_missing_at: "body:$.evnt" });
  await inbox.deliver({ id: "evt_3", evnt: "paid" }, { source: "a" });
  const typed = await inbox.api("/api/event?event_id=evt_3");
  expect(await typed.json()).toMatchObject({ type: "paid", type_missing_at: null });
});
