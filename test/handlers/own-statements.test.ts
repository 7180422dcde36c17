import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";

/** What another program does to hookonce's tables while it serves is not the handler's fault. */

const files = {
  "migrations/0001.sql": TABLES,
  "handlers/default/sql.sql": "insert into effects values (:event_id, 'sql');",
  "handlers/default/ts.ts": ts('effect("ts");'),
};

const RAISE = (kind: "abort" | "rollback"): string =>
  `create trigger no_more before insert on hookonce_bodies begin select raise(${kind}, 'no more'); end`;

const CHANGES: Readonly<Record<string, string>> = {
  "drops hookonce_events": "drop table hookonce_events",
  "drops hookonce_bodies": "drop table hookonce_bodies",
  "drops hookonce_results": "drop table hookonce_results",
  "drops hookonce_rollups": "drop table hookonce_rollups",
  "adds a trigger that refuses a row": RAISE("abort"),
  "adds a trigger that ends the transaction": RAISE("rollback"),
};

function change(inbox: TestInbox, sql: string): void {
  using other = new Database(inbox.databasePath);
  other.run(sql);
}

describe("if another program", () => {
  test.each(Object.entries(CHANGES))(
    "%s, a delivery is refused, and no handler is blamed",
    async (_, sql) => {
      await using inbox = await testInbox({ files });
      for (const type of ["sql", "ts"])
        expect((await inbox.deliver({ event_id: `before ${type}`, type })).body.status).toBe("processed");
      change(inbox, sql);
      const events = ["sql", "ts", "sql", "ts"].map((type, n) => ({ event_id: `evt_${n}`, type }));
      const answers = await Promise.all(events.map((event) => inbox.deliver(event)));
      for (const { status, body } of answers)
        expect([status, body.error.code]).toEqual([503, "storage_failed"]);
      expect(inbox.rows("select event_id from effects order by 1")).toEqual([
        { event_id: "before sql" },
        { event_id: "before ts" },
      ]);
      expect(inbox.value("select count(*) from hookonce_failures")).toBe(0);
      const refused = inbox.log.filter(({ outcome }) => outcome === "rejected");
      expect(refused).toHaveLength(events.length);
      for (const line of refused)
        expect(line).toMatchObject({
          code: "storage_failed",
          detail: expect.stringMatching(/no such table: (main\.)?hookonce_|no more/),
        });
      expect(inbox.fatal).toEqual([]);
    },
  );

  test("drops hookonce_failures, deliveries are refused from the first failure on", async () => {
    await using inbox = await testInbox({
      files: { ...files, "handlers/default/fails.ts": ts('throw new Error("on purpose");') },
    });
    change(inbox, "drop table hookonce_failures");
    const answers = await Promise.all(
      ["sql", "fails", "ts"].map((type) => inbox.deliver({ event_id: type, type })),
    );
    for (const { status, body } of answers)
      expect([status, body.error.code]).toEqual([503, "storage_failed"]);
    expect(inbox.rows("select * from effects")).toEqual([]);
    expect(inbox.rows("select * from hookonce_events")).toEqual([]);
  });

  test("removes what it did, the provider's retry is processed", async () => {
    await using inbox = await testInbox({ files });
    change(inbox, RAISE("abort"));
    const event = { event_id: "evt_1", type: "sql" };
    expect((await inbox.deliver(event)).status).toBe(503);
    change(inbox, "drop trigger no_more");
    expect((await inbox.deliver(event)).body.status).toBe("processed");
    expect((await inbox.deliver(event)).body.status).toBe("duplicate");
    expect(inbox.rows("select * from effects")).toHaveLength(1);
  });
});

test("a handler that misses one of the user's tables is still blamed, with its events beside it", async () => {
  await using inbox = await testInbox({ files });
  change(inbox, "alter table effects rename to gone");
  const answers = await Promise.all(
    ["sql", "ts", "none"].map((type) => inbox.deliver({ event_id: type, type })),
  );
  expect(answers.map(({ status, body }) => [status, body.status])).toEqual([
    [500, "failed"],
    [500, "failed"],
    [200, "unhandled"],
  ]);
  expect(inbox.rows("select handler from hookonce_failures order by 1")).toEqual([
    { handler: "handlers/default/sql.sql" },
    { handler: "handlers/default/ts.ts" },
  ]);
});
