import { afterAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { addSource } from "../../src/simulator/add-source.ts";
import type { Example } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { block } from "../support/readme.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { hookonce, run, type Ended } from "./support/hookonce.ts";

const folder = temporaryFolder("test-command");
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

function inboxFolder(files: Record<string, string>): string {
  const path = join(folder, String(++count));
  write(path, {
    "hookonce.toml": 'version = 1\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:NOT_SET"\n',
    "migrations/0001.sql": "create table credits (customer text primary key, cents integer not null) strict;",
    "handlers/stripe/checkout.session.completed.sql": block("sql", "insert into credits"),
    ...files,
  });
  return path;
}

function write(path: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
}

const handled = (body: string): string =>
  `import { expect, test } from "bun:test";\nimport { fixtures, testInbox } from "hookonce/test";\n${body}`;

/** What the runner says of its tests, without their times. */
const results = ({ stderr }: Ended): string[] =>
  Array.from(stderr.matchAll(/^\((?:pass|fail)\) [^[\n]*/gm), ([line]) => line.trim());

describeUnless(onlyInFullRun(), "hookonce test", () => {
  test("runs the README's tests of the README's handler", async () => {
    const path = inboxFolder({ "handlers/stripe/checkout.test.ts": block("ts", "hookonce/test") });
    write(path, {
      "handlers/stripe/fixtures/old.json": '{"id":"evt_old","type":"checkout.session.completed","data":{}}',
      "handlers/stripe/saved.test.ts": handled(`import old from "./fixtures/old.json";
test("a fixture is delivered as it was saved", async () => {
  await using box = await testInbox();
  const [answer] = await box.deliver("stripe", old);
  expect(answer?.events[0]).toMatchObject({ id: "evt_old", type: "checkout.session.completed" });
});
`),
    });
    const before = readdirSync(path, { recursive: true, encoding: "utf8" }).sort();
    const ended = await run(["test", path]);
    expect(results(ended)).toEqual([
      "(pass) a checkout is credited once, however often it arrives",
      "(pass) a delivery that was changed on the way, or comes too late, has no effect",
      "(pass) a fixture is delivered as it was saved",
    ]);
    expect(ended.code).toBe(0);
    expect(readdirSync(path, { recursive: true, encoding: "utf8" }).sort()).toEqual(before);
  }, 60_000);

  test("exits with 1 and shows the difference and the cause when a test fails", async () => {
    const path = inboxFolder({
      "handlers/stripe/invoice.paid.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  console.log("got", event.type);
  db.run(sql\`insert into credits values (\${event.payload.data.object.customer}, null)\`);
});
`,
      "handlers/stripe/invoice.paid.test.ts": handled(`
test("is credited", async () => {
  await using box = await testInbox();
  const [answer] = await box.deliver("stripe", fixtures.stripe["invoice.paid"]());
  expect(answer).toMatchObject({ status: 200 });
});
`),
    });
    const ended = await run(["test"], { cwd: path });
    expect(ended.code).toBe(1);
    expect(results(ended)).toEqual(["(fail) is credited"]);
    expect(ended.stderr).toContain('-   "status": 200,');
    expect(ended.stderr).toContain('+   "status": 500,');
    expect(ended.stderr).toContain("NOT NULL constraint failed: credits.cents");
    expect(ended.stdout).toContain("handlers/stripe/invoice.paid.ts: got invoice.paid");
  }, 60_000);

  test("runs what the filters and the name select, and never a test elsewhere", async () => {
    const one = (name: string): string =>
      handled(`test("${name}", () => { expect(fixtures).toBeDefined(); });\n`);
    const path = inboxFolder({
      "handlers/stripe/a.test.ts": `${one("of a")}test("other of a", () => {});\n`,
      "handlers/stripe/b.test.ts": one("of b"),
      "handlers/lib/c.test.ts": handled(
        'test("of c", () => { expect([process.env["FROM_DOT_ENV"], process.env["BUN_BE_BUN"]]).toEqual([undefined, undefined]); });\n',
      ),
      "elsewhere/d.test.ts": one("of d"),
      // Bun's own test runner would load it.
      ".env": "FROM_DOT_ENV=1",
    });
    const ran = async (...args: string[]): Promise<[number | null, string[]]> => {
      const ended = await run(["test", "--folder", path, ...args]);
      return [ended.code, results(ended)];
    };
    const all = ["(pass) of c", "(pass) of a", "(pass) other of a", "(pass) of b"];
    expect(await ran()).toEqual([0, all]);
    expect(await ran("b.test")).toEqual([0, ["(pass) of b"]]);
    expect(await ran(path, "lib", "b.test")).toEqual([0, ["(pass) of c", "(pass) of b"]]);
    expect(await ran("-t", "^of [ab]$", "--timeout", "30s", "--bail")).toEqual([
      0,
      ["(pass) of a", "(pass) of b"],
    ]);
  }, 60_000);

  test("passes the first tests that hookonce add writes", async () => {
    const path = inboxFolder({ "hookonce.toml": "version = 1\n" });
    const names = ["razorpay", "github", "slack", "shopify", "aws-sns", "sendgrid", "postmark"];
    for (const name of names) {
      const provider = providers.get(name) as Provider;
      const example = examples.get(name) as Example;
      const types = [...example.types.slice(0, 1), ...Object.keys(example.untyped ?? {})];
      addSource({ folder: path, provider, example, types, name, handlers: true });
    }
    const ended = await run(["test", path]);
    expect(results(ended)).toEqual([
      "(pass) Notification is applied once",
      "(pass) push is applied once",
      "(pass) Bounce is applied once",
      "(pass) Inbound is applied once",
      "(pass) payment.captured is applied once",
      "(pass) delivered is applied once",
      "(pass) orders/paid is applied once",
      "(pass) app_mention is applied once",
    ]);
    expect(ended.code).toBe(0);
  }, 120_000);

  test("says what is missing", async () => {
    const path = inboxFolder({});
    const none = await run(["test", path]);
    expect([none.code, none.stderr]).toEqual([
      1,
      `There is no *.test.ts below ${join(path, "handlers")}. Write one beside a handler, as in handlers/stripe/invoice.paid.test.ts.\n`,
    ]);
    write(path, { "handlers/stripe/a.test.ts": handled("") });
    const filtered = await run(["test", path, "b"]);
    expect([filtered.code, filtered.stderr]).toEqual([
      1,
      'No test file has "b" in its path. The test files are: handlers/stripe/a.test.ts\n',
    ]);
    // In an inbox folder, only a folder with a hookonce.toml is another inbox folder.
    write(path, { "stripe/notes.txt": "" });
    const inFolder = await run(["test", "b", "stripe/", "--folder", path], { cwd: path });
    expect(inFolder.stderr).toContain("handlers/stripe/a.test.ts");
    const nowhere = await run(["test", join(path, "handlers")]);
    expect(nowhere.code).toBe(1);
    expect(nowhere.stderr).toContain("hookonce.toml does not exist. Name the inbox folder");
  }, 60_000);

  test("runs them again after a change in an SQL handler, and leaves nothing behind", async () => {
    const path = inboxFolder({ "handlers/stripe/checkout.test.ts": block("ts", "hookonce/test") });
    const temporary = join(folder, "temporary");
    mkdirSync(temporary);
    const child = Bun.spawn([...hookonce, "test", path, "--watch"], {
      env: { NO_COLOR: "1", HOME: process.env["HOME"] ?? "", TMPDIR: temporary },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    let said = "";
    const read = (async () => {
      for await (const chunk of child.stderr) said += new TextDecoder().decode(chunk);
    })();
    const waitFor = async (text: RegExp): Promise<void> => {
      const until = performance.now() + 60_000;
      while (!text.test(said)) {
        if (performance.now() > until)
          throw new Error(`not said within a minute: ${text.source}; only: ${said}`);
        await Bun.sleep(20);
      }
    };
    await waitFor(/Ran 2 tests/);
    expect(said).toContain(" 0 fail");
    said = "";
    // The folder is watched once the first run has ended.
    const file = "handlers/stripe/checkout.session.completed.sql";
    while (!/Ran 2 tests/.test(said)) {
      write(path, { [file]: "insert into credits values ('eve', 1) on conflict do nothing;" });
      await Bun.sleep(200);
    }
    expect(said).toContain(" 1 fail");
    child.kill("SIGTERM");
    await Promise.all([child.exited, read]);
    expect(child.exitCode).toBe(0);
    expect(readdirSync(temporary)).toEqual([]);
  }, 120_000);
});
