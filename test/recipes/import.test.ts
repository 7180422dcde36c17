import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { run, scratch, serve, type Scratch, type Serving } from "../cli/support/hookonce.ts";
import { block, commands } from "../support/readme.ts";
import { stripeSignature } from "../support/stripe.ts";

/** The README's "By import": an endpoint's ids are imported, and then hookonce takes its place. */

const SECRET = "whsec_recipes";

const files = {
  "hookonce.toml": `version = 1

[sources.stripe]
provider = "stripe"
secret = "env:STRIPE_WEBHOOK_SECRET"
`,
  ".env": `STRIPE_WEBHOOK_SECRET=${SECRET}\n`,
  "migrations/0001_effects.sql": "create table effects (event_id text not null);",
  "handlers/stripe/invoice.paid.sql": "insert into effects values (:event_id);",
};

/** Events that an endpoint has applied, in its own database. */
function endpoint(inbox: Scratch): Database {
  const database = new Database(join(inbox.path, "app.db"), { create: true, strict: true });
  database.run("create table processed_events (id text primary key) strict");
  return database;
}

/** Runs a shell block of the README. Not every machine has sqlite3. */
async function shell(inbox: Scratch, app: Database, text: string): Promise<string[]> {
  const [line, sql = "", name = ""] = /^sqlite3 -csv -header app\.db '([^']*)' > (\S+)$/m.exec(text) ?? [];
  if (line !== undefined && Bun.which("sqlite3") !== null) {
    expect(await Bun.spawn(["sh", "-c", line], { cwd: inbox.path }).exited).toBe(0);
  } else if (line !== undefined) {
    const statement = app.query(sql);
    const lines = [statement.columnNames, ...statement.values()].map((row) => row.join(","));
    inbox.write({ [name]: `${lines.join("\r\n")}\r\n` });
  }
  const said: string[] = [];
  for (const args of commands(text)) {
    const { code, stdout, stderr } = await run(args, { cwd: inbox.path });
    expect([args, code, stderr]).toEqual([args, 0, ""]);
    said.push(stdout);
  }
  return said;
}

async function deliver(server: Serving, id: string): Promise<unknown> {
  const body = JSON.stringify({ id, type: "invoice.paid", data: { object: {} } });
  const response = await fetch(`${server.url}/webhook/stripe`, {
    method: "POST",
    body,
    headers: { "stripe-signature": stripeSignature(SECRET, body) },
  });
  return ((await response.json()) as { status?: string }).status;
}

describeUnless(onlyInFullRun(), "moving from an endpoint by import", () => {
  test("each event is applied once, by the endpoint or by hookonce, and the check of the README shows it", async () => {
    using inbox = scratch(files);
    using app = endpoint(inbox);
    const ids = Array.from({ length: 300 }, (_, n) => `evt_${n}`);
    const applied = (from: number, to: number): void => {
      for (const id of ids.slice(from, to)) app.run("insert into processed_events values (?)", [id]);
    };
    const moving = block("sh", "from processed_events' > applied.csv");
    const checking = block("sh", "hookonce events --source stripe --outcome imported");

    applied(0, 200);
    // 1. hookonce is not serving yet.
    const [look, first] = await shell(inbox, app, moving);
    expect(look).toContain("Nothing was changed. 200 events of stripe: 200 new, 0 already known");
    expect(first).toContain("200 events of stripe: 200 new, 0 already known");
    applied(200, 220);
    await using server = await serve(inbox.path, { dev: false });
    // 2. and 3. From here on, the provider's deliveries to the endpoint are refused.
    const [, second] = await shell(inbox, app, moving);
    expect(second).toContain("220 events of stripe: 20 new, 200 already known");
    // 4. The provider delivers again what was refused, and what it had no answer for.
    const statuses = await Promise.all(ids.flatMap((id) => [deliver(server, id), deliver(server, id)]));
    const count = (status: string): number => statuses.filter((one) => one === status).length;
    expect([count("processed"), count("duplicate")]).toEqual([80, 520]);

    // 5.
    const [known, listed, status] = await shell(inbox, app, checking);
    expect(JSON.parse(known ?? "")).toEqual({ new: 0, known: 220, owed: 0, old: 0, refused: 0 });
    expect(listed).toContain("imported");
    expect(listed).not.toContain("evt_220 ");
    expect(status).toContain("Nothing is owed.");
    using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
    const effects = database.query("select event_id from effects").values().map(String);
    expect(effects.sort()).toEqual(ids.slice(220).sort());
    expect(database.query("select outcome, count(*) from hookonce_events group by 1").values()).toEqual([
      ["imported", 220],
      ["processed", 80],
    ]);
  }, 120_000);
});
