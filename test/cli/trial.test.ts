import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTries, type TriesOptions } from "../../src/app/tries.ts";
import { TEMPORARY } from "../../src/app/trial-process.ts";
import { reportTrial } from "../../src/cli/trial-report.ts";
import { fileAt } from "../../src/config/location.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { coversUrl } from "../../src/providers/verifier.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { testInbox } from "../support/test-inbox.ts";
import { hookonce, inboxFiles, run, scratch } from "./support/hookonce.ts";

const stripe = `[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n`;
const config = `version = 1\n${stripe}`;
const environment = { S: "whsec_x" };
const credits = inboxFiles["migrations/0001_credits.sql"];
const insert = (path: string): string =>
  `insert into credits values (:payload ->> '$.data.object.${path}', 1) on conflict do update set cents = cents + 1;\n`;
const ts = (body: string): string => `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  ${body}
});
`;

/** Tries all handlers of a folder on samples. */
const tried = async (folder: string, database: string, options: Partial<TriesOptions> = {}) => {
  const files = [...new Bun.Glob("handlers/*/*.{sql,ts}").scanSync(folder)].sort();
  const tries = files.map((file) => ({ file, event: { from: "sample" } as const }));
  return reportTrial(
    await runTries({
      folder,
      database: fileAt(database),
      place: "live",
      command: hookonce,
      tries,
      ...options,
    }),
  );
};

/** An inbox with a database, in which ada has 5 cents. */
async function inboxWith(files: Record<string, string>) {
  const inbox = await testInbox({
    config: stripe,
    environment,
    files: { "migrations/1.sql": `${credits}insert into credits values ('ada', 5);`, ...files },
  });
  return inbox;
}

const copies = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith(TEMPORARY));

function sourceOf({ name, scheme }: Provider): string {
  return `[sources.${name}]\nprovider = "${name}"\nsecret = "env:S"\n${coversUrl(scheme) ? 'public_url = "https://x.y/z"\n' : ""}`;
}

describeUnless(onlyInFullRun(), "handlers are tried in a process of their own", () => {
  test("check tries each handler on a made-up event, rolls back, and says what fails and which paths find nothing", async () => {
    using inbox = scratch({
      "hookonce.toml": config,
      "migrations/1.sql": credits,
      "handlers/stripe/checkout.session.completed.sql": `-- :payload ->> '$.comment'\n${insert("custmer")}`,
      "handlers/stripe/customer.subscription.sql":
        "update credits set cents = 0 where customer = :payload -> '$.data' ->> '$.object.customer';\n",
      "handlers/stripe/invoice.created.sql":
        "update credits set cents = 0\nwhere customer = :payload ->> '$.data.object.custmer' or :payload ->> '$.data.object.coupon' = 1;\n",
      "handlers/stripe/invoice.paid.ts": ts(
        'console.log("not shown"); db.run(sql`insert into credits values (${event.payload.data.object.customer}, 1)`);',
      ),
      "handlers/stripe/invoice.updated.ts": ts("event.payload.data.nothing.at.all;"),
    });
    const { code, stdout, stderr } = await run(["check", inbox.path], { environment });
    expect(code).toBe(0);
    expect(stderr.trim().split("\n")).toEqual([
      "warning: handlers/stripe/checkout.session.completed.sql:2: failed on a made-up checkout.session.completed: NOT NULL constraint failed: credits.customer",
      expect.stringMatching(
        /^warning: handlers\/stripe\/invoice\.updated\.ts:4: failed on a made-up invoice\.updated: /,
      ),
      "warning: handlers/stripe/checkout.session.completed.sql:2: :payload ->> '$.data.object.custmer' is not in a made-up checkout.session.completed; did you mean $.data.object.customer?",
      "warning: handlers/stripe/invoice.created.sql:2: :payload ->> '$.data.object.custmer' is not in a made-up invoice.created; did you mean $.data.object.customer?",
    ] as string[]);
    for (const line of [
      "  handlers/stripe/customer.subscription.sql on a made-up customer.subscription.deleted: changed no rows",
      "  handlers/stripe/invoice.paid.ts on a made-up invoice.paid: changed 1 row",
      "  handlers/stripe/invoice.created.sql on a made-up invoice.created: changed no rows",
      "note: handlers/stripe/invoice.created.sql:2: :payload ->> '$.data.object.coupon' is not in a made-up invoice.created",
      "no problems found, 4 warnings",
    ])
      expect(stdout).toContain(`${line}\n`);
    for (const word of ["not shown", "comment"]) expect(stdout).not.toContain(word);
    expect(readdirSync(inbox.path).sort()).toEqual(["handlers", "hookonce.toml", "migrations"]);
  }, 20_000);

  test("check does not try the handlers of a source that has a problem", async () => {
    using inbox = scratch({
      "hookonce.toml": `${config}nothing = 1\n[sources.github]\nprovider = "github"\nsecret = "env:S"\n`,
      "migrations/1.sql": credits,
      "handlers/stripe/invoice.paid.sql": insert("customer"),
      "handlers/github/push.ts": ts("null.length;"),
    });
    const { code, stderr } = await run(["check", inbox.path], { environment });
    expect(code).toBe(1);
    expect(stderr).toContain("sources.stripe.nothing");
    expect(stderr).toContain("handlers/github/push.ts:4: failed on a made-up push");
    expect(stderr).not.toContain("handlers/stripe");
  }, 20_000);

  test("uses the real rows while it is served, and leaves no trace", async () => {
    const handler = "handlers/stripe/invoice.paid.sql";
    await using inbox = await inboxWith({
      [handler]: "update credits set cents = cents + 1 where customer = 'ada';",
      "handlers/stripe/invoice.created.sql": "insert into credits values ('ada', 6);",
    });
    const { warnings, lines } = await tried(inbox.folder, inbox.databasePath);
    expect([warnings, lines]).toEqual([
      [
        "handlers/stripe/invoice.created.sql:1: failed on a made-up invoice.created: UNIQUE constraint failed: credits.customer",
      ],
      [`${handler} on a made-up invoice.paid: changed 1 row`],
    ]);
    expect(inbox.rows("select cents from credits")).toEqual([{ cents: 5 }]);
    for (const table of ["events", "failures", "bodies", "deliveries"])
      expect([table, inbox.value(`select count(*) from hookonce_${table}`)]).toEqual([table, 0]);
  });

  test("a handler that holds the lock for longer than 15 ms is tried in a copy, which is removed", async () => {
    const slow = "const end = Date.now() + 100; while (Date.now() < end);";
    await using inbox = await inboxWith({
      "handlers/stripe/invoice.paid.ts": ts(`${slow} db.run(sql\`update credits set cents = 9\`);`),
    });
    const before = copies();
    const { lines } = await tried(inbox.folder, inbox.databasePath);
    expect(lines).toEqual(["handlers/stripe/invoice.paid.ts on a made-up invoice.paid: changed 1 row"]);
    expect(inbox.value("select cents from credits")).toBe(5);
    expect(copies()).toEqual(before);
  }, 20_000);

  test("waits for a write lock, and tries in a copy if it is not released", async () => {
    await using inbox = await inboxWith({ "handlers/stripe/_any.sql": "update credits set cents = 9;" });
    await inbox.close();
    using other = new Database(inbox.databasePath);
    other.run("begin immediate");
    const { lines } = await tried(inbox.folder, inbox.databasePath);
    expect(lines).toEqual([
      "handlers/stripe/_any.sql on a made-up checkout.session.completed: changed 1 row",
    ]);
    other.run("rollback");
  }, 20_000);

  test("tries in a copy if the limit of the lock is over before the first run has begun", async () => {
    await using inbox = await inboxWith({});
    const marker = JSON.stringify(join(inbox.folder, "limited"));
    // A start would load the file, too.
    await Bun.write(
      join(inbox.folder, "handlers/stripe/invoice.paid.ts"),
      `import { existsSync, writeFileSync } from "node:fs";
import { handler } from "hookonce";
import { sql } from "drizzle-orm";
if (!existsSync(${marker})) {
  writeFileSync(${marker}, "");
  Bun.spawnSync(["sh", "-c", "kill -ALRM " + process.pid]);
}
export default handler(({ db }) => void db.run(sql\`update credits set cents = 9\`));
`,
    );
    const { lines } = await tried(inbox.folder, inbox.databasePath);
    expect(lines).toEqual(["handlers/stripe/invoice.paid.ts on a made-up invoice.paid: changed 1 row"]);
    expect(inbox.value("select cents from credits")).toBe(5);
  }, 20_000);

  test("a handler that never returns ends with the time that all of it may take", async () => {
    await using inbox = await inboxWith({ "handlers/stripe/invoice.paid.ts": ts("for (;;);") });
    const { warnings, lines } = await tried(inbox.folder, inbox.databasePath, { maxMs: 4000 });
    expect(warnings).toEqual([
      "handlers/stripe/invoice.paid.ts: failed on a made-up invoice.paid: it did not return within 4 s",
    ]);
    expect(lines).toEqual(["other handlers were not tried: the time limit of 4 s was reached"]);
  }, 20_000);

  test("a handler that exits, or writes to standard output, disturbs nothing", async () => {
    using inbox = scratch({
      "hookonce.toml": config,
      "migrations/1.sql": credits,
      "handlers/stripe/invoice.created.ts": ts("process.exit(0);"),
      "handlers/stripe/invoice.paid.ts": ts(
        'process.stdout.write("half a line"); db.run(sql`delete from credits`);',
      ),
    });
    const { warnings, lines } = await tried(inbox.path, join(inbox.path, "data/hookonce.db"), {
      place: "new",
    });
    expect(warnings).toEqual([expect.stringContaining("invoice.created.ts")]);
    expect(lines).toEqual([expect.stringContaining("invoice.paid.ts on a made-up invoice.paid")]);
  });

  test("applies pending migrations to a copy, also of a database that is not in WAL mode", async () => {
    using app = scratch({
      "hookonce.toml": config,
      "migrations/1.sql": "alter table users add column paid integer;",
      "handlers/stripe/invoice.paid.sql": "update users set paid = 1;",
    });
    const path = join(app.path, "app.db");
    {
      using database = new Database(path);
      database.run("create table users (id integer)");
      database.run("insert into users values (1), (2)");
    }
    const { lines } = await tried(app.path, path);
    expect(lines).toEqual(["handlers/stripe/invoice.paid.sql on a made-up invoice.paid: changed 2 rows"]);
    using database = new Database(path, { readonly: true });
    expect(database.query("select name from sqlite_schema").values()).toEqual([["users"]]);
    expect(database.query("pragma journal_mode").values()).toEqual([["delete"]]);
  });

  test("has a sample event for every provider that does not leave its payload to the sender", async () => {
    const named = [...providers.values()].filter(({ needs }) => needs === undefined);
    using inbox = scratch({
      "hookonce.toml": `version = 1\n${named.map(sourceOf).join("")}`,
      ...Object.fromEntries(
        named.map(({ name }) => [`handlers/${name}/_any.sql`, "select :payload ->> '$.no.such';"]),
      ),
    });
    const { warnings, notes, lines } = await tried(inbox.path, join(inbox.path, "x.db"), { place: "new" });
    expect(warnings).toEqual([]);
    expect(lines.filter((line) => line.startsWith("not tried"))).toEqual([]);
    expect(lines.map((line) => line.split("/")[1] as string).sort()).toEqual(
      named.map(({ name }) => name).sort(),
    );
    expect(notes).toHaveLength(named.length);
  });

  test.each([
    ["mailgun", `:payload ->> '$."attachment-1".filename'`],
    ["mailgun", ":payload ->> '$.\"event-data\".recipient'"],
    ["postmark", ":payload ->> '$.TextBody'"],
  ])("_any of %s is tried on the made-up event that it reads: %s", async (name, path) => {
    await using inbox = await inboxWith({
      [`handlers/${name}/_any.sql`]: `insert into credits values (${path}, 1);`,
    });
    inbox.write({
      "hookonce.toml": `version = 1\n[sources.${name}]\nprovider = "${name}"\nsecret = "env:S"\n`,
    });
    const { warnings, notes, lines } = await tried(inbox.folder, inbox.databasePath);
    expect([warnings, notes]).toEqual([[], []]);
    expect(lines).toEqual([expect.stringContaining("changed 1 row")]);
  });
});
