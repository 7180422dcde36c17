import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { filesWith } from "../support/files-with.ts";
import { hookonce, run, scratch, serve, type Ended, type Scratch } from "./support/hookonce.ts";

/** forget, as a person runs it. */

const TEXT = "zoë.ünal@example.com";
const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
`,
  "migrations/0001_effects.sql": "create table effects (event_id text not null);",
  "handlers/default/paid.sql": "insert into effects values (:event_id);",
};

const command = (inbox: Scratch, ...args: string[]): Promise<Ended> => run([...args, "--folder", inbox.path]);
const data = (inbox: Scratch): string => join(inbox.path, "data");

/** Runs a command with a text on its standard input. */
async function withInput(inbox: Scratch, text: string, ...args: string[]): Promise<Ended> {
  const child = Bun.spawn([...hookonce, ...args, "--folder", inbox.path], {
    env: { NO_COLOR: "1", HOME: process.env["HOME"] ?? "/tmp" },
    stdin: Buffer.from(text),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}

const open = (inbox: Scratch): Database => {
  const database = new Database(join(data(inbox), "hookonce.db"), { readonly: true });
  database.run("pragma busy_timeout = 5000");
  return database;
};

describeUnless(onlyInFullRun(), "hookonce forget", () => {
  test("erases a text that only standard input has named", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    for (const id of ["a", "b"]) await server.post("/webhook", { event_id: id, type: "paid", email: TEXT });
    await server.post("/webhook", { event_id: "owed", type: "other", email: TEXT });
    await server.post("/webhook", { event_id: "c", type: "paid", email: "somebody@else.test" });

    const bare = await command(inbox, "forget", "--reason", "x");
    expect([bare.code, bare.stderr]).toEqual([2, expect.stringContaining("say what to forget")]);
    const silent = await command(inbox, "forget", "a");
    expect([silent.code, silent.stderr]).toEqual([2, expect.stringContaining("--reason TEXT")]);
    const short = await command(inbox, "forget", "--match", "abc", "--reason", "x");
    expect([short.code, short.stderr]).toEqual([1, expect.stringContaining("fewer than 4 characters")]);
    const many = await withInput(inbox, `${TEXT}\n`, "forget", "--match", "-", "--reason", "asked to");
    expect([many.code, many.stderr]).toEqual([
      2,
      expect.stringContaining("2 events would be forgotten. To do it without being asked, add --yes"),
    ]);
    const dry = await withInput(inbox, TEXT, "forget", "--match", "-", "--dry-run");
    expect([dry.code, dry.stdout]).toEqual([
      1,
      expect.stringContaining("2 events would be forgotten, 1 left."),
    ]);
    expect(filesWith(data(inbox), TEXT)).not.toEqual([]);

    const done = await withInput(
      inbox,
      `${TEXT}\n`,
      "forget",
      "--match",
      "-",
      "--reason",
      "asked to",
      "--yes",
    );
    expect([done.code, done.stdout]).toEqual([1, expect.stringContaining("2 events forgotten, 1 left.")]);
    expect(done.stdout).toContain("event_owed");
    expect(done.stdout).toContain("Not reached: your own tables");
    const all = ["--match", "-", "--reason", "asked to", "--yes", "--owed", "--json"];
    const rest = await withInput(inbox, TEXT, "forget", ...all);
    expect(rest.code).toBe(0);
    expect(
      rest.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as object),
    ).toEqual([
      { source: "default", type: "other", outcome: "unhandled", forgotten: 1, left: 0, already_done: 0 },
      { erased: expect.objectContaining({ log: "erased" }) as object },
    ]);
    expect(filesWith(data(inbox), TEXT)).toEqual([]);
    for (const id of ["a", "b", "owed"])
      expect(await server.post("/webhook", { event_id: id, type: "paid", email: TEXT })).toMatchObject({
        body: { status: "duplicate" },
      });
    expect(filesWith(data(inbox), TEXT)).toEqual([]);
    expect(JSON.stringify(server.log)).not.toContain(TEXT);
    const event = await command(inbox, "event", "a");
    expect(event.stdout).toEndWith("Its payload was forgotten: asked to\n");
    expect(event.stdout).not.toContain("Reason");
    const { actor, reason } = (() => {
      using database = open(inbox);
      return database
        .query<{ actor: string; reason: string }, []>(
          "select actor, reason from hookonce_audit where action = 'forget'",
        )
        .get() as { actor: string; reason: string };
    })();
    expect([actor, reason]).toEqual([expect.stringMatching(/./), "asked to"]);
  }, 60_000);

  test("needs a running serve", async () => {
    using inbox = scratch(files);
    {
      await using server = await serve(inbox.path);
      await server.post("/webhook", { event_id: "a", type: "paid" });
    }
    const { code, stderr } = await command(inbox, "forget", "a", "--reason", "x");
    expect([code, stderr]).toEqual([1, expect.stringContaining("No hookonce serve is running")]);
    expect((await command(inbox, "forget", "a", "--dry-run")).stdout).toContain(
      "1 event would be forgotten.",
    );
  }, 60_000);

  test("the scope steer alone does not allow it, and forget alone does", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    await server.post("/webhook", { event_id: "a", type: "paid" });
    const page = String((await server.logged("listening"))["page"]);
    const tokenFor = async (scopes: string): Promise<string> =>
      (
        await command(inbox, "token", "create", "--name", scopes.replace(",", "-"), "--scopes", scopes)
      ).stdout.trim();
    const post = async (scopes: string): Promise<number> => {
      const { status } = await fetch(`${page}/api/jobs`, {
        method: "POST",
        headers: { authorization: `Bearer ${await tokenFor(scopes)}`, "content-type": "application/json" },
        body: JSON.stringify({ action: "forget", ids: ["a"], reason: "asked to" }),
      });
      return status;
    };
    expect(await post("read,steer")).toBe(403);
    expect(await post("read")).toBe(403);
    expect(await post("read,forget")).toBe(202);
  }, 60_000);

  test("says if a reader keeps the log, and a later checkpoint erases it", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    await server.post("/webhook", { event_id: "a", type: "paid", email: TEXT });
    const reader = open(inbox);
    reader.run("begin");
    reader.query("select count(*) from hookonce_events").get();
    const held = await command(inbox, "forget", "--match", TEXT, "--reason", "asked to");
    expect([held.code, held.stderr]).toEqual([
      1,
      expect.stringContaining("a reader keeps the files of the database from being wiped"),
    ]);
    expect(held.stdout).toContain("1 event forgotten.");
    expect(filesWith(data(inbox), TEXT)).not.toEqual([]);
    reader.run("commit");
    reader.close();
    // A later checkpoint erases it: one that is made within a minute or two, or that of a stop.
    server.signal("SIGTERM");
    await server.ended;
    expect(filesWith(data(inbox), TEXT)).toEqual([]);
  }, 60_000);

  test("goes on after kill -9, and then no file has the text", async () => {
    const batches = `
[sources.batches]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"
batch = "body:$.events[*]"
handlers = "default"
`;
    using inbox = scratch({ ...files, "hookonce.toml": `${files["hookonce.toml"]}${batches}` });
    const EVENTS = 1200;
    const BATCHES = 60;
    const SIZE = 10;
    {
      await using server = await serve(inbox.path);
      for (let from = 0; from < EVENTS; from += 240)
        await Promise.all(
          Array.from({ length: 240 }, (_, n) =>
            server.post("/webhook", {
              event_id: `e${from + n}`,
              type: "paid",
              ...((from + n) % 10 === 3 ? { email: TEXT } : {}),
              filler: "x ".repeat(500),
            }),
          ),
        );
      await Promise.all(
        Array.from({ length: BATCHES }, (_, n) => {
          const events = Array.from({ length: SIZE }, (_, at) => ({
            id: `b${n}-${at}`,
            type: "paid",
            email: at === 3 ? TEXT : `b${n}-${at}@x.test`,
          }));
          const body = Buffer.from(JSON.stringify({ events }));
          const isPacked = n % 2 === 0;
          return fetch(`${server.url}/webhook/batches`, {
            method: "POST",
            headers: {
              "content-type": "application/json",
              ...(isPacked ? { "content-encoding": "gzip" } : {}),
            },
            body: isPacked ? Bun.gzipSync(body) : body,
          });
        }),
      );
    }
    const count = (query: string): number => {
      using database = open(inbox);
      return database.query(query).values()[0]?.[0] as number;
    };
    const erased = (): number => count("select count(*) from hookonce_results where body = 0");
    const job = ["forget", "--match", TEXT, "--reason", "asked to", "--yes"];
    for (let kill = 0; kill < 3; kill++) {
      await using server = await serve(inbox.path);
      const before = erased();
      const started = kill === 0 ? command(inbox, ...job) : undefined;
      while (erased() < before + 20) await Bun.sleep(5);
      server.signal("SIGKILL");
      await Promise.all([server.ended, started]);
    }
    const all = EVENTS / 10 + BATCHES;
    expect(erased()).toBeLessThan(all);
    await using server = await serve(inbox.path);
    await server.logged("forget ended");
    expect(erased()).toBe(all);
    // Each other event of a batch has its own part, and every other body is as it was.
    expect(count("select count(*) from hookonce_bodies")).toBe((EVENTS * 9) / 10 + BATCHES * (SIZE - 1));
    expect(
      count(`select count(*) from hookonce_events e join hookonce_results on event = e.id
        join hookonce_bodies b on b.id = body where bytes ->> '$.id' = event_id and bytes ->> '$.email' like event_id || '@%'`),
    ).toBe(BATCHES * (SIZE - 1));
    expect(filesWith(data(inbox), TEXT)).toEqual([]);
    const { stdout } = await command(inbox, "forget", "--match", TEXT, "--reason", "again", "--yes");
    expect(stdout).toContain("Nothing that is stored matches.");
    expect(count("select count(*) from pragma_integrity_check where integrity_check = 'ok'")).toBe(1);
  }, 300_000);
});
