import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { initSummary, runInit } from "../src/cli/init.ts";
import { writeInbox } from "../src/cli/write-inbox.ts";
import { HookonceError } from "../src/errors.ts";
import type * as actual from "../src/handlers/api.ts";
import type * as sqlite from "../src/engines/sqlite/handler-database.ts";
import type * as declared from "../src/templates/types/hookonce.d.ts";
import { commands } from "../src/cli/commands.ts";
import { testInbox } from "./support/test-inbox.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const project = join(import.meta.dir, "..");
const template = (path: string): string => join(project, "src/templates/inbox", path);
const scratch = temporaryFolder("init");
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let count = 0;
const newFolder = () => join(scratch, `inbox-${++count}`);
const read = (folder: string, path: string) => readFileSync(join(folder, path), "utf8");

function write(folder: string, path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

const everything = [
  "hookonce.toml",
  "migrations/0001_credits.sql",
  "handlers/default/_any.sql",
  "handlers/default/user.created.ts",
  "handlers/default/_any.test.ts",
  "AGENTS.md",
  ".env",
  ".gitignore",
  "tsconfig.json",
  ".hookonce/types/",
];

describe("writeInbox", () => {
  test("makes the folder and the files that it lists, and nothing else", () => {
    const folder = join(newFolder(), "two/levels");
    expect(writeInbox(folder)).toEqual({ written: everything, kept: [] });

    const found = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .filter((path) => !path.startsWith(".hookonce/types/"));
    expect(found.sort()).toEqual(everything.slice(0, -1).sort());
    expect(statSync(join(folder, ".env")).mode & 0o777).toBe(0o600);
  });

  test("writes nothing the second time", () => {
    const folder = newFolder();
    writeInbox(folder);
    expect(writeInbox(folder)).toEqual({ written: [], kept: everything });
  });

  test("leaves the user's own files unchanged and adds the missing ones", () => {
    const folder = newFolder();
    write(folder, "hookonce.toml", "# mine");
    write(folder, ".env", "SECRET=1");
    chmodSync(join(folder, ".env"), 0o640);

    const { written, kept } = writeInbox(folder);

    expect(kept).toEqual(["hookonce.toml", ".env"]);
    expect(written).toEqual(everything.filter((path) => !kept.includes(path)));
    expect(read(folder, "hookonce.toml")).toBe("# mine");
    expect(read(folder, ".env")).toBe("SECRET=1");
    expect(statSync(join(folder, ".env")).mode & 0o777).toBe(0o640);
  });

  test("updates the editor's types and leaves other files in their folder unchanged", () => {
    const folder = newFolder();
    writeInbox(folder);
    const types = read(folder, ".hookonce/types/hookonce.d.ts");
    write(folder, ".hookonce/types/hookonce.d.ts", "// of an older hookonce");
    write(folder, ".hookonce/types/mine.d.ts", "// mine");

    expect(writeInbox(folder).written).toEqual([".hookonce/types/"]);
    expect(read(folder, ".hookonce/types/hookonce.d.ts")).toBe(types);
    expect(read(folder, ".hookonce/types/mine.d.ts")).toBe("// mine");
  });

  const inTheWay: { name: string; arrange: (folder: string) => void; path: string; says: string }[] = [
    {
      name: "a folder in place of a file",
      arrange: (folder) => mkdirSync(join(folder, "hookonce.toml")),
      path: "hookonce.toml",
      says: "is a folder, but hookonce init needs a file there",
    },
    {
      name: "a file in place of a folder",
      arrange: (folder) => writeFileSync(join(folder, "handlers"), ""),
      path: "handlers",
      says: "is a file, but hookonce init needs a folder there",
    },
    {
      name: "a symbolic link to a file",
      arrange: (folder) => symlinkSync("elsewhere", join(folder, ".env")),
      path: ".env",
      says: "is a symbolic link, but hookonce init needs a file there",
    },
    {
      name: "a symbolic link to a folder",
      arrange: (folder) => symlinkSync(scratch, join(folder, ".hookonce")),
      path: ".hookonce",
      says: "is a symbolic link, but hookonce init needs a folder there",
    },
    {
      name: "a symbolic link among the types",
      arrange: (folder) => {
        mkdirSync(join(folder, ".hookonce/types"), { recursive: true });
        symlinkSync(join(scratch, "elsewhere"), join(folder, ".hookonce/types/hookonce.d.ts"));
      },
      path: ".hookonce/types/hookonce.d.ts",
      says: "is a symbolic link, but hookonce init needs a file there",
    },
  ];
  test.each(inTheWay)("refuses $name before it writes anything", ({ arrange, path, says }) => {
    const folder = newFolder();
    mkdirSync(folder);
    arrange(folder);
    const before = readdirSync(folder);

    const error = thrownBy(() => writeInbox(folder));

    expect(error.code).toBe("folder_not_empty");
    expect(error.message).toContain(`${join(folder, path)} ${says}`);
    expect(readdirSync(folder)).toEqual(before);
  });

  test("refuses a file or a dangling link as the folder, and accepts a link to a folder", () => {
    const file = newFolder();
    writeFileSync(file, "");
    expect(thrownBy(() => writeInbox(file)).message).toContain("is a file");
    expect(thrownBy(() => writeInbox(join(file, "below"))).code).toBe("storage_failed");

    const dangling = newFolder();
    symlinkSync(join(scratch, "nothing"), dangling);
    expect(thrownBy(() => writeInbox(dangling)).message).toContain("is a symbolic link to nothing");

    const [real, link] = [newFolder(), newFolder()];
    mkdirSync(real);
    symlinkSync(real, link);
    writeInbox(link);
    expect(statSync(join(real, "hookonce.toml")).isFile()).toBe(true);
  });
});

describe("runInit in an application's folder", () => {
  test.each([
    ["migrations/001_users.sql"],
    ["handlers/users.go"],
    ["migrations/.gitkeep"], // about to be filled
  ])("refuses the folder of %s, which it did not make, and writes nothing", (path) => {
    const folder = newFolder();
    write(folder, path, "");
    for (const database of [undefined, "app.db"]) {
      const error = thrownBy(() => writeInbox(folder, database));
      expect([error.code, error.message]).toEqual([
        "folder_not_empty",
        expect.stringContaining("is not hookonce's"),
      ]);
    }
    expect(readdirSync(folder)).toHaveLength(1);
  });

  test("accepts empty folders", () => {
    const folder = newFolder();
    for (const name of ["migrations", "handlers"]) mkdirSync(join(folder, name), { recursive: true });
    expect(writeInbox(folder).written).toEqual(everything);
  });

  test("with --database refuses a folder that serves another database, a folder and a URL", () => {
    const folder = newFolder();
    writeInbox(join(folder, "hookonce"), "../app.db");
    for (const [database, says] of [
      [join(folder, "other.db"), "does not name this database. Set it there: database = "],
      [folder, "this is a folder"],
      ["mysql://localhost/app", "not a URL"],
    ] as const) {
      const error = thrownBy(() => runInit(join(folder, "hookonce"), { database }));
      expect(error.message).toContain(says);
    }
  });

  test("adds no samples to a folder with migrations of its own", () => {
    const folder = newFolder();
    write(folder, "hookonce.toml", "# mine");
    write(folder, "migrations/0001_mine.sql", "select 1;");
    expect(writeInbox(folder).written).toEqual([
      "AGENTS.md",
      ".env",
      ".gitignore",
      "tsconfig.json",
      ".hookonce/types/",
    ]);
    expect(readdirSync(join(folder, "migrations"))).toEqual(["0001_mine.sql"]);
  });
});

describe("AGENTS.md", () => {
  test("names only commands that there are, and files that init writes or the user makes", () => {
    const folder = newFolder();
    writeInbox(folder);
    const text = read(folder, "AGENTS.md");
    const names = Array.from(text.matchAll(/(?:^|`)hookonce ([a-z]+)/gm), ([, name]) => name);
    for (const name of ["check", "try", "test"]) expect(names).toContain(name);
    const known = new Set(commands.map(({ name }) => name));
    expect(names.filter((name) => !known.has(name as string))).toEqual([]);
    const paths = Array.from(text.matchAll(/^\| `([^`*<]+)`/gm), ([, path]) => path as string);
    const missing = paths.filter((path) => !existsSync(join(folder, path)));
    expect(missing.sort()).toEqual(["data/", "handlers/lib/"]);
    for (const line of text.split("\n")) if (!line.startsWith("|")) expect(line.length).toBeLessThan(123);
  });

  test("has an example of a handler that works", async () => {
    const [, handler = ""] = /```ts\n([^]*?)```/.exec(readFileSync(template("AGENTS.md"), "utf8")) ?? [];
    await using inbox = await testInbox({
      files: {
        "migrations/1.sql": readFileSync(template("migrations/0001_credits.sql"), "utf8"),
        "handlers/default/user.created.ts": handler,
      },
    });
    const answer = await inbox.deliver({ event_id: "evt_1", type: "user.created", email: "a@b.example" });
    expect(answer.body.status).toBe("processed");
    expect(inbox.rows("select event_id, email from signups")).toEqual([
      { event_id: "evt_1", email: "a@b.example" },
    ]);
  }, 60_000);

  test("is left out if a link has its name", () => {
    const folder = newFolder();
    mkdirSync(folder);
    symlinkSync("CLAUDE.md", join(folder, "AGENTS.md"));
    expect(writeInbox(folder).written).toEqual(everything.filter((path) => path !== "AGENTS.md"));
  });
});

describe("initSummary", () => {
  test("lists the files that were made and the two commands to type next", () => {
    const folder = newFolder();
    const text = initSummary(writeInbox(folder), folder);
    for (const path of everything) expect(text).toContain(`  ${path} `);
    expect(text).toContain(`  hookonce serve --dev ${folder}\n`);

    // The address is the config's, and the template's selectors find id and type in the event.
    const config = Bun.TOML.parse(read(folder, "hookonce.toml")) as Record<string, any>; // eslint-disable-line typescript/no-explicit-any -- the test reads single values of it
    const [, body, url] = /curl .* -d '([^']+)' (\S+)\n$/.exec(text) ?? [];
    expect(url).toBe(`http://${config["listen"]}/webhook`);
    expect(JSON.parse(body ?? "")).toEqual({
      event_id: "evt_1",
      type: "credit.added",
      customer: "ada",
      cents: 500,
    });
  });

  test("lists the files it kept, and proposes no event for a config that is the user's own", () => {
    const text = initSummary({ written: [".env"], kept: ["hookonce.toml", "tsconfig.json"] }, "my inbox's");
    expect(text).toContain("Left unchanged: hookonce.toml, tsconfig.json\n");
    expect(text).toContain(String.raw`  hookonce serve --dev 'my inbox'\''s'`);
    expect(text).not.toContain("curl");
    expect(initSummary({ written: [], kept: everything }, ".")).toStartWith(
      "Nothing to write: . is complete.\n",
    );
  });
});

describe("the template", () => {
  test("has a valid config, which stays valid when the commented tables are uncommented", () => {
    const folder = newFolder();
    writeInbox(folder);
    const config = read(folder, "hookonce.toml");
    const unsigned = { provider: "unsigned", event_id: "body:$.event_id", type: "body:$.type" };
    expect(Bun.TOML.parse(config)).toEqual({
      version: 1,
      listen: "127.0.0.1:8787",
      database: "data/hookonce.db",
      retention: { payloads: "90d", max_size: "2 GiB" },
      sources: { default: unsigned },
    });

    const uncommented = config.replaceAll(
      /^# (?=\[sources|\[destinations|provider|url =|secret {2,}=)/gm,
      "",
    );
    expect(Bun.TOML.parse(uncommented)).toMatchObject({
      sources: {
        default: unsigned,
        stripe: { provider: "stripe", secret: "env:STRIPE_WEBHOOK_SECRET" },
        github: { provider: "github", secret: "env:GITHUB_WEBHOOK_SECRET" },
        razorpay: { provider: "razorpay", secret: "env:RAZORPAY_WEBHOOK_SECRET" },
      },
      destinations: { app: { url: "http://127.0.0.1:3000/webhooks/{source}" } },
    });
    for (const [, name] of config.matchAll(/"env:(\w+_SECRET)"/g)) {
      expect(read(folder, ".env")).toMatch(new RegExp(`^# ${name}=`, "m"));
    }
  });

  test("has a SQL handler that adds credits, ignores other events, and fails if cents is not an integer", () => {
    const folder = newFolder();
    writeInbox(folder);
    using db = new Database(":memory:", { strict: true });
    db.run(read(folder, "migrations/0001_credits.sql"));
    using statement = db.query(read(folder, "handlers/default/_any.sql"));
    const changes = (payload: string | null) => statement.run({ payload }).changes;

    expect(changes('{"event_id":"evt_1","type":"credit.added","customer":"ada","cents":500}')).toBe(1);
    expect(changes('{"customer":"ada","cents":-20}')).toBe(1);
    expect(changes('{"customer":"bob","cents":"7"}')).toBe(1);
    for (const nothing of [
      "{}",
      '{"event_id":"evt_1"}',
      '{"customer":"ada"}',
      '{"cents":1}',
      "[]",
      "null",
      null,
    ]) {
      expect(changes(nothing)).toBe(0);
    }
    expect(() => changes('{"customer":"ada","cents":1.5}')).toThrow(
      "cannot store REAL value in INTEGER column credits.cents",
    );
    expect(db.query("select customer, cents from credits order by customer").values()).toEqual([
      ["ada", 480],
      ["bob", 7],
    ]);
  });

  /**
   * The inbox folder's tsconfig.json maps the bare imports to declaration files, and Bun reads the
   * tsconfig.json beside the files it runs. The modules that hookonce supplies must win. For the compiled
   * binary, see cli/binary.test.ts.
   */
  test("has a TypeScript handler that runs with the modules that hookonce supplies, from source", async () => {
    const host = join(scratch, "host.ts");
    const source = (path: string) => JSON.stringify(join(project, path));
    writeFileSync(
      host,
      `import { Database } from "bun:sqlite";
      import { readFileSync } from "node:fs";
      import { drizzle } from ${JSON.stringify(Bun.resolveSync("drizzle-orm/bun-sqlite", project))};
      import { writeInbox } from ${source("src/cli/write-inbox.ts")};
      import { handlerModules } from ${source("src/engines/sqlite/sqlite-engine.ts")};
      import { supplyModules } from ${source("src/handlers/modules.ts")};
      supplyModules(await handlerModules());
      const folder = process.argv[2];
      writeInbox(folder);
      const client = new Database(":memory:", { strict: true });
      client.run(readFileSync(folder + "/migrations/0001_credits.sql", "utf8"));
      const { default: handler } = await import(folder + "/handlers/default/user.created.ts");
      const event = { id: "evt_2", receivedAt: 1700000000000, payload: { email: "ada@example.com" } };
      handler.run({ event, db: drizzle(client) });
      console.log(JSON.stringify(client.query("select * from signups").values()));`,
    );
    const folder = newFolder();
    const rows = await output([process.execPath, host, folder]);
    expect(JSON.parse(rows)).toEqual([["evt_2", "ada@example.com", null, 1700000000000]]);
    expect(read(folder, "tsconfig.json")).toContain('"zod": ["./.hookonce/types/zod/index.d.ts"]');
    expect(writeInbox(folder).written).toEqual([]);
  });
});

describe("the types for the editor", () => {
  test("accept a correct handler with nothing installed, and refuse each mistake", () => {
    const folder = newFolder();
    writeInbox(folder);
    write(folder, "handlers/lib/shop.ts", goodLibrary);
    write(folder, "handlers/default/good.ts", goodHandler);
    // An unused @ts-expect-error is an error, so the types must refuse each of these lines.
    write(folder, "handlers/default/refused.ts", refusedHandlers);
    const { stdout, exitCode } = check(folder);
    expect(stdout.toString()).toBe("");
    expect(exitCode).toBe(0);
  });

  test("report the mistakes of a handler", () => {
    const folder = newFolder();
    writeInbox(folder);
    write(
      folder,
      "handlers/default/bad.ts",
      `import { handler } from "hookonce";
      export default handler(({ event, db }) => {
        db.run(123);
        event.nope;
      });`,
    );
    const { stdout, exitCode } = check(folder);
    expect(exitCode).not.toBe(0);
    expect(stdout.toString()).toMatch(/bad\.ts\(3,\d+\): error TS2345: .*number/);
    expect(stdout.toString()).toMatch(/bad\.ts\(4,\d+\): error TS2339: Property 'nope' does not exist/);
    expect(stdout.toString().match(/error TS/g)).toHaveLength(2);
  });

  test("agree with the code that they describe", () => {
    // The type check proves this, not the run: an `Agree<…>` that is not true does not compile.
    const agreement: [
      Agree<declared.HandlerContext<Payload>, actual.HandlerContext<Payload, sqlite.HandlerDatabase>>,
      Agree<declared.Event<Payload>, actual.HandlerContext<Payload>["event"]>,
      Agree<declared.HandlerDatabase, sqlite.HandlerDatabase>,
      Agree<declared.RunResult, sqlite.RunResult>,
      // The declaration is stricter: the code accepts a function that returns a promise, and then fails its
      // events.
      declared.HandlerFunction<Payload> extends actual.HandlerFunction<Payload> ? true : false,
      typeof actual.handler extends (run: declared.HandlerFunction) => unknown ? true : false,
    ] = [true, true, true, true, true, true];
    expect(agreement).not.toContain(false);
  });
});

interface Payload {
  repository: { full_name: string };
}
type Agree<A, B> = [A, B] extends [B, A]
  ? [keyof A, keyof B] extends [keyof B, keyof A]
    ? true
    : false
  : false;

const goodLibrary = `import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { z } from "zod";
export const credits = sqliteTable("credits", { customer: text().primaryKey(), cents: integer().notNull() });
export const Credit = z.object({ customer: z.string(), cents: z.int() });
export type Credit = z.infer<typeof Credit>;
`;

const goodHandler = `import { eq, sql } from "drizzle-orm";
import { handler, reply } from "hookonce";
import { Credit, credits } from "../lib/shop.ts";

export default handler(({ event, db }) => {
  const credit = Credit.parse(event.payload);
  const before: { cents: number } | undefined = db
    .select({ cents: credits.cents })
    .from(credits)
    .where(eq(credits.customer, credit.customer))
    .get();
  const { changes } = db
    .insert(credits)
    .values(credit)
    .onConflictDoUpdate({ target: credits.customer, set: { cents: sql\`\${credits.cents} + excluded.cents\` } })
    .run();
  db.transaction((tx) => void tx.run(sql\`delete from credits where cents = 0\`));
  const text = new TextDecoder().decode(event.body);
  console.log(before?.cents, changes.toFixed(), text.length, event.headers["content-type"], event.receivedAt + 1);
  console.log(new URL("https://example.com?a=1").searchParams.get("a"), crypto.randomUUID(), process.env["TZ"]);
});

export const oneExpression = handler(({ event, db }) => void db.run(sql\`select \${event.payload.any.thing}\`));
export const replies = handler(() => reply({ body: "hello" }));
export const sometimesReplies = handler(({ event }) => {
  if (event.type === "ping") return reply();
});
export const typed = handler<{ cents: number }>(({ event }) => console.log(event.payload.cents.toFixed()));
`;

const refusedHandlers = `import { handler } from "hookonce";
import { credits } from "../lib/shop.ts";

// @ts-expect-error: a transaction does not wait
export const asynchronous = handler(async ({ db }) => { db.run("select 1"); });
// @ts-expect-error: nothing runs it
export const generator = handler(function* ({ db }) { db.run("select 1"); });
// @ts-expect-error: neither nothing nor a reply
export const otherValue = handler(({ db }) => db.run("select 1"));
// @ts-expect-error: a reply is made by reply()
export const notAReply = handler(() => ({ status: 200 }));
// @ts-expect-error: built, never run
export const neverRun = handler(({ db }) => db.insert(credits).values({ customer: "ada", cents: 1 }));
// @ts-expect-error: not handler(…) but what it takes
export const notAFunction = handler({ event: 1 });
export const mistakes = handler<{ cents: number }>(({ event, db }) => {
  // @ts-expect-error: no such column
  db.insert(credits).values({ customer: "ada", euros: 1 }).run();
  // @ts-expect-error: a column of another type
  db.insert(credits).values({ customer: "ada", cents: "1" }).run();
  // @ts-expect-error: not in the payload
  event.payload.euros;
  // @ts-expect-error: an event does not change
  event.id = "evt_2";
  // @ts-expect-error: results are there at once, and no promise
  db.select().from(credits).all().then();
  // @ts-expect-error: work that leaves the process has no place in a transaction
  fetch("https://example.com");
});
// @ts-expect-error: no global event
event.payload;
`;

function check(folder: string) {
  const tsc = join(project, "node_modules/typescript/lib/tsc.js");
  return Bun.spawnSync([process.execPath, tsc, "--noEmit", "-p", folder], { cwd: folder });
}

function thrownBy(action: () => unknown): HookonceError {
  try {
    action();
  } catch (error) {
    if (error instanceof HookonceError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

async function output(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { cwd: scratch, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with ${exitCode}: ${stderr}`);
  return stdout;
}
