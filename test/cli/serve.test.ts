import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { inboxFiles, paid, run, scratch, serve, start } from "./support/hookonce.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";

const secret = "whsec_0stripe0secret0of0the0serve0tests";

describeUnless(onlyInFullRun(), "hookonce serve", () => {
  test.skipIf(process.platform === "win32")(
    "SIGUSR1 and SIGUSR2 are a log line and nothing else",
    async () => {
      using inbox = scratch(inboxFiles);
      await using server = await serve(inbox.path);
      for (const name of ["SIGUSR1", "SIGUSR2"] as const) {
        server.signal(name);
        await Bun.sleep(100);
      }
      expect((await server.post("/webhook", paid)).body).toMatchObject({ status: "processed" });
      server.signal("SIGTERM");
      expect((await server.ended).code).toBe(0);
      const lines = server.log.filter(({ msg }) => String(msg).startsWith("this signal changes nothing"));
      expect(lines.map(({ level, signal }) => [level, signal])).toEqual([
        ["info", "SIGUSR1"],
        ["info", "SIGUSR2"],
      ]);
    },
  );

  test("logs what check warns of in the config", async () => {
    using inbox = scratch({
      ...inboxFiles,
      ".env": "A=cut#here\n",
      "hookonce.toml": `${inboxFiles["hookonce.toml"]}
[sources.a]
provider = "square"
secret   = "env:A"
public_url = "https://hooks.example.com/square"

[sources.b]
provider = "square"
secret   = "env:A"
public_url = "https://hooks.example.com/webhook/b"
`,
    });
    chmodSync(join(inbox.path, ".env"), 0o600);
    await using server = await serve(inbox.path);
    server.signal("SIGTERM");
    const { stdout } = await server.ended;
    expect(stdout).not.toContain("cut#");
    const warnings = server.log.filter(({ level, file }) => level === "warn" && file !== undefined);
    expect(warnings.map(({ file, line, msg }) => `${String(file)}:${String(line)}: ${String(msg)}`)).toEqual([
      expect.stringMatching(/^\.env:1: the value of A ends at the #/) as string,
      expect.stringMatching(
        /^hookonce\.toml:\d+: sources\.b: it has the same secret as sources\.a/,
      ) as string,
      expect.stringMatching(
        /^hookonce\.toml:\d+: sources\.a\.public_url: hookonce does not answer/,
      ) as string,
    ]);
  });

  test("logs its sources, each delivery and its stop as JSON lines when its output is piped", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "hookonce.toml": `${inboxFiles["hookonce.toml"]}
[sources.stripe]
provider = "stripe"
secret   = "env:STRIPE_WEBHOOK_SECRET"
`,
    });
    await using server = await serve(inbox.path, { environment: { STRIPE_WEBHOOK_SECRET: secret } });
    expect((await server.post("/webhook", paid)).body).toMatchObject({ status: "processed" });
    expect((await server.post("/webhook", paid)).body).toMatchObject({ status: "duplicate" });
    expect((await server.post("/webhook/stripe", { id: "evt_1" })).status).toBe(401);
    server.signal("SIGTERM");
    const { code, stdout, stderr } = await server.ended;

    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).not.toContain(secret);
    const lines = server.log.map(({ time, level, ms: _ms, ...line }) => {
      expect(new Date(String(time)).getTime()).toBeWithin(Date.now() - 60_000, Date.now() + 1000);
      expect(["info", "warn"]).toContain(String(level));
      return line;
    });
    const database = join(inbox.path, "data/hookonce.db");
    const handler = "handlers/default/_any.sql";
    const delivery = { msg: "delivery", source: "default", event: "evt_1", type: "paid" };
    expect(lines).toEqual([
      expect.objectContaining({ msg: "migrated", migration: "0001_credits.sql" }),
      {
        msg: "source",
        source: "default",
        provider: "unsigned",
        url: `${server.url}/webhook`,
        handlers: [handler],
      },
      {
        msg: "source",
        source: "stripe",
        provider: "stripe",
        url: `${server.url}/webhook/stripe`,
        handlers: [],
      },
      {
        msg: "listening",
        url: server.url,
        page: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
        database,
        pid: expect.any(Number),
      },
      { ...delivery, outcome: "processed", handler, rows: 1 },
      { ...delivery, outcome: "duplicate" },
      expect.objectContaining({ msg: "delivery", source: "stripe", code: "signature_missing" }),
      expect.objectContaining({ signal: "SIGTERM" }),
      expect.objectContaining({ msg: "stopped", code: 0 }),
    ]);
  });

  test("refuses a folder with all its problems, exits with 1, and creates nothing", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "migrations/0002_broken.sql": "create tabel broken (x);\n",
      "handlers/default/bind.sql": "insert into credits values (:customer, 1);\n",
      "handlers/default/nothing.ts": "export const x = 1;\n",
    });
    const { code, stdout, stderr } = await run(["serve", inbox.path, "--listen", "127.0.0.1:0"]);
    expect([code, stdout]).toEqual([1, ""]);
    for (const line of [
      /migrations\/0002_broken\.sql:1: .*near "tabel"/,
      /handlers\/default\/bind\.sql:1: :customer is not a binding/,
      /handlers\/default\/nothing\.ts: has no handler/,
      /source "default" is unsigned.*hookonce serve --dev.*allow_public = true/,
    ]) {
      expect(stderr).toMatch(line);
    }
    expect(stderr).toContain("[config_invalid]");
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(readdirSync(inbox.path).sort()).toEqual(["handlers", "hookonce.toml", "migrations"]);
  });

  test("refuses a folder that does not exist, exits with 1, and says how to make one", async () => {
    using parent = scratch();
    const { code, stderr } = await run(["serve", "inbox"], { cwd: parent.path });
    expect(code).toBe(1);
    expect(stderr).toContain("hookonce init");
    expect(readdirSync(parent.path)).toEqual([]);
  });

  test("refuses an unsigned source without --dev, names both remedies, and serves signed ones", async () => {
    using inbox = scratch(inboxFiles);
    const refused = await run(["serve", inbox.path, "--listen", "127.0.0.1:0"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('source "default" is unsigned');
    expect(refused.stderr).toContain("hookonce serve --dev");
    expect(refused.stderr).toContain("allow_public = true");
    expect(existsSync(join(inbox.path, "data"))).toBe(false);

    inbox.write({
      "hookonce.toml":
        'version = 1\n[sources.default]\nprovider = "stripe"\nsecret = "env:STRIPE_WEBHOOK_SECRET"\n',
      ".env": `STRIPE_WEBHOOK_SECRET=${secret}\n`,
    });
    await using server = await serve(inbox.path, { dev: false });
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect((await server.post("/webhook", paid)).status).toBe(401);
  });

  test("serves an unsigned source with allow_public = true without --dev, to everyone", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "hookonce.toml": `${inboxFiles["hookonce.toml"]}allow_public = true
`,
    });
    await using server = await serve(inbox.path, { dev: false });
    const forwarded = await fetch(`${server.url}/webhook`, {
      method: "POST",
      body: JSON.stringify(paid),
      headers: {
        "content-type": "application/json",
        host: "hooks.example.com",
        "x-forwarded-for": "1.2.3.4",
      },
    });
    expect(forwarded.status).toBe(200);
  });

  test("says that --production was removed, with exit code 2", async () => {
    using inbox = scratch(inboxFiles);
    const { code, stderr } = await run(["serve", inbox.path, "--production"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("--production was removed") as string]);
  });

  test("exits with 1 if the port is taken, names it and the remedy, and releases the database", async () => {
    using inbox = scratch(inboxFiles);
    using taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("mine") });
    const address = `127.0.0.1:${taken.port}`;
    const { code, stderr } = await run(["serve", inbox.path, "--dev", "--listen", address]);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `Cannot listen on ${address}: another process uses this port. Stop it, or set another address with listen in hookonce.toml or with --listen. [listen_failed]`,
    );
    expect(stderr).not.toMatch(/^ {4}at /m);
    await using server = await serve(inbox.path);
    expect((await server.post("/webhook", paid)).body).toMatchObject({ status: "processed" });
  });

  test("exits with 2 if the port number is too large, before it creates anything", async () => {
    using inbox = scratch(inboxFiles);
    const { code, stderr } = await run(["serve", inbox.path, "--listen", "127.0.0.1:99999"]);
    expect(code).toBe(2);
    expect(stderr).toContain("99999");
    expect(existsSync(join(inbox.path, "data"))).toBe(false);
  });

  test("--database overrides the config, relative to the working directory", async () => {
    using inbox = scratch(inboxFiles);
    using elsewhere = scratch();
    await using server = await serve(inbox.path, { flags: ["--database", "other.db"], cwd: elsewhere.path });
    expect((await server.post("/webhook", paid)).status).toBe(200);
    server.signal("SIGTERM");
    expect((await server.ended).code).toBe(0);
    expect(existsSync(join(inbox.path, "data"))).toBe(false);
    expect(existsSync(join(elsewhere.path, "other.db"))).toBe(true);
  });
});

describeUnless(onlyInFullRun(), "a port that another hookonce listens on", () => {
  test("is refused, because each of the two would get half of the deliveries", async () => {
    using inbox = scratch(inboxFiles);
    using other = scratch(inboxFiles);
    await using server = await serve(inbox.path);
    const { code, stderr } = await run(["serve", other.path, "--dev", "--listen", new URL(server.url).host]);
    expect(code).toBe(1);
    expect(stderr).toContain("[listen_failed]");
    expect((await server.post("/webhook", paid)).body).toMatchObject({ status: "processed" });
    // The other database was not created.
    expect(readdirSync(join(other.path, "data")).filter((name) => !name.includes(".lock"))).toEqual([]);
  });
});

describeUnless(onlyInFullRun(), "while serve starts", () => {
  test("a signal ends the wait for another hookonce, with exit code 0", async () => {
    using inbox = scratch(inboxFiles);
    await using first = await serve(inbox.path);
    const second = start(inbox.path);
    await second.logged("waiting for another hookonce to release the database");
    second.signal("SIGTERM");
    expect(await second.ended).toMatchObject({ code: 0, stderr: "" });
    expect((await first.post("/webhook", paid)).status).toBe(200);
  });
});

describeUnless(onlyInFullRun(), "stopping serve", () => {
  for (const signals of [["SIGTERM"], ["SIGINT"], ["SIGTERM", "SIGINT"]] as const) {
    test(`${signals.join(" and ")}: exits with 0, with every event in the database file and nothing left in its log`, async () => {
      using inbox = scratch(inboxFiles);
      await using server = await serve(inbox.path);
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => server.post("/webhook", { ...paid, event_id: `evt_${n}` })),
      );
      for (const { status } of answers) expect(status).toBe(200);
      const started = performance.now();
      server.signal(...signals);
      const { code, stderr } = await server.ended;
      expect([code, stderr]).toEqual([0, ""]);
      expect(performance.now() - started).toBeLessThan(5000);
      expect(server.log.filter(({ level }) => level === "fatal" || level === "error")).toEqual([]);

      const path = join(inbox.path, "data/hookonce.db");
      expect(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
      using database = new Database(path, { readonly: true });
      expect(database.query("select cents from credits").get()).toEqual({ cents: 50 * 500 });
      expect(database.query("select count(*) as n from hookonce_events").get()).toEqual({ n: 50 });
      expect(database.query("pragma integrity_check").get()).toEqual({ integrity_check: "ok" });
    });
  }

  test("finishes and answers deliveries in flight, even after a second signal", async () => {
    using inbox = scratch(inboxFiles);
    await using server = await serve(inbox.path);
    using other = new Database(join(inbox.path, "data/hookonce.db"), { strict: true });
    other.run("begin immediate");
    const answer = server.post("/webhook", paid).catch((error: unknown) => String(error));
    await Bun.sleep(100);
    for (const signal of ["SIGTERM", "SIGTERM", "SIGINT", "SIGINT"] as const) {
      server.signal(signal);
      await Bun.sleep(30);
    }
    other.run("rollback");
    expect(await answer).toMatchObject({ status: 200, body: { status: "processed" } });
    expect(await server.ended).toMatchObject({ code: 0, stderr: "" });
    expect(server.log.filter(({ level }) => level === "fatal" || level === "error")).toEqual([]);
  });

  test("answers duplicate after a restart for an event from before", async () => {
    using inbox = scratch(inboxFiles);
    for (const status of ["processed", "duplicate"]) {
      await using server = await serve(inbox.path);
      expect((await server.post("/webhook", paid)).body).toMatchObject({ status, event_id: "evt_1" });
      server.signal("SIGTERM");
      expect((await server.ended).code).toBe(0);
    }
  });
});
