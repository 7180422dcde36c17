import { expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

/** What an import leaves of events that are owed here. */

const CONFIG = `
[sources.shop]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"
`;

const FILES = {
  "migrations/0001_credits.sql": "create table credits (event_id text primary key, cents integer not null);",
  "handlers/shop/paid.sql": "insert into credits values (:event_id, :payload ->> '$.cents');",
};

const START = Date.UTC(2026, 10, 1);
const DAY = 86_400_000;

async function get(inbox: TestInbox, path: string): Promise<Record<string, unknown>> {
  return (await (await inbox.api(path)).json()) as Record<string, unknown>;
}

type Events = readonly (readonly [id: string, type: string, at: number])[];

/** @returns the job's id */
async function begin(inbox: TestInbox, events: Events, how: object = {}): Promise<string> {
  const begun = await inbox.api("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ action: "import", source: "shop", events, ...how }),
  });
  expect(begun.status).toBe(202);
  return ((await begun.json()) as { id: string }).id;
}

async function ended(inbox: TestInbox, id: string): Promise<Record<string, unknown>> {
  for (;;) {
    const job = await get(inbox, `/api/jobs/${id}`);
    if (job["state"] !== "running") return job;
    await Bun.sleep(5);
  }
}

/** @returns the counts of the ended job */
const importIds = async (inbox: TestInbox, events: Events, how?: object): Promise<unknown> =>
  (await ended(inbox, await begin(inbox, events, how)))["imported"];

test("an owed event that is imported keeps its body, deliveries, type and time", async () => {
  let now = START;
  await using inbox = await testInbox({ config: CONFIG, files: FILES, clock: () => now });
  const deliver = (id: string, type: string) => inbox.deliver({ id, type }, { source: "shop" });
  for (let number = 0; number < 3; number++, now += 1000) await deliver("failed", "paid");
  await deliver("unhandled", "later");
  const paths = ["failed", "unhandled"].map((id) => `/api/event?source=shop&event_id=${id}`);
  const before = await Promise.all(paths.map((path) => get(inbox, path)));

  now = START + DAY;
  const events = ["failed", "unhandled"].map((id) => [id, "", now] as const);
  expect(await importIds(inbox, events)).toEqual({
    fresh: 0,
    known: 0,
    owed: 2,
    old: 0,
    settled: ["failed", "unhandled"],
  });

  expect(before.map(({ outcome }) => outcome)).toEqual(["failed", "unhandled"]);
  const after = await Promise.all(paths.map((path) => get(inbox, path)));
  for (const [index, { outcome: _, failure: _why, handler: _file, ...kept }] of before.entries())
    expect(after[index]).toMatchObject({
      ...kept,
      outcome: "imported",
      settled: { at: now, outcome: "imported" },
    });
  const { items } = await get(inbox, "/api/failures?group=none");
  expect(items).toEqual([]);
});

test("an import settles any number of failures, once, and a dry run counts them first", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: FILES, clock: () => START });
  const ids = Array.from({ length: 150 }, (_, n) => `evt_${n}`);
  await Promise.all(ids.map((id) => inbox.deliver({ id, type: "paid" }, { source: "shop" })));
  await inbox.deliver({ id: "done", type: "paid", cents: 1 }, { source: "shop" });
  const events = [...ids, "done", "new"].map((id) => [id, "paid", START] as const);

  const counts = { fresh: 1, known: 1, owed: 150, old: 0, settled: ids.slice(0, 20) };
  expect(await importIds(inbox, events, { dry_run: true })).toEqual(counts);
  expect(await importIds(inbox, events, { dry_run: true })).toEqual(counts);
  expect(await importIds(inbox, events)).toEqual(counts);
  expect(await importIds(inbox, events)).toEqual({ fresh: 0, known: 152, owed: 0, old: 0, settled: [] });
  expect(await importIds(inbox, events, { dry_run: true })).toEqual({
    fresh: 0,
    known: 152,
    owed: 0,
    old: 0,
    settled: [],
  });
  const { body } = await inbox.deliver({ id: "evt_7", type: "paid", cents: 1 }, { source: "shop" });
  expect(body["status"]).toBe("duplicate");
});

test("an import counts what is older than the provider's retries", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: FILES, clock: () => START });
  const events = [0, 1, 2, 30].map((days) => [`evt_${days}`, "paid", START - days * DAY] as const);
  expect(await importIds(inbox, events)).toEqual({ fresh: 4, known: 0, owed: 0, old: 2, settled: [] });
});

test("an import that is stopped says how far it came, and goes on where it is repeated", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: FILES, clock: () => START });
  const events = Array.from({ length: 20_000 }, (_, n) => [`evt_${n}`, "paid", START] as const);
  const ids = await Promise.all([begin(inbox, events.slice(0, 10_000)), begin(inbox, events.slice(10_000))]);
  await Promise.all(ids.map((id) => inbox.api(`/api/jobs/${id}`, { method: "DELETE" })));
  let done = 0;
  for (const id of ids) {
    const { state, error, imported } = await ended(inbox, id);
    expect([["stopped", "done"].includes(String(state)), error]).toEqual([true, null]);
    done += (imported as { fresh: number } | null)?.fresh ?? 0;
  }
  const again = await importIds(inbox, events);
  expect(again).toEqual({ fresh: 20_000 - done, known: done, owed: 0, old: 0, settled: [] });
});
