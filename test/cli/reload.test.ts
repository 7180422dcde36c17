import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { stripeSignature } from "../support/stripe.ts";
import {
  inboxFiles,
  run,
  scratch,
  serve,
  type Ended,
  type Scratch,
  type Serving,
} from "./support/hookonce.ts";

/** Served without --dev, which would reload on save. */
const PUBLIC = `version = 1

[sources.default]
provider     = "unsigned"
allow_public = true
event_id     = "body:$.event_id"
type         = "body:$.type"
`;

const files = { ...inboxFiles, "hookonce.toml": PUBLIC };

/** A set of handlers in which everything says which version it is. */
const versionedHandlers = (version: number): Record<string, string> => ({
  "handlers/lib/version.ts": `export const imported: number = ${version};`,
  "handlers/lib/version.json": JSON.stringify({ json: version }),
  "handlers/default/a.ts": tsHandler("a", version),
  "handlers/default/b.ts": tsHandler("b", version),
  "handlers/default/c.sql": `insert into runs (event, handler, own, imported, json)
    values (:event_id, 'c', ${version}, ${version}, ${version});`,
});

const tsHandler = (name: string, version: number): string => `
  import { handler } from "hookonce";
  import { sql } from "drizzle-orm";
  import { imported } from "../lib/version";
  import { json } from "../lib/version.json";
  /** Starts anew with each load. */
  const seen = new Map<string, number>();
  export default handler(({ event, db }) => {
    seen.set("own", ${version});
    if (seen.get("own") !== ${version}) throw new Error("another version's state");
    db.run(sql\`insert into runs (event, handler, own, imported, json)
      values (\${event.id}, '${name}', ${version}, \${imported}, \${json})\`);
  });
`;

const REFUSED = "the reload was refused: what was loaded before stays in use";

const RUNS = `create table runs (
  id integer primary key, event text not null unique, handler text, own integer, imported integer, json integer
) strict;`;

const signed = (references: string): string =>
  `version = 1\n[sources.stripe]\nprovider = "stripe"\nsecret = ${references}\n`;

/** A package that the handlers import. */
const says = (version: number): Record<string, string> => ({
  "node_modules/prices/index.js": `export const version = ${version}; export { nested } from "./nested.js";`,
  "node_modules/prices/nested.js": `export const nested = ${version};`,
});

function reload(inbox: Scratch, ...flags: string[]): Promise<Ended> {
  return run(["reload", inbox.path, ...flags]);
}

function rows<Row>(inbox: Scratch, sql: string): Row[] {
  const db = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  try {
    return db.query(sql).all() as Row[];
  } finally {
    db.close();
  }
}

async function until(count: () => number, least: number): Promise<void> {
  while (count() < least) await Bun.sleep(20);
}

/** Delivers without a pause until it is stopped. */
function underLoad(server: Serving, senders: number) {
  const over = new AbortController();
  let next = 0;
  const answers: string[] = [];
  const sent: string[] = [];
  const send = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const number = next++;
      const id = `evt_${number}`;
      sent.push(id);
      const type = "abc".charAt(number % 3);
      // Every seventh comes twice at the same time.
      const copies = Array.from({ length: number % 7 === 0 ? 2 : 1 }, () =>
        server.post("/webhook", { event_id: id, type }),
      );
      for (const { status, body } of await Promise.all(copies))
        answers.push(`${status} ${String(body["status"])}`);
    }
  };
  const all = Promise.all(Array.from({ length: senders }, send));
  return {
    sent,
    answers,
    async stop() {
      over.abort();
      await all;
    },
  };
}

describeUnless(onlyInFullRun(), "hookonce reload", () => {
  test("under load, each event is applied once, by one set of handlers, and is answered 200", async () => {
    using inbox = scratch({ ...files, "migrations/0002_runs.sql": RUNS, ...versionedHandlers(0) });
    await using server = await serve(inbox.path, { dev: false });
    const load = underLoad(server, 8);
    const RELOADS = 20;
    for (let version = 1; version <= RELOADS; version++) {
      inbox.write(versionedHandlers(version));
      expect(await reload(inbox)).toMatchObject({ code: 0, stdout: "Reloaded: 1 source, 4 handlers.\n" });
      // The next delivery sees what was loaded.
      const id = `after_${version}`;
      expect(await server.post("/webhook", { event_id: id, type: "a" })).toMatchObject({ status: 200 });
      load.sent.push(id);
      expect(rows(inbox, `select own from runs where event = '${id}'`)).toEqual([{ own: version }]);
    }
    await load.stop();
    expect(new Set(load.answers)).toEqual(new Set(["200 processed", "200 duplicate"]));
    const runs = rows<{ event: string; own: number; imported: number; json: number }>(
      inbox,
      "select event, own, imported, json from runs order by id",
    );
    expect(runs.map(({ event }) => event).sort()).toEqual([...load.sent].sort());
    expect(runs.filter(({ own, imported, json }) => own !== imported || own !== json)).toEqual([]);
    // In the order of the commits, no event has an older version than the one before it.
    const versions = runs.map(({ own }) => own);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(new Set(versions).size).toBe(RELOADS + 1);
  }, 300_000);

  test("is refused with everything that check says, and what was loaded before stays in use", async () => {
    using inbox = scratch({ ...files, "migrations/0002_runs.sql": RUNS, ...versionedHandlers(1) });
    await using server = await serve(inbox.path, { dev: false });
    inbox.write({
      "hookonce.toml": `${PUBLIC}typo = 1\n[sources.signed]\nprovider = "stripe"\nsecret = "env:MISSING"\n`,
      "handlers/lib/version.ts": "export const imported: number = oops oops;",
      "handlers/default/c.sql": "insert into nowhere values (1);",
      "migrations/0003_bad.sql": "create tabel x (y);",
    });
    const refused = await reload(inbox);
    expect(refused.code).toBe(1);
    for (const part of [
      "hookonce.toml:8: sources.default.typo is not a key",
      "sources.signed.secret: env:MISSING is not set",
      'handlers/lib/version.ts:1: Expected ";" but found "oops" (imported by handlers/default/a.ts)',
      "handlers/default/c.sql:1: no such table: nowhere",
      'migrations/0003_bad.sql:1: the migration fails, so none of it is applied: near "tabel": syntax error',
      "problems in",
      "What was loaded before stays in use.",
    ])
      expect(refused.stderr).toContain(part);
    for (const type of ["a", "b", "c"])
      expect(await server.post("/webhook", { event_id: type, type })).toMatchObject({ status: 200 });
    expect(rows(inbox, "select own, imported, json from runs")).toEqual(
      Array.from({ length: 3 }, () => ({ own: 1, imported: 1, json: 1 })),
    );
    await server.logged(REFUSED);

    inbox.write({ "hookonce.toml": PUBLIC, ...versionedHandlers(2) });
    rmSync(join(inbox.path, "migrations/0003_bad.sql"));
    expect(await reload(inbox)).toMatchObject({ code: 0 });
    expect(await server.post("/webhook", { event_id: "fixed", type: "b" })).toMatchObject({ status: 200 });
    expect(rows(inbox, "select imported from runs where event = 'fixed'")).toEqual([{ imported: 2 }]);
  }, 60_000);

  test("warns as check does of a handler that fails on a made-up event, and loads it", async () => {
    using inbox = scratch({
      "hookonce.toml": signed('"env:S"'),
      ".env": "S=whsec_0123456789abcdef0123456789abcdef\n",
      "migrations/1.sql": "create table credits (customer text not null);",
      "handlers/stripe/invoice.paid.sql": "select 1;",
    });
    await using _ = await serve(inbox.path);
    inbox.write({
      "handlers/stripe/invoice.paid.sql":
        "insert into credits values (:payload ->> '$.data.object.custmer');",
    });
    const { code, stdout, stderr } = await reload(inbox);
    expect([code, stdout]).toEqual([0, "Reloaded: 1 source, 1 handler.\n"]);
    const checked = await run(["check", inbox.path]);
    expect(checked.code).toBe(0);
    expect(stderr).toContain(
      "warning: handlers/stripe/invoice.paid.sql:1: failed on a made-up invoice.paid: NOT NULL constraint failed: credits.customer\n",
    );
    expect(stderr).toBe(checked.stderr);
  }, 60_000);

  test("refuses what only a start can change", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path, {
      dev: false,
      flags: ["--database", join(inbox.path, "data/hookonce.db")],
    });
    await server.post("/webhook", { event_id: "evt_1", type: "paid", customer: "ada", cents: 1 });
    inbox.write({
      "hookonce.toml": `${PUBLIC.replace("$.event_id", "$.other")}[admin]\nlisten = "127.0.0.1:1"\n`,
      "migrations/0002_more.sql": "create table more (x integer) strict;",
    });
    const { code, stderr } = await reload(inbox);
    expect(code).toBe(1);
    expect(stderr).toContain('source "default": the event id now comes from');
    expect(stderr).toContain(
      "migrations/0002_more.sql: is not applied yet, and only a start applies migrations",
    );
    inbox.write({
      "hookonce.toml": PUBLIC.replace("[sources.default]", `[sources.renamed]\nrenamed_from = "default"`),
    });
    expect((await reload(inbox)).stderr).toContain('only a start renames a source, here from "default"');
    inbox.write({ "hookonce.toml": PUBLIC.replace("allow_public = true\n", "") });
    expect((await reload(inbox)).stderr).toContain(
      'source "default" is unsigned, so anyone could forge its events',
    );
    expect(await server.post("/webhook", { event_id: "evt_1", type: "paid" })).toMatchObject({
      body: { status: "duplicate" },
    });
  }, 60_000);

  test("a new source answers, and one with owed events is removed only with --drop-source", async () => {
    using inbox = scratch({ ...files, "handlers/shop/paid.sql": "select 1;" });
    await using server = await serve(inbox.path, { dev: false });
    const shop = `[sources.shop]\nprovider = "unsigned"\nallow_public = true\nevent_id = "body:$.id"\ntype = "body:$.type"\n`;
    const deliver = async (id: string, type: string): Promise<unknown> => {
      const { status, body } = await server.post("/webhook/shop", { id, type });
      return [status, body["status"] ?? (body["error"] as { code: string }).code];
    };
    expect(await deliver("1", "paid")).toEqual([404, "unknown_source"]);
    inbox.write({ "hookonce.toml": PUBLIC + shop });
    expect(await reload(inbox, "--json")).toMatchObject({ code: 0 });
    expect(await deliver("1", "paid")).toEqual([200, "processed"]);
    expect(await deliver("2", "other")).toEqual([200, "unhandled"]);

    inbox.write({ "hookonce.toml": PUBLIC });
    const refused = await reload(inbox);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("events of it are owed (1)");
    expect(refused.stderr).toContain("hookonce reload --drop-source shop");
    expect(refused.stderr).toContain("1 problem in");
    expect(await deliver("3", "paid")).toEqual([200, "processed"]);
    const misspelt = await reload(inbox, "--drop-source", "shopp");
    expect(misspelt.code).toBe(1);
    expect(misspelt.stderr).toContain(
      "--drop-source shopp: there is no source of this name; did you mean shop?",
    );
    expect(await reload(inbox, "--drop-source", "shop")).toMatchObject({ code: 0 });
    expect(await deliver("4", "paid")).toEqual([404, "unknown_source"]);
    const { stdout } = await run(["events", "--folder", inbox.path, "--outcome", "unhandled", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ source: "shop", event_id: "2" });
    expect(rows(inbox, "select actor <> '' ok, action, reason from hookonce_audit order by id")).toEqual([
      { ok: 1, action: "reload", reason: null },
      { ok: 1, action: "reload", reason: "--drop-source shop" },
    ]);
    // The next start has nothing to refuse either.
    server.signal("SIGTERM");
    await server.ended;
    await using again = await serve(inbox.path, { dev: false });
    expect((await again.post("/webhook/shop", {})).status).toBe(404);
  }, 120_000);

  test("secrets in .env and files are read again", async () => {
    using inbox = scratch({
      "hookonce.toml": signed('"env:STRIPE"'),
      ".env": "STRIPE=whsec_0first0secret0of0the0reload0tests\n",
      "handlers/stripe/_any.sql": "select 1;",
    });
    await using server = await serve(inbox.path, { dev: false });
    const deliver = async (id: string, secret: string): Promise<number> => {
      const body = JSON.stringify({ id, type: "paid" });
      const headers = {
        "stripe-signature": stripeSignature(secret, body),
        "content-type": "application/json",
      };
      return (await fetch(`${server.url}/webhook/stripe`, { method: "POST", body, headers })).status;
    };
    const [first, second, third] = ["first", "second", "third"].map(
      (word) => `whsec_0${word}0secret0of0the0reload0tests`,
    ) as [string, string, string];
    expect(await deliver("1", first)).toBe(200);
    expect(await deliver("2", second)).toBe(401);
    inbox.write({ ".env": `STRIPE=${second}\n` });
    expect(await reload(inbox)).toMatchObject({ code: 0 });
    expect(await deliver("2", second)).toBe(200);
    expect(await deliver("3", first)).toBe(401);
    inbox.write({
      "hookonce.toml": signed('["file:secrets/stripe", "env:STRIPE"]'),
      "secrets/stripe": `${third}\n`,
    });
    expect(await reload(inbox)).toMatchObject({ code: 0 });
    expect(await deliver("4", third)).toBe(200);
    expect(await deliver("5", second)).toBe(200);
  }, 60_000);

  test.skipIf(process.platform === "win32")(
    "SIGHUP reloads, and the log has the result",
    async () => {
      using inbox = scratch({ ...files, "migrations/0002_runs.sql": RUNS, ...versionedHandlers(1) });
      await using server = await serve(inbox.path, { dev: false });
      inbox.write(versionedHandlers(2));
      server.signal("SIGHUP");
      expect(await server.logged("reloaded")).toMatchObject({
        level: "info",
        actor: "SIGHUP",
        sources: 1,
        handlers: 4,
      });
      await server.post("/webhook", { event_id: "1", type: "a" });
      inbox.write({ "handlers/default/a.ts": "oops" });
      server.signal("SIGHUP");
      await server.logged(REFUSED);
      await server.post("/webhook", { event_id: "2", type: "a" });
      expect(rows(inbox, "select own from runs")).toEqual([{ own: 2 }, { own: 2 }]);
    },
    60_000,
  );

  test("a file that never ends at its top level is refused, and deliveries go on meanwhile", async () => {
    using inbox = scratch({ ...files, "migrations/0002_runs.sql": RUNS, ...versionedHandlers(1) });
    await using server = await serve(inbox.path, { dev: false });
    inbox.write({ "handlers/lib/version.ts": "await new Promise(() => {}); export const imported = 1;" });
    const reloading = reload(inbox);
    expect(await server.post("/webhook", { event_id: "1", type: "a" })).toMatchObject({ status: 200 });
    const refused = await reloading;
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("its top level has not finished after 5 s");
    inbox.write({ "handlers/lib/version.ts": "export const imported = process.exit(3);" });
    expect((await reload(inbox)).stderr).toContain("its top level calls process.exit");
    inbox.write(versionedHandlers(2));
    expect(await reload(inbox)).toMatchObject({ code: 0 });
    await server.post("/webhook", { event_id: "2", type: "a" });
    expect(rows(inbox, "select imported from runs")).toEqual([{ imported: 1 }, { imported: 2 }]);
  }, 60_000);

  test("serve --dev reloads on save, and says each time once what came of it", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "migrations/0002_runs.sql": RUNS,
      ...versionedHandlers(1),
      "outside.json": "{}",
    });
    await using server = await serve(inbox.path);
    const lines = (message: string): number => server.log.filter(({ msg }) => msg === message).length;
    const reloads = (): number => lines("reloaded");
    const refusals = (): number => lines(REFUSED);
    let id = 0;
    const imported = async (): Promise<unknown> => {
      const event = `evt_${++id}`;
      await server.post("/webhook", { event_id: event, type: "a" });
      return rows<{ imported: number }>(inbox, `select imported from runs where event = '${event}'`)[0]
        ?.imported;
    };
    // Only what a handler imports has changed.
    inbox.write({ "handlers/lib/version.ts": "export const imported: number = 2;" });
    await until(reloads, 1);
    expect(await imported()).toBe(2);
    inbox.write({ "handlers/lib/version.ts": "oops oops" });
    await until(refusals, 1);
    expect(await imported()).toBe(2);
    // Some editors write another file and rename it.
    inbox.write({ "handlers/lib/.version.tmp": "export const imported: number = 3;" });
    renameSync(join(inbox.path, "handlers/lib/.version.tmp"), join(inbox.path, "handlers/lib/version.ts"));
    await until(reloads, 2);
    expect(await imported()).toBe(3);
    inbox.write({ "handlers/default/new/folder.sql": "insert into runs (event) values (:event_id);" });
    await until(reloads, 3);
    await server.post("/webhook", { event_id: "new", type: "new/folder" });
    expect(rows(inbox, "select event from runs where event = 'new'")).toEqual([{ event: "new" }]);
    inbox.write({
      "hookonce.toml": `${inboxFiles["hookonce.toml"]}[sources.two]\nprovider = "unsigned"\nevent_id = "body:$.id"\ntype = "body:$.type"\n`,
    });
    await until(reloads, 4);
    expect((await server.post("/webhook/two", { id: "1", type: "x" })).status).toBe(200);
    expect([reloads(), refusals()]).toEqual([4, 1]);
  }, 60_000);

  test("a source whose provider may still retry names the same remedy", async () => {
    const shop = `[sources.shop]\nprovider = "unsigned"\nallow_public = true\nevent_id = "body:$.id"\ntype = "body:$.type"\n`;
    using inbox = scratch({
      ...files,
      "hookonce.toml": PUBLIC + shop,
      "handlers/shop/paid.sql": "select 1;",
    });
    await using server = await serve(inbox.path, { dev: false });
    expect((await server.post("/webhook/shop", { id: "1", type: "paid" })).status).toBe(200);
    inbox.write({ "hookonce.toml": PUBLIC });
    const refused = await reload(inbox);
    expect(refused.stderr).toContain(
      "its provider may still retry its events. If you removed it, run hookonce reload --drop-source shop.",
    );
    expect(refused.stderr).not.toContain("--accept-id-change");
    expect(await reload(inbox, "--drop-source", "shop")).toMatchObject({ code: 0 });
  }, 120_000);

  test("a package in node_modules is read again", async () => {
    using inbox = scratch({
      ...files,
      "migrations/0002_runs.sql": RUNS,
      "node_modules/prices/package.json": '{ "name": "prices", "type": "module", "exports": "./index.js" }',
      ...says(1),
      "handlers/default/a.ts": `
        import { handler } from "hookonce";
        import { sql } from "drizzle-orm";
        import { nested, version } from "prices";
        export default handler(({ event, db }) => {
          db.run(sql\`insert into runs (event, own, imported) values (\${event.id}, \${version}, \${nested})\`);
        });`,
    });
    await using server = await serve(inbox.path, { dev: false });
    await server.post("/webhook", { event_id: "1", type: "a" });
    inbox.write(says(2));
    expect(await reload(inbox)).toMatchObject({ code: 0 });
    await server.post("/webhook", { event_id: "2", type: "a" });
    expect(rows(inbox, "select event, own, imported from runs order by id")).toEqual([
      { event: "1", own: 1, imported: 1 },
      { event: "2", own: 2, imported: 2 },
    ]);
  }, 60_000);

  test("a file that breaks after the check is refused with the way out, and can be loaded once it is corrected", async () => {
    using inbox = scratch({ ...files, "migrations/0002_runs.sql": RUNS, ...versionedHandlers(1) });
    await using server = await serve(inbox.path, { dev: false });
    const late = 'if (!process.argv.includes("check-before-reload")) throw new Error("too late");';
    inbox.write({ "handlers/lib/version.ts": `${late} export const imported: number = 2;` });
    const refused = await reload(inbox);
    expect(refused.code).toBe(1);
    for (const part of ["too late", "Run hookonce reload again.", "restart hookonce serve"])
      expect(refused.stderr).toContain(part);
    await server.post("/webhook", { event_id: "1", type: "a" });
    inbox.write(versionedHandlers(3));
    expect(await reload(inbox)).toMatchObject({ code: 0 });
    await server.post("/webhook", { event_id: "2", type: "a" });
    expect(rows(inbox, "select own, imported from runs order by id")).toEqual([
      { own: 1, imported: 1 },
      { own: 3, imported: 3 },
    ]);
  }, 120_000);

  test.skipIf(process.platform !== "linux")(
    "ends with a stop that comes meanwhile, and what was loaded before has answered until then",
    async () => {
      using inbox = scratch({ ...files, "migrations/0002_runs.sql": RUNS, ...versionedHandlers(1) });
      await using server = await serve(inbox.path, { dev: false });
      inbox.write({ "handlers/lib/version.ts": "await new Promise(() => {}); export const imported = 2;" });
      const reloading = reload(inbox);
      const children = (): string =>
        readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8").trim();
      // The process that checks the folder.
      while (children() === "") await Bun.sleep(20);
      expect(await server.post("/webhook", { event_id: "1", type: "a" })).toMatchObject({ status: 200 });
      server.signal("SIGTERM");
      const [{ code }, refused] = await Promise.all([server.ended, reloading]);
      expect(code).toBe(0);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("[shutting_down]");
      expect(rows(inbox, "select own, imported from runs")).toEqual([{ own: 1, imported: 1 }]);
      expect(rows(inbox, "select action from hookonce_audit")).toEqual([]);
    },
    60_000,
  );

  test("two at once run one after the other", async () => {
    using inbox = scratch({ ...files, "migrations/0002_runs.sql": RUNS, ...versionedHandlers(1) });
    await using server = await serve(inbox.path, { dev: false });
    inbox.write(versionedHandlers(2));
    const both = await Promise.all([reload(inbox), reload(inbox)]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    await until(() => server.log.filter(({ msg }) => msg === "reloaded").length, 2);
    expect(await server.post("/webhook", { event_id: "1", type: "a" })).toMatchObject({ status: 200 });
  }, 60_000);

  test("kill -9 in the middle of it loses no answered event and applies none twice", async () => {
    using inbox = scratch({ ...files, "migrations/0002_runs.sql": RUNS, ...versionedHandlers(0) });
    const answered = new Set<string>();
    for (let round = 1; round <= 6; round++) {
      await using server = await serve(inbox.path, { dev: false });
      let number = 0;
      const over = new AbortController();
      const send = async (): Promise<void> => {
        while (!over.signal.aborted) {
          const id = `${round}_${++number}`;
          const answer = await server
            .post("/webhook", { event_id: id, type: "abc".charAt(number % 3) })
            .catch(() => null);
          if (answer?.status === 200) answered.add(id);
        }
      };
      const senders = Promise.all(Array.from({ length: 4 }, send));
      inbox.write(versionedHandlers(round));
      const reloading = reload(inbox);
      await Bun.sleep(300 + round * 100);
      server.signal("SIGKILL");
      await Promise.all([server.ended, reloading]);
      over.abort();
      await senders;
    }
    await using server = await serve(inbox.path, { dev: false });
    await server.post("/webhook", { event_id: "last", type: "a" });
    const runs = rows<{ event: string; own: number; imported: number }>(
      inbox,
      "select event, own, imported from runs",
    );
    const applied = new Set(runs.map(({ event }) => event));
    expect([...answered].filter((id) => !applied.has(id))).toEqual([]);
    expect(runs.filter(({ own, imported }) => own !== imported)).toEqual([]);
  }, 120_000);

  test("without a serve, it says what to start", async () => {
    using inbox = scratch(files);
    const { code, stderr } = await reload(inbox);
    expect(code).toBe(1);
    expect(stderr).toContain("No hookonce serve is running on");
  });
});
