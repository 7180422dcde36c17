import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { statusReport } from "../../src/cli/status.ts";
import { problemsOf } from "../../src/dashboard/page/problems.ts";
import type { StatusJson } from "../../src/http/admin/shapes.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

/** Alerts, the page and `hookonce status` say the same of the same tables. */

const CONFIG = `
[alerts]
to = "ops"
[sources.shop]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"
[sources.crm]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"
[destinations.ops]
command = ["true"]
[destinations.app]
url = "http://127.0.0.1:9/"
sign = "none"
`;

const FILES = {
  "migrations/0001_prices.sql": "create table prices (cents integer not null);",
  "handlers/shop/priced.sql": "insert into prices values (null);",
};

const HOUR = 3_600_000;

const DEAD = `insert into hookonce_messages (message_id, destination, state, created_at, next_at, since, settled_at, body)
  values ('msg_1', 'app', 'dead', 1, 1, 1, 1, 'x')`;

function change(inbox: TestInbox, ...statements: readonly string[]): void {
  using db = new Database(inbox.databasePath);
  db.run("pragma busy_timeout = 5000");
  for (const statement of statements) db.run(statement);
}

/** What alerts store, without the disk: tests may run in memory, which may have less space. */
const alertsIn = (inbox: TestInbox): readonly string[] =>
  inbox
    .rows("select key from hookonce_alerts where key not like '%disk_low%' and gone_at is null")
    .map(({ key }) => (JSON.parse(String(key)) as { alert: string }).alert)
    .sort();

async function until(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isDone()) {
    if (performance.now() > deadline) throw new Error("it did not happen within 20 s");
    await Bun.sleep(5);
  }
}

test("alerts, the page and status name the same handlers, sources and destinations", async () => {
  let now = Math.floor(Date.now() / HOUR) * HOUR;
  await using inbox = await testInbox({
    config: CONFIG,
    files: FILES,
    clock: () => now,
    alerts: { everyMs: 5, holdMs: 0 },
  });
  const statusNow = async (): Promise<StatusJson> => {
    const status = (await (await inbox.api("/api/status")).json()) as StatusJson;
    return { ...status, conditions: status.conditions.filter(({ alert }) => alert !== "disk_low") };
  };
  const namedBy = async () => {
    const status = await statusNow();
    const keys = new Set<string>(status.conditions.map(({ alert }) => alert));
    const cards = problemsOf(status).map(({ key }) => key.split(" ")[0] ?? "");
    const lines = statusReport(status, undefined).split("\n");
    return {
      api: status.conditions.map(({ alert }): string => alert).sort(),
      page: cards.filter((key) => keys.has(key)).sort(),
      command: lines.filter((line) => line.startsWith("! ")).length,
    };
  };
  expect(await namedBy()).toEqual({ api: [], page: [], command: 0 });

  expect((await inbox.deliver({ id: "a", type: "priced" }, { source: "shop" })).status).toBe(500);
  await inbox.pausing.pause("crm", {}, "sam");
  await inbox.deliver({ id: "b", type: "lead" }, { source: "crm" });
  change(inbox, DEAD);
  const three = ["dead_messages", "handler_failing", "source_paused"];
  await until(() => alertsIn(inbox).length === 3);
  expect(alertsIn(inbox)).toEqual(three);
  expect(await namedBy()).toEqual({ api: three, page: three, command: 3 });

  now += 25 * HOUR;
  const four = ["dead_messages", "handler_failing", "old_hold", "source_paused"];
  await until(() => alertsIn(inbox).length === 4);
  expect(alertsIn(inbox)).toEqual(four);
  // The page shows an old hold on the card of its source.
  expect(await namedBy()).toEqual({ api: four, page: three, command: 4 });
  const held = problemsOf(await statusNow()).find(({ key }) => key.startsWith("source_paused"));
  expect([held?.tone, held?.detail]).toEqual([
    "bad",
    expect.stringContaining("The source crm has held events for 25h."),
  ]);
  const report = statusReport(await statusNow(), undefined);
  for (const words of [
    "! handlers/shop/priced.sql fails, and 1 event of the source shop is owed. First at ",
    "NOT NULL constraint failed: prices.cents",
    "! crm is paused since ",
    "! The source crm has held events for 25h.",
    "! 1 to app is dead.",
  ])
    expect(report).toContain(words);

  await inbox.pausing.resume("crm", {}, "sam");
  change(
    inbox,
    "update hookonce_messages set state = 'discarded' where message_id = 'msg_1'",
    "delete from hookonce_failures",
  );
  await until(() => alertsIn(inbox).length === 0);
  expect(await namedBy()).toEqual({ api: [], page: [], command: 0 });
}, 60_000);

test("a source and a destination that the config no longer has are named while something is left", async () => {
  await using inbox = await testInbox({ config: CONFIG, files: FILES, alerts: { everyMs: 5, holdMs: 0 } });
  await inbox.pausing.pause("crm", {}, "sam");
  await inbox.deliver({ id: "b", type: "lead" }, { source: "crm" });
  change(inbox, DEAD.replaceAll("'app'", "'gone'"));
  const config = CONFIG.replace(/\[sources\.crm\][^[]*/, "");
  await inbox.restart({ config, open: { acceptIdChange: true } });
  await until(() => alertsIn(inbox).length === 2);
  expect(alertsIn(inbox)).toEqual(["dead_messages", "source_paused"]);
  const { conditions } = (await (await inbox.api("/api/status")).json()) as StatusJson;
  const named = conditions.flatMap(({ source, destination }) => source ?? destination ?? []);
  expect(named.sort()).toEqual(["crm", "gone"]);
});
