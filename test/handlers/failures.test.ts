import { describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";

const NOW = 1_790_000_000_000;

interface Time {
  now: number;
}

/** A handler that fails if the payload says so. */
const OBEDIENT = ts(
  'effect("half"); if (event.payload.fail) throw new Error(event.payload.fail); effect("done");',
);

function inboxAt(time: Time, files: Record<string, string> = {}, config?: string): Promise<TestInbox> {
  return testInbox({
    clock: () => time.now,
    files: { "migrations/0001.sql": TABLES, "handlers/default/_any.ts": OBEDIENT, ...files },
    ...(config === undefined ? {} : { config }),
  });
}

const text = (body: unknown): string => Buffer.from(body as Uint8Array).toString();

test("the error of a SQL handler is stored with the line of its statement first", async () => {
  await using inbox = await testInbox({
    files: {
      "migrations/0001.sql": "create table one (n integer primary key) strict; insert into one values (1);",
      "handlers/default/_any.sql": "select 1;\n\ninsert into one values (1);",
    },
  });
  await inbox.deliver({ event_id: "evt_1" });
  expect(inbox.value("select stack from hookonce_failures")).toMatch(
    /^SQLiteError: UNIQUE constraint failed: one\.n\n {4}at handlers\/default\/_any\.sql:3\n/,
  );
});

test("an error that ends the whole transaction is stored with the handler's stack", async () => {
  await using inbox = await testInbox({
    files: {
      "migrations/0001.sql": `${TABLES}
create trigger no before insert on things begin select raise(rollback, 'no things'); end;`,
      "handlers/default/raised.ts": ts(
        'db.run(sql`insert into things values (9, "x")`);'.replaceAll('"', "'"),
      ),
    },
  });
  expect((await inbox.deliver({ event_id: "evt_1", type: "raised" })).status).toBe(500);
  const [failure] = inbox.rows("select code, error, stack from hookonce_failures");
  expect(failure).toMatchObject({
    code: "handler_ended_transaction",
    error: expect.stringContaining("no things") as string,
    stack: expect.stringContaining("handlers/default/raised.ts") as string,
  });
});

describe("a failing event leaves only its row in hookonce_failures", () => {
  test("which has the error, stack, times, and the first and latest body and headers", async () => {
    const time = { now: NOW };
    await using inbox = await inboxAt(time);
    const deliver = (fail: string, attempt: string) =>
      inbox.deliver(
        { event_id: "evt_1", type: "paid", fail },
        { headers: { "x-attempt": attempt, authorization: "Bearer s" } },
      );

    expect((await deliver("first reason", "1")).status).toBe(500);
    const [first] = inbox.rows("select * from hookonce_failures");
    expect(first).toMatchObject({
      source: "default",
      event_id: "evt_1",
      type: "paid",
      handler: "handlers/default/_any.ts",
      code: "handler_error",
      error: "first reason",
      attempts: 1,
      first_at: NOW,
      last_at: NOW,
      settled_at: null,
    });
    // The stack leads to the user's file.
    expect(first.stack).toContain("Error: first reason");
    expect(first.stack).toContain("handlers/default/_any.ts");
    expect(text(first.first_body)).toBe('{"event_id":"evt_1","type":"paid","fail":"first reason"}');
    expect(JSON.parse(first.first_headers)).toMatchObject({ "x-attempt": "1", authorization: "[redacted]" });
    expect(
      inbox.rows(
        "select 1 from hookonce_events union all select 1 from hookonce_bodies union all select 1 from effects",
      ),
    ).toEqual([]);

    time.now = NOW + 60_000;
    expect((await deliver("second reason", "2")).status).toBe(500);
    time.now = NOW + 120_000;
    expect((await deliver("third reason", "3")).status).toBe(500);
    const failures = inbox.rows("select * from hookonce_failures");
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({
      error: "third reason",
      attempts: 3,
      first_at: NOW,
      last_at: NOW + 120_000,
      settled_at: null,
    });
    expect(text(failures[0].first_body)).toContain("first reason");
    expect(text(failures[0].last_body)).toContain("third reason");
    expect(JSON.parse(failures[0].first_headers)).toMatchObject({ "x-attempt": "1" });
    expect(JSON.parse(failures[0].last_headers)).toMatchObject({
      "x-attempt": "3",
      authorization: "[redacted]",
    });
  });

  test("which names a SQLite error and the file, whichever way the statement was run", async () => {
    const wrong: Record<string, string> = {
      run: "db.run(sql`insert into things values (1, 'again')`);",
      query: "db.insert(things).values({ n: 1, note: 'again' }).run();",
      returning: "db.insert(things).values({ n: 1, note: 'again' }).returning().all();",
      client: "db.$client.run(\"insert into things values (1, 'again')\");",
      transaction: "db.transaction((tx) => tx.run(sql`insert into things values (1, 'again')`));",
    };
    await using inbox = await inboxAt(
      { now: NOW },
      Object.fromEntries(
        Object.entries(wrong).map(([name, body]) => [`handlers/default/${name}.ts`, ts(body)]),
      ),
    );
    for (const name of Object.keys(wrong)) {
      await inbox.deliver({ event_id: name, type: name });
      const [failure] = inbox.rows(
        "select code, error, stack from hookonce_failures where event_id = ?",
        name,
      );
      expect([name, failure.code, failure.error]).toEqual([
        name,
        "handler_error",
        expect.stringContaining("UNIQUE constraint failed: things.n"),
      ]);
      expect(failure.stack).toContain(`handlers/default/${name}.ts`);
    }
  });

  test("which is settled when a later delivery succeeds; the event counts all deliveries", async () => {
    const time = { now: NOW };
    await using inbox = await inboxAt(time);
    const deliver = async (fail?: string) =>
      (await inbox.deliver({ event_id: "evt_1", type: "paid", fail })).body.status as string;
    expect(await deliver("once")).toBe("failed");
    time.now += 1000;
    expect(await deliver("twice")).toBe("failed");
    time.now += 1000;
    expect(await deliver()).toBe("processed");
    time.now += 1000;
    expect(await deliver()).toBe("duplicate");
    expect(await deliver("too late to fail")).toBe("duplicate");

    expect(inbox.rows("select attempts, error, settled_at, last_at from hookonce_failures")).toEqual([
      { attempts: 2, error: "twice", settled_at: NOW + 2000, last_at: NOW + 1000 },
    ]);
    // The event was received with the first delivery, which failed.
    expect(
      inbox.rows(
        "select outcome, received_at, last_delivery_at, deliveries, changed_bodies from hookonce_events",
      ),
    ).toEqual([
      {
        outcome: "processed",
        received_at: NOW,
        last_delivery_at: NOW + 3000,
        deliveries: 5,
        changed_bodies: 1,
      },
    ]);
    expect(inbox.rows("select note from effects")).toEqual([{ note: "half" }, { note: "done" }]);
  });

  test("a handler gets the time of the first delivery, even at a retry", async () => {
    const time = { now: NOW };
    await using inbox = await inboxAt(time, {
      "handlers/default/timed.sql":
        "insert into effects values (:event_id, :received_at); insert into things values (:payload ->> '$.n', 'x');",
    });
    const deliver = async (n: number) =>
      (await inbox.deliver({ event_id: "evt_1", type: "timed", n })).body.status as string;
    expect(await deliver(1)).toBe("failed");
    time.now += 5000;
    expect(await deliver(99)).toBe("processed");
    expect(inbox.rows("select note from effects")).toEqual([{ note: String(NOW) }]);
  });

  test("which is settled after a restart with a corrected handler", async () => {
    const time = { now: NOW };
    await using inbox = await inboxAt(time, {
      "handlers/default/broken.sql": "insert into things values (1, 'again');",
    });
    const deliver = async () =>
      (await inbox.deliver({ event_id: "evt_1", type: "broken" })).body.status as string;
    expect(await deliver()).toBe("failed");
    await inbox.restart();
    expect(await deliver()).toBe("failed");
    expect(inbox.value("select attempts from hookonce_failures")).toBe(2);
    await inbox.restart({
      files: { "handlers/default/broken.sql": "insert into things values (11, 'mended');" },
    });
    expect(await deliver()).toBe("processed");
    expect(inbox.rows("select attempts, settled_at from hookonce_failures")).toEqual([
      { attempts: 2, settled_at: NOW },
    ]);
    expect(inbox.value("select deliveries from hookonce_events")).toBe(3);
    await inbox.restart();
    expect(await deliver()).toBe("duplicate");
  });

  test("the same id from two sources is two failures", async () => {
    await using inbox = await inboxAt(
      { now: NOW },
      { "handlers/a/_any.ts": OBEDIENT, "handlers/b/_any.ts": OBEDIENT },
      ["a", "b"].map((name) => `[sources.${name}]\nprovider = "unsigned"\ntype = "body:$.type"\n`).join(""),
    );
    for (const source of ["a", "b"]) await inbox.deliver({ event_id: "evt_1", fail: source }, { source });
    await inbox.deliver({ event_id: "evt_1" }, { source: "a" });
    expect(
      inbox.rows("select source, error, settled_at is null as open from hookonce_failures order by source"),
    ).toEqual([
      { source: "a", error: "a", open: 0 },
      { source: "b", error: "b", open: 1 },
    ]);
  });

  test("whose error and stack are cut at 64 KiB and marked, and the stack still names the handler", async () => {
    await using inbox = await inboxAt(
      { now: NOW },
      {
        "handlers/default/huge.ts": ts('throw new Error("first " + "ä☕🐙x".repeat(5_000_000) + " last");'),
        "handlers/default/sql.sql": "insert into things values (9, 'x');",
        "migrations/0002.sql": `create trigger no before insert on things
begin select raise(abort, printf('%.*c', 300000, 'x')); end;`,
      },
    );
    for (const type of ["huge", "sql"]) {
      expect((await inbox.deliver({ event_id: type, type })).status).toBe(500);
      expect((await inbox.deliver({ event_id: type, type })).status).toBe(500);
      const row = inbox.rows("select error, stack from hookonce_failures where event_id = ?", type)[0];
      for (const kept of [row.error, row.stack]) {
        expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(64 * 1024);
        expect(kept).toMatch(/\[… cut here, because the text has \d{6,8} bytes …\]/);
        expect(kept).not.toContain("\ufffd");
      }
      expect(Buffer.byteLength(row.error)).toBeGreaterThan(65_000);
      if (type === "huge") {
        expect(row.error).toStartWith("first ä☕🐙x");
        expect(row.error).toEndWith("🐙x last");
        expect(row.stack).toContain("handlers/default/huge.ts");
      }
    }
    const logged = inbox.log.filter(({ msg }) => msg === "delivery").map((line) => String(line["cause"]));
    expect(logged).toHaveLength(4);
    for (const cause of logged) expect(Buffer.byteLength(cause)).toBeLessThanOrEqual(64 * 1024);
  });

  test("which keeps an error text unchanged, even if it is long or contains quotes and NUL", async () => {
    await using inbox = await inboxAt({ now: NOW });
    const odd = [
      "'; drop table effects; --",
      "☕🐙",
      "line one\nline two",
      "x".repeat(60_000),
      "before\0after",
    ];
    for (const [index, fail] of odd.entries()) {
      expect((await inbox.deliver({ event_id: `evt_${index}`, fail })).status).toBe(500);
      const stored = inbox.value(
        "select cast(error as blob) from hookonce_failures where event_id = ?",
        `evt_${index}`,
      );
      expect(text(stored)).toBe(fail);
    }
  });
});

describe('unhandled = "fail"', () => {
  const config = '[sources.default]\nprovider = "unsigned"\ntype = "body:$.type"\nunhandled = "fail"\n';

  test("an event without a handler fails, and is processed once there is one", async () => {
    await using inbox = await testInbox({
      config,
      clock: () => NOW,
      files: { "migrations/0001.sql": TABLES },
    });
    const { status, body } = await inbox.deliver({ event_id: "evt_1", type: "paid" });
    expect([status, body.status]).toEqual([500, "failed"]);
    await inbox.deliver({ event_id: "evt_2" });
    expect(
      inbox.rows("select event_id, handler, code, error from hookonce_failures order by event_id"),
    ).toEqual([
      {
        event_id: "evt_1",
        handler: null,
        code: "no_handler",
        error:
          'There is no handler for the type "paid", and source "default" has unhandled = "fail". Add a handler for it in handlers/default/.',
      },
      {
        event_id: "evt_2",
        handler: null,
        code: "no_handler",
        error:
          'There is no handler for events without a type, and source "default" has unhandled = "fail". Add a handler for it in handlers/default/.',
      },
    ]);
    expect(inbox.rows("select 1 from hookonce_events")).toEqual([]);
    await inbox.restart({
      files: { "handlers/default/paid.sql": "insert into effects values (:event_id, 'paid');" },
    });
    expect((await inbox.deliver({ event_id: "evt_1", type: "paid" })).body.status).toBe("processed");
    expect(inbox.rows("select event_id, settled_at from hookonce_failures order by event_id")).toEqual([
      { event_id: "evt_1", settled_at: NOW },
      { event_id: "evt_2", settled_at: null },
    ]);
  });
});

test('unhandled = "ignore" answers 200 and keeps the id without the body', async () => {
  await using inbox = await testInbox({
    config: '[sources.default]\nprovider = "unsigned"\ntype = "body:$.type"\nunhandled = "ignore"\n',
    files: {
      "migrations/0001.sql": TABLES,
      "handlers/default/paid.sql": "insert into effects values (:event_id, 'paid');",
    },
  });
  const { status, body } = await inbox.deliver({ event_id: "evt_1", type: "other" });
  expect([status, body]).toEqual([
    200,
    { status: "ignored", event_id: "evt_1", message: "Webhook received" },
  ]);
  expect(inbox.rows("select outcome from hookonce_events")).toEqual([{ outcome: "ignored" }]);
  expect(inbox.rows("select 1 from hookonce_bodies")).toEqual([]);
  expect((await inbox.deliver({ event_id: "evt_1", type: "paid" })).body.status).toBe("duplicate");
  expect((await inbox.deliver({ event_id: "evt_2", type: "paid" })).body.status).toBe("processed");
});

describe("an event without a handler is stored and owed", () => {
  test("a later delivery applies it once there is a handler; until then each type is warned about once", async () => {
    const time = { now: NOW };
    await using inbox = await testInbox({ clock: () => time.now, files: { "migrations/0001.sql": TABLES } });
    const deliver = async (id: string, type: string, note = "first") =>
      (await inbox.deliver({ event_id: id, type, note })).body.status as string;
    expect(await deliver("evt_1", "paid")).toBe("unhandled");
    expect(await deliver("evt_2", "paid")).toBe("unhandled");
    expect(await deliver("evt_3", "sent")).toBe("unhandled");
    time.now += 1000;
    expect(await deliver("evt_1", "paid", "changed")).toBe("unhandled");
    expect(
      inbox.log.filter(({ msg }) => msg.startsWith("no handler for this type")).map(({ type }) => type),
    ).toEqual(["paid", "sent"]);
    expect(
      inbox.rows(
        "select event_id, outcome, deliveries, changed_bodies from hookonce_events order by event_id",
      ),
    ).toEqual([
      { event_id: "evt_1", outcome: "unhandled", deliveries: 2, changed_bodies: 1 },
      { event_id: "evt_2", outcome: "unhandled", deliveries: 1, changed_bodies: 0 },
      { event_id: "evt_3", outcome: "unhandled", deliveries: 1, changed_bodies: 0 },
    ]);

    await inbox.restart({
      files: {
        "handlers/default/paid.sql":
          "insert into effects values (:event_id, (:payload ->> '$.note') || ' ' || :received_at);",
      },
    });
    expect(await deliver("evt_1", "paid", "changed again")).toBe("processed");
    expect(await deliver("evt_1", "paid")).toBe("duplicate");
    // The stored event is applied: the first body, with the time of the first delivery.
    expect(inbox.rows("select * from effects")).toEqual([{ event_id: "evt_1", note: `first ${NOW}` }]);
    expect(
      inbox.rows(
        "select outcome, handler, rows_changed, deliveries from hookonce_events left join hookonce_results on event = id where event_id = 'evt_1'",
      ),
    ).toEqual([
      { outcome: "processed", handler: "handlers/default/paid.sql", rows_changed: 1, deliveries: 4 },
    ]);
    expect(await deliver("evt_3", "sent")).toBe("unhandled");
  });

  test("if the new handler fails, the event stays owed, and a later retry settles the failure", async () => {
    await using inbox = await testInbox({ clock: () => NOW, files: { "migrations/0001.sql": TABLES } });
    const deliver = async () =>
      (await inbox.deliver({ event_id: "evt_1", type: "paid" })).body.status as string;
    expect(await deliver()).toBe("unhandled");
    await inbox.restart({
      files: {
        "handlers/default/paid.sql":
          "insert into effects values (:event_id, 'half'); insert into things values (1, 'again');",
      },
    });
    expect(await deliver()).toBe("failed");
    expect(await deliver()).toBe("failed");
    expect(inbox.rows("select outcome, handler, deliveries from hookonce_events")).toEqual([
      { outcome: "unhandled", handler: null, deliveries: 3 },
    ]);
    expect(inbox.rows("select attempts, code, settled_at from hookonce_failures")).toEqual([
      { attempts: 2, code: "handler_error", settled_at: null },
    ]);
    expect(inbox.rows("select * from effects")).toEqual([]);
    await inbox.restart({
      files: { "handlers/default/paid.sql": "insert into effects values (:event_id, 'paid');" },
    });
    expect(await deliver()).toBe("processed");
    expect(inbox.rows("select outcome, handler, deliveries from hookonce_events")).toEqual([
      { outcome: "processed", handler: "handlers/default/paid.sql", deliveries: 4 },
    ]);
    expect(inbox.rows("select attempts, settled_at from hookonce_failures")).toEqual([
      { attempts: 2, settled_at: NOW },
    ]);
  });
});
