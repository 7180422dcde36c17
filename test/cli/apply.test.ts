import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { hookonce, run, scratch, serve, type Scratch } from "./support/hookonce.ts";

const files = {
  "hookonce.toml": `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"

[sources.other]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`,
  "migrations/0001_credits.sql": `create table credits (customer text primary key, cents integer not null) strict;
create table applied (event_id text not null, n integer primary key) strict;
create table gate (open integer not null check (open = 1)) strict;
`,
} as const;

const credit = `insert into credits values (:payload ->> '$.customer', :payload ->> '$.cents')
on conflict (customer) do update set cents = cents + excluded.cents;
insert into applied (event_id) values (:event_id);
`;

/** Fails until a row is in `gate`. */
const gated = `insert into gate (open) select 0 where not exists (select 1 from gate);
${credit}`;

const event = (id: string, type = "paid") => ({ event_id: id, type, customer: "ada", cents: 5 });

/** Rows of a query on a separate connection. */
function rows(inbox: Scratch, sql: string): Record<string, unknown>[] {
  using db = new Database(join(inbox.path, "data/hookonce.db"));
  db.run("pragma busy_timeout = 5000");
  return db.prepare(sql).all() as Record<string, unknown>[];
}

const appliedTimes = (inbox: Scratch): unknown[] =>
  rows(inbox, "select event_id, count(*) as times from applied group by 1 having times > 1");

const apply = (inbox: Scratch, ...args: string[]) => run(["apply", ...args, "--folder", inbox.path]);

const jsonLines = (text: string): unknown[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

/** Receives the events with no handler for them, and stops. */
async function receiveUnhandled(inbox: Scratch, ids: readonly string[], source = "default"): Promise<void> {
  await using server = await serve(inbox.path);
  for (const id of ids) {
    const { body } = await server.post(`/webhook/${source}`, event(id));
    expect(body["status"]).toBe("unhandled");
  }
  server.signal("SIGTERM");
  expect((await server.ended).code).toBe(0);
}

describe("hookonce apply", () => {
  test("without a serve opens the folder, applies each owed event once, and needs no secret", async () => {
    using inbox = scratch(files);
    await receiveUnhandled(inbox, ["evt_1", "evt_2"]);
    inbox.write({
      "handlers/default/paid.sql": credit,
      "hookonce.toml": `${files["hookonce.toml"]}
[sources.stripe]
provider = "stripe"
secret   = "env:A_SECRET_THAT_IS_NOT_SET"
`,
    });
    const first = await apply(inbox);
    expect([first.code, first.stderr]).toEqual([0, ""]);
    expect(first.stdout).toContain("2 events applied.");
    expect(rows(inbox, "select cents from credits")).toEqual([{ cents: 10 }]);
    expect(rows(inbox, "select outcome, handler, deliveries from hookonce_events")).toEqual([
      { outcome: "processed", handler: "handlers/default/paid.sql", deliveries: 1 },
      { outcome: "processed", handler: "handlers/default/paid.sql", deliveries: 1 },
    ]);

    const again = await apply(inbox);
    expect([again.code, again.stdout]).toEqual([0, "Nothing is owed.\n"]);
    expect(rows(inbox, "select cents from credits")).toEqual([{ cents: 10 }]);
  });
});

describeUnless(onlyInFullRun(), "hookonce apply with its options", () => {
  test("shows on standard error what handlers print, and keeps standard output for the result", async () => {
    using inbox = scratch(files);
    await receiveUnhandled(inbox, ["evt_1"]);
    inbox.write({
      "handlers/default/paid.ts":
        'import { handler } from "hookonce";\nconsole.log("top level");\nexport default handler(({ event }) => console.log("pays", event.payload.cents));\n',
    });
    const { code, stdout, stderr } = await apply(inbox, "--json");
    expect([code, jsonLines(stdout)]).toEqual([0, [expect.objectContaining({ processed: 1 })]]);
    expect(stderr).toBe(
      "top level\npays 5 (source: default, event: evt_1, type: paid, handler: handlers/default/paid.ts)\n",
    );
  });

  test("with a serve goes over its socket, which only its owner can use", async () => {
    using inbox = scratch({ ...files, "handlers/default/paid.sql": gated });
    await using server = await serve(inbox.path);
    expect((await server.post("/webhook", event("evt_1"))).status).toBe(500);
    expect((await server.post("/webhook", event("evt_2"))).status).toBe(500);
    expect(statSync(join(inbox.path, "data/hookonce.db.sock")).mode & 0o777).toBe(0o600);

    const refused = await apply(inbox, "evt_1");
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain("evt_1");
    expect(refused.stdout).toMatch(
      /handler_error: CHECK constraint failed.*\n +at handlers\/default\/paid\.sql:1\n/,
    );
    expect(rows(inbox, "select event_id, attempts, deliveries from hookonce_failures order by id")).toEqual([
      { event_id: "evt_1", attempts: 2, deliveries: 1 },
      { event_id: "evt_2", attempts: 1, deliveries: 1 },
    ]);

    const inJson = await apply(inbox, "evt_2", "--json");
    expect(jsonLines(inJson.stdout).at(-1)).toEqual({
      failure: {
        source: "default",
        event_id: "evt_2",
        type: "paid",
        code: "handler_error",
        error: expect.stringContaining("CHECK constraint failed"),
        at: "handlers/default/paid.sql:1",
      },
    });
    const endOfJobs = () => server.log.filter(({ msg }) => String(msg).endsWith("apply ended"));
    const deadline = performance.now() + 10_000;
    while (endOfJobs().length < 2 && performance.now() < deadline) await Bun.sleep(10);
    const ended = endOfJobs();
    expect(ended).toHaveLength(2);
    expect(ended[1]).toMatchObject({ action: "apply", state: "done", processed: 0, failed: 1 });

    using db = new Database(join(inbox.path, "data/hookonce.db"));
    db.run("insert into gate values (1)");
    const { code, stdout } = await apply(inbox, "--json");
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual([
      {
        source: "default",
        type: "paid",
        outcome: "failed",
        handler: "handlers/default/paid.sql",
        processed: 2,
        failed: 0,
        no_handler: 0,
        already_done: 0,
      },
    ]);
    expect((await server.post("/webhook", event("evt_1"))).body["status"]).toBe("duplicate");
    expect(rows(inbox, "select cents from credits")).toEqual([{ cents: 10 }]);
    expect(rows(inbox, "select count(*) as open from hookonce_failures where settled_at is null")).toEqual([
      { open: 0 },
    ]);
  });

  test("--dry-run lists by source and type what would run, and changes nothing", async () => {
    using inbox = scratch(files);
    await receiveUnhandled(inbox, ["evt_1", "evt_2"]);
    await receiveUnhandled(inbox, ["evt_3"], "other");
    inbox.write({
      "handlers/default/paid.sql": credit,
      "migrations/0002_more.sql": "create table more (a);",
    });
    const before = readFileSync(join(inbox.path, "data/hookonce.db"));
    const { code, stdout } = await apply(inbox, "--dry-run", "--json");
    expect(code).toBe(0);
    const counted = { type: "paid", outcome: "unhandled", already_done: 0 };
    expect(jsonLines(stdout)).toEqual([
      { ...counted, source: "default", handler: "handlers/default/paid.sql", would_run: 2, no_handler: 0 },
      { ...counted, source: "other", handler: null, would_run: 0, no_handler: 1 },
      {
        tried: {
          events: 2,
          failed: 0,
          tables: ["applied", "credits"].map((table) => ({ table, inserted: 2, updated: 0, deleted: 0 })),
          why: null,
        },
      },
    ]);
    expect((await apply(inbox, "--dry-run")).stdout).toContain("2 events would run, 1 without a handler.");
    const checked = await run(["check", inbox.path]);
    expect(checked.stdout).toContain(
      "owed: 2 unhandled, source default, type paid (handlers/default/paid.sql)\n",
    );
    expect(checked.stdout).toContain("owed: 1 unhandled, source other, type paid (no handler)\n");
    expect(checked.stdout).toContain(`hookonce apply --folder ${inbox.path}\n`);
    expect(readFileSync(join(inbox.path, "data/hookonce.db")).equals(before)).toBe(true);
  });

  test("takes ids, and asks for the source if two have the id", async () => {
    using inbox = scratch(files);
    await receiveUnhandled(inbox, ["evt_1", "evt_2"]);
    await receiveUnhandled(inbox, ["evt_1"], "other");
    inbox.write({ "handlers/default/paid.sql": credit, "handlers/other/paid.sql": credit });

    const unknown = await apply(inbox, "evt_9");
    expect([unknown.code, unknown.stdout, unknown.stderr]).toEqual([
      1,
      "",
      'hookonce: There is no event with the id "evt_9". [unknown_event]\n',
    ]);
    const both = await apply(inbox, "evt_1");
    expect(both.code).toBe(1);
    expect(both.stderr).toContain("default (paid, unhandled), other (paid, unhandled). Add --source NAME.");
    expect(rows(inbox, "select * from applied")).toEqual([]);

    expect((await apply(inbox, "evt_1", "--source", "other")).code).toBe(0);
    expect(rows(inbox, "select event_id from applied")).toEqual([{ event_id: "evt_1" }]);
  });

  test("says that an event is already done, and gives its outcome", async () => {
    using inbox = scratch({ ...files, "handlers/default/paid.sql": credit });
    {
      await using server = await serve(inbox.path);
      expect((await server.post("/webhook", event("evt_1"))).status).toBe(200);
    }
    expect((await apply(inbox, "evt_1", "evt_1")).stdout).toBe("Nothing to apply: 1 event already done.\n");
    const [done] = jsonLines((await apply(inbox, "evt_1", "--json")).stdout);
    expect(done).toMatchObject({ outcome: "processed", processed: 0, already_done: 1 });
  });

  test("takes filters", async () => {
    using inbox = scratch(files);
    await receiveUnhandled(inbox, ["evt_1", "evt_2", "evt_3"]);
    await receiveUnhandled(inbox, ["evt_1"], "other");
    inbox.write({ "handlers/default/paid.sql": credit, "handlers/other/paid.sql": credit });
    expect((await apply(inbox, "--limit", "1", "--type", "pa*", "--source", "default")).code).toBe(0);
    expect((await apply(inbox, "--until", "1h")).stdout).toBe("Nothing that matches is owed.\n");
    expect((await apply(inbox, "--outcome", "failed")).stdout).toBe("Nothing that matches is owed.\n");
    expect(rows(inbox, "select event_id from applied")).toEqual([{ event_id: "evt_1" }]);
  });

  test("--limit counts the events that it runs, so that those without a handler never block the others", async () => {
    using inbox = scratch(files);
    await receiveUnhandled(inbox, ["evt_1", "evt_2"], "other");
    await receiveUnhandled(inbox, ["evt_3", "evt_4", "evt_5"]);
    inbox.write({ "handlers/default/paid.sql": credit });
    expect((await apply(inbox, "--limit", "2", "--dry-run")).stdout).toContain("2 events would run");
    expect((await apply(inbox, "--limit", "2")).stdout).toContain("2 events applied, 2 without a handler.");
    expect(rows(inbox, "select event_id from applied order by n")).toEqual([
      { event_id: "evt_3" },
      { event_id: "evt_4" },
    ]);
  });

  test("names the sources if there is none of this name, unless events of it are owed", async () => {
    using inbox = scratch(files);
    await receiveUnhandled(inbox, ["evt_1"], "other");
    const unknown = await apply(inbox, "--source", "othr");
    expect([unknown.code, unknown.stdout, unknown.stderr]).toEqual([
      1,
      "",
      'hookonce: There is no source "othr" in hookonce.toml. Its sources are default, other. [unknown_source]\n',
    ]);
    inbox.write({ "hookonce.toml": files["hookonce.toml"].replace(/\n\[sources.other\][^]*/, "") });
    await using server = await serve(inbox.path, { flags: ["--accept-id-change"] });
    const removed = await apply(inbox, "--source", "other");
    expect([removed.code, removed.stdout]).toEqual([0, expect.stringContaining("1 without a handler.")]);
    server.signal("SIGTERM");
  });

  test("says that a running serve must be reloaded to load changed handlers", async () => {
    // With --dev, it would load them by itself.
    const config = files["hookonce.toml"].replaceAll('"unsigned"', '"unsigned"\nallow_public = true');
    using inbox = scratch({ ...files, "hookonce.toml": config, "handlers/default/paid.sql": gated });
    {
      await using server = await serve(inbox.path, { dev: false });
      await server.post("/webhook", event("evt_1"));
      await server.post("/webhook/other", event("evt_2"));
      inbox.write({ "handlers/default/paid.sql": credit, "handlers/other/paid.sql": credit });
      expect((await apply(inbox)).stdout).toEndWith(
        "0 events applied, 1 failed, 1 without a handler.\nAdd or correct the handlers, run hookonce reload, then run hookonce apply again.\n",
      );
      expect((await apply(inbox, "evt_2", "--dry-run")).stdout).toEndWith(
        "0 events would run, 1 without a handler.\nAdd the handler, run hookonce reload, then run hookonce apply again.\n",
      );
    }
    expect((await apply(inbox)).stdout).toEndWith("2 events applied.\n");
  });

  test("finds the handlers of a source that the next start renames", async () => {
    using inbox = scratch(files);
    await receiveUnhandled(inbox, ["evt_1"], "other");
    inbox.write({
      "hookonce.toml": files["hookonce.toml"].replace(
        "[sources.other]",
        '[sources.new]\nrenamed_from = "other"',
      ),
      "handlers/new/paid.sql": credit,
    });
    expect((await run(["check", inbox.path])).stdout).toContain(
      "owed: 1 unhandled, source other, type paid (handlers/new/paid.sql)\n",
    );
    expect((await apply(inbox, "--dry-run")).stdout).toContain("1 event would run.\n");
    expect((await apply(inbox, "evt_1", "--dry-run")).stdout).toContain("1 event would run.\n");
    expect((await apply(inbox)).stdout).toContain("1 event applied.\n");
  });

  test("says what is wrong with the command line, with exit code 2", async () => {
    using inbox = scratch(files);
    const named = await run(["apply", inbox.path]);
    expect([named.code, named.stderr]).toEqual([
      2,
      `error: ${inbox.path} is an inbox folder, not an event id: write --folder ${inbox.path}\nFor help: hookonce apply --help\n`,
    ]);
    const filtered = await run(["apply", "evt_1", "--type", "paid", "--limit", "1", "--folder", inbox.path]);
    expect([filtered.code, filtered.stderr]).toEqual([
      2,
      "error: --type, --limit cannot be used with event ids: leave out the ids or --type, --limit\nFor help: hookonce apply --help\n",
    ]);
    expect((await run(["apply", "--since", "2w"])).stderr).toContain("or how long ago, such as 2h");
    for (const args of [["--limit", "0"], ["--since", "soon"], ["--outcome", "processed"], ["--nope"]]) {
      const { code, stderr } = await run(["apply", ...args]);
      expect([args, code]).toEqual([args, 2]);
      expect(stderr).toStartWith("error: ");
    }
  });

  test("a socket that a killed serve has left does not stop it", async () => {
    using inbox = scratch({ ...files, "handlers/default/paid.sql": gated });
    {
      await using server = await serve(inbox.path);
      expect((await server.post("/webhook", event("evt_1"))).status).toBe(500);
      server.signal("SIGKILL");
      await server.ended;
    }
    using db = new Database(join(inbox.path, "data/hookonce.db"));
    db.run("insert into gate values (1)");
    expect((await apply(inbox)).stdout).toContain("1 event applied.");
    await using server = await serve(inbox.path);
    expect((await server.post("/webhook", event("evt_1"))).body["status"]).toBe("duplicate");
  });
});

/** A handler that takes about 3 ms, so that a job is under way for a while. */
const slow = `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  Bun.sleepSync(3);
  db.run(sql\`insert into applied (event_id) values (\${event.id})\`);
});
`;

const OWED = 400;

/** An inbox with many owed events, whose handler is slow. */
async function manyOwed(others: readonly string[] = []): Promise<Scratch> {
  const inbox = scratch(files);
  {
    await using server = await serve(inbox.path);
    for (const id of others) await server.post("/webhook/other", event(id));
    await Promise.all(Array.from({ length: OWED }, (_, n) => server.post("/webhook", event(`evt_${n}`))));
    server.signal("SIGTERM");
    await server.ended;
  }
  inbox.write({ "handlers/default/paid.ts": slow });
  return inbox;
}

/** One connection for all looks. If each closed the last one, it would lock the database to empty the log. */
async function someApplied(inbox: Scratch, least: number): Promise<number> {
  using db = new Database(join(inbox.path, "data/hookonce.db"));
  db.run("pragma busy_timeout = 5000");
  for (;;) {
    const { count } = db.query("select count(*) as count from applied").get() as { count: number };
    if (count >= least) return count;
    await Bun.sleep(5);
  }
}

/** Each of these starts several processes, in milliseconds. */
const TIMEOUT = 60_000;

/** Takes the write lock between two transactions of another process. */
async function holdWriteLock(inbox: Scratch): Promise<Database> {
  const db = new Database(join(inbox.path, "data/hookonce.db"));
  for (;;) {
    try {
      db.run("begin immediate");
      return db;
    } catch {
      await Bun.sleep(1);
    }
  }
}

describeUnless(onlyInFullRun(), "hookonce apply, interrupted and raced", () => {
  test(
    "killed with kill -9 and run again, each event is applied once",
    async () => {
      using inbox = await manyOwed();
      // Without it, each look of this test at the table would be the only connection after a kill: it would
      // recover the log or empty it, and the next apply would find the database locked.
      using open = new Database(join(inbox.path, "data/hookonce.db"));
      open.query("select count(*) from applied").get();
      for (let kill = 0; kill < 3; kill++) {
        const before = await someApplied(inbox, 0);
        const child = Bun.spawn([...hookonce, "apply", "--folder", inbox.path], { stdout: "ignore" });
        await someApplied(inbox, before + 20);
        child.kill("SIGKILL");
        await child.exited;
      }
      expect((await apply(inbox)).code).toBe(0);
      expect(await someApplied(inbox, OWED)).toBe(OWED);
      expect(appliedTimes(inbox)).toEqual([]);
    },
    TIMEOUT,
  );

  test(
    "killed while it goes over a socket, the serve ends the job by itself",
    async () => {
      using inbox = await manyOwed();
      await using server = await serve(inbox.path);
      const child = Bun.spawn([...hookonce, "apply", "--folder", inbox.path], { stdout: "ignore" });
      await someApplied(inbox, 20);
      child.kill("SIGKILL");
      await child.exited;
      expect((await apply(inbox)).code).toBe(0);
      await someApplied(inbox, OWED);
      expect(appliedTimes(inbox)).toEqual([]);
      expect((await server.post("/webhook", event("evt_0"))).body["status"]).toBe("duplicate");
    },
    TIMEOUT,
  );

  test(
    "SIGINT ends it after the events that have begun, and says how to continue",
    async () => {
      using inbox = await manyOwed();
      const child = Bun.spawn([...hookonce, "apply", "--folder", inbox.path], { stdout: "pipe" });
      await someApplied(inbox, 20);
      child.kill("SIGINT");
      expect(await child.exited).toBe(1);
      expect(await child.stdout.text()).toContain("Run hookonce apply again to continue.");
      const count = await someApplied(inbox, 20);
      expect(count).toBeLessThan(OWED);
      expect((await apply(inbox)).stdout).toContain(`${OWED - count} events applied.`);
      expect(appliedTimes(inbox)).toEqual([]);
    },
    TIMEOUT,
  );

  test(
    "says how to continue when the serve that it reached stops",
    async () => {
      using inbox = await manyOwed();
      await using server = await serve(inbox.path);
      const applying = apply(inbox);
      await someApplied(inbox, 20);
      server.signal("SIGKILL");
      const { code, stdout, stderr } = await applying;
      expect([code, stdout, stderr]).toEqual([
        1,
        "",
        "hookonce: hookonce serve stopped before the command was done. What was done stays done. The job continues when serve starts again. Do not run the command again. [shutting_down]\n",
      ]);
      expect((await apply(inbox)).code).toBe(0);
      expect(await someApplied(inbox, OWED)).toBe(OWED);
      expect(appliedTimes(inbox)).toEqual([]);
    },
    TIMEOUT,
  );

  test(
    "racing the provider's retries of the same events, each is applied once",
    async () => {
      using inbox = await manyOwed();
      await using server = await serve(inbox.path);
      const applying = apply(inbox);
      const retries = await Promise.all(
        Array.from({ length: OWED }, (_, n) => server.post("/webhook", event(`evt_${OWED - 1 - n}`))),
      );
      const { code } = await applying;
      expect(code).toBe(0);
      expect(retries.every(({ status }) => status === 200)).toBe(true);
      expect(await someApplied(inbox, OWED)).toBe(OWED);
      expect(appliedTimes(inbox)).toEqual([]);
      expect(
        rows(inbox, "select sum(deliveries) as deliveries, count(*) as events from hookonce_events"),
      ).toEqual([{ deliveries: 2 * OWED, events: OWED }]);
    },
    TIMEOUT,
  );

  test(
    "a stop of the serve ends it, even while another process holds the write lock",
    async () => {
      using inbox = await manyOwed();
      await using server = await serve(inbox.path);
      const applying = apply(inbox);
      await someApplied(inbox, 20);
      using other = await holdWriteLock(inbox);
      server.signal("SIGTERM");
      expect((await server.ended).code).toBe(0);
      other.run("rollback");
      const { code, stderr } = await applying;
      expect([code, stderr]).toEqual([1, expect.stringContaining("hookonce serve stopped before") as string]);

      const count = await someApplied(inbox, 20);
      expect((await apply(inbox)).stdout).toContain(`${OWED - count} events applied.`);
      expect(appliedTimes(inbox)).toEqual([]);
    },
    TIMEOUT,
  );

  test(
    "SIGINT ends it while another process holds the write lock",
    async () => {
      using inbox = await manyOwed();
      const child = Bun.spawn([...hookonce, "apply", "--folder", inbox.path], { stdout: "pipe" });
      await someApplied(inbox, 20);
      using _ = await holdWriteLock(inbox);
      child.kill("SIGINT");
      expect(await child.exited).toBe(1);
      expect(await child.stdout.text()).toContain("Run hookonce apply again to continue.");
    },
    TIMEOUT,
  );

  test(
    "yields to a serve that starts, goes on there, and counts every event once",
    async () => {
      using inbox = await manyOwed(["unhandled"]);
      const applying = apply(inbox);
      await someApplied(inbox, 20);
      await using server = await serve(inbox.path);
      expect((await server.post("/webhook", event("evt_0"))).body["status"]).toBe("duplicate");
      const { code, stderr, stdout } = await applying;
      expect(stderr).toBe("hookonce serve is starting. The rest runs there.\n");
      expect([code, stdout]).toEqual([
        0,
        expect.stringContaining(`${OWED} events applied, 1 without a handler.`) as string,
      ]);
      expect(await someApplied(inbox, OWED)).toBe(OWED);
      expect(appliedTimes(inbox)).toEqual([]);
    },
    TIMEOUT,
  );
});
