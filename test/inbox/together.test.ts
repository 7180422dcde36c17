import { Database } from "bun:sqlite";
import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { testInbox, type TestInbox, type TestInboxOptions } from "../support/test-inbox.ts";

const TABLES = `create table effects (event_id text not null, n integer) strict;
create table parents (id integer primary key) strict;
create table children (parent integer references parents (id) deferrable initially deferred) strict;
create table guarded (n integer) strict;
create trigger guarded before insert on guarded when new.n = 13 begin select raise(rollback, 'thirteen'); end;
create view listed as select count(*) as events from hookonce_events;
create table counted (events integer) strict;
create table hooked (n integer) strict;
create trigger hooked after insert on hooked begin insert into counted select events from listed; end;`;

const effect = "insert into effects values (:event_id, :payload ->> '$.n');";

/** Half a write first: of what fails nothing may be left. */
const HANDLERS: Record<string, string> = {
  "handlers/default/paid.sql": effect,
  "handlers/default/refunded.sql": `${effect}\nupdate effects set n = n where event_id = :event_id;`,
  "handlers/default/fragile.sql": `${effect}\ninsert into effects select null, 1 where :payload ->> '$.fails';`,
  "handlers/default/guarded.sql": `${effect}\ninsert into guarded values (:payload ->> '$.n');`,
  "handlers/default/child.sql": `${effect}\ninsert into children values (:payload ->> '$.parent');`,
  "handlers/default/changes_nothing.sql": "update effects set n = 0 where event_id = :payload ->> '$.of';",
};

interface Sent {
  event_id: string;
  type: string;
  n: number;
  [field: string]: unknown;
}

function events(count: number, more: (n: number) => Partial<Sent> = () => ({})): Sent[] {
  return Array.from({ length: count }, (_, n) => ({ event_id: `evt_${n}`, type: "paid", n, ...more(n) }));
}

async function open(options: TestInboxOptions = {}): Promise<TestInbox> {
  return testInbox({ ...options, files: { "migrations/0001.sql": TABLES, ...HANDLERS, ...options.files } });
}

/** All at once, so that they share a transaction. @returns what each was answered */
async function deliverAll(inbox: TestInbox, all: readonly Sent[]): Promise<string[]> {
  return Promise.all(all.map(async (one) => (await inbox.deliver(one)).body.status as string));
}

/** A statement is prepared with its first use: has one for several events been used? */
const prepared = spyOn(Database.prototype, "query");
afterEach(() => void prepared.mockClear());
function usedTogether(): boolean {
  return prepared.mock.calls.some(([sql]) => sql.startsWith(`insert or rollback into "hookonce_events"`));
}

/** All that is stored of them, but for what depends on the clock and on who came first. */
function stored(inbox: TestInbox): unknown {
  return {
    events: inbox.rows(
      `select event_id, source, type, outcome, handler, rows_changed, deliveries, changed_bodies, reply, headers, cast(body as text) as body,
       duration_us >= 0 as timed, e.received_at = d.received_at and last_delivery_at >= e.received_at as at
       from hookonce_events e join hookonce_deliveries d on d.id = delivery_id order by event_id`,
    ),
    deliveries: inbox.value("select count(*) from hookonce_deliveries"),
    effects: inbox.rows("select * from effects order by event_id"),
    failures: inbox.rows(
      "select event_id, type, handler, code, error, attempts, settled_at from hookonce_failures order by event_id",
    ),
  };
}

/** What is the same whether events are applied together or one by one. */
const SCENARIOS: Record<string, { sent: Sent[]; together: boolean }> = {
  "new ones": { sent: events(40), together: true },
  "of several types": {
    sent: events(40, (n) => ({ type: ["paid", "refunded", "changes_nothing"][n % 3] as string })),
    together: true,
  },
  one: { sent: events(1), together: false },
  seven: { sent: events(7), together: true },
  "some that nobody handles": {
    sent: events(40, (n) => (n % 10 === 3 ? { type: "unknown" } : {})),
    together: true,
  },
  "the same one in between, and in between once more": {
    sent: [...events(20), ...events(5), ...events(20)],
    together: true,
  },
  "one whose handler fails": {
    sent: events(40, (n) => ({ type: "fragile", fails: n === 21 })),
    together: true,
  },
  "one that rolls the transaction back": {
    sent: events(40, (n) => ({ type: "guarded", n })),
    together: true,
  },
  "one that breaks a rule at COMMIT": {
    sent: events(40, (n) => ({ type: "child", parent: n === 30 ? 404 : null })),
    together: true,
  },
};

describe("what is stored is the same, together or one by one", () => {
  test.each(Object.entries(SCENARIOS))("%s", async (_, { sent, together }) => {
    await using one = await open({ open: { groupCommit: { maxEvents: 1 } } });
    const answeredOne = await deliverAll(one, sent);
    expect(usedTogether()).toBe(false);
    await using all = await open();
    const answeredAll = await deliverAll(all, sent);
    expect(usedTogether()).toBe(together);
    expect(answeredAll.toSorted()).toEqual(answeredOne.toSorted());
    expect(stored(all)).toEqual(stored(one));
    expect(all.fatal).toEqual([]);

    // And again: a retry of all of them.
    expect((await deliverAll(all, sent)).toSorted()).toEqual((await deliverAll(one, sent)).toSorted());
    expect(stored(all)).toEqual(stored(one));
  });

  test("ids that are on the list already", async () => {
    await using inbox = await open();
    await deliverAll(inbox, events(20));
    const again = await deliverAll(
      inbox,
      events(40, (n) => ({ n: n + 1000 })),
    );
    expect(again).toEqual([...Array<string>(20).fill("duplicate"), ...Array<string>(20).fill("processed")]);
    expect(inbox.value("select count(*) from effects")).toBe(40);
    expect(inbox.value("select sum(n) from effects")).toBe(190 + 20 * 1000 + 590);
    expect(inbox.value("select sum(changed_bodies) from hookonce_events")).toBe(20);
    expect(inbox.value("select count(*) from hookonce_deliveries")).toBe(40);
  });

  test("some that are on the list, where a trigger of the user's writes more rows with each", async () => {
    await using inbox = await open({
      files: { "migrations/0002.sql": "create table heard (n integer) strict;" },
    });
    await deliverAll(inbox, events(5));
    // A migration may not do this. The application that shares the database can.
    using other = new Database(inbox.databasePath);
    other.run(
      "create trigger heard after insert on hookonce_events begin insert into heard values (1), (2), (3); end",
    );
    const mixed = [...events(40), ...events(9, (n) => ({ event_id: `evt_${n * 4}` }))].toSorted(
      (a, b) => (a.n % 7) - (b.n % 7),
    );
    const answers = await deliverAll(inbox, mixed);
    expect(usedTogether()).toBe(true);
    expect(answers.filter((status) => status === "processed")).toHaveLength(35);
    expect(answers.filter((status) => status === "duplicate")).toHaveLength(14);
    expect(inbox.value("select count(*) from effects")).toBe(40);
    expect(inbox.value("select count(distinct event_id) from effects")).toBe(40);
    expect(inbox.value("select sum(deliveries) from hookonce_events")).toBe(5 + 49);
    expect(inbox.value("select count(*) from heard")).toBe(3 * 35);
    expect(
      inbox.value(
        "select count(*) from hookonce_events e join hookonce_deliveries d on d.id = delivery_id where d.body ->> '$.event_id' is event_id",
      ),
    ).toBe(40);
  });

  test("when there is no time for all of them", async () => {
    await using inbox = await open({ open: { groupCommit: { maxWorkMs: 0 } } });
    expect(await deliverAll(inbox, events(40))).toEqual(Array<string>(40).fill("processed"));
    expect(usedTogether()).toBe(true);
    expect(inbox.rows("select event_id, count(*) as times from effects group by 1 having times > 1")).toEqual(
      [],
    );
    expect(inbox.value("select count(*) from effects")).toBe(40);
    expect(inbox.value("select count(*) from hookonce_deliveries")).toBe(40);
  });

  test("while a failed one is still open they are applied one by one, and its retry settles it", async () => {
    await using inbox = await open();
    const failing = { event_id: "evt_9", type: "fragile", n: 9, fails: true };
    expect((await inbox.deliver(failing)).body.status).toBe("failed");
    expect(await deliverAll(inbox, events(40))).toEqual(Array<string>(40).fill("processed"));
    expect(usedTogether()).toBe(false);
    expect(inbox.rows("select attempts, settled_at is null as open from hookonce_failures")).toEqual([
      { attempts: 1, open: 0 },
    ]);
    expect(inbox.value("select deliveries from hookonce_events where event_id = 'evt_9'")).toBe(2);
  });
});

/** Handlers that could tell: each event's finds those before it on the list, and itself, and nobody else. */
const LOOKING: Record<string, string> = {
  table: "insert into counted select count(*) from hookonce_events;",
  view: "insert into counted select events from listed;",
  trigger: "insert into hooked values (1);",
  subquery: "insert into counted values ((select max(rowid) from main.hookonce_events));",
  index: "insert into counted select count(*) from hookonce_events where source = :source;",
  "what was written last": "insert into counted values (last_insert_rowid());",
  "the other tables": "insert into counted select count(*) + 1 from hookonce_deliveries;",
};

test.each(Object.entries(LOOKING))(
  "a handler that looks at the list has it as it would be alone: %s",
  async (_, sql) => {
    await using inbox = await open({ files: { "handlers/default/paid.sql": sql } });
    expect(await deliverAll(inbox, events(40))).toEqual(Array<string>(40).fill("processed"));
    expect(usedTogether()).toBe(false);
    const counted = inbox.rows("select events from counted order by events") as { events: number }[];
    expect(counted.map(({ events }) => events)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
  },
);

test("events of a source that forbids it fail by themselves when nothing was changed", async () => {
  await using inbox = await open({
    config: `[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
require_change = true
`,
  });
  const answers = await deliverAll(
    inbox,
    events(24, (n) => (n === 10 ? { type: "changes_nothing" } : {})),
  );
  expect(usedTogether()).toBe(true);
  expect(answers.filter((status) => status === "failed")).toHaveLength(1);
  expect(answers[10]).toBe("failed");
  expect(inbox.value("select count(*) from effects")).toBe(23);
  expect(inbox.value("select code from hookonce_failures")).toBe("no_rows_changed");
});

/** What is prepared otherwise occupies, for as long as it lives, the memory that SQLite would use for what is short-lived. */
test("every statement is made by query(), which tells SQLite that it is kept", async () => {
  const others = spyOn(Database.prototype, "prepare");
  await using inbox = await open();
  await deliverAll(inbox, [...events(20), ...events(20, () => ({ type: "guarded" }))]);
  expect(prepared).toHaveBeenCalled();
  expect(others.mock.calls).toEqual([]);
});
