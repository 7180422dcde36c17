import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { scratch, serve } from "../cli/support/hookonce.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { mountSmallDisk, needsMount } from "./small-disk.ts";

const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`,
  "migrations/0001_effects.sql": "create table effects (event_id text not null, bytes blob not null);",
  "handlers/default/paid.sql": "insert into effects values (:event_id, zeroblob(65536));",
};

testUnless(
  onlyInFullRun() ?? needsMount(),
  "a disk that is full during a resume fails no event: it goes on once there is room, each once and in order",
  async () => {
    using inbox = scratch(files);
    const data = join(inbox.path, "data");
    mkdirSync(data);
    await using disk = mountSmallDisk(data, 64);
    disk.fill(56 * 1024 * 1024);
    await using server = await serve(inbox.path);
    const rows = (sql: string): unknown[] => {
      using database = new Database(join(data, "hookonce.db"), { readonly: true });
      database.run("pragma busy_timeout = 5000");
      return database.query(sql).values().flat();
    };
    const put = (state: string): Promise<Response> =>
      fetch("http://localhost/api/sources/default/state", {
        unix: join(data, "hookonce.db.sock"),
        method: "PUT",
        body: JSON.stringify({ state }),
        headers: { "content-type": "application/json" },
      });
    expect((await put("held")).status).toBe(200);
    const ids = Array.from({ length: 150 }, (_, n) => `evt_${n}`);
    for (const id of ids)
      expect((await server.post("/webhook", { event_id: id, type: "paid" })).status).toBe(200);
    expect((await put("open")).status).toBe(200);
    await server.logged("held events could not be run");
    const ran = rows("select event_id from effects order by rowid");
    expect(ran).toEqual(ids.slice(0, ran.length));
    expect(ran.length).toBeLessThan(150);
    expect(rows("select count(*) from hookonce_failures")).toEqual([0]);

    await disk.free();
    while (rows("select 1 from hookonce_source_states").length > 0) await Bun.sleep(100);
    expect(rows("select event_id from effects order by rowid")).toEqual(ids);
    expect(rows("select count(*) from hookonce_failures")).toEqual([0]);
  },
  120_000,
);
