import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { rowReader } from "../../src/cli/import-rows.ts";
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
      "5 events of default: 3 new, 1 already known, 1 owed until now. 1 line refused.",
    ]);
    expect(first.stderr).toContain("line 6: The event id");
    const again = await importFile(inbox, "ids.txt", "--json");
    expect(JSON.parse(again.stdout)).toEqual({ new: 0, known: 5, owed: 0, refused: 1 });

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
  using inbox = scratch({ ...files, "ids.csv": 'type,event_id,received_at\npaid,"evt,1",1796083200\n' });
  const done = await importFile(inbox, "ids.csv");
  expect([done.code, done.stderr]).toEqual([0, ""]);
  expect(rows(inbox, "select event_id, type, received_at from hookonce_events")).toEqual([
    ["evt,1", "paid", 1_796_083_200_000],
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

test.each([
  ["lines", "evt_1", [["evt_2", "evt_2", undefined, undefined]]],
  [
    "CSV",
    "id,type,created",
    [['"a ""b"", c",x,2026-01-31T12:00:00Z', 'a "b", c', "x", "2026-01-31T12:00:00Z"]],
  ],
  [
    "NDJSON",
    "{}",
    [
      ['{"event_id":9007199254740993,"type":"t","time":1796083200}', "9007199254740993", "t", "1796083200"],
      ['{"id":"evt_1"}', "evt_1", undefined, undefined],
    ],
  ],
] as const)("reads %s", (_, first, lines) => {
  const { read } = rowReader(first);
  for (const [line, id, type, time] of lines) expect(read(line)).toEqual({ id, type, time });
});

test.each([
  ["id,type", "evt_1", "1 columns"],
  ["id,type", 'evt_1,"x', "quotes"],
  ["{}", "evt_1", "not a JSON object"],
  ["{}", "null", "not a JSON object"],
])("refuses a line that is not like the first: %s, then %s", (first, line, why) => {
  expect(() => rowReader(first).read(line)).toThrow(why);
});
