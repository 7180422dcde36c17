import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { testInFullRun as test } from "../crash/requirements.ts";
import { run, scratch, serve } from "./support/hookonce.ts";

const config = (redact: string): string => `version = 1
[sources.default]
provider = "unsigned"
allow_public = true
event_id = "body:$.id"
type = "body:$.type"
redact = ${redact}
`;

test("a reload changes what is replaced in events that are done after it", async () => {
  using inbox = scratch({
    "hookonce.toml": config('["body:$.name"]'),
    "handlers/default/paid.sql": "select 1;",
  });
  await using server = await serve(inbox.path, { dev: false });
  const send = (id: string, type: string) =>
    server.post("/webhook", { id, type, name: "Jenny", city: "Ulm" });
  await send("done", "paid");
  await send("owed", "other");
  inbox.write({ "hookonce.toml": config('["body:$.city"]'), "handlers/default/other.sql": "select 1;" });
  expect(await run(["reload", inbox.path])).toMatchObject({ code: 0 });
  expect(await send("owed", "other")).toMatchObject({ body: { status: "processed" } });
  await send("done", "paid");
  await send("later", "paid");
  using db = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  const bodies = db.query("select cast(bytes as text) from hookonce_bodies order by id").values();
  expect(bodies.map(([text]) => JSON.parse(String(text)) as unknown)).toEqual([
    { id: "done", type: "paid", name: "[redacted]", city: "Ulm" },
    { id: "owed", type: "other", name: "Jenny", city: "[redacted]" },
    { id: "later", type: "paid", name: "Jenny", city: "[redacted]" },
  ]);
}, 60_000);
