import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { refuseHalfMoved } from "../../src/engines/postgres/move-in.ts";
import { onlyInLongRun, testUnless } from "../crash/requirements.ts";
import { tablesIn, tablesOf } from "../engines/all-tables.ts";
import { connect, postgresPrograms, sharedCluster } from "../engines/postgres/cluster.ts";
import { testInbox } from "../support/test-inbox.ts";

const why = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInLongRun();

testUnless(
  why,
  "a move to PostgreSQL that kill -9 ends at any moment goes on when the command is run again",
  async () => {
    await using old = await testInbox({ files: { "handlers/default/paid.sql": "select 1;" } });
    for (let n = 0; n < 20; n++) await old.deliver({ event_id: `evt_${n}`, type: "paid", cents: n });
    await old.close();
    using db = new Database(old.databasePath, { strict: true });
    // Enough for several pages of the larger tables.
    db.run(
      `with recursive n (n) as (select 1 union all select n + 1 from n where n < 9000)
       insert into hookonce_events (source, event_id, type, received_at, outcome, last_delivery_at)
       select 'default', 'more_' || n, 'paid', n, 'imported', n from n`,
    );
    db.run(
      `insert into hookonce_deliveries (source, event_id, era, number, at, outcome)
       select source, event_id, 0, 1, received_at, 'imported' from hookonce_events where event_id glob 'more_*'`,
    );
    db.close();
    const before = tablesOf(old.databasePath);
    const cluster = await sharedCluster();
    const target = await cluster.database();
    const child = join(import.meta.dir, "move-once.ts");
    const start = () =>
      Bun.spawn([process.execPath, child, old.databasePath, JSON.stringify(target)], {
        stdout: "pipe",
        stderr: "inherit",
      });
    const ends: string[] = [];
    for (let lines = 0; ; lines = lines + 1 + (lines % 3)) {
      const moving = start();
      let seen = 0;
      let said = "";
      for await (const chunk of moving.stdout) {
        said += Buffer.from(chunk).toString();
        seen = said.split("\n").length - 1;
        if (seen >= lines) {
          // Somewhere between this page and the next.
          await Bun.sleep(Math.random() * 3);
          moving.kill("SIGKILL");
          break;
        }
      }
      await moving.exited;
      ends.push(moving.signalCode === null ? `exit ${moving.exitCode}` : "killed");
      if (moving.signalCode === null) break;
    }
    expect(ends.length).toBeGreaterThan(3);
    expect(ends.at(-1)).toBe("exit 0");
    const wire = await connect(target);
    expect(await tablesIn(wire)).toEqual(before);
    await refuseHalfMoved(wire);
    await wire.drop();
  },
  600_000,
);
