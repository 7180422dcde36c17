import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDryRun } from "../../src/app/dry-run.ts";
import { TEMPORARY } from "../../src/app/trial-process.ts";
import { fileAt } from "../../src/config/location.ts";
import type { EventToTry } from "../../src/inbox/dry-run.ts";
import { describeUnless, onlyInFullRun, testInFullRun } from "../crash/requirements.ts";
import { hookonce, run, scratch, serve, type Scratch } from "./support/hookonce.ts";

/** Dry runs: what the handlers would do, and that nothing of it stays. */

const ts = (body: string): string => `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  ${body}
});
`;

const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`,
  "migrations/0001_effects.sql": `create table effects (event_id text not null, cents integer not null);
create table totals (name text primary key, cents integer not null) strict, without rowid;
create table "odd "" name" (a text);
insert into totals values ('all', 0), ('old', 1);`,
  "handlers/default/paid.sql": `insert into effects values (:event_id, :payload ->> '$.cents'), (:event_id, 0);
update totals set cents = cents + 1 where name = 'all';
insert or ignore into totals values ('all', 9);
delete from totals where name = 'old';
insert into "odd "" name" values ('x');
`,
  "handlers/default/slow.ts": ts(`const until = performance.now() + 150;
  while (performance.now() < until);
  db.run(sql\`insert into effects values (\${event.id}, 1)\`);`),
};

const paid = (id: string, cents: number | null, type = "paid") => ({ event_id: id, type, cents });

const command = (inbox: Scratch, ...args: string[]) => run([...args, "--folder", inbox.path]);

/** Every row of every table, except for the counters of a minute. */
function contents(inbox: Scratch): unknown {
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  const names = database
    .query("select name from sqlite_schema where type = 'table' and name <> 'hookonce_rollups' order by name")
    .values()
    .map(([name]) => String(name).replaceAll('"', '""'));
  const schema = database.query("select * from sqlite_schema order by name").values();
  return [schema, names.map((name) => [name, database.query(`select * from "${name}"`).values()])];
}

const copiesNow = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith(TEMPORARY));

/** A process that was killed has left its copy. */
const left = new Set(copiesNow());

const copies = (): string[] => copiesNow().filter((name) => !left.has(name));

const toTry = (eventId: string, type: string, file: string, text: string): EventToTry => ({
  source: "default",
  eventId,
  type,
  handler: { file: `handlers/default/${file}`, hash: Bun.hash(text).toString(16) },
});

const changed = [
  { table: "effects", inserted: 4, updated: 0, deleted: 0 },
  { table: 'odd " name', inserted: 2, updated: 0, deleted: 0 },
  { table: "totals", inserted: 0, updated: 2, deleted: 2 },
];

testInFullRun(
  "a dry run of replay tries processed events, and of discard none",
  async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid("evt_1", 5));
    await server.post("/webhook", paid("evt_bad", null));
    const before = contents(inbox);
    const replay = await command(inbox, "replay", "--type", "paid", "--dry-run");
    expect(replay.stdout).toContain("Tried 1 event and rolled back:\n  effects: 2 inserted\n");
    expect([replay.code, contents(inbox)]).toEqual([0, before]);
    const discard = await command(inbox, "discard", "--type", "paid", "--dry-run");
    expect(discard.stdout).not.toContain("Tried");
    expect([discard.code, contents(inbox)]).toEqual([0, before]);
  },
  60_000,
);

/** With --dev, serve would load a changed handler by itself. */
const withoutDev = {
  ...files,
  "hookonce.toml": files["hookonce.toml"].replace('"unsigned"', '"unsigned"\nallow_public = true'),
};

testInFullRun(
  "a handler that was changed after serve had loaded it is not tried, because the job runs the old one",
  async () => {
    using inbox = scratch(withoutDev);
    await using server = await serve(inbox.path, { dev: false });
    await server.post("/webhook", paid("evt_1", 5));
    writeFileSync(join(inbox.path, "handlers/default/paid.sql"), "delete from effects;");
    const { stdout } = await command(inbox, "replay", "--type", "paid", "--dry-run");
    expect(stdout).toContain(
      "Not tried: handlers/default/paid.sql was changed after hookonce serve had loaded it",
    );
    expect(stdout).toContain("1 event would be replayed.");
  },
  60_000,
);

testInFullRun(
  "apply warns that serve runs the handler that it loaded before the file was changed",
  async () => {
    using inbox = scratch(withoutDev);
    await using server = await serve(inbox.path, { dev: false });
    await server.post("/webhook", paid("evt_bad", null));
    const unchanged = await command(inbox, "apply", "evt_bad");
    expect([unchanged.code, unchanged.stderr]).toEqual([1, ""]);
    writeFileSync(
      join(inbox.path, "handlers/default/paid.sql"),
      "insert into effects values (:event_id, 0);",
    );
    const { code, stderr } = await command(inbox, "apply", "evt_bad");
    expect(code).toBe(1);
    expect(stderr).toBe(
      "warning: handlers/default/paid.sql was changed after hookonce serve had loaded it. The version that serve loaded will run. To run the new code, run hookonce reload and apply again.\n",
    );
  },
  60_000,
);

async function check(inbox: Scratch): Promise<void> {
  const before = contents(inbox);
  const dry = await command(inbox, "apply", "--dry-run");
  expect(dry.stderr).toBe("");
  expect(dry.stdout.split("\n")).toEqual(
    expect.arrayContaining([
      "would fail  default  evt_bad  paid",
      "        handler_error: NOT NULL constraint failed: effects.cents",
      "Tried 3 events and rolled back:",
      "  effects: 4 inserted",
      '  odd " name: 2 inserted',
      "  totals: 2 updated, 2 deleted",
      "  1 failed",
      "3 events would run.",
    ]),
  );
  const json = await command(inbox, "apply", "--dry-run", "--json");
  const lines = json.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  expect(lines.at(-1)).toEqual({ tried: { events: 3, failed: 1, tables: changed, why: null } });
  expect(contents(inbox)).toEqual(before);
  // Then it does what the dry run said.
  expect((await command(inbox, "apply", "evt_1")).code).toBe(0);
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  expect(database.query("select count(*) from effects").values()).toEqual([[2]]);
  expect(copies()).toEqual([]);
}

describeUnless(onlyInFullRun(), "dry runs that take longer", () => {
  test.each(["with", "without"])(
    "a dry run of apply and replay %s a serve says which rows would change and what would fail, and changes nothing",
    async (how) => {
      using inbox = scratch(files);
      await using server = await serve(inbox.path);
      for (const id of ["evt_1", "evt_2"]) await server.post("/webhook", paid(id, 5, "later"));
      await server.post("/webhook", paid("evt_bad", null));
      server.signal("SIGTERM");
      await server.ended;
      writeFileSync(join(inbox.path, "handlers/default/later.sql"), files["handlers/default/paid.sql"]);
      await using again = how === "with" ? await serve(inbox.path) : undefined;
      expect(again === undefined).toBe(how === "without");
      await check(inbox);
    },
    60_000,
  );

  test("a handler that takes longer than 15 ms is tried in a copy, and deliveries go on meanwhile", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid("evt_slow", 1, "slow"));
    const dry = command(inbox, "replay", "--type", "slow", "--dry-run");
    const ended = dry.then(() => true);
    let delivered = 0;
    do {
      const { status } = await server.post("/webhook", paid(`evt_${delivered}`, 1));
      expect(status).toBe(200);
      delivered++;
    } while (!(await Promise.race([ended, Bun.sleep(5).then(() => false)])));
    expect((await dry).stdout).toContain("Tried 1 event and rolled back:\n  effects: 1 inserted\n");
    using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
    expect(database.query("select count(*) from effects").values()).toEqual([[1 + 2 * delivered]]);
    expect(copies()).toEqual([]);
  }, 60_000);

  test("a handler that never returns ends with the time for the dry run, and the rest is not tried", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid("evt_hangs", 5, "hangs"));
    await server.post("/webhook", paid("evt_1", 5));
    const hangs = ts("for (;;);");
    writeFileSync(join(inbox.path, "handlers/default/hangs.ts"), hangs);
    const failures: string[] = [];
    const dryRun = createDryRun({
      inboxFolder: inbox.path,
      database: fileAt(join(inbox.path, "data/hookonce.db")),
      command: hookonce,
      maxMs: 4000,
    });
    const tried = await dryRun(
      {
        action: "apply",
        events: [
          toTry("evt_hangs", "hangs", "hangs.ts", hangs),
          toTry("evt_1", "paid", "paid.sql", files["handlers/default/paid.sql"]),
        ],
      },
      ({ eventId, error }) => failures.push(`${eventId}: ${error}`),
      new AbortController().signal,
    );
    expect(failures).toEqual(["evt_hangs: it did not return within 4 s"]);
    expect(tried).toEqual({ events: 1, failed: 1, tables: [], why: "the time limit of 4 s was reached" });
    expect((await server.post("/webhook", paid("evt_2", 5))).status).toBe(200);
    expect(copies()).toEqual([]);
  }, 60_000);
});
