import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { block } from "../support/readme.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import type { Ended } from "./support/hookonce.ts";

const root = join(import.meta.dir, "../..");
const folder = temporaryFolder("package", 512);
const application = join(folder, "application");

async function execute(cwd: string, ...command: [string, ...string[]]): Promise<Ended> {
  const env = { ...process.env, NO_COLOR: "1" };
  const child = Bun.spawn(command, { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}

async function succeed(cwd: string, ...command: [string, ...string[]]): Promise<Ended> {
  const ended = await execute(cwd, ...command);
  if (ended.code !== 0) throw new Error(`${command.join(" ")}: ${ended.stdout}${ended.stderr}`);
  return ended;
}

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(application, name)), { recursive: true });
    writeFileSync(join(application, name), text);
  }
}

const bin = (name: string): string => join(application, "node_modules/.bin", name);

describeUnless(onlyInFullRun(), "the package, as an application's dev dependency", () => {
  beforeAll(async () => {
    await succeed(root, process.execPath, "pm", "pack", "--quiet", "--destination", folder);
    const packed = readdirSync(folder).find((name) => name.endsWith(".tgz"));
    const { "bun-types": bunTypes, typescript } = packageJson.devDependencies;
    const devDependencies = { hookonce: `file:../${String(packed)}`, "bun-types": bunTypes, typescript };
    write({
      "package.json": JSON.stringify({ name: "application", private: true, type: "module", devDependencies }),
      "tsconfig.json": JSON.stringify({
        compilerOptions: {
          strict: true,
          noUncheckedIndexedAccess: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          target: "esnext",
          module: "preserve",
          types: ["bun-types"],
          // drizzle-orm's declarations need it.
          skipLibCheck: true,
        },
        include: ["inbox/handlers"],
      }),
      "inbox/hookonce.toml": 'version = 1\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:NOT_SET"\n',
      "inbox/migrations/0001.sql":
        "create table credits (customer text primary key, cents integer not null) strict;",
      "inbox/handlers/stripe/checkout.session.completed.sql": block("sql", "insert into credits"),
      "inbox/handlers/stripe/checkout.test.ts": block("ts", "hookonce/test"),
      "inbox/handlers/stripe/invoice.paid.ts": `import { sql } from "drizzle-orm";
import { handler } from "hookonce";
export default handler(({ event, db }) => {
  db.run(sql\`insert into credits values (\${event.payload.data.object.customer}, 1)\`);
});
`,
      "inbox/handlers/stripe/invoice.paid.test.ts": `import { expect, test } from "bun:test";
import { fixtures, testInbox } from "hookonce/test";
test("TypeScript handlers run", async () => {
  await using box = await testInbox();
  const [answer] = await box.deliver("stripe", fixtures.stripe["invoice.paid"]());
  expect(answer).toMatchObject({ outcome: "processed", events: [{ rowsChanged: 1 }] });
});
`,
    });
    await succeed(application, process.execPath, "install");
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("lets plain bun test run the same tests, and holds neither sources nor tests of its own", async () => {
    const tested = await succeed(application, process.execPath, "test");
    expect(tested.stderr).toContain(" 3 pass\n 0 fail\n");
    const packed = readdirSync(join(application, "node_modules/hookonce"));
    expect(packed.filter((name) => !name.startsWith(".")).sort()).toEqual([
      "LICENSE",
      "README.md",
      "dist",
      "package.json",
    ]);
  }, 60_000);

  test("has the command, which runs them, too", async () => {
    expect((await succeed(application, bin("hookonce"), "--version")).stdout).toBe(
      `${packageJson.version}\n`,
    );
    const tested = await succeed(application, bin("hookonce"), "test", "inbox");
    expect(tested.stderr).toContain(" 3 pass\n 0 fail\n");
    const checked = await execute(application, bin("hookonce"), "check", "inbox");
    expect(checked.stderr).toContain("env:NOT_SET is not set");
    await succeed(application, bin("hookonce"), "init", "another");
    const another = await succeed(application, bin("hookonce"), "test", "another");
    expect(another.stderr).toContain(" 2 pass\n 0 fail\n");
  }, 60_000);

  test("has types that tsc accepts, and with which it finds a misspelled option", async () => {
    await succeed(application, bin("tsc"), "-p", ".");
    write({
      "inbox/handlers/stripe/wrong.test.ts": `import { fixtures, testInbox } from "hookonce/test";
const box = await testInbox();
await box.deliver("stripe", fixtures.stripe["invoice.paid"](), { tiems: 2 });
box.clock = true;
`,
    });
    const refused = await execute(application, bin("tsc"), "-p", ".");
    rmSync(join(application, "inbox/handlers/stripe/wrong.test.ts"));
    expect(refused.stdout.match(/^\S+\(\d+,\d+\): error TS\d+/gm)).toEqual([
      "inbox/handlers/stripe/wrong.test.ts(3,66): error TS2561",
      "inbox/handlers/stripe/wrong.test.ts(4,1): error TS2322",
    ]);
  }, 60_000);
});
