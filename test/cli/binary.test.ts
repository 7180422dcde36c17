import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { writeInbox } from "../../src/cli/write-inbox.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { inboxFiles, paid, run, scratch, serve, unsignedWarning } from "./support/hookonce.ts";

const folder = mkdtempSync(join(tmpdir(), "hookonce-binary-"));
const binary = join(folder, "hookonce");
const program = [binary];

/** The command of `bun run build`, with another output file. */
function buildCommand(): string[] {
  const scripts: Record<string, string> = packageJson.scripts;
  let words = (scripts["build"] ?? "").split(" ");
  while (words[1] === "run") words = [...(scripts[words[2] ?? ""] ?? "").split(" "), ...words.slice(3)];
  const flags = words.slice(1).filter((word) => !word.startsWith("--outfile"));
  return [process.execPath, ...flags, `--outfile=${binary}`];
}

/** A package of this name that must not be loaded. */
const impostor = (name: string): Record<string, string> => ({
  [`node_modules/${name}/package.json`]: JSON.stringify({ name, main: "index.js" }),
  [`node_modules/${name}/index.js`]: "throw new Error('an impostor was loaded');",
});

describeUnless(onlyInFullRun(), "the compiled binary", () => {
  beforeAll(async () => {
    const build = Bun.spawn(buildCommand(), {
      cwd: join(import.meta.dir, "../.."),
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const said = await new Response(build.stderr).text();
    if ((await build.exited) !== 0) throw new Error(`the build failed: ${said}`);
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("runs the tests of a new folder with nothing installed", async () => {
    using empty = scratch();
    const cwd = empty.path;
    await run(["init"], { program, cwd });
    const tested = await run(["test"], { program, cwd });
    expect(tested.stderr).toContain(" 2 pass\n 0 fail\n");
    expect([tested.code, existsSync(join(cwd, "data"))]).toEqual([0, false]);
    await run(["add", "stripe", "invoice.paid"], { program, cwd });
    writeFileSync(join(cwd, "handlers/stripe/invoice.paid.sql"), "insert into credits values ('ada', 1, 2);");
    const refused = await run(["test"], { program, cwd });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("table credits has 2 columns but 3 values were supplied");
  }, 30_000);

  test("try runs SQL and TypeScript handlers with nothing installed, ends one that loops after 30 s, and changes nothing", async () => {
    using empty = scratch();
    const cwd = empty.path;
    await run(["init"], { program, cwd });
    await using server = await serve(".", { program, cwd });
    const credit = { event_id: "evt_1", type: "credit.added", customer: "ada", cents: 500 };
    await server.post("/webhook", credit);
    await server.post("/webhook", { ...credit, event_id: "evt_2", type: "loop" });
    const rows = () => {
      using database = new Database(join(cwd, "data/hookonce.db"), { readonly: true });
      return ["credits", "signups", "hookonce_events", "hookonce_results", "hookonce_failures"].map((table) =>
        database.query(`select * from ${table}`).values(),
      );
    };
    const before = rows();
    const sql = await run(["try", "handlers/default/_any.sql", "--event", "evt_1"], { program, cwd });
    expect([sql.code, sql.stdout]).toEqual([0, expect.stringContaining("  ~  ada       1000 → 1500\n")]);
    empty.write({ "user.json": '{"event_id":"u","type":"user.created","email":"ada@example.com"}' });
    const args = ["try", "handlers/default/user.created.ts", "--data", "user.json"];
    const code = await run(args, { program, cwd });
    expect([code.code, code.stdout]).toEqual([0, expect.stringContaining("signups: 1 inserted\n")]);
    empty.write({
      "handlers/default/loop.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ db }) => {
  db.run(sql\`delete from credits\`);
  for (;;);
});
`,
    });
    const loop = await run(["try", "handlers/default/loop.ts", "--last"], { program, cwd });
    expect([loop.code, loop.stdout]).toEqual([
      1,
      expect.stringContaining("error: it did not return within 30 s [handler_timeout]"),
    ]);
    expect(rows()).toEqual(before);
    expect((await server.post("/webhook", { ...credit, event_id: "evt_3" })).status).toBe(200);
  }, 90_000);

  test("works in an empty folder with nothing installed, from init to processed events and their duplicates", async () => {
    using empty = scratch();
    const cwd = empty.path;
    const made = await run(["init"], { program, cwd });
    expect([made.code, made.stderr]).toEqual([0, ""]);
    // The binary contains the same files as the source.
    expect(writeInbox(cwd).written).toEqual([]);
    // Bun reads the tsconfig.json beside the files it runs. The modules that the binary supplies must win
    // over the declaration files that this one names.
    expect(readFileSync(join(cwd, "tsconfig.json"), "utf8")).toContain(
      '"zod": ["./.hookonce/types/zod/index.d.ts"]',
    );
    const checked = await run(["check"], { program, cwd });
    expect([checked.code, checked.stderr]).toEqual([0, unsignedWarning]);

    await using server = await serve(".", { program, cwd });
    const credit = { event_id: "evt_1", type: "credit.added", customer: "ada", cents: 500 };
    const user = { event_id: "evt_2", type: "user.created", email: "ada@example.com", name: "Ada" };
    const nameless = { event_id: "evt_4", type: "user.created", email: "bob@example.com" };
    const statuses = [];
    for (const event of [credit, user, credit, user, credit, nameless])
      statuses.push((await server.post("/webhook", event)).body["status"]);
    expect(statuses).toEqual(["processed", "processed", "duplicate", "duplicate", "duplicate", "processed"]);
    const refused = await server.post("/webhook", { ...user, event_id: "evt_3", email: "nobody" });
    expect(refused.status).toBe(500);
    server.signal("SIGTERM");
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" });

    using database = new Database(join(cwd, "data/hookonce.db"), { readonly: true });
    expect(database.query("select customer, cents from credits").all()).toEqual([
      { customer: "ada", cents: 500 },
    ]);
    expect(
      database
        .query(
          "select event_id, email, name, signed_up_at = received_at as at_once from signups join hookonce_events using (event_id)",
        )
        .all(),
    ).toEqual([
      { event_id: "evt_2", email: "ada@example.com", name: "Ada", at_once: 1 },
      { event_id: "evt_4", email: "bob@example.com", name: null, at_once: 1 },
    ]);
    expect(database.query("select event_id, deliveries, handler from hookonce_events").all()).toEqual([
      { event_id: "evt_1", deliveries: 3, handler: "handlers/default/_any.sql" },
      { event_id: "evt_2", deliveries: 2, handler: "handlers/default/user.created.ts" },
      { event_id: "evt_4", deliveries: 1, handler: "handlers/default/user.created.ts" },
    ]);
    expect(database.query("select event_id, handler from hookonce_failures").all()).toEqual([
      { event_id: "evt_3", handler: "handlers/default/user.created.ts" },
    ]);
  });

  test("runs TypeScript handlers with the modules it supplies and with shared code, whatever packages are installed", async () => {
    using inbox = scratch({
      ...inboxFiles,
      ...impostor("hookonce"),
      ...impostor("drizzle-orm"),
      ...impostor("zod"),
      "migrations/0002_notes.sql": "create table notes (event_id text not null, note text not null) strict;",
      "handlers/lib/tables.ts": `import { sqliteTable, text } from "drizzle-orm/sqlite-core";
export const notes = sqliteTable("notes", { eventId: text("event_id").notNull(), note: text().notNull() });
`,
      "handlers/default/noted.ts": `import { handler } from "hookonce";
import { eq } from "drizzle-orm";
import { z } from "zod";
import { notes } from "../lib/tables.ts";

enum Kind { Short = "short" }
const Noted = z.object({ note: z.string().min(1) });

export default handler<{ note: string }>(({ event, db }): void => {
  const { note } = Noted.parse(event.payload);
  db.insert(notes).values({ eventId: event.id, note }).run();
  const [row] = db.select().from(notes).where(eq(notes.eventId, event.id)).all();
  if (row!.note !== note) throw new Error(Kind.Short);
});
`,
      "handlers/default/noted.test.ts": "throw new Error('a test was loaded');",
    });
    await using server = await serve(inbox.path, { program, cwd: inbox.path });
    const noted = { event_id: "evt_1", type: "noted", note: "hello" };
    expect((await server.post("/webhook", noted)).body).toMatchObject({ status: "processed" });
    expect((await server.post("/webhook", noted)).body).toMatchObject({ status: "duplicate" });
    expect((await server.post("/webhook", { ...noted, event_id: "evt_2", note: "" })).status).toBe(500);
    server.signal("SIGINT");
    expect((await server.ended).code).toBe(0);
    using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
    expect(database.query("select * from notes").all()).toEqual([{ event_id: "evt_1", note: "hello" }]);
  });

  test.each([
    ["the binary", program],
    ["the source", undefined],
  ])("loads packages of the inbox folder's node_modules in handlers: %s", async (_, program) => {
    using inbox = scratch({
      ...inboxFiles,
      "migrations/0002_notes.sql": "create table notes (note text not null) strict;",
      "node_modules/with-main/package.json": JSON.stringify({ name: "with-main", main: "lib/start.js" }),
      "node_modules/with-main/lib/start.js": `const inner = require("inner");
const { basename } = require("node:path");
exports.name = () => [inner(), basename(__filename), require("./data.json").n].join();`,
      "node_modules/with-main/lib/data.json": '{ "n": 7 }',
      "node_modules/with-main/node_modules/inner/package.json": JSON.stringify({
        name: "inner",
        main: "./deep",
      }),
      "node_modules/with-main/node_modules/inner/deep.js": "module.exports = () => 'inner';",
      "node_modules/@acme/tax/package.json": JSON.stringify({
        name: "@acme/tax",
        type: "module",
        exports: {
          ".": { types: "./none.d.ts", import: "./esm/tax.js", require: "./cjs.cjs" },
          "./rates": { default: "./esm/rates.js" },
        },
        imports: { "#percent": "./esm/percent.js" },
      }),
      "node_modules/@acme/tax/cjs.cjs": "throw new Error('the wrong condition was chosen');",
      "node_modules/@acme/tax/esm/tax.js":
        'import percent from "#percent"; export const tax = (cents) => (cents * percent) / 100;',
      "node_modules/@acme/tax/esm/percent.js": "export default 20;",
      // A package that uses zod gets the zod that hookonce supplies.
      "node_modules/@acme/tax/esm/rates.js":
        'import { z } from "zod"; export const rates = z.array(z.number()).parse([1, 2]);',
      "node_modules/no-package-json/index.js": "export default 'index';",
      "handlers/lib/name.ts": 'export { name } from "with-main";',
      "handlers/default/noted.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
import { tax } from "@acme/tax";
import { rates } from "@acme/tax/rates";
import index from "no-package-json";
import { name } from "../lib/name.ts";

export default handler(({ db }) => {
  db.run(sql\`insert into notes values (\${[name(), tax(500), ...rates, index].join(" ")})\`);
});
`,
    });
    await using server = await serve(inbox.path, program === undefined ? {} : { program });
    const noted = { event_id: "evt_1", type: "noted" };
    expect((await server.post("/webhook", noted)).body).toMatchObject({ status: "processed" });
    server.signal("SIGTERM");
    expect((await server.ended).code).toBe(0);
    using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
    expect(database.query("select note from notes").values()).toEqual([["inner,start.js,7 100 1 2 index"]]);
  });

  test("loads no bunfig.toml, .env, package or tsconfig from the working directory", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "hookonce.toml":
        'version = 1\n[sources.default]\nprovider = "stripe"\nsecret = "env:HOOKONCE_TEST_SECRET"\n',
    });
    using work = scratch({
      "bunfig.toml": 'preload = ["./preload.ts"]\n',
      "preload.ts": 'await Bun.write(`${import.meta.dir}/preloaded`, "yes"); throw new Error("preloaded");',
      ".env": "HOOKONCE_TEST_SECRET=of-the-working-directory\nLOG_LEVEL=silent\n",
      ".env.local": "HOOKONCE_TEST_SECRET=of-the-working-directory\n",
      "package.json": '{ "imports": { "#x": "./preload.ts" }, "type": "commonjs" }',
      "tsconfig.json": '{ "compilerOptions": { "paths": { "*": ["./preload.ts"] } } }',
    });
    const checked = await run(["check", inbox.path], { program, cwd: work.path });
    expect(checked.code).toBe(1);
    expect(checked.stderr).toContain("env:HOOKONCE_TEST_SECRET is not set");

    inbox.write({ "hookonce.toml": inboxFiles["hookonce.toml"] });
    await using server = await serve(inbox.path, { program, cwd: work.path });
    expect((await server.post("/webhook", paid)).body).toMatchObject({ status: "processed" });
    server.signal("SIGTERM");
    expect((await server.ended).code).toBe(0);
    expect(existsSync(join(work.path, "preloaded"))).toBe(false);
  });

  test("tries handlers on made-up events in a process of its own", async () => {
    using inbox = scratch({
      "hookonce.toml": `version = 1\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n`,
      "migrations/0001_credits.sql": inboxFiles["migrations/0001_credits.sql"],
      "handlers/stripe/invoice.paid.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
export default handler(({ event, db }) => {
  db.run(sql\`insert into credits values (\${event.payload.data.object.customer}, 1)\`);
});
`,
    });
    const { code, stdout } = await run(["check"], {
      program,
      cwd: inbox.path,
      environment: { S: "whsec_x" },
    });
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining("handlers/stripe/invoice.paid.ts on a made-up invoice.paid: changed 1 row\n"),
    ]);
  });
});
