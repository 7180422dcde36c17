import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { testInbox, type ReloadChange, type TestInbox } from "../support/test-inbox.ts";

/** It ignores what it has no handler for, so that a run with the handlers of another set loses the event. */
const shop = (rest = 'type = "body:$.type"'): string => `
[sources.shop]
provider  = "unsigned"
event_id  = "body:$.id"
unhandled = "ignore"
${rest}
`;

/** Another source, so that its folder of handlers is known. */
const OTHER = `
[sources.other]
provider = "unsigned"
event_id = "body:$.id"
type     = "body:$.type"
`;

const EFFECTS = { "migrations/0001_effects.sql": "create table effects (id text, set_of text) strict;" };
const handler = (set: string): string => `insert into effects values (:event_id, '${set}');`;

const outcomes = (inbox: TestInbox) =>
  inbox.rows("select source, outcome, count(*) count from hookonce_events group by 1, 2 order by 1, 2");
const effects = (inbox: TestInbox) => inbox.rows("select set_of, count(*) count from effects group by 1");

const idsTo = (length: number): string[] => Array.from({ length }, (_, n) => `evt_${n}`);
const paid = (count: number) => idsTo(count).map((id) => ({ id, type: "paid" }));

async function deliver(inbox: TestInbox, payload: object): Promise<string> {
  const { status, body } = await inbox.deliver(payload, { source: "shop" });
  return `${status} ${body.status ?? body.error.code}`;
}

/** How many deliveries or jobs wait for their turn. */
async function depth(inbox: TestInbox, what: "deliveries" | "jobs"): Promise<number> {
  const text = await (await inbox.api("/metrics")).text();
  return Number(new RegExp(`^hookonce_queue_depth.*${what}.* (\\d+)$`, "m").exec(text)?.[1]);
}

/** Reloads while what `begin` begins waits for its turn, because another process holds the write lock. */
async function whileWaiting<T>(
  inbox: TestInbox,
  begin: () => Promise<T>,
  isWaiting: () => Promise<boolean>,
  reload: () => Promise<void>,
): Promise<T> {
  using other = new Database(inbox.databasePath);
  other.run("begin immediate");
  const begun = begin();
  await until(isWaiting);
  await reload();
  other.run("rollback");
  return begun;
}

const deliverWhileReloading = (
  inbox: TestInbox,
  payloads: readonly object[],
  change: ReloadChange,
): Promise<string[]> =>
  whileWaiting(
    inbox,
    () => Promise.all(payloads.map((payload) => deliver(inbox, payload))),
    async () => (await depth(inbox, "deliveries")) === payloads.length,
    () => inbox.reload(change),
  );

async function discard(inbox: TestInbox, filter: object): Promise<void> {
  const job = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json", "x-hookonce-actor": "sam" },
    body: JSON.stringify({ action: "discard", filter, reason: "a test" }),
  });
  expect(job.status).toBe(202);
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error("it did not happen within 30 s");
    await Bun.sleep(5);
  }
}

/** The source's handlers are in another folder now. With its old folder, no handler is found. */
const moved = {
  config: OTHER + shop('type = "body:$.type"\nhandlers = "other"'),
  files: { "handlers/other/paid.sql": handler("new") },
  without: ["handlers/shop/paid.sql"],
};

test("a failure that is delivered again to a paused source has the type of the rule that a reload brought", async () => {
  const files = { "handlers/shop/paid.sql": "insert into effects select null, null from none;", ...EFFECTS };
  await using inbox = await testInbox({
    config: shop(),
    files: {
      ...files,
      "migrations/0002_none.sql": "create table none (id integer) strict; insert into none values (1);",
    },
  });
  const event = { id: "evt_0", type: "paid", kind: "invoice" };
  inbox.rows(
    "create trigger refuse before insert on effects when new.id is null begin select raise(abort, 'no'); end",
  );
  expect(await deliver(inbox, event)).toBe("500 failed");
  const set = async (state: string): Promise<void> => {
    const answer = await inbox.api("/api/sources/shop/state", {
      method: "PUT",
      headers: { "content-type": "application/json", "x-hookonce-actor": "sam" },
      body: JSON.stringify({ state }),
    });
    expect(answer.status).toBe(200);
  };
  await set("held");
  await inbox.reload({
    config: shop('type = "body:$.kind"'),
    files: { "handlers/shop/invoice.sql": handler("new") },
    without: ["handlers/shop/paid.sql"],
  });
  expect(await deliver(inbox, event)).toBe("200 held");
  await set("open");
  await until(() => effects(inbox).length > 0);
  expect(effects(inbox)).toEqual([{ set_of: "new", count: 1 }]);
  expect(inbox.rows("select type, outcome from hookonce_events")).toEqual([
    { type: "invoice", outcome: "processed" },
  ]);
});

describe("a reload while deliveries wait for their turn", () => {
  const files = { "handlers/shop/paid.sql": handler("old"), ...EFFECTS };

  test("runs each with the source and the handlers of the new set", async () => {
    await using inbox = await testInbox({ config: OTHER + shop(), files });
    expect(new Set(await deliverWhileReloading(inbox, paid(300), moved))).toEqual(new Set(["200 processed"]));
    expect(outcomes(inbox)).toEqual([{ source: "shop", outcome: "processed", count: 300 }]);
    expect(effects(inbox)).toEqual([{ set_of: "new", count: 300 }]);
  });

  test("reads their types by the new rule", async () => {
    await using inbox = await testInbox({ config: shop(), files });
    const answers = await deliverWhileReloading(inbox, [{ id: "evt_0", type: "paid", kind: "invoice" }], {
      config: shop('type = "body:$.kind"'),
      files: { "handlers/shop/invoice.sql": handler("new") },
      without: ["handlers/shop/paid.sql"],
    });
    expect(answers).toEqual(["200 processed"]);
    expect(inbox.rows("select type, outcome from hookonce_events")).toEqual([
      { type: "invoice", outcome: "processed" },
    ]);
    expect(effects(inbox)).toEqual([{ set_of: "new", count: 1 }]);
  });

  test("reads the types of the events of a batch by the new rule", async () => {
    const batch = 'batch = "body:$.events[*]"\ntype =';
    await using inbox = await testInbox({ config: shop(`${batch} "body:$.type"`), files });
    const events = idsTo(3).map((id) => ({ id, type: "paid", kind: "invoice" }));
    const answers = whileWaiting(
      inbox,
      () => inbox.deliver({ events }, { source: "shop" }),
      async () => (await depth(inbox, "deliveries")) === 3,
      () =>
        inbox.reload({
          config: shop(`${batch} "body:$.kind"`),
          files: { "handlers/shop/invoice.sql": handler("new") },
          without: ["handlers/shop/paid.sql"],
        }),
    );
    expect((await answers).status).toBe(200);
    expect(outcomes(inbox)).toEqual([{ source: "shop", outcome: "processed", count: 3 }]);
    expect(effects(inbox)).toEqual([{ set_of: "new", count: 3 }]);
  });

  test("sends on and redacts as the new set says", async () => {
    await using inbox = await testInbox({ config: shop(), files });
    const event = { id: "evt_0", type: "paid", email: "ada@example.com" };
    const sent = (name: string) =>
      shop(`type = "body:$.type"\nredact = ["body:$.email"]\nforward = ["${name}"]`) +
      `[destinations.${name}]\nurl = "http://127.0.0.1:9"\n`;
    expect(await deliverWhileReloading(inbox, [event], { config: sent("first") })).toEqual(["200 processed"]);
    expect(
      await deliverWhileReloading(inbox, [{ ...event, id: "evt_1" }], { config: sent("second") }),
    ).toEqual(["200 processed"]);
    expect(inbox.rows("select destination from hookonce_messages order by id")).toEqual([
      { destination: "first" },
      { destination: "second" },
    ]);
    const redacting = shop('type = "body:$.type"\nredact = ["body:$.email"]');
    await deliverWhileReloading(inbox, [{ ...event, id: "evt_2" }], { config: redacting });
    expect(
      inbox.value(
        `select bytes from hookonce_bodies join hookonce_results on body = hookonce_bodies.id
         join hookonce_events on event = hookonce_events.id where event_id = 'evt_2'`,
      ),
    ).toEqual(new Uint8Array(Buffer.from(JSON.stringify({ ...event, id: "evt_2", email: "[redacted]" }))));
  });

  test("refuses those of a source that it removes, and records nothing", async () => {
    await using inbox = await testInbox({ config: OTHER + shop(), files });
    const answers = await deliverWhileReloading(inbox, paid(20), { config: OTHER });
    expect(new Set(answers)).toEqual(new Set(["404 unknown_source"]));
    expect(outcomes(inbox)).toEqual([]);
    // The others that wait are not affected.
    await inbox.reload({ config: OTHER + shop() });
    expect(await deliver(inbox, { id: "evt_0", type: "paid" })).toBe("200 processed");
  });
});

/** `change` is in one turn of this thread with taking the lock, so no job can run before. */
function reloadWhileJobsWait(inbox: TestInbox, change: string, to: ReloadChange): Promise<unknown> {
  inbox.rows(change);
  return whileWaiting(
    inbox,
    () => Promise.resolve(),
    async () => (await depth(inbox, "jobs")) > 0,
    () => inbox.reload(to),
  );
}

describe("a reload while jobs wait for their turn", () => {
  const files = {
    "migrations/0001_effects.sql": "create table effects (id text not null, set_of text) strict;",
    "handlers/shop/paid.sql": "insert into effects values (null, 'old');",
  };
  const upkeep = { minuteMs: 60_000 };
  const config = OTHER + shop('type = "body:$.type"\nretry_for = "1d"');

  const RESUME = "update hookonce_source_states set state = 'resuming'";

  test("runs what is held with the new set, in the order received", async () => {
    await using inbox = await testInbox({ config, files, upkeep });
    await inbox.pausing.pause("shop", {}, "sam");
    for (const event of paid(300)) expect(await deliver(inbox, event)).toBe("200 held");
    await reloadWhileJobsWait(inbox, RESUME, moved);
    await until(() => inbox.rows("select * from hookonce_source_states").length === 0);
    expect(outcomes(inbox)).toEqual([{ source: "shop", outcome: "processed", count: 300 }]);
    expect(inbox.rows("select id from effects order by rowid").map(({ id }) => id as string)).toEqual(
      idsTo(300),
    );
  });

  test("leaves what is held of a source that it removes, until it is there again", async () => {
    await using inbox = await testInbox({ config, files, upkeep });
    await inbox.pausing.pause("shop", {}, "sam");
    for (const event of paid(3)) await deliver(inbox, event);
    await reloadWhileJobsWait(inbox, RESUME, { config: OTHER, dropped: ["shop"] });
    await until(() => inbox.log.some(({ msg }) => msg === "held events could not be run"));
    expect(outcomes(inbox)).toEqual([{ source: "shop", outcome: "held", count: 3 }]);
    await inbox.restart({ config: moved.config, files: moved.files });
    await until(() => outcomes(inbox)[0].outcome === "processed");
    expect(effects(inbox)).toEqual([{ set_of: "new", count: 3 }]);
  });

  test("runs failures again with the new set", async () => {
    await using inbox = await testInbox({ config, files, upkeep });
    for (const event of paid(60)) expect(await deliver(inbox, event)).toBe("500 failed");
    await reloadWhileJobsWait(inbox, "update hookonce_failures set next_at = 1", moved);
    await until(() => effects(inbox)[0]?.count === 60);
    expect(outcomes(inbox)).toEqual([{ source: "shop", outcome: "processed", count: 60 }]);
  });
});

const redacting = (forward = "") =>
  shop(`type = "body:$.type"\nredact = ["body:$.email"]\nallow_public = true\n${forward}`);

const bodies = (inbox: TestInbox) =>
  inbox
    .rows("select bytes from hookonce_bodies")
    .map(({ bytes }) => Buffer.from(bytes as Uint8Array).toString());

describe("a source that a reload has removed", () => {
  const event = { id: "evt_0", type: "paid", email: "ada@example.com" };
  const without = { ...event, email: "[redacted]" };

  test("loses what its redact named when its owed event is discarded", async () => {
    await using inbox = await testInbox({
      config: OTHER + redacting().replace('unhandled = "ignore"', 'unhandled = "record"'),
    });
    expect(await deliver(inbox, event)).toBe("200 unhandled");
    await inbox.reload({ config: OTHER, dropped: ["shop"] });
    // Another reload forgets nothing.
    await inbox.reload({ config: OTHER, dropped: ["shop"] });
    expect(bodies(inbox).map((body) => JSON.parse(body) as unknown)).toEqual([event]);
    await discard(inbox, { source: "shop" });
    await until(() => outcomes(inbox)[0].outcome === "discarded");
    expect(bodies(inbox).map((one) => JSON.parse(one) as unknown)).toEqual([without]);
  });

  test("loses it when its last message is discarded", async () => {
    const sent = `[destinations.app]\nurl = "http://127.0.0.1:9"\n`;
    await using inbox = await testInbox({
      config: OTHER + redacting('forward = ["app"]') + sent,
      files: { "handlers/shop/paid.sql": handler("old"), ...EFFECTS },
    });
    expect(await deliver(inbox, event)).toBe("200 processed");
    expect(bodies(inbox).map((body) => JSON.parse(body) as unknown)).toEqual([event]);
    await inbox.reload({ config: OTHER + sent, dropped: ["shop"] });
    await discard(inbox, { destination: "app" });
    await until(() => inbox.value("select state from hookonce_messages") === "discarded");
    expect(bodies(inbox).map((one) => JSON.parse(one) as unknown)).toEqual([without]);
  });
});
