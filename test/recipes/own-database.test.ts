import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { run, scratch, serve, type Serving } from "../cli/support/hookonce.ts";
import { block, blocks, commands, readme } from "../support/readme.ts";
import { stripeSignature } from "../support/stripe.ts";

const SECRET = "whsec_recipes";

interface Application extends Disposable {
  readonly folder: string;
  /** The application's own connection, open all the time. */
  readonly database: Database;
  readonly sources: readonly string[];
}

/**
 * An application with users and a table of processed events, and hookonce set up in it as the README says.
 */
async function application(handler: string): Promise<Application> {
  const shell = block("sh", "hookonce init --database app.db");
  const folder = scratch();
  const database = new Database(join(folder.path, "app.db"), { create: true, strict: true });
  const pragma = /sqlite3 app\.db '([^']*)'/.exec(shell)?.[1];
  database.run(pragma ?? "the README has no pragma");
  database.run("pragma busy_timeout = 5000");
  database.run("create table users (id text primary key, credits integer not null default 0) strict");
  database.run("create table processed_events (id text primary key) strict");
  database.run("insert into users (id) values ('ada')");
  for (const args of commands(shell))
    expect(await run(args, { cwd: folder.path })).toMatchObject({ code: 0, stderr: "" });
  const inbox = join(folder.path, "hookonce");
  appendFileSync(join(inbox, ".env"), `STRIPE_WEBHOOK_SECRET=${SECRET}\n`);
  folder.write({ "hookonce/handlers/stripe/checkout.session.completed.sql": handler });
  expect(await run(["check", "hookonce"], { cwd: folder.path })).toMatchObject({ code: 0, stderr: "" });
  return {
    folder: inbox,
    database,
    sources: readFileSync(join(inbox, "hookonce.toml"), "utf8").match(/^\[sources\.\w+\]/gm) ?? [],
    [Symbol.dispose]() {
      database.close();
      folder[Symbol.dispose]();
    },
  };
}

function payment(id: string, { created = 1_796_083_200, status = "paid" } = {}): string {
  const object = { client_reference_id: "ada", amount_total: 500, payment_status: status };
  return JSON.stringify({ id, type: "checkout.session.completed", created, data: { object } });
}

async function deliver(server: Serving, body: string): Promise<unknown> {
  const response = await fetch(`${server.url}/webhook/stripe`, {
    method: "POST",
    body,
    headers: { "stripe-signature": stripeSignature(SECRET, body) },
  });
  return ((await response.json()) as { status?: string }).status;
}

const credits = ({ database }: Application): unknown =>
  database.query("select credits from users where id = 'ada'").values()[0]?.[0];

/** Each test starts several processes. In milliseconds. */
const LONG = 60_000;

describeUnless(onlyInFullRun(), "the README's recipe for an application's own database", () => {
  test(
    "applies a payment once to the application's table, while the application uses it",
    async () => {
      using app = await application(block("sql", "<> 'unpaid';"));
      expect(app.sources).toEqual(["[sources.stripe]"]);
      await using server = await serve(app.folder, { dev: false });
      app.database.run("update users set credits = 1000");
      expect([
        await deliver(server, payment("evt_1")),
        await deliver(server, payment("evt_1")),
        await deliver(server, payment("evt_2", { status: "unpaid" })),
      ]).toEqual(["processed", "duplicate", "processed"]);
      expect(credits(app)).toBe(1500);
      expect(
        app.database.query("select event_id, deliveries from hookonce_events order by event_id").values(),
      ).toEqual([
        ["evt_1", 2],
        ["evt_2", 1],
      ]);
      const beside = [...new Bun.Glob("*").scanSync({ cwd: join(app.folder, ".."), dot: true })];
      expect(beside.length).toBeGreaterThan(3);
      // The lines for .gitignore that init prints cover everything that hookonce and SQLite make there.
      expect(beside.filter((name) => !/^app\.db([-.].*)?$/.test(name))).toEqual([]);
    },
    LONG,
  );
});

describeUnless(onlyInFullRun(), "the README's recipe for moving from an endpoint of one's own", () => {
  test(
    "by time, applies the events created at the moment and later, and none before",
    async () => {
      const handler = block("sql", "'$.created'");
      const moment = Number(/>= (\d+)/.exec(handler)?.[1]);
      using app = await application(handler);
      await using server = await serve(app.folder, { dev: false });
      for (const [id, created] of [
        ["evt_before", moment - 1],
        ["evt_at", moment],
        ["evt_after", moment + 1],
      ] as const)
        expect(await deliver(server, payment(id, { created }))).toBe("processed");
      expect(credits(app)).toBe(1000);
    },
    LONG,
  );

  test(
    "by id, skips what the old endpoint has applied, and the endpoint sees what hookonce has applied",
    async () => {
      using app = await application(block("sql", "processed_events"));
      await using server = await serve(app.folder, { dev: false });
      const oldEndpoint = app.database.transaction((id: string) => {
        if (app.database.query("select 1 from processed_events where id = ?").get(id) !== null) return;
        app.database.query("update users set credits = credits + 500").run();
        app.database.query("insert into processed_events (id) values (?)").run(id);
      });
      oldEndpoint.immediate("evt_old");
      expect(await deliver(server, payment("evt_old"))).toBe("processed");
      expect(credits(app)).toBe(500);
      expect(await deliver(server, payment("evt_new"))).toBe("processed");
      expect(credits(app)).toBe(1000);
      oldEndpoint.immediate("evt_new");
      expect(credits(app)).toBe(1000);
    },
    LONG,
  );
});

test("the README's moment to move at is the second that its text names", () => {
  const [, day = "", time = "", seconds] =
    /(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC, which is (\d+)/.exec(readme) ?? [];
  expect(Date.parse(`${day}T${time}Z`) / 1000).toBe(Number(seconds));
  expect(blocks("sql", `>= ${seconds}`)).toHaveLength(1);
});
