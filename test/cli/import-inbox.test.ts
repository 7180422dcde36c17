import { beforeAll, expect, test } from "bun:test";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "../engines/postgres/cluster.ts";
import { refusalOf, testInbox } from "../support/test-inbox.ts";
import { paid, run, scratch, serve, type Scratch } from "./support/hookonce.ts";

/** `hookonce import --inbox`. What it moves is in test/engines/postgres/move.test.ts. */

const why =
  postgresPrograms() === undefined ? "no PostgreSQL server is installed" : (onlyInFullRun() ?? undefined);

const config = (database: string): string => `version = 1
database = "${database}"

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`;

/** An inbox folder on a new database. */
async function folderOnPostgres(): Promise<Scratch & { rows(sql: string): Promise<unknown[]> }> {
  const target = await (await sharedCluster()).database();
  const [{ host, port } = { host: "", port: 0 }] = target.servers;
  const folder = scratch({
    "hookonce.toml": config(`postgres://postgres@/${target.database}?host=${host}&port=${port}`),
    "migrations/0001_credits.sql": "create table credits (customer text primary key, cents bigint not null);",
    "handlers/default/_any.sql": `insert into credits values (:payload ->> 'customer', (:payload ->> 'cents')::bigint)
on conflict (customer) do update set cents = credits.cents + excluded.cents;`,
  });
  return {
    ...folder,
    async rows(sql) {
      const connection = await connect(target);
      try {
        return await connection.read(sql);
      } finally {
        await connection.drop();
      }
    },
  };
}

const move = (from: string, to: Scratch, ...flags: string[]) =>
  run(["import", "--inbox", from, ...flags, "--folder", to.path]);

describeUnless(why, "hookonce import --inbox", () => {
  beforeAll(async () => {
    await sharedCluster();
  }, STARTS_WITHIN_MS);

  test(
    "moves an inbox that nothing serves, and what was applied there is a duplicate here",
    async () => {
      await using old = await testInbox({ files: { "handlers/default/_any.sql": "select 1;" } });
      await old.deliver(paid);
      const [held, json] = [JSON.stringify({ state: "held" }), { "content-type": "application/json" }];
      await old.api("/api/sources/default/state", { method: "PUT", body: held, headers: json });
      await old.deliver({ ...paid, event_id: "evt_2" });
      using moved = await folderOnPostgres();
      const refused = await move(old.folder, moved);
      expect([refused.code, refused.stdout]).toEqual([1, ""]);
      expect(refused.stderr).toContain("in use by another hookonce");
      await old.close();
      const done = await move(old.folder, moved);
      expect([done.code, done.stderr]).toEqual([0, ""]);
      expect(done.stdout).toMatch(/^Moved 2 events \(\d+ rows\) from .*\.db to postgres:\/\//);
      // The old inbox would apply events a second time.
      expect((await refusalOf(() => old.restart())).code).toBe("inbox_moved");

      await using server = await serve(moved.path);
      expect((await server.post("/webhook", paid)).body["status"]).toBe("duplicate");
      expect((await server.post("/webhook", { ...paid, event_id: "evt_3" })).body["status"]).toBe("held");
      // The user's own tables are theirs to move.
      expect(await moved.rows("select * from credits")).toEqual([]);
      expect((await run(["resume", "default", "--folder", moved.path])).code).toBe(0);
      const processed = "select event_id from hookonce.events where outcome = 'processed' order by id";
      while ((await moved.rows(processed)).length < 3) await Bun.sleep(20);
      expect(await moved.rows("select cents from credits")).toEqual([{ cents: 1000 }]);
    },
    STARTS_WITHIN_MS,
  );

  test(
    "rehearses, says which sources are not paused, and names what is wrong",
    async () => {
      await using old = await testInbox({ files: { "handlers/default/_any.sql": "select 1;" } });
      await old.deliver(paid);
      await old.close();
      using moved = await folderOnPostgres();
      const open =
        "warning: default is not paused: hookonce serve will apply events as soon as it starts. Move your own tables before that.\n";
      const rehearsed = await move(old.databasePath, moved, "--dry-run");
      expect([rehearsed.code, rehearsed.stderr]).toEqual([0, open]);
      expect(rehearsed.stdout).toMatch(/^Nothing was changed\. This would move 1 event \(\d+ rows\) from /);
      const done = await move(old.databasePath, moved, "--json");
      expect([done.code, JSON.parse(done.stdout)]).toMatchObject([
        0,
        { events: 1, done: true, open_sources: ["default"] },
      ]);
      for (const [args, says] of [
        [["ids.csv", "--inbox", old.folder, "--source", "x"], "the file ids.csv cannot be used with --inbox"],
        [["ids.csv"], "--source is missing"],
      ] as const) {
        const wrong = await run(["import", ...args, "--folder", moved.path]);
        expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining(says)]);
      }
    },
    STARTS_WITHIN_MS,
  );
});
