import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PostgresTarget } from "../../src/config/postgres.ts";
import { run, scratch, serve, type Scratch, type Serving } from "../cli/support/hookonce.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { block } from "../support/readme.ts";
import { testInbox } from "../support/test-inbox.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "../engines/postgres/cluster.ts";

/** Every command and page of an inbox whose database is on PostgreSQL, with one serve. */

const why = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();

const urlOf = ({ servers: [server], database }: PostgresTarget, user = "postgres"): string =>
  `postgres://${user}@localhost/${database}?host=${server?.host}&port=${server?.port}`;

/** It owns the database, and is no superuser. `createdb` is for the tests of the folder. */
const USER = "faces_app";

const configFor = (target: PostgresTarget, receiver: string): string => `version = 1
database = "${urlOf(target, USER)}"
[admin]
listen = "127.0.0.1:0"
[retention]
payloads = "90d"
[alerts]
to = "app"
[sources.shop]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"
newest_wins = { types = ["stock"], key = "body:$.item", version = "body:$.at" }
[sources.crm]
provider = "unsigned"
handlers = "shop"
event_id = "body:$.id"
type = "body:$.type"
forward = [{ to = "app", where = "(:payload ->> 'cents')::int > 100" }, { to = "print", types = ["paid"] }]
redact = ["body:$.email"]
[destinations.app]
url = "${receiver}"
sign = "none"
[destinations.print]
command = ["/bin/cat"]
`;

const files = {
  "migrations/0001.sql": `create table credits (customer text primary key, cents bigint not null);
create table stock (item text primary key, count int not null);`,
  "handlers/shop/paid.sql": `insert into credits values (:payload ->> 'customer', (:payload ->> 'cents')::bigint)
on conflict (customer) do update set cents = credits.cents + excluded.cents;
insert into hookonce.outbox (destination, body) select 'app', jsonb_build_object('paid', :event_id) where :source = 'crm';`,
  "handlers/shop/stock.sql": `insert into stock values (:payload ->> 'item', (:payload ->> 'count')::int)
on conflict (item) do update set count = excluded.count;`,
  "handlers/shop/refund.ts": `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(async ({ event, db }) => {
  const { customer, cents } = event.payload as { customer: string; cents: number };
  await db.execute(sql\`update credits set cents = cents - \${cents} where customer = \${customer}\`);
  if (cents > 1000) throw new Error("too much");
});`,
  "handlers/shop/refund.test.ts": `import { expect, test } from "bun:test";
import { testInbox } from "hookonce/test";
test("a refund is taken off once", async () => {
  await using box = await testInbox({ prepare: (db) => db.script("create table other (a int)") });
  await box.deliver("shop", { id: "1", type: "paid", customer: "ada", cents: 5 });
  const answers = await box.deliver("shop", { id: "2", type: "refund", customer: "ada", cents: 2 }, { times: 2 });
  expect(answers.map(({ outcome }) => outcome)).toEqual(["processed", "duplicate"]);
  expect(await box.db\`select cents::int from credits where customer = \${"ada"}\`).toEqual([{ cents: 3 }]);
});`,
};

async function until(isSo: () => unknown): Promise<void> {
  while (!(await isSo())) await Bun.sleep(20);
}

const walk = (name: string, work: () => Promise<void>): void => test(name, work, STARTS_WITHIN_MS);

describeUnless(why, "on PostgreSQL", () => {
  let target: PostgresTarget;
  let inbox: Scratch;
  let server: Serving;
  const received: { body: string; id: string | null }[] = [];
  const receiver = Bun.serve({
    port: 0,
    async fetch(request) {
      received.push({ body: await request.text(), id: request.headers.get("webhook-id") });
      return new Response("ok");
    },
  });

  beforeAll(async () => {
    target = await (await sharedCluster()).database();
    const wire = await connect(target);
    await wire.script(
      `create role ${USER} login createdb; alter database ${target.database} owner to ${USER}`,
    );
    await wire.drop();
    inbox = scratch({ ...files, "hookonce.toml": configFor(target, String(receiver.url)) });
    server = await serve(inbox.path);
  }, STARTS_WITHIN_MS);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await receiver.stop(true);
    inbox[Symbol.dispose]();
  });

  const command = (...args: string[]) => run([...args, "--folder", inbox.path]);
  /** Its output, if it ends with this code. */
  const said = async (code: number, ...args: string[]): Promise<string> => {
    const ended = await command(...args);
    expect({ args, ...ended }).toMatchObject({ code });
    return ended.stdout;
  };
  const json = async (...args: string[]): Promise<Record<string, unknown>[]> =>
    (await said(0, ...args, "--json"))
      .trim()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const rows = async (sql: string): Promise<object[]> => {
    const wire = await connect(target);
    const found = await wire.read(sql);
    await wire.drop();
    return found;
  };
  const deliver = async (payload: object, source = "shop"): Promise<[number, unknown]> => {
    const { status, body } = await server.post(`/webhook/${source}`, payload);
    return [status, body["status"]];
  };
  const cents = () => rows("select customer, cents::int from credits where customer <> 'eve' order by 1");
  // On a busy machine, a run may hold its rows for longer than it is allowed to.
  const says = (words: string, ...args: string[]) =>
    until(async () => (await command(...args)).stdout.includes(words));

  walk("the start and check say what an answered 200 survives", async () => {
    const promise =
      "An answered 200 survives a power cut. It does not survive the loss of the primary's disk";
    expect(server.log.map(({ msg }) => String(msg)).some((line) => line.startsWith(promise))).toBe(true);
    expect(await said(0, "check")).toContain(promise);
  });

  walk("a delivery is applied once, fails, is unhandled, or is older than what was applied", async () => {
    const paid = { id: "p1", type: "paid", customer: "ada", cents: 500 };
    expect(await deliver(paid)).toEqual([200, "processed"]);
    expect(await deliver(paid)).toEqual([200, "duplicate"]);
    expect(await deliver({ id: "r1", type: "refund", customer: "ada", cents: 2000 })).toEqual([
      500,
      "failed",
    ]);
    expect(await deliver({ id: "r2", type: "refund", customer: "ada", cents: 20 })).toEqual([
      200,
      "processed",
    ]);
    expect(await deliver({ id: "x1", type: "other" })).toEqual([200, "unhandled"]);
    expect(await deliver({ id: "s2", type: "stock", item: "a", count: 2, at: 2 })).toEqual([
      200,
      "processed",
    ]);
    expect(await deliver({ id: "s1", type: "stock", item: "a", count: 1, at: 1 })).toEqual([200, "stale"]);
    expect(await cents()).toEqual([{ customer: "ada", cents: 480 }]);
  });

  walk("what it sends reaches the destination and the command, and then values are redacted", async () => {
    const paid = { id: "c1", type: "paid", customer: "eve", cents: 200, email: "eve@example.com" };
    expect(await deliver(paid, "crm")).toEqual([200, "processed"]);
    await until(() => received.length === 2);
    const bodies = received.map(({ body }) => JSON.parse(body) as object);
    expect(bodies).toContainEqual(paid);
    expect(bodies).toContainEqual({ paid: "c1" });
    await until(async () => (await json("messages")).every(({ state }) => state === "delivered"));
    expect((await json("messages")).map(({ destination }) => String(destination)).sort()).toEqual([
      "app",
      "app",
      "print",
    ]);
    const [event] = await json("event", "c1");
    expect(event).toMatchObject({ payload: { customer: "eve", email: "[redacted]" } });
  });

  walk("status, events and failures show it", async () => {
    const [status] = await json("status");
    expect(status).toMatchObject({
      disk: { database: expect.stringContaining("postgres://") as string, free_bytes: null },
    });
    expect(
      (await json("events", "--source", "shop"))
        .map(({ event_id: id, outcome }) => `${String(id)} ${String(outcome)}`)
        .sort(),
    ).toEqual(["p1 processed", "r1 failed", "r2 processed", "s1 stale", "s2 processed", "x1 unhandled"]);
    expect(await json("failures")).toMatchObject([{ event_id: "r1", error: "too much", attempts: 1 }]);
    expect(await said(0, "status")).toContain("2 events are owed");
  });

  walk("handlers are tried, jobs run dry, and nothing changes", async () => {
    await says("480 → 980", "try", "handlers/shop/paid.sql", "--event", "p1", "--source", "shop");
    await says("too much", "apply", "--dry-run");
    await says("credits: 1 updated", "replay", "p1", "--dry-run");
    expect(await cents()).toEqual([{ customer: "ada", cents: 480 }]);
  });

  walk("a corrected handler is reloaded, and what is owed is applied, replayed and discarded", async () => {
    inbox.write({
      "handlers/shop/refund.ts": files["handlers/shop/refund.ts"].replace("> 1000", "> 9000"),
    });
    expect(await said(0, "reload")).toContain("Reloaded");
    expect(await said(0, "apply")).toContain("1 event applied");
    expect(await said(0, "replay", "r2", "--reason", "again")).toContain("1 event replayed");
    expect(await said(0, "discard", "x1", "--reason", "no")).toContain("1 event discarded");
    expect(await cents()).toEqual([{ customer: "ada", cents: -1540 }]);
  });

  walk("a paused source holds its events, and runs them when it is resumed", async () => {
    expect(await said(0, "pause", "shop")).toContain("Paused shop");
    expect(await deliver({ id: "p2", type: "paid", customer: "bob", cents: 1 })).toEqual([200, "held"]);
    await said(0, "resume", "shop");
    await until(async () => (await cents()).length === 2);
  });

  walk("ids are imported, and payloads are forgotten", async () => {
    const file = join(inbox.path, "ids.txt");
    writeFileSync(file, "p9\n");
    expect(await said(0, "import", file, "--source", "shop")).toContain("1");
    expect(await deliver({ id: "p9", type: "paid", customer: "ada", cents: 1 })).toEqual([200, "duplicate"]);
    expect(await said(0, "forget", "p2", "--yes", "--reason", "asked")).toContain("write-ahead log");
    expect((await json("event", "p2"))[0]).toMatchObject({ payload: null });
  });

  walk("the page, the API and the metrics answer a token", async () => {
    const token = (await said(0, "token", "create", "--name", "t", "--scopes", "read,steer")).trim();
    const { page } = server.log.find(({ msg }) => msg === "listening") as { page: string };
    const ask = (path: string) => fetch(`${page}${path}`, { headers: { authorization: `Bearer ${token}` } });
    expect(await (await ask("/")).text()).toContain("<html");
    expect(await (await ask("/api/status")).json()).toMatchObject({ serving: { ready: true } });
    expect((await ask("/api/rollups?by=hour")).status).toBe(200);
    expect(await (await ask("/metrics")).text()).toContain("hookonce_");
    expect((await ask("/api/audit")).status).toBe(200);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    await said(0, "token", "revoke", "t");
  });

  walk("a backup has the folder without the database, and says so", async () => {
    using place = scratch();
    const file = join(place.path, "inbox.tar");
    expect(await said(0, "backup", file)).toContain("The database is not in it, because it is on PostgreSQL");
    const checked = await run(["check", "--backup", file]);
    expect([checked.code, checked.stdout]).toEqual([
      0,
      expect.stringContaining("The files of the folder are whole. Its database is on PostgreSQL"),
    ]);
  });

  walk("made-up events are sent, and the folder's tests pass", async () => {
    expect(await said(0, "send", "shop", "other", "--to", `${server.url}/webhook/shop`)).toContain(
      "200 unhandled",
    );
    const tests = await command("test");
    expect({ ...tests, code: tests.code }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("1 pass") as string,
    });
    expect(await rows("select 1 from pg_database where datname like 'hookonce_test_%'")).toEqual([]);
  });

  walk("without a serve, the database is read and what is owed is applied", async () => {
    server.signal("SIGTERM");
    expect((await server.ended).code).toBe(0);
    expect(await said(0, "status")).toContain("1 event is owed");
    inbox.write({ "handlers/shop/other.sql": "insert into stock values (:event_id, 1);" });
    expect(await said(0, "apply")).toContain("1 event applied");
    expect(existsSync(join(inbox.path, "data/hookonce.db"))).toBe(false);
  });
});

describeUnless(why, "max_size on PostgreSQL", () => {
  walk("removes the oldest payloads, and keeps those that fit", async () => {
    const target = await (await sharedCluster()).database();
    await using box = await testInbox({
      config: `database = "${urlOf(target)}"
[retention]
max_size = "1 MiB"
[sources.default]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"`,
      files: { "handlers/default/_any.sql": "select 1;" },
      upkeep: { minuteMs: 20 },
    });
    const wire = await connect(target);
    const stored = async (): Promise<string[]> =>
      (
        await wire.read<{ id: string }>(
          "select event_id as id from hookonce.events join hookonce.bodies using (id) order by id",
        )
      ).map(({ id }) => id);
    const text = "x".repeat(300_000);
    for (const id of ["1", "2", "3", "4", "5"]) await box.deliver({ id, type: "paid", text });
    await until(async () => (await stored()).length < 4);
    // It would go on at once.
    await Bun.sleep(500);
    expect(await stored()).toEqual(expect.arrayContaining(["4", "5"]));
    await wire.drop();
  });
});

describeUnless(why, "the README's handlers for PostgreSQL", () => {
  walk("work", async () => {
    const target = await (await sharedCluster()).database();
    await using box = await testInbox({
      config: `database = "${urlOf(target)}"
[sources.default]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"`,
      files: {
        "migrations/0001.sql":
          "create table balances (customer text primary key, cents bigint); create table commits (repo text, sha text);",
        "handlers/default/paid.sql": block("sql", "insert into balances"),
        "handlers/default/push.ts": block("ts", "insert into commits"),
      },
    });
    const object = { client_reference_id: "ada", amount_total: 500 };
    for (const id of ["1", "2"]) await box.deliver({ id, type: "paid", data: { object } });
    await box.deliver({ id: "3", type: "push", after: "abc", repository: { full_name: "a/b" } });
    const wire = await connect(target);
    const rows = await wire.read("select customer, cents::int, repo, sha from balances, commits");
    await wire.drop();
    expect(rows).toEqual([{ customer: "ada", cents: 1000, repo: "a/b", sha: "abc" }]);
  });
});
