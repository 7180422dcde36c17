import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describeUnless, onlyInFullRun, testInFullRun as test } from "../crash/requirements.ts";
import { run, scratch, serve, type Scratch } from "./support/hookonce.ts";

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

function rows(inbox: Scratch, sql: string): unknown[][] {
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  return database.prepare(sql).values();
}

const importFile = (inbox: Scratch, name: string, ...flags: string[]) =>
  run(["import", join(inbox.path, name), "--source", "default", ...flags, "--folder", inbox.path]);

describeUnless(onlyInFullRun(), "hookonce import beside a serve", () => {
  test("import records ids once, settles what is owed, runs nothing, and names what it refuses", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    const post = (id: string, cents: number | null) =>
      server.post("/webhook", { event_id: id, type: "paid", cents });
    await post("evt_here", 1);
    expect((await post("evt_owed", null)).status).toBe(500);
    inbox.write({
      "ids.txt": `evt_1\r\nevt_2\n\nevt_here\nevt_owed\n${"x".repeat(256)}\nevt_3`,
    });
    const first = await importFile(inbox, "ids.txt", "--type", "paid", "--reason", "moved");
    expect([first.code, first.stdout.trim()]).toEqual([
      1,
      "First id: evt_1, type paid, received now.\n5 events of default: 3 new, 1 already known, 1 owed until now. 1 line refused.\nOwed until now: evt_owed.",
    ]);
    expect(first.stderr).toContain("line 6: The event id");
    const again = await importFile(inbox, "ids.txt", "--json");
    expect(JSON.parse(again.stdout)).toEqual({ new: 0, known: 5, owed: 0, old: 0, refused: 1 });

    expect((await post("evt_2", 7)).body["status"]).toBe("duplicate");
    expect((await post("evt_owed", 7)).body["status"]).toBe("duplicate");
    expect(rows(inbox, "select event_id from effects")).toEqual([["evt_here"]]);
    expect(rows(inbox, "select event_id, type, outcome from hookonce_events order by event_id")).toEqual([
      ["evt_1", "paid", "imported"],
      ["evt_2", "paid", "imported"],
      ["evt_3", "paid", "imported"],
      ["evt_here", "paid", "processed"],
      ["evt_owed", "paid", "imported"],
    ]);
    expect(rows(inbox, "select action, target, reason from hookonce_audit order by id limit 1")).toEqual([
      ["import", "default: 5 ids", "moved"],
    ]);
  }, 60_000);
});

test("import works without a serve, and refuses an unknown source and a missing file", async () => {
  using inbox = scratch({ ...files, "ids.csv": 'type,event_id,received_at\npaid,"evt,1",1764547200\n' });
  const done = await importFile(inbox, "ids.csv");
  expect([done.code, done.stderr]).toEqual([0, ""]);
  expect(rows(inbox, "select event_id, type, received_at from hookonce_events")).toEqual([
    ["evt,1", "paid", 1_764_547_200_000],
  ]);
  const missing = await importFile(inbox, "nothing.csv");
  expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("nothing.csv")]);
  const unknown = await run([
    "import",
    join(inbox.path, "ids.csv"),
    "--source",
    "shop",
    "--folder",
    inbox.path,
  ]);
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('There is no source "shop"')]);
}, 60_000);

test("a dry run says what would be recorded, with and without a database, and records nothing", async () => {
  using inbox = scratch({
    ...files,
    "ids.csv": "event_id,type,received_at\nevt_1,paid,2026-01-31 12:00:00\nevt_2,,\n",
    "one.txt": "evt_2\n",
  });
  const untouched = await importFile(inbox, "ids.csv", "--dry-run");
  expect([untouched.code, untouched.stderr]).toEqual([0, ""]);
  expect(untouched.stdout.trim().split("\n")).toEqual([
    "received                  type    event id",
    "2026-01-31T12:00:00.000Z  paid    evt_1",
    "now                       (none)  evt_2",
    "",
    "Nothing was changed. 2 events of default: 2 new, 0 already known, 0 owed until now. 0 lines refused.",
    expect.stringContaining("1 event is older than"),
  ]);
  expect(existsSync(join(inbox.path, "data"))).toBe(false);

  await importFile(inbox, "one.txt");
  const { stdout } = await importFile(inbox, "ids.csv", "--dry-run", "--json");
  expect(JSON.parse(stdout)).toMatchObject({
    new: 1,
    known: 1,
    owed: 0,
    old: 1,
    refused: 0,
    first: [
      {
        event_id: "evt_1",
        type: "paid",
        received_at: 17698608e5,
      },
      { event_id: "evt_2" },
    ],
  });
  expect(rows(inbox, "select event_id from hookonce_events")).toEqual([["evt_2"]]);
}, 60_000);

test("a file that is not what it should be is refused before anything is opened", async () => {
  using inbox = scratch({ ...files, "ids.csv": "evt_1,paid\n" });
  const { code, stdout, stderr } = await importFile(inbox, "ids.csv");
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(
    'ids.csv: Line 1 has several columns, and none of them is called event_id: "evt_1,paid".',
  );
  expect(stderr).toContain("Nothing was imported. [file_unreadable]");
  expect(existsSync(join(inbox.path, "data"))).toBe(false);
}, 60_000);
