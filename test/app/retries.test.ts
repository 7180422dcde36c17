import { expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const SECONDS = 1000;

const CONFIG = `
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
retry_for = "1h"
`;

/** The handler fails until there is a price. */
const FILES = {
  "migrations/0001_effects.sql": `create table prices (cents integer not null);
create table effects (event_id text not null, cents integer not null);`,
  "handlers/default/paid.sql": `insert into effects values (:event_id, (select cents from prices));`,
};

async function shop() {
  let now = 1_795_780_800_000;
  const inbox = await testInbox({
    config: CONFIG,
    files: FILES,
    clock: () => now,
    upkeep: { minuteMs: 60_000 },
  });
  return {
    inbox,
    pass: (ms: number): void => void (now += ms),
    now: () => now,
    setPrice: () => inbox.rows("insert into prices values (500)"),
  };
}

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error("it did not happen within 20 s");
    await Bun.sleep(10);
  }
}

const failure = (inbox: TestInbox) =>
  inbox.rows("select attempts, deliveries, retries, next_at, settled_at from hookonce_failures")[0];

test("a failure runs again by itself, by backoff with jitter, until it succeeds once", async () => {
  const { inbox, pass, now, setPrice } = await shop();
  await using _ = inbox;
  expect((await inbox.deliver({ event_id: "evt_1", type: "paid" })).status).toBe(500);
  expect(failure(inbox).next_at - now()).toBeWithin(10 * SECONDS, 20 * SECONDS + 1);

  pass(9 * SECONDS);
  await Bun.sleep(100);
  expect(failure(inbox)).toMatchObject({ attempts: 1, retries: 0 });

  pass(12 * SECONDS);
  await until(() => failure(inbox).retries === 1);
  expect(failure(inbox)).toMatchObject({ attempts: 2, deliveries: 1, settled_at: null });
  expect(failure(inbox).next_at - now()).toBeWithin(10 * SECONDS, 40 * SECONDS + 1);

  setPrice();
  pass(41 * SECONDS);
  await until(() => failure(inbox).settled_at !== null);
  expect(failure(inbox)).toMatchObject({ attempts: 2, deliveries: 1, next_at: null });
  expect(inbox.rows("select event_id, cents from effects")).toEqual([{ event_id: "evt_1", cents: 500 }]);
  const again = await inbox.deliver({ event_id: "evt_1", type: "paid" });
  expect([again.status, again.body.status]).toEqual([200, "duplicate"]);
  expect(inbox.fatal).toEqual([]);
});

test("it runs again soon if the clock was ahead when it failed", async () => {
  const { inbox, pass, now, setPrice } = await shop();
  await using _ = inbox;
  await inbox.deliver({ event_id: "evt_1", type: "paid" });
  setPrice();
  pass(-365 * 24 * 3600 * SECONDS);
  expect(failure(inbox).next_at).toBeGreaterThan(now());
  await until(() => failure(inbox).settled_at !== null);
  expect(inbox.rows("select event_id from effects")).toEqual([{ event_id: "evt_1" }]);
});

test("it runs again for retry_for, from its first attempt on, and no longer", async () => {
  const { inbox, pass, now } = await shop();
  await using _ = inbox;
  await inbox.deliver({ event_id: "evt_1", type: "paid" });
  const first = now();
  for (let run = 0; run < 100 && failure(inbox).next_at !== null; run++) {
    const { next_at: nextAt, retries } = failure(inbox);
    expect(nextAt).toBeLessThanOrEqual(first + 3600 * SECONDS);
    pass(nextAt - now());
    await until(() => failure(inbox).retries > retries);
  }
  const { attempts, next_at: nextAt, settled_at: settledAt } = failure(inbox);
  expect({ nextAt, settledAt }).toEqual({ nextAt: null, settledAt: null });
  expect(attempts).toBeGreaterThan(3);
});

test("own retries, redeliveries, apply and discard race to one effect of each event", async () => {
  const { inbox, pass, setPrice } = await shop();
  await using _ = inbox;
  const ids = Array.from({ length: 150 }, (__, n) => `evt_${n}`);
  const deliverAll = () => Promise.all(ids.map((id) => inbox.deliver({ event_id: id, type: "paid" })));
  for (const { status } of await deliverAll()) expect(status).toBe(500);
  setPrice();
  pass(21 * SECONDS);
  const job = (json: object) =>
    inbox.api("/api/jobs", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(json),
    });
  const answers = await Promise.all([
    deliverAll(),
    job({ action: "apply" }),
    job({ action: "discard", filter: { type: "paid" }, reason: "a test" }),
  ]);
  expect(answers.slice(1).map((answer) => (answer as Response).status)).toEqual([202, 202]);
  await until(() => inbox.value("select count(*) from hookonce_jobs where ended_at is not null") === 2);
  const outcomes = inbox.rows("select outcome, count(*) as count from hookonce_events group by 1");
  const count = (outcome: string): number => outcomes.find((row) => row.outcome === outcome)?.count ?? 0;
  expect(count("processed") + count("discarded")).toBe(150);
  expect(inbox.value("select count(*) from effects")).toBe(count("processed"));
  expect(inbox.value("select count(distinct event_id) from effects")).toBe(count("processed"));
  expect(inbox.value("select count(*) from hookonce_failures where settled_at is null")).toBe(0);
});

test("a failure of a source that is no longer in the config waits, and does not keep others from running", async () => {
  const { inbox, pass, setPrice } = await shop();
  await using _ = inbox;
  await inbox.deliver({ event_id: "evt_old", type: "paid" });
  await inbox.restart({
    config: CONFIG.replace("sources.default", "sources.shop"),
    files: { "handlers/shop/paid.sql": FILES["handlers/default/paid.sql"] },
  });
  await inbox.deliver({ event_id: "evt_new", type: "paid" }, { source: "shop" });
  setPrice();
  pass(21 * SECONDS);
  await until(() => inbox.value("select count(*) from effects") === 1);
  expect(inbox.rows("select source, event_id from hookonce_failures where settled_at is null")).toEqual([
    { source: "default", event_id: "evt_old" },
  ]);
});
