import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { inboxFiles, paid, run, scratch, serve, unsignedWarning } from "./support/hookonce.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";

const secret = "a0literal0secret0that0nobody0may0see";

describeUnless(onlyInFullRun(), "hookonce check", () => {
  test("lists what it found in a good folder, exits with 0, and creates nothing", async () => {
    using inbox = scratch(inboxFiles);
    const before = readdirSync(inbox.path, { recursive: true });
    const { code, stdout, stderr } = await run(["check", inbox.path]);
    expect([code, stderr]).toEqual([0, unsignedWarning]);
    expect(stdout).toContain("source default");
    expect(stdout).toContain("handlers/default/_any.sql");
    expect(stdout).toContain("0001_credits.sql");
    expect(stdout).toContain("no problems found");
    expect(readdirSync(inbox.path, { recursive: true })).toEqual(before);
  });

  test("says what redact prevents, in a note", async () => {
    const config = `${inboxFiles["hookonce.toml"]}redact = ["body:$.email"]\n`;
    using inbox = scratch({ ...inboxFiles, "hookonce.toml": config });
    const { code, stdout, stderr } = await run(["check", inbox.path]);
    expect([code, stderr]).toEqual([0, unsignedWarning]);
    expect(stdout).toContain(
      "note: sources.default.redact: replay and resend refuse events whose values were replaced\n",
    );
  });

  test("checks the working directory by default", async () => {
    using inbox = scratch(inboxFiles);
    expect(await run(["check"], { cwd: inbox.path })).toMatchObject({ code: 0, stderr: unsignedWarning });
    using empty = scratch();
    const { code, stderr } = await run(["check"], { cwd: empty.path });
    expect(code).toBe(1);
    expect(stderr).toContain("hookonce.toml does not exist");
    expect(stderr).toContain("hookonce init");
    expect(readdirSync(empty.path)).toEqual([]);
  });

  test("says that a path to hookonce.toml is not the folder, as every command does", async () => {
    using inbox = scratch(inboxFiles);
    const file = join(inbox.path, "hookonce.toml");
    for (const args of [
      ["check", file],
      ["serve", file],
      ["apply", "--folder", file],
    ]) {
      const { code, stderr } = await run(args);
      expect([args, code, stderr]).toEqual([
        args,
        1,
        `hookonce: ${file} is a file, not an inbox folder. Give the folder that contains it: ${inbox.path} [config_invalid]\n`,
      ]);
    }
  });

  test("reports every problem at once, with file and line, and exits with 1", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "hookonce.toml": `${inboxFiles["hookonce.toml"]}
[sources.stripe]
provider = "strpe"
secret   = "env:NOT_SET_ANYWHERE"

[sources.github]
provider = "github"

[sources.razorpay]
provider = "razorpay"
secret   = "file:gone.secret"
`,
      "migrations/0002_broken.sql": "create table ok (x integer) strict;\n\ncreate tabel broken (x);\n",
      "handlers/default/both.sql": "select 1;",
      "handlers/default/both.ts": 'import { handler } from "hookonce";\nexport default handler(() => {});\n',
      "handlers/default/ddl.sql": "select 1;\n\ndrop table credits;\n",
      "handlers/default/bind.sql": "insert into credits values (:customer, :cents);\n",
      "handlers/default/table.sql": "select 1;\nselect * from credist;\n",
      "handlers/default/empty.sql": "-- nothing to do\n",
      "handlers/default/syntax.ts":
        'import { handler } from "hookonce";\n\nexport default handler(( => {});\n',
      "handlers/default/nothing.ts": "export const handler = 1;\n",
      "handlers/default/missing.ts": 'import { x } from "not-a-package";\nexport default x;\n',
      "handlers/stray.sql": "select 1;",
    });
    const { code, stdout, stderr } = await run(["check", inbox.path]);
    expect([code, stdout]).toEqual([1, ""]);
    for (const line of [
      /^hookonce\.toml:9: .*"strpe".* did you mean stripe\?$/m,
      /^hookonce\.toml:10: .*env:NOT_SET_ANYWHERE is not set/m,
      /^hookonce\.toml:13: .*sources\.github\.secret is missing/m,
      /^hookonce\.toml:17: .*file:gone\.secret cannot be read/m,
      /^migrations\/0002_broken\.sql:3: .*near "tabel"/m,
      /^handlers\/default\/both\.ts: .*both\.sql is for the same type/m,
      /^handlers\/default\/ddl\.sql:3: .*this one starts with DROP/m,
      /^handlers\/default\/bind\.sql:1: :customer is not a binding/m,
      /^handlers\/default\/bind\.sql:1: :cents is not a binding/m,
      /^handlers\/default\/table\.sql:2: no such table: credist/m,
      /^handlers\/default\/empty\.sql: the file has no statement/m,
      /^handlers\/default\/syntax\.ts:3: /m,
      /^handlers\/default\/nothing\.ts: has no handler/m,
      /^handlers\/default\/missing\.ts:1: .*not-a-package/m,
      /^handlers\/stray\.sql: .*handlers\/<source>\/<type>/m,
      /^15 problems in /m,
    ]) {
      expect(stderr).toMatch(line);
    }
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(readdirSync(inbox.path)).not.toContain("data");
  });

  for (const { name, toml, line, says } of [
    {
      name: "an unknown key, and suggests the nearest known one",
      toml: `${inboxFiles["hookonce.toml"]}evnt_id = "body:$.id"\n`,
      line: 7,
      says: ["sources.default.evnt_id", "did you mean event_id?"],
    },
    {
      name: "an unknown key at the top",
      toml: `listne = "127.0.0.1:0"\n${inboxFiles["hookonce.toml"]}`,
      line: 1,
      says: ["listne", "did you mean listen?"],
    },
    {
      name: "a literal secret, without repeating it",
      toml: `version = 1\n[sources.stripe]\nprovider = "stripe"\nsecret = "${secret}"\n`,
      line: 4,
      says: ["sources.stripe.secret", "env:NAME"],
    },
    {
      name: "invalid TOML",
      toml: "version = 1\nlisten = 127.0.0.1\n[sources.default]\n",
      line: 2,
      says: [],
    },
  ]) {
    test(`reports ${name}: line ${line}`, async () => {
      using inbox = scratch({ ...inboxFiles, "hookonce.toml": toml });
      const { code, stderr } = await run(["check", inbox.path]);
      expect(code).toBe(1);
      expect(stderr).toMatch(new RegExp(`^hookonce\\.toml:${line}: `, "m"));
      for (const word of says) expect(stderr).toContain(word);
      expect(stderr).not.toContain(secret);
    });
  }

  test("reports a port number that is too large", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "hookonce.toml": `listen = "127.0.0.1:99999"\n${inboxFiles["hookonce.toml"]}`,
    });
    const { code, stderr } = await run(["check", inbox.path]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^hookonce\.toml:1: .*listen/m);
  });

  test("reports every mistake in every migration with its line, and checks handlers against the other statements", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "migrations/0002.sql":
        "create table refunds (a, b);\nbegin;\ncreate table x (y;\ninsert into nowhere values (1);\ncreate table late (n);\n",
      "migrations/0003.sql": "create table later (n);\ncreate tabel y (n);\n",
      "handlers/default/late.sql": "insert into late select n from later;\n",
    });
    const { code, stderr } = await run(["check", inbox.path]);
    expect(code).toBe(1);
    expect(stderr.replace(unsignedWarning, "").trim().split("\n")).toEqual([
      expect.stringMatching(/^migrations\/0002\.sql:2: BEGIN is not allowed/),
      expect.stringMatching(/^migrations\/0002\.sql:3: the migration fails.*incomplete input/),
      expect.stringMatching(/^migrations\/0002\.sql:4: the migration fails.*no such table: nowhere/),
      expect.stringMatching(/^migrations\/0003\.sql:2: the migration fails.*near "tabel"/),
      expect.stringMatching(
        /^note: the database does not exist yet: it will be made at .*data\/hookonce\.db$/,
      ),
      "",
      expect.stringMatching(/^4 problems in /),
    ] as string[]);
  });

  test("reports a file system error as a problem of that file, beside the others", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "hookonce.toml": `${inboxFiles["hookonce.toml"]}\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"\n`,
      "handlers/default/bad.sql": "select * from nowhere;\n",
    });
    for (const folder of ["migrations/0006.sql", ".env"]) mkdirSync(join(inbox.path, folder));
    symlinkSync(".", join(inbox.path, "handlers/default/loop"));
    symlinkSync("self", join(inbox.path, "handlers/default/self"));
    const { code, stderr } = await run(["check", inbox.path]);
    expect(code).toBe(1);
    for (const line of [
      /^migrations\/0006\.sql: cannot be read: EISDIR/m,
      /^hookonce\.toml:10: .*env:S is not set: .*\.env \(which cannot be read: EISDIR/m,
      /^handlers\/default\/loop: leads back/m,
      /^handlers\/default\/self: cannot be read: ELOOP/m,
      /^handlers\/default\/bad\.sql:1: no such table: nowhere/m,
      /^5 problems in /m,
    ]) {
      expect(stderr).toMatch(line);
    }
  });

  test("reports a handler whose top level never ends or would exit the process", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "handlers/default/exits.ts": "process.exit(0);\n",
      "handlers/default/waits.ts": "export {};\nawait new Promise(() => {});\n",
    });
    const { code, stderr } = await run(["check", inbox.path]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^handlers\/default\/exits\.ts:1: its top level calls process\.exit/m);
    expect(stderr).toMatch(/^handlers\/default\/waits\.ts: its top level has not finished after 5 s/m);
    expect(stderr).toMatch(/^2 problems in /m);
  }, 20_000);

  test("calls an async handler and a generator an error", async () => {
    const head = 'import { handler } from "hookonce";\nexport default handler(';
    using inbox = scratch({
      ...inboxFiles,
      "handlers/default/waits.ts": `${head}async () => {});\n`,
      "handlers/default/yields.ts": `${head}function* () {});\n`,
    });
    const { code, stderr } = await run(["check", inbox.path]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^handlers\/default\/waits\.ts: The handler is an async function\./m);
    expect(stderr).toMatch(/^handlers\/default\/yields\.ts: The handler is a generator function/m);
    expect(stderr).toMatch(/^2 problems in /m);
  });

  test("reports files in place of folders", async () => {
    using inbox = scratch({ "hookonce.toml": inboxFiles["hookonce.toml"], migrations: "", handlers: "" });
    const { code, stderr } = await run(["check", inbox.path]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^migrations: cannot be read: ENOTDIR/m);
    expect(stderr).toMatch(/^handlers: cannot be read: ENOTDIR/m);
    expect(stderr).toMatch(/^2 problems in /m);
  });

  test("reports the other problems of a config with an unknown key", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "hookonce.toml": `${inboxFiles["hookonce.toml"]}evnt_id = "body:$.id"

[sources.github]
provider = "githbu"

[sources.stripe]
provider = "stripe"
secret   = "env:NOT_SET_ANYWHERE"
`,
    });
    const { stderr } = await run(["check", inbox.path]);
    expect(stderr).toMatch(/^hookonce\.toml:7: .*did you mean event_id\?/m);
    expect(stderr).toMatch(/^hookonce\.toml:10: .*did you mean github\?/m);
    expect(stderr).toMatch(/^hookonce\.toml:14: .*env:NOT_SET_ANYWHERE is not set/m);
  });

  test("warns of a .env that others can read, and exits with 0", async () => {
    using inbox = scratch({ ...inboxFiles, ".env": "NAME=value\n" });
    const { code, stderr } = await run(["check", inbox.path]);
    expect(code).toBe(0);
    expect(stderr).toContain("warning: .env: ");
    expect(stderr).toContain("chmod 600 .env");
  });

  test("only reads an existing database: its bytes, tables and rows stay the same", async () => {
    using inbox = scratch(inboxFiles);
    {
      await using server = await serve(inbox.path);
      expect((await server.post("/webhook", paid)).body).toMatchObject({ status: "processed" });
      server.signal("SIGTERM");
      expect((await server.ended).code).toBe(0);
    }
    const path = join(inbox.path, "data/hookonce.db");
    const before = readFileSync(path);

    // Pending migrations are tried on a copy of the schema in memory, and the handlers are checked against
    // the result.
    inbox.write({
      "migrations/0002_refunds.sql": "create table refunds (event_id text primary key) strict;\n",
      "handlers/default/refunded.sql": "insert into refunds values (:event_id);\n",
      "handlers/default/writes.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ db }) => { db.run(sql\`delete from credits\`); });
`,
    });
    const good = await run(["check", inbox.path]);
    expect([good.code, good.stderr]).toEqual([0, unsignedWarning]);
    expect(good.stdout).toContain("0002_refunds.sql");

    // A migration that fails on the present schema, and a handler without its table.
    inbox.write({
      "migrations/0003_again.sql": "create table credits (x integer) strict;\n",
      "handlers/default/late.sql": "select * from nowhere;\n",
    });
    const bad = await run(["check", inbox.path]);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/^migrations\/0003_again\.sql:1: .*credits already exists/m);
    expect(bad.stderr).toMatch(/^handlers\/default\/late\.sql:1: no such table: nowhere/m);
    // Problems with applied migrations hide no others, and do not make handlers of pending tables fail.
    inbox.write({
      "migrations/0001_credits.sql": "create table credits (other text) strict;\n",
      "migrations/0000_late.sql": "create table late (n integer) strict;\n",
    });
    const edited = await run(["check", inbox.path]);
    expect(edited.code).toBe(1);
    expect(edited.stderr.replace(unsignedWarning, "").split("\n")).toEqual([
      expect.stringMatching(/^migrations\/0001_credits\.sql was changed after it was applied/),
      expect.stringMatching(/^migrations\/0000_late\.sql comes before 0001_credits\.sql/),
      expect.stringMatching(/^migrations\/0003_again\.sql:1: .*credits already exists/),
      expect.stringMatching(/^handlers\/default\/late\.sql:1: no such table: nowhere/),
      "",
      expect.stringMatching(/^4 problems/),
      "",
    ]);

    expect(readFileSync(path).equals(before)).toBe(true);
    using database = new Database(path, { readonly: true });
    expect(database.query("select customer, cents from credits").all()).toEqual([
      { customer: "ada", cents: 500 },
    ]);
    expect(database.query("select name from hookonce_user_migrations").all()).toEqual([
      { name: "0001_credits.sql" },
    ]);
    expect(database.query("select count(*) as n from sqlite_schema where name = 'refunds'").get()).toEqual({
      n: 0,
    });
  });

  test("reports a source with stored events that is gone or whose event id rule changed, as serve does", async () => {
    // A source that only `serve --dev` serves may go at any time.
    const config = `${inboxFiles["hookonce.toml"]}allow_public = true\n`;
    using inbox = scratch({ ...inboxFiles, "hookonce.toml": config });
    {
      await using server = await serve(inbox.path);
      expect((await server.post("/webhook", paid)).status).toBe(200);
      server.signal("SIGTERM");
      expect((await server.ended).code).toBe(0);
    }
    const before = readFileSync(join(inbox.path, "data/hookonce.db"));
    const changed = config.replace("$.event_id", "$.id");
    for (const [toml, says] of [
      [changed, 'source "default": the event id now comes from "body:$.id"'],
      [config.replace("sources.default", "sources.other"), 'source "default" is gone'],
      // A source with another problem in its config does not count as gone.
      [`${config}tolerance = "5s"\n`, 'tolerance = "5s" has no effect'],
    ] as const) {
      inbox.write({ "hookonce.toml": toml });
      const { code, stderr } = await run(["check", inbox.path]);
      expect(code).toBe(1);
      expect(stderr).toContain(says);
      expect(stderr).toContain("1 problem in");
    }
    expect(readFileSync(join(inbox.path, "data/hookonce.db")).equals(before)).toBe(true);

    inbox.write({ "hookonce.toml": changed });
    const refused = await run(["serve", inbox.path, "--dev", "--listen", "127.0.0.1:0"]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("[event_id_rule_changed]")]);
    await using server = await serve(inbox.path, { flags: ["--accept-id-change"] });
    expect((await server.post("/webhook", { ...paid, id: "evt_1" })).body).toMatchObject({
      status: "duplicate",
    });
  }, 20_000);

  test("prints problems, warnings and notes as objects with --json", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "handlers/default/a.sql": "replace into users values (1);\nselect 1;",
      "migrations/0002_users.sql": "create table users (id integer);",
    });
    const objects = async () => {
      const { code, stdout, stderr } = await run(["check", inbox.path, "--json"]);
      expect(stderr).toBe("");
      const all = stdout.trim().split("\n");
      return { code, found: all.map((line) => JSON.parse(line) as Record<string, unknown>) };
    };
    const warned = await objects();
    expect(warned.code).toBe(0);
    expect(warned.found).toContainEqual({
      kind: "warning",
      file: "handlers/default/a.sql",
      line: 1,
      message: expect.stringContaining('"replace" never finds a conflict') as string,
    });
    expect(warned.found.map(({ kind }) => kind)).toContain("note");
    inbox.write({ "handlers/default/a.sql": "insert into users values (1) on conflict (id) do nothing;" });
    const refused = await objects();
    expect(refused.code).toBe(1);
    expect(refused.found[0]).toEqual({
      kind: "problem",
      file: "handlers/default/a.sql",
      line: 1,
      message: expect.stringContaining("create unique index users_id on users (id);") as string,
    });
  });

  test("runs while serve is running and does not disturb it", async () => {
    using inbox = scratch(inboxFiles);
    await using server = await serve(inbox.path);
    const [{ code }, ...answers] = await Promise.all([
      run(["check", inbox.path]),
      ...Array.from({ length: 20 }, (_, n) => server.post("/webhook", { ...paid, event_id: `evt_${n}` })),
    ]);
    expect(code).toBe(0);
    for (const { status, body } of answers) expect([status, body["status"]]).toEqual([200, "processed"]);
  });
});
