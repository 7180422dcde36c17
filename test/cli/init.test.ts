import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { run, scratch, serve, unsignedWarning } from "./support/hookonce.ts";

describeUnless(onlyInFullRun(), "hookonce init", () => {
  test("makes a folder in which check finds no problem", async () => {
    using parent = scratch();
    const made = await run(["init", "my inbox"], { cwd: parent.path });
    expect([made.code, made.stderr]).toEqual([0, ""]);
    expect(made.stdout).toContain("hookonce.toml");
    expect(made.stdout).toContain("hookonce serve --dev 'my inbox'");
    expect(statSync(join(parent.path, "my inbox/.env")).mode & 0o777).toBe(0o600);
    const checked = await run(["check", "my inbox"], { cwd: parent.path });
    expect([checked.code, checked.stderr]).toEqual([0, unsignedWarning]);
    expect(checked.stdout).toEndWith("no problems found, 1 warning\n");
  });

  test("keeps the files that exist and adds those that are missing", async () => {
    using folder = scratch({ "hookonce.toml": "# mine\n", ".env": "SECRET=1\n" });
    const { code, stdout } = await run(["init"], { cwd: folder.path });
    expect(code).toBe(0);
    expect(stdout).toContain("Left unchanged: hookonce.toml, .env");
    expect(readFileSync(join(folder.path, "hookonce.toml"), "utf8")).toBe("# mine\n");
    expect(readFileSync(join(folder.path, ".env"), "utf8")).toBe("SECRET=1\n");
    expect(existsSync(join(folder.path, "handlers/default/_any.sql"))).toBe(true);
  });
});

describeUnless(onlyInFullRun(), "hookonce init in an application's folder", () => {
  test("refuses migrations/ that it did not make, and writes nothing, for serve --init as well", async () => {
    using app = scratch({ "migrations/001_users.sql": "create table users (id integer);" });
    for (const args of [["init"], ["serve", "--init", "--dev"]]) {
      const { code, stdout, stderr } = await run(args, { cwd: app.path });
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toContain("is not hookonce's");
      expect(stderr).toContain("hookonce init --database FILE");
    }
    expect(readdirSync(app.path)).toEqual(["migrations"]);
  }, 20_000);

  test("with --database refuses a file that is not a SQLite database, and writes nothing", async () => {
    using app = scratch({ "users.csv": "id,name\n1,Ada Lovelace\n", "empty.db": "" });
    const { code, stdout, stderr } = await run(["init", "--database", "users.csv"], { cwd: app.path });
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("--database users.csv: this is not a SQLite database");
    expect(readdirSync(app.path).sort()).toEqual(["empty.db", "users.csv"]);
    const empty = await run(["init", "--database", "empty.db"], { cwd: app.path });
    expect([empty.code, empty.stdout]).toEqual([0, expect.stringContaining("Wrote to hookonce:")]);
    expect(empty.stdout).not.toContain("does not exist");
  }, 20_000);
});

describeUnless(onlyInFullRun(), "hookonce init with --database", () => {
  test("makes hookonce/ beside the database, without samples and without an unsigned source", async () => {
    using app = scratch({ "migrations/001_users.sql": "create table users (id integer);" });
    const { code, stdout, stderr } = await run(["init", "--database", "app.db"], { cwd: app.path });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("\n  app.db-*\n  app.db.*\n");
    expect(stdout).toStartWith("The database app.db does not exist.");
    const folder = join(app.path, "hookonce");
    expect(readdirSync(folder).sort()).toEqual([
      ".env",
      ".gitignore",
      ".hookonce",
      "AGENTS.md",
      "hookonce.toml",
      "tsconfig.json",
    ]);
    const config = Bun.TOML.parse(readFileSync(join(folder, "hookonce.toml"), "utf8"));
    expect(config).toEqual({
      version: 1,
      listen: "127.0.0.1:8787",
      database: "../app.db",
      // max_size would count the tables of the application.
      retention: { payloads: "90d" },
    });

    // Run again, as after an update, it adds no sample table to the application's database either.
    const again = await run(["init", "hookonce"], { cwd: app.path });
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("hookonce is complete")]);
    expect(again.stdout).not.toContain("--dev");
    expect(readdirSync(folder)).not.toContain("migrations");
  }, 20_000);

  test("uses the folder that is named, and the steps that it prints work", async () => {
    using app = scratch();
    const made = await run(["init", "hooks", "--database", "db/app's $1.db"], { cwd: app.path });
    expect([made.code, made.stderr]).toEqual([1, expect.stringContaining("the folder db does not exist")]);
    mkdirSync(join(app.path, "db"));
    const { stdout } = await run(["init", "hooks", "--database", "db/app's $1.db"], { cwd: app.path });
    const [add = ""] = /hookonce add stripe --folder hooks/.exec(stdout) ?? [];
    expect((await run(add.split(" ").slice(1), { cwd: app.path })).code).toBe(0);
    const environment = { STRIPE_WEBHOOK_SECRET: "whsec_x" };
    const checked = await run(["check", "hooks"], { cwd: app.path, environment });
    expect([checked.code, checked.stdout]).toEqual([0, expect.stringContaining("no problems found")]);
    await using server = await serve(join(app.path, "hooks"), { environment, dev: false });
    expect(server.url).toStartWith("http://");
    expect(existsSync(join(app.path, "db/app's $1.db"))).toBe(true);
  }, 20_000);
});
