import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { run, scratch, serve, type Scratch } from "./support/hookonce.ts";

/** replay and discard, as a person runs them. */

const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`,
  "migrations/0001_effects.sql": "create table effects (event_id text not null, cents integer not null);",
  "handlers/default/paid.sql": "insert into effects values (:event_id, :payload ->> '$.cents');",
};

const paid = (id: string, cents: number | null) => ({ event_id: id, type: "paid", cents });

function rows(inbox: Scratch, sql: string): unknown[][] {
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  return database.prepare(sql).values();
}

const command = (inbox: Scratch, ...args: string[]) => run([...args, "--folder", inbox.path]);

describeUnless(onlyInFullRun(), "hookonce replay and hookonce discard", () => {
  test("replay runs a processed event again, with a reason, and only with a serve", async () => {
    using inbox = scratch(files);
    {
      await using server = await serve(inbox.path);
      for (const id of ["evt_1", "evt_2"]) await server.post("/webhook", paid(id, 5));
      await server.post("/webhook", paid("evt_bad", null));

      const bare = await command(inbox, "replay", "--reason", "x");
      expect([bare.code, bare.stderr]).toEqual([2, expect.stringContaining("name the events")]);
      const silent = await command(inbox, "replay", "evt_1");
      expect([silent.code, silent.stderr]).toEqual([2, expect.stringContaining("--reason TEXT")]);
      const many = await command(inbox, "replay", "--type", "paid", "--reason", "x");
      expect([many.code, many.stderr]).toEqual([
        2,
        expect.stringContaining("2 events would be replayed. To do it without being asked, add --yes"),
      ]);
      const owed = await command(inbox, "replay", "evt_bad", "--reason", "x");
      expect([owed.code, owed.stderr]).toEqual([1, expect.stringContaining("use hookonce apply evt_bad")]);
      const dry = await command(inbox, "replay", "--type", "paid", "--dry-run");
      expect([dry.code, dry.stdout]).toEqual([0, expect.stringContaining("2 events would be replayed.")]);
      expect(rows(inbox, "select count(*) from effects")).toEqual([[2]]);

      const one = await command(inbox, "replay", "evt_1", "--reason", "the receipt was lost");
      expect([one.code, one.stdout]).toEqual([0, expect.stringContaining("1 event replayed.")]);
      const all = await command(inbox, "replay", "--type", "pa*", "--reason", "again", "--yes", "--json");
      expect([all.code, JSON.parse(all.stdout)]).toEqual([
        0,
        expect.objectContaining({ type: "paid", outcome: "processed", replayed: 2, failed: 0 }),
      ]);
      expect(rows(inbox, "select event_id, count(*) from effects group by 1")).toEqual([
        ["evt_1", 3],
        ["evt_2", 2],
      ]);
      expect(rows(inbox, "select action, target, reason from hookonce_audit order by id")).toEqual([
        ["replay", "evt_1", "the receipt was lost"],
        ["replay", "type:pa*", "again"],
      ]);
    }
    const alone = await command(inbox, "replay", "evt_1", "--reason", "x");
    expect([alone.code, alone.stderr]).toEqual([1, expect.stringContaining("replay needs one. Start it")]);
    expect(rows(inbox, "select count(*) from effects")).toEqual([[5]]);
  }, 60_000);

  test("a job that somebody else began is seen and stopped", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    for (let n = 1; n <= 20; n++) await server.post("/webhook", paid(`evt_${n}`, 5));
    const none = await command(inbox, "replay", "--stop");
    expect([none.code, none.stdout]).toEqual([0, "No replay is running.\n"]);
    const begun = await fetch("http://localhost/api/jobs", {
      unix: join(inbox.path, "data/hookonce.db.sock"),
      method: "POST",
      headers: { "content-type": "application/json", "x-hookonce-actor": "ada" },
      body: JSON.stringify({ action: "replay", filter: { type: "paid" }, rate: 2, reason: "a test" }),
    });
    expect(begun.status).toBe(202);
    while (rows(inbox, "select count(*) from hookonce_audit")[0]?.[0] !== 1) await Bun.sleep(20);
    const seen = await command(inbox, "status");
    expect(seen.stdout).toMatch(
      /\nRunning: replay type:paid by ada, \d+ processed\. To stop it: hookonce replay --stop\n$/,
    );
    const other = await command(inbox, "apply", "--stop");
    expect([other.code, other.stdout]).toEqual([0, "No apply is running.\n"]);
    const wrong = await command(inbox, "replay", "--stop", "--type", "paid");
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining("leave out ids and other options"),
    ]);
    const stopped = await command(inbox, "replay", "--stop");
    expect([stopped.code, stopped.stdout]).toEqual([
      0,
      expect.stringMatching(/^Stopped: replay type:paid by ada, \d+ processed\.\n$/),
    ]);
    expect(rows(inbox, "select action, target from hookonce_audit order by id")).toEqual([
      ["replay", "type:paid"],
      ["stop", "replay type:paid"],
    ]);
  }, 60_000);

  test("--stop without a serve names the job that goes on at the next start", async () => {
    using inbox = scratch(files);
    {
      await using server = await serve(inbox.path);
      for (let n = 1; n <= 20; n++) await server.post("/webhook", paid(`evt_${n}`, 5));
      await fetch("http://localhost/api/jobs", {
        unix: join(inbox.path, "data/hookonce.db.sock"),
        method: "POST",
        headers: { "content-type": "application/json", "x-hookonce-actor": "ada" },
        body: JSON.stringify({ action: "replay", filter: { type: "paid" }, rate: 2, reason: "a test" }),
      });
      while (rows(inbox, "select count(*) from hookonce_audit")[0]?.[0] !== 1) await Bun.sleep(20);
      server.signal("SIGTERM");
      await server.ended;
    }
    const stop = await command(inbox, "replay", "--stop");
    expect([stop.code, stop.stdout]).toEqual([
      1,
      expect.stringMatching(
        /^serve is not running; this replay goes on when it starts: replay type:paid by ada, \d+ processed\. To stop it then: hookonce replay --stop\n$/,
      ),
    ]);
    const other = await command(inbox, "discard", "--stop");
    expect([other.code, other.stdout]).toEqual([0, "No discard is running.\n"]);
  }, 60_000);

  test.each(["with", "without"])(
    "discard gives up on owed events %s a serve, and apply with a reason runs one after all",
    async (how) => {
      using inbox = scratch(files);
      const server = await serve(inbox.path);
      await using _ = server;
      for (const id of ["evt_1", "evt_2", "evt_3"]) await server.post("/webhook", paid(id, null));
      await server.post("/webhook", paid("evt_done", 1));
      if (how === "without") {
        server.signal("SIGTERM");
        await server.ended;
      }
      const done = await command(inbox, "discard", "evt_done", "--reason", "x");
      expect([done.code, done.stderr]).toEqual([1, expect.stringContaining("Only an owed event")]);
      const one = await command(inbox, "discard", "evt_1", "evt_done", "--reason", "by hand");
      expect([one.code, one.stdout]).toEqual([
        1,
        expect.stringMatching(
          /skipped {2}default {2}evt_done {2}paid\n {8}not_owed: The event "evt_done" is processed\. .*\n1 event discarded, 1 skipped\.\n/,
        ),
      ]);
      const many = await command(inbox, "discard", "--source", "default", "--reason", "x");
      expect(many.code).toBe(2);
      const rest = await command(inbox, "discard", "--type", "paid", "--reason", "by hand", "--yes");
      expect([rest.code, rest.stdout]).toEqual([0, expect.stringContaining("2 events discarded.")]);
      const none = await command(inbox, "apply");
      expect([none.code, none.stdout]).toEqual([0, expect.stringContaining("Nothing is owed.")]);
      const silent = await command(inbox, "apply", "evt_1");
      expect([silent.code, silent.stderr]).toEqual([1, expect.stringContaining("add --reason TEXT")]);
      // Its handler still fails: it has no cents.
      const again = await command(inbox, "apply", "evt_1", "--reason", "it was needed");
      expect([again.code, again.stdout]).toEqual([1, expect.stringContaining("NOT NULL")]);
      expect(rows(inbox, "select event_id from effects")).toEqual([["evt_done"]]);
    },
    60_000,
  );
});
