import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { effectsTable, left, noteEffect, noteOrFail } from "./support/effects.ts";

const files = { "migrations/0001.sql": effectsTable, "handlers/default/_any.sql": noteOrFail };
const event = { event_id: "evt_1", type: "paid", note: "first" };

/** Counts the deliveries by the status of their answer. */
async function tally(deliveries: Promise<{ body: { status: string } }>[]): Promise<Record<string, number>> {
  const tally: Record<string, number> = {};
  for (const { body } of await Promise.all(deliveries)) tally[body.status] = (tally[body.status] ?? 0) + 1;
  return tally;
}

const times = <Value>(count: number, make: (n: number) => Value): Value[] =>
  Array.from({ length: count }, (_, n) => make(n));

const listed = (inbox: TestInbox): unknown =>
  inbox.rows(
    "select event_id, outcome, handler, received_at, last_delivery_at, deliveries, changed_bodies from hookonce_events order by id",
  );

describe("concurrent duplicates", () => {
  for (const { name, maxEvents } of [
    { name: "in one transaction", maxEvents: 256 },
    { name: "in transactions of three", maxEvents: 3 },
    { name: "in a transaction each", maxEvents: 1 },
  ]) {
    test(`${name}: one delivery is processed, the others are answered as duplicates`, async () => {
      await using inbox = await testInbox({ files, open: { queue: { maxEvents } } });
      expect(await tally(times(40, () => inbox.deliver(event)))).toEqual({ processed: 1, duplicate: 39 });
      expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
      expect(inbox.value("select deliveries from hookonce_events")).toBe(40);
    });

    test(`${name}: each of several events is processed once`, async () => {
      await using inbox = await testInbox({ files, open: { queue: { maxEvents } } });
      const deliveries = times(60, (n) => inbox.deliver({ ...event, event_id: `evt_${n % 7}`, note: n % 7 }));
      expect(await tally(deliveries)).toEqual({ processed: 7, duplicate: 53 });
      expect(left(inbox)).toEqual({ events: 7, failures: 0, effects: 7 });
      expect(inbox.value("select sum(note) from effects")).toBe(0 + 1 + 2 + 3 + 4 + 5 + 6);
      expect(inbox.value("select sum(deliveries) from hookonce_events")).toBe(60);
    });

    test(`${name}: each delivery of a failing event fails, and the other events are processed`, async () => {
      await using inbox = await testInbox({ files, open: { queue: { maxEvents } } });
      const failing = { ...event, event_id: "evt_bad", fail: true };
      const deliveries = times(20, (n) =>
        inbox.deliver(n % 2 === 0 ? failing : { ...event, event_id: `evt_${n}` }),
      );
      expect(await tally(deliveries)).toEqual({ processed: 10, failed: 10 });
      expect(left(inbox)).toEqual({ events: 10, failures: 1, effects: 10 });
      expect(inbox.rows("select event_id, attempts, code from hookonce_failures")).toEqual([
        { event_id: "evt_bad", attempts: 10, code: "handler_error" },
      ]);
    });
  }

  test("that waited for the write lock are applied once, after it is released", async () => {
    await using inbox = await testInbox({ files });
    using other = new Database(inbox.databasePath);
    other.run("begin immediate");
    let answers = 0;
    const deliveries = times(30, async () => {
      const answer = await inbox.deliver(event);
      answers++;
      return answer;
    });
    await Bun.sleep(60);
    expect(answers).toBe(0);
    other.run("rollback");
    expect(await tally(deliveries)).toEqual({ processed: 1, duplicate: 29 });
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
  });

  test("of an event that fails twice and then succeeds are answered failed, processed and duplicate", async () => {
    await using inbox = await testInbox({
      files: {
        ...files,
        "handlers/default/_any.sql": `${noteEffect}
insert into effects select null, null, null
where not exists (select 1 from hookonce_failures where event_id = :event_id and attempts >= 2);`,
      },
    });
    expect(await tally(times(10, () => inbox.deliver(event)))).toEqual({
      failed: 2,
      processed: 1,
      duplicate: 7,
    });
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
    expect(inbox.value("select deliveries from hookonce_events")).toBe(10);
  });
});

describe("a failing event", () => {
  test("is run again by the next delivery, and applied once it succeeds", async () => {
    let now = 1_000_000;
    await using inbox = await testInbox({ files, clock: () => now });
    const deliver = async (payload: object): Promise<string> => {
      now += 1000;
      return (await inbox.deliver(payload)).body.status as string;
    };
    expect(await deliver({ ...event, fail: true, n: 1 })).toBe("failed");
    expect(await deliver({ ...event, fail: true, n: 2 })).toBe("failed");
    expect(left(inbox)).toEqual({ events: 0, failures: 1, effects: 0 });
    const failure = inbox.rows("select * from hookonce_failures")[0];
    expect(failure).toMatchObject({
      source: "default",
      event_id: "evt_1",
      type: "paid",
      handler: "handlers/default/_any.sql",
      code: "handler_error",
      error: expect.stringContaining("NOT NULL"),
      stack: expect.stringContaining("at "),
      attempts: 2,
      first_at: 1_001_000,
      last_at: 1_002_000,
      settled_at: null,
    });
    expect(JSON.parse(Buffer.from(failure.first_body).toString())).toEqual({ ...event, fail: true, n: 1 });
    expect(JSON.parse(Buffer.from(failure.last_body).toString())).toEqual({ ...event, fail: true, n: 2 });

    expect(await deliver(event)).toBe("processed");
    expect(await deliver(event)).toBe("duplicate");
    expect(await deliver({ ...event, fail: true })).toBe("duplicate");
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
    expect(inbox.rows("select attempts, settled_at from hookonce_failures")).toEqual([
      { attempts: 2, settled_at: 1_003_000 },
    ]);
    // The event was received with its first delivery, and every delivery counts.
    expect(inbox.rows("select received_at, last_delivery_at, deliveries from hookonce_events")).toEqual([
      { received_at: 1_001_000, last_delivery_at: 1_005_000, deliveries: 5 },
    ]);
  });

  test("keeps its failure and its first receipt time across a restart", async () => {
    let now = 1_000_000;
    await using inbox = await testInbox({ files, clock: () => now });
    await inbox.deliver({ ...event, fail: true });
    now += 1000;
    await inbox.restart();
    expect((await inbox.deliver(event)).body.status).toBe("processed");
    expect(left(inbox)).toEqual({ events: 1, failures: 0, effects: 1 });
    expect(inbox.rows("select received_at, deliveries from hookonce_events")).toEqual([
      { received_at: 1_000_000, deliveries: 2 },
    ]);
  });
});

describe("the same id with another body", () => {
  test("is never applied: changed bodies are counted, and the latest one is kept", async () => {
    let now = 1_000_000;
    await using inbox = await testInbox({ files, clock: () => now });
    const bodies = [
      event,
      { ...event, note: "second" },
      event,
      { ...event, note: "third" },
      { ...event, note: "third" },
    ];
    const statuses = [];
    for (const body of bodies) {
      now += 1000;
      statuses.push((await inbox.deliver(body)).body.status);
    }
    expect(statuses).toEqual(["processed", "duplicate", "duplicate", "duplicate", "duplicate"]);

    expect(inbox.rows("select note from effects")).toEqual([{ note: "first" }]);
    expect(listed(inbox)).toEqual([
      {
        event_id: "evt_1",
        outcome: "processed",
        handler: "handlers/default/_any.sql",
        received_at: 1_001_000,
        last_delivery_at: 1_005_000,
        deliveries: 5,
        changed_bodies: 3,
      },
    ]);
    const changed = inbox.rows("select * from hookonce_changed_bodies");
    expect(changed).toHaveLength(1);
    expect(changed[0].received_at).toBe(1_005_000);
    expect(JSON.parse(Buffer.from(changed[0].body).toString())).toEqual({ ...event, note: "third" });
    // The stored body is still the one that was applied.
    const stored = inbox.value("select bytes from hookonce_bodies") as Uint8Array;
    expect(JSON.parse(Buffer.from(stored).toString())).toEqual(event);
    expect(inbox.value("select count(*) from hookonce_bodies")).toBe(1);
  });

  test("counts as another body if any byte differs, even if the JSON values are equal", async () => {
    await using inbox = await testInbox({ files });
    await inbox.deliver('{"event_id":"evt_1","note":"first"}');
    await inbox.deliver('{"event_id":"evt_1", "note":"first"}');
    expect(inbox.value("select changed_bodies from hookonce_events")).toBe(1);
  });
});

const headerIds = (extra: string): string => `
[sources.default]
provider  = "unsigned"
event_id  = "header:x-id"
type      = "body:$.type"
${extra}
`;
const sendAs = async (inbox: TestInbox, id: string, payload: object): Promise<string> =>
  (await inbox.deliver(payload, { headers: { "x-id": id } })).body.status as string;

describe('same_body = "duplicate"', () => {
  const noteType = { ...files, "handlers/default/_any.sql": noteEffect };

  test("treats the same body under another id as the same event", async () => {
    await using inbox = await testInbox({ files: noteType, config: headerIds('same_body = "duplicate"') });
    expect(await sendAs(inbox, "a", { type: "paid", note: 1 })).toBe("processed");
    expect(await sendAs(inbox, "b", { type: "paid", note: 1 })).toBe("duplicate");
    expect(await sendAs(inbox, "b", { type: "paid", note: 2 })).toBe("processed");
    expect(await sendAs(inbox, "a", { type: "paid", note: 3 })).toBe("duplicate");
    expect(inbox.rows("select event_id, note from effects")).toEqual([
      { event_id: "a", note: 1 },
      { event_id: "b", note: 2 },
    ]);
    expect(inbox.rows("select event_id, deliveries, changed_bodies from hookonce_events")).toEqual([
      { event_id: "a", deliveries: 3, changed_bodies: 1 },
      { event_id: "b", deliveries: 1, changed_bodies: 0 },
    ]);
  });

  test("applies to concurrent deliveries and after a restart, but not to failures", async () => {
    const table = { ...files, "handlers/default/_any.sql": noteOrFail };
    await using inbox = await testInbox({ files: table, config: headerIds('same_body = "duplicate"') });
    expect(await sendAs(inbox, "bad", { type: "paid", fail: true })).toBe("failed");
    expect(await sendAs(inbox, "worse", { type: "paid", fail: true })).toBe("failed");
    const statuses = await Promise.all(times(9, (n) => sendAs(inbox, `id_${n}`, { type: "paid", note: 1 })));
    expect(statuses.filter((status) => status === "processed")).toHaveLength(1);
    expect(statuses.filter((status) => status === "duplicate")).toHaveLength(8);
    await inbox.restart();
    expect(await sendAs(inbox, "late", { type: "paid", note: 1 })).toBe("duplicate");
    expect(left(inbox)).toEqual({ events: 1, failures: 2, effects: 1 });
  });

  test("settles the failure recorded under another id", async () => {
    await using inbox = await testInbox({
      config: headerIds('same_body = "duplicate"'),
      files: {
        ...files,
        "handlers/default/_any.sql": `${noteEffect}
insert into effects select null, null, null where not exists (select 1 from hookonce_failures);`,
      },
    });
    expect(await sendAs(inbox, "a", { type: "paid" })).toBe("failed");
    expect(await sendAs(inbox, "b", { type: "paid" })).toBe("processed");
    expect(await sendAs(inbox, "a", { type: "paid" })).toBe("duplicate");
    expect(left(inbox)).toEqual({ events: 2, failures: 0, effects: 1 });
    expect(inbox.rows("select event_id, outcome from hookonce_events order by id")).toEqual([
      { event_id: "b", outcome: "processed" },
      { event_id: "a", outcome: "ignored" },
    ]);
    expect(await (await inbox.api("/api/event?event_id=a")).json()).toMatchObject({ same_as: "b" });
  });

  test("is off by default, because two events can have the same bytes", async () => {
    await using inbox = await testInbox({ files: noteType, config: headerIds("") });
    expect(await sendAs(inbox, "a", { type: "paid" })).toBe("processed");
    expect(await sendAs(inbox, "b", { type: "paid" })).toBe("processed");
    expect(left(inbox)).toEqual({ events: 2, failures: 0, effects: 2 });
  });
});

describe("require_change = true", () => {
  test("fails an event that changed no rows, and applies it once it changes one", async () => {
    await using inbox = await testInbox({
      config: `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
require_change = true
`,
      files: {
        "migrations/0001.sql": `${effectsTable} create table accounts (name text primary key, cents integer not null) strict;`,
        "handlers/default/_any.sql":
          "update accounts set cents = cents + :payload ->> '$.cents' where name = :payload ->> '$.name';",
      },
    });
    const payment = { event_id: "evt_1", type: "paid", name: "ada", cents: 500 };
    expect((await inbox.deliver(payment)).body.status).toBe("failed");
    expect(inbox.rows("select code, attempts from hookonce_failures")).toEqual([
      { code: "no_rows_changed", attempts: 1 },
    ]);
    inbox.rows("insert into accounts values ('ada', 0) returning 1");
    expect((await inbox.deliver(payment)).body.status).toBe("processed");
    expect((await inbox.deliver(payment)).body.status).toBe("duplicate");
    expect(inbox.value("select cents from accounts")).toBe(500);
    expect(
      inbox.rows(
        "select deliveries, rows_changed from hookonce_events left join hookonce_results on event = id",
      ),
    ).toEqual([{ deliveries: 3, rows_changed: 1 }]);
  });
});
