import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, spyOn, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Cursor, EventFilter, Page } from "../../../src/engines/reader.ts";
import { migrate, ownSet } from "../../../src/engines/sqlite/migrations.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";
import { ownMigrations } from "../../../src/engines/sqlite/own-migrations.ts";
import { openReader } from "../../../src/engines/sqlite/reader.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const folder = temporaryFolder("reader");
const path = join(folder, "a.db");

/**
 * 9,000 events, of which two in three are owed, and 6,000 failures, of which 5,000 have the same place in the
 * order.
 */
beforeAll(() => {
  const { connection } = openDatabase(path);
  migrate(connection, ownSet(ownMigrations), 1);
  connection.run(
    `with recursive n (i) as (select 1 union all select i + 1 from n where i < 9000)
    insert into hookonce_events (id, source, event_id, type, received_at, outcome, last_delivery_at)
    select i, 'default', 'evt_' || i, iif(i % 1500 = 1, '😀a', 'paid'), i, iif(i % 3 = 0, 'processed', 'unhandled'), i from n`,
  );
  connection.run(
    `with recursive n (i) as (select 1 union all select i + 1 from n where i < 6000)
    insert into hookonce_failures (id, source, event_id, type, code, error, first_at, last_at, first_headers, first_body,
      last_headers, last_body, position)
    select i, 'default', 'failed_' || i, iif(i % 1000 = 2, '😀a', 'paid'), '', '', i, i, '', x'', '', x'',
      iif(i <= 1000, i, 4000) from n`,
  );
  connection.close(true);
});

afterAll(() => rmSync(folder, { recursive: true }));

const expected = (where: string, failuresWhere = where): unknown[] => {
  using db = new Database(path);
  return db
    .prepare(
      `select event_id from (
        select event_id, id as position, 0 as failure from hookonce_events where outcome = 'unhandled' and ${where}
        union all
        select event_id, position, id from hookonce_failures where ${failuresWhere}
      ) order by position, failure`,
    )
    .values()
    .flat();
};

const cases: [name: string, filter: EventFilter, expected: () => unknown[]][] = [
  ["all", {}, () => expected("true")],
  ["unhandled ones", { outcome: "unhandled" }, () => expected("true", "false")],
  ["failed ones", { outcome: "failed" }, () => expected("false", "true")],
  ["a rare type", { type: "😀a" }, () => expected("type = '😀a'")],
  ["a prefix outside the basic plane", { type: "😀*" }, () => expected("type = '😀a'")],
  ["a type that none has", { type: "none" }, () => []],
  ["the latest", { since: 8995 }, () => expected("received_at >= 8995", "first_at >= 8995")],
];

for (const [name, filter, all] of cases)
  test(`owed events are read page by page, once and in the order received: ${name}`, async () => {
    const reader = openReader(new Database(path, { readonly: true }));
    const found: string[] = [];
    let after: Cursor | undefined;
    let pages = 0;
    do {
      const { items, next } = await reader.owed(filter, after, 700);
      expect(items.length).toBeLessThanOrEqual(700);
      found.push(...items.map(({ eventId }) => eventId));
      after = next;
      pages++;
    } while (after !== undefined);
    reader.close();
    expect(found).toEqual(all() as string[]);
    // No page looks at all of them.
    expect(pages).toBeGreaterThan(2);
  });

test("counts what is owed by type", async () => {
  const reader = openReader(new Database(path, { readonly: true }));
  expect(await reader.owedByType(10_000)).toEqual([
    { source: "default", type: "paid", outcome: "unhandled", count: 5994, capped: false },
    { source: "default", type: "😀a", outcome: "unhandled", count: 6, capped: false },
    { source: "default", type: "paid", outcome: "failed", count: 5994, capped: false },
    { source: "default", type: "😀a", outcome: "failed", count: 6, capped: false },
  ]);
  reader.close();
});

test("who follows the events sees the newest ones, however slow the machine is", async () => {
  const reader = openReader(new Database(path, { readonly: true }));
  let now = 0;
  using clock = spyOn(performance, "now").mockImplementation(() => (now += 1000));
  const look = async (event: number, failure: number) => {
    const { items, isCut } = await reader.changes({}, { event, failure, change: 0 }, 200);
    return [items.filter(({ outcome }) => outcome !== "failed").length, items.length, isCut];
  };
  expect(await look(8995, 5997)).toEqual([5, 8, false]);
  expect(await look(8000, 6000)).toEqual([32, 32, true]);
  expect(clock).toHaveBeenCalled();
  reader.close();
});

test("a page of a search in large bodies ends after a few of them", () => {
  const large = join(folder, "large.db");
  const { connection } = openDatabase(large);
  migrate(connection, ownSet(ownMigrations), 1);
  connection.run(
    `with recursive n (i) as (select 1 union all select i + 1 from n where i < 20)
    insert into hookonce_bodies (id, received_at, headers, bytes) select i, i, '{}', zeroblob(5242880) from n`,
  );
  connection.run(
    `insert into hookonce_events (id, source, event_id, type, received_at, outcome, last_delivery_at)
    select id, 'default', 'evt_' || id, 'paid', id, 'unhandled', id from hookonce_bodies`,
  );
  connection.run("insert into hookonce_results (event, body) select id, id from hookonce_bodies");
  connection.close(true);
  const reader = openReader(new Database(large, { readonly: true }));
  const until = { event: 20, failure: 0, change: 0 };
  const searches = [
    (after?: Cursor) => reader.owed({ search: "none" }, after, 64),
    (after?: Cursor) => reader.recorded({ search: "none" }, after, 64, until),
  ] as const;
  for (const search of searches) {
    let pages = 0;
    for (let after: Cursor | undefined; ;) {
      const page = search(after) as Page<unknown>;
      expect(page.items).toEqual([]);
      pages++;
      if ((after = page.next) === undefined) break;
    }
    // In one query they took 0.4 s.
    expect(pages).toBeGreaterThan(3);
  }
  reader.close();
});
