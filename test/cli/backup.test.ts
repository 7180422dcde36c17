import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { checkBackup } from "../../src/app/check-backup.ts";
import { describeUnless, needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { mountSmallDisk, needsMount } from "../faults/small-disk.ts";
import { receiveMessages, until } from "../outbox/support/received.ts";
import { hookonce, inboxFiles, paid, run, scratch, serve, type Scratch } from "./support/hookonce.ts";

/** Each test starts a few processes, which take ten seconds each on a machine that is busy. In milliseconds. */
const LONG = 240_000;

/** An inbox folder with one event, beside a folder for backups. */
async function inboxWithEvent(
  files: Record<string, string> = {},
): Promise<Scratch & { inbox: string; to: string }> {
  const folder = scratch({ "to/.keep": "" });
  const inbox = join(folder.path, "inbox");
  for (const [path, text] of Object.entries({ ...inboxFiles, ...files }))
    folder.write({ [`inbox/${path}`]: text });
  {
    await using server = await serve(inbox);
    expect((await server.post("/webhook", paid)).body["status"]).toBe("processed");
    server.signal("SIGTERM");
    await server.ended;
  }
  return { ...folder, inbox, to: join(folder.path, "to"), [Symbol.dispose]: folder[Symbol.dispose] };
}

function untar(file: string, to: string, ...members: string[]): void {
  mkdirSync(to, { recursive: true });
  expect(Bun.spawnSync(["tar", "xf", file, "-C", to, ...members]).exitCode).toBe(0);
}

/** Overwrites the first page of a table. Nothing has the database open. */
function damage(path: string, table: string): void {
  using database = new Database(path);
  const found = database.query("select rootpage from sqlite_schema where name = ?").values(table)[0];
  const size = Number(database.query("pragma page_size").values()[0]?.[0]);
  database.run("pragma wal_checkpoint(truncate)");
  database.close(true);
  const bytes = readFileSync(path);
  bytes.fill(0x5a, (Number(found?.[0]) - 1) * size, Number(found?.[0]) * size);
  writeFileSync(path, bytes);
}

const reason = onlyInFullRun() ?? needsCommand("tar");

describeUnless(reason, "hookonce backup", () => {
  test(
    "is whole while serve runs, starts, and takes what came after it again, once",
    async () => {
      using it = await inboxWithEvent({ ".env": "A=1", "secrets/shop": "s" });
      const file = join(it.to, "a.tar");
      const restored = join(it.path, "restored");
      {
        await using server = await serve(it.inbox);
        expect(await run(["backup", file, "--folder", it.inbox])).toMatchObject({
          code: 0,
          stderr: "",
          stdout: expect.stringContaining("Left out, because they hold secrets: .env, secrets/."),
        });
        await server.post("/webhook", { ...paid, event_id: "evt_2" });
      }
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const checked = await run(["check", "--backup", file]);
      expect(checked.code).toBe(0);
      expect(checked.stdout).toContain(": 1 event, the newest of ");
      expect(checked.stdout).toEndWith(
        "\nThis backup starts, but it also needs:\n  serve --dev, or allow_public = true: unsigned source default\n",
      );
      untar(file, restored);
      expect(existsSync(join(restored, ".env"))).toBe(false);
      await using server = await serve(restored);
      const outcome = async (id: string) =>
        (await server.post("/webhook", { ...paid, event_id: id })).body["status"];
      expect([await outcome("evt_1"), await outcome("evt_2"), await outcome("evt_2")]).toEqual([
        "duplicate",
        "processed",
        "duplicate",
      ]);
    },
    LONG,
  );

  test(
    "holds the database of an application with all its tables",
    async () => {
      using it = scratch({ "to/.keep": "" });
      using app = new Database(join(it.path, "app.db"));
      app.run("pragma journal_mode = wal");
      app.run("create table users (name text)");
      app.run("insert into users values ('ada')");
      it.write({
        "inbox/hookonce.toml": `database = "../app.db"\n${inboxFiles["hookonce.toml"]}`,
        "inbox/handlers/default/_any.sql": "insert into users values (:payload ->> '$.customer');",
      });
      const file = join(it.path, "to/a.tar");
      {
        await using server = await serve(join(it.path, "inbox"));
        await server.post("/webhook", paid);
        expect((await run(["backup", file, "--folder", join(it.path, "inbox")])).code).toBe(0);
      }
      expect((await run(["check", "--backup", file])).code).toBe(0);
      untar(file, join(it.path, "restored"), "data/app.db");
      using copy = new Database(join(it.path, "restored/data/app.db"), { readonly: true });
      expect(copy.query("select name from users").values()).toEqual([["ada"], ["ada"]]);
    },
    LONG,
  );

  test(
    "sends messages that waited when it was made again, with their ids",
    async () => {
      await using app = receiveMessages(() => new Response("not yet", { status: 503 }));
      using it = scratch({ "to/.keep": "" });
      it.write({
        "inbox/hookonce.toml": `${inboxFiles["hookonce.toml"]}forward = ["app"]

[destinations.app]
url = "${app.url}"
sign = "none"
`,
      });
      const inbox = join(it.path, "inbox");
      const file = join(it.path, "to/a.tar");
      {
        await using server = await serve(inbox);
        await server.post("/webhook", paid);
        await until("it was tried", () => app.received.length > 0);
        expect((await run(["backup", file, "--folder", inbox])).code).toBe(0);
        app.answer = () => new Response("ok");
        await run(["resend", "--destination", "app", "--state", "waiting", "--folder", inbox]);
        await until("it was delivered", () => app.received.length > 1);
      }
      const before = app.received.length;
      untar(file, join(it.path, "restored"));
      await using _ = await serve(join(it.path, "restored"));
      await until("it is sent again", () => app.received.length > before);
      const ids = [...new Set(app.received.map(({ id }) => id))];
      expect(ids).toEqual([expect.stringMatching(/^msg_/)]);
    },
    LONG,
  );

  test(
    "holds the secrets if --secrets is given, and check names those that are missing",
    async () => {
      const toml = `${inboxFiles["hookonce.toml"]}
[sources.shop]
provider = "stripe"
secret = ["env:SHOP", "file:keys/old", "env:ELSEWHERE"]
`;
      using it = await inboxWithEvent();
      it.write({
        "inbox/hookonce.toml": toml,
        "inbox/.env": "SHOP=whsec_0123456789abcdef0123456789abcdef",
        "inbox/keys/old": "whsec_0123456789abcdef0123456789abcdee",
      });
      for (const [name, flags, needs] of [
        [
          "without.tar",
          [],
          [
            "  in .env or in the environment: SHOP, ELSEWHERE\n",
            "  files: keys/old\n",
            "  serve --dev, or allow_public = true: unsigned source default\n",
          ],
        ],
        [
          "with.tar",
          ["--secrets"],
          [
            "  in .env or in the environment: ELSEWHERE\n",
            "  serve --dev, or allow_public = true: unsigned source default\n",
          ],
        ],
      ] as const) {
        const file = join(it.to, name);
        expect((await run(["backup", file, "--folder", it.inbox, ...flags])).code).toBe(0);
        const checked = await run(["check", "--backup", file]);
        expect([checked.code, checked.stdout]).toEqual([
          0,
          expect.stringContaining(`This backup starts, but it also needs:\n${needs.join("")}`),
        ]);
        const held = readFileSync(file).includes("0123456789abcdef");
        expect([name, held]).toEqual([name, flags.length > 0]);
      }
    },
    LONG,
  );

  test(
    "replaces nothing unless --overwrite is given, and refuses a place that the next backup would hold",
    async () => {
      using it = await inboxWithEvent();
      const file = join(it.to, "a.tar");
      writeFileSync(file, "mine");
      const refused = await run(["backup", file, "--folder", it.inbox]);
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("exists already")]);
      expect(readFileSync(file, "utf8")).toBe("mine");
      expect((await run(["backup", file, "--overwrite", "--folder", it.inbox])).code).toBe(0);
      expect((await run(["check", "--backup", file])).code).toBe(0);
      const inside = await run(["backup", join(it.inbox, "a.tar"), "--folder", it.inbox]);
      expect([inside.code, inside.stderr]).toEqual([
        1,
        expect.stringContaining("the next backup would contain this one"),
      ]);
      expect((await run(["backup", join(it.inbox, "data/a.tar"), "--folder", it.inbox])).code).toBe(0);
      expect((await run(["backup", join(it.path, "none/a.tar"), "--folder", it.inbox])).stderr).toContain(
        "does not exist. Make it, or name another file",
      );
      expect(readdirSync(it.to).sort()).toEqual([".keep", "a.tar"]);
    },
    LONG,
  );

  test(
    "goes to standard output with -",
    async () => {
      using it = await inboxWithEvent();
      const file = join(it.to, "a.tar");
      const child = Bun.spawn([...hookonce, "backup", "-", "--folder", it.inbox], {
        stdout: Bun.file(file),
        stderr: "pipe",
      });
      expect([await child.exited, await new Response(child.stderr).text()]).toEqual([
        0,
        expect.stringContaining("Backed up: "),
      ]);
      expect((await run(["check", "--backup", file])).code).toBe(0);
      expect(
        readdirSync(join(it.inbox, "data")).filter((name) => name.startsWith(".hookonce-backup")),
      ).toEqual([]);
    },
    LONG,
  );

  test(
    "of a database in the inbox folder itself holds its neighbours, no secret, and nothing of a killed backup",
    async () => {
      const SECRET = "whsec_0123456789abcdef0123456789abcdef";
      using it = await inboxWithEvent({
        "hookonce.toml": `database = "shop"\n${inboxFiles["hookonce.toml"]}`,
        "shop-scripts/deploy.sh": "echo deploy",
        "shop.md": "notes",
        ".env.local": SECRET,
        ".npmrc": SECRET,
        "sub/secrets/github": SECRET,
      });
      linkSync(join(it.inbox, ".env.local"), join(it.inbox, "environment.txt"));
      symlinkSync(join(it.inbox, "sub/secrets/github"), join(it.inbox, "handlers/github.txt"));
      {
        using database = new Database(join(it.inbox, "shop"));
        database.run("create table filler (b blob)");
        for (let n = 0; n < 24; n++) database.run("insert into filler values (randomblob(1048576))");
      }
      const copying = (): string[] =>
        readdirSync(it.inbox).filter((name) => name.startsWith(".hookonce-backup"));
      const killed = Bun.spawn([...hookonce, "backup", "-", "--folder", it.inbox], {
        stdout: Bun.file(join(it.to, "killed.tar")),
        stderr: "ignore",
      });
      while (killed.exitCode === null && copying().length === 0) await Bun.sleep(1);
      killed.kill("SIGKILL");
      await killed.exited;
      expect(copying()).toHaveLength(1);
      const file = join(it.to, "a.tar");
      const made = await run(["backup", file, "--folder", it.inbox]);
      expect([made.code, made.stdout]).toEqual([
        0,
        expect.stringContaining(
          "Left out, because they hold secrets: .env.local, .npmrc, environment.txt, handlers/github.txt, sub/secrets/.",
        ),
      ]);
      expect(readFileSync(file).includes(SECRET)).toBe(false);
      const names = Bun.spawnSync(["tar", "tf", file]).stdout.toString().split("\n");
      expect(names.filter((name) => /shop|hookonce-backup/.test(name))).toEqual([
        "shop-scripts/",
        "shop-scripts/deploy.sh",
        "shop.md",
        "shop",
      ]);
      const piped = Bun.spawn([...hookonce, "backup", "-", "--folder", it.inbox], {
        stdout: "ignore",
        stderr: "ignore",
      });
      expect(await piped.exited).toBe(0);
      expect(copying()).toEqual([]);
    },
    LONG,
  );

  test(
    "is refused if there is no database, and if its folder has no config",
    async () => {
      using it = scratch(inboxFiles);
      const refused = await run(["backup", join(it.path, "../a.tar"), "--folder", it.path]);
      expect([refused.code, refused.stderr]).toEqual([
        1,
        expect.stringContaining("There is no database to back up"),
      ]);
      using none = scratch();
      expect((await run(["backup", "a.tar", "--folder", none.path])).stderr).toContain("does not exist");
    },
    LONG,
  );

  test(
    "that does not start is refused by check, with every reason, and nothing is left in the temporary folder",
    async () => {
      using it = await inboxWithEvent();
      it.write({ "inbox/handlers/default/_any.sql": "insert into absent values (1);" });
      const file = join(it.to, "a.tar");
      expect((await run(["backup", file, "--folder", it.inbox])).code).toBe(0);
      using temporary = scratch();
      const environment = { TMPDIR: temporary.path };
      const refused = await run(["check", "--backup", file], { environment });
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("handlers/default/_any.sql:1: no such table: absent");
      expect(refused.stderr).toContain("1 problem: this backup does not start");
      const cut = join(it.to, "cut.tar");
      writeFileSync(cut, readFileSync(file).subarray(0, 100_000));
      const damaged = await run(["check", "--backup", cut], { environment });
      expect([damaged.code, damaged.stderr]).toEqual([1, expect.stringContaining("[backup_invalid]")]);
      expect(readdirSync(temporary.path)).toEqual([]);
      const json = await run(["check", "--backup", file, "--json"], { environment });
      expect(json.code).toBe(1);
      const lines = json.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(lines.map(({ kind }) => kind)).toEqual(["problem", "note", "backup"]);
      expect(lines.at(-1)).toMatchObject({
        database: "data/hookonce.db",
        events: 1,
        needs: { secrets: [], unsigned: ["default"], database: false },
      });
    },
    LONG,
  );

  test(
    "is refused if a table of the database is damaged",
    async () => {
      using it = await inboxWithEvent();
      const database = join(it.inbox, "data/hookonce.db");
      damage(database, "credits");
      const refused = await run(["backup", join(it.to, "a.tar"), "--folder", it.inbox]);
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("cannot be copied")]);
      expect(readdirSync(it.to)).toEqual([".keep"]);
    },
    LONG,
  );

  test(
    "leaves nothing under its name when it is killed at any moment, and a signal leaves nothing at all",
    async () => {
      using it = await inboxWithEvent();
      {
        using database = new Database(join(it.inbox, "data/hookonce.db"));
        database.run("create table filler (b blob)");
        for (let n = 0; n < 24; n++) database.run("insert into filler values (randomblob(1048576))");
      }
      const file = join(it.to, "a.tar");
      const copying = (): string[] =>
        readdirSync(it.to).filter((name) => name.startsWith(".hookonce-backup"));
      for (const signal of ["SIGKILL", "SIGTERM"] as const) {
        for (const ms of [0, 30, 60, 90, 120]) {
          const child = Bun.spawn([...hookonce, "backup", file, "--folder", it.inbox], {
            stdout: "ignore",
            stderr: "ignore",
          });
          while (child.exitCode === null && copying().length === 0) await Bun.sleep(1);
          await Bun.sleep(ms);
          child.kill(signal);
          await child.exited;
          if (existsSync(file)) {
            expect((await run(["check", "--backup", file])).code).toBe(0);
            await Bun.$`rm ${file}`;
          }
          if (signal === "SIGTERM") expect(copying()).toEqual([]);
          else await Bun.$`rm -rf ${it.to}`.then(() => mkdirSync(it.to));
        }
      }
    },
    2 * LONG,
  );
});

/** A handler with something at the top level of its file. */
const top = (text: string): string => `import { handler } from "hookonce";
import { writeFileSync } from "node:fs";
${text}
export default handler(() => {});`;

const PUBLIC = `${inboxFiles["hookonce.toml"]}allow_public = true\n`;

testUnless(
  reason,
  "check --backup says that a backup starts if it holds all that a start needs, and a start agrees",
  async () => {
    using it = await inboxWithEvent({
      "hookonce.toml": `${PUBLIC}
[sources.shop]
provider = "stripe"
secret = "env:SHOP"
`,
      ".env": "SHOP=whsec_0123456789abcdef0123456789abcdef",
    });
    const file = join(it.to, "a.tar");
    expect((await run(["backup", file, "--secrets", "--folder", it.inbox])).code).toBe(0);
    const checked = await run(["check", "--backup", file]);
    expect([checked.code, checked.stdout, checked.stderr]).toEqual([
      0,
      expect.stringMatching(/\nThis backup starts\.\n$/),
      "",
    ]);
    untar(file, join(it.path, "restored"));
    await using _ = await serve(join(it.path, "restored"), { dev: false });
    // A secret that is there and cannot be used.
    it.write({ "inbox/.env": "SHOP=" });
    expect((await run(["backup", file, "--secrets", "--overwrite", "--folder", it.inbox])).code).toBe(0);
    expect((await run(["check", "--backup", file])).stdout).toContain(
      "\n  in .env or in the environment: SHOP\n",
    );
  },
  LONG,
);

testUnless(
  reason,
  "check --backup says where the database of an application belongs",
  async () => {
    using it = await inboxWithEvent({ "hookonce.toml": `database = "../app.db"\n${PUBLIC}` });
    const file = join(it.to, "a.tar");
    expect((await run(["backup", file, "--folder", it.inbox])).code).toBe(0);
    const { stdout } = await run(["check", "--backup", file]);
    expect(stdout).toContain(
      `\n  data/app.db where hookonce.toml has the database (when it was made: ${join(it.path, "app.db")})\n`,
    );
  },
  LONG,
);

testUnless(
  reason,
  "check --backup loads the handlers in a process without secrets, and ends one that hangs; tests do not run",
  async () => {
    using it = await inboxWithEvent();
    const seen = join(it.path, "seen.json");
    it.write({
      "inbox/handlers/default/paid.ts": top(
        `writeFileSync(${JSON.stringify(seen)}, JSON.stringify([process.pid, process.ppid, process.env]));`,
      ),
      "inbox/handlers/default/paid.test.ts": `require("node:fs").writeFileSync(${JSON.stringify(`${seen}.test`)}, "");`,
    });
    const file = join(it.to, "a.tar");
    expect((await run(["backup", file, "--folder", it.inbox])).code).toBe(0);
    const environment = { PATH: process.env["PATH"] ?? "", STRIPE_SECRET: "whsec_environment" };
    expect((await run(["check", "--backup", file], { environment })).code).toBe(0);
    const [pid, parent, variables] = JSON.parse(readFileSync(seen, "utf8")) as [
      number,
      number,
      Record<string, string>,
    ];
    expect([pid, parent]).not.toContain(process.pid);
    expect(Object.keys(variables)).not.toContain("STRIPE_SECRET");
    expect(existsSync(`${seen}.test`)).toBe(false);

    it.write({ "inbox/handlers/default/paid.ts": top("for (;;);") });
    expect((await run(["backup", file, "--overwrite", "--folder", it.inbox])).code).toBe(0);
    const limits = { maxMs: 5000, command: hookonce };
    const { startProblems } = await checkBackup(file, new AbortController().signal, () => {}, limits);
    expect(startProblems).toEqual([
      { message: expect.stringMatching(/^the check did not end within \d s: a handler's file may loop/) },
    ]);

    it.write({ "inbox/handlers/default/paid.ts": top("process.kill(process.pid, 9);") });
    expect((await run(["backup", file, "--overwrite", "--folder", it.inbox])).code).toBe(0);
    expect((await run(["check", "--backup", file])).code).toBe(1);
  },
  LONG,
);

testUnless(
  reason,
  "hookonce backup warns of imports from outside of the folder",
  async () => {
    using it = await inboxWithEvent();
    it.write({
      "money.ts": "export const cents = 1;",
      "inbox/handlers/default/other.ts": `import { cents } from "../../../money.ts";
import { handler } from "hookonce";
export default handler(({ db }) => { db.run(\`insert into credits values ('x', \${cents})\`); });`,
    });
    const file = join(it.to, "a.tar");
    const made = await run(["backup", file, "--folder", it.inbox]);
    expect([made.code, made.stderr]).toEqual([
      0,
      `warning: handlers/default/other.ts imports ../../../${basename("money.ts")} from outside the inbox folder, which the backup does not hold.\n`,
    ]);
    expect((await run(["check", "--backup", file])).code).toBe(1);
  },
  LONG,
);

testUnless(
  reason ?? needsMount(),
  "hookonce backup leaves nothing on a disk that becomes full, and says so",
  async () => {
    using it = await inboxWithEvent({ "node_modules/large/index.js": "x".repeat(8 * 1024 * 1024) });
    await using _ = mountSmallDisk(it.to, 4);
    for (const args of [
      ["backup", join(it.to, "a.tar")],
      ["backup", join(it.to, "b.tar"), "--secrets"],
    ]) {
      const refused = await run([...args, "--folder", it.inbox]);
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("[disk_full]")]);
      expect(readdirSync(it.to)).toEqual([]);
    }
    const environment = { TMPDIR: it.to };
    const file = join(it.path, "a.tar");
    expect((await run(["backup", file, "--folder", it.inbox])).code).toBe(0);
    const checked = await run(["check", "--backup", file], { environment });
    expect([checked.code, checked.stderr]).toEqual([
      1,
      expect.stringContaining("Set TMPDIR to a folder that has room"),
    ]);
    expect(readdirSync(it.to)).toEqual([]);
  },
  LONG,
);
