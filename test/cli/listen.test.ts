import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createSource } from "../../src/providers/source.ts";
import { providers } from "../../src/providers/presets.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { hookonce, run, scratch, serve, type Scratch, type Serving } from "./support/hookonce.ts";

// Each command is a process of its own, which takes up to a second on a loaded machine.
setDefaultTimeout(120_000);

const SECRETS = { far: "whsec_of_the_server_0123456789", near: "whsec_of_the_laptop_9876543210" };

function folderOf(secret: string, more = ""): Scratch {
  const inbox = scratch({
    "hookonce.toml": `version = 1
[admin]
listen = "127.0.0.1:0"
[sources.stripe]
provider = "stripe"
secret = "env:STRIPE"
${more}`,
    "migrations/1.sql": "create table paid (id text, cents integer not null) strict;\n",
    "handlers/stripe/paid.sql":
      "insert into paid values (:event_id, :payload ->> '$.data.object.amount_total');\n",
  });
  inbox.write({ ".env": `STRIPE=${secret}\n` });
  return inbox;
}

interface Payload {
  readonly id: string;
  readonly type: string;
  readonly data: { readonly object: { readonly amount_total: number | null; readonly email: string } };
}

const event = (id: string, cents: number | null = 5): Payload => ({
  id,
  type: "paid",
  data: { object: { amount_total: cents, email: "ada@private.example" } },
});

/** Delivers to a serve as Stripe does. */
async function deliver(server: Pick<Serving, "url">, secret: string, payload: unknown): Promise<number> {
  const body = JSON.stringify(payload);
  const at = Math.floor(Date.now() / 1000);
  const signature = new Bun.CryptoHasher("sha256", secret).update(`${at}.${body}`).digest("hex");
  const response = await fetch(`${server.url}/webhook/stripe`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", "stripe-signature": `t=${at},v1=${signature}` },
  });
  await response.text();
  return response.status;
}

interface Listening extends AsyncDisposable {
  /** Resolves once the output or an error has this text. */
  readonly until: (part: string) => Promise<void>;
  /** Every line of JSON so far. */
  readonly lines: () => Record<string, unknown>[];
  readonly text: () => string;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly exited: Promise<number>;
}

function listen(inbox: Scratch, args: readonly string[], token?: string): Listening {
  const child = Bun.spawn([...hookonce, "listen", "--folder", inbox.path, ...args], {
    env: {
      NO_COLOR: "1",
      HOME: process.env["HOME"] ?? "/tmp",
      ...(token === undefined ? {} : { HOOKONCE_TOKEN: token }),
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let text = "";
  let out = "";
  let more = Promise.withResolvers<void>();
  let open = 2;
  const read = async (stream: ReadableStream<Uint8Array>, isOut: boolean): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const piece = decoder.decode(chunk, { stream: true });
      text += piece;
      if (isOut) out += piece;
      more.resolve();
      more = Promise.withResolvers();
    }
    open--;
    more.resolve();
    more = Promise.withResolvers();
  };
  void read(child.stdout, true);
  void read(child.stderr, false);
  return {
    async until(part) {
      while (!text.includes(part)) {
        if (open === 0) throw new Error(`listen ended without ${part}: ${text}`);
        await more.promise;
      }
    },
    lines: () =>
      out
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    text: () => text,
    kill: (signal) => child.kill(signal),
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await child.exited;
    },
  };
}

const tokenIn = async (inbox: Scratch): Promise<string> =>
  (await run(["token", "create", "--name", "laptop", "--folder", inbox.path])).stdout.trim();

const pageOf = async (server: Serving): Promise<string> => String((await server.logged("listening"))["page"]);

/** A local application that keeps what it gets. */
function application(answer: (body: Payload) => Response = () => new Response("ok")) {
  const got: { id: string; headers: Record<string, string>; body: Payload; raw: Uint8Array }[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const raw = new Uint8Array(await request.arrayBuffer());
      const body = JSON.parse(Buffer.from(raw).toString()) as Payload;
      got.push({ id: body.id, headers: request.headers.toJSON(), body, raw });
      return answer(body);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/webhooks/{source}`,
    got,
    ids: () => got.map(({ id }) => id),
    [Symbol.asyncDispose]: async () => server.stop(true),
  };
}

const cursorIn = (inbox: Scratch): string[] =>
  readdirSync(join(inbox.path, "data")).filter((name) => /^listen-.*\.json$/.test(name));

describeUnless(onlyInFullRun(), "hookonce listen", () => {
  test("brings events of a serve elsewhere into this inbox, signed with this folder's secret", async () => {
    using far = folderOf(SECRETS.far);
    using near = folderOf(SECRETS.near);
    await using server = await serve(far.path);
    await using mine = await serve(near.path);
    const token = await tokenIn(far);
    await deliver(server, SECRETS.far, event("before"));
    await using first = listen(near, ["--from", await pageOf(server), "--json"], token);
    await first.until("from now on");
    // The stream begins at some moment after that.
    while (!existsSync(join(near.path, "data")) || cursorIn(near).length === 0) await Bun.sleep(20);
    expect(await deliver(server, SECRETS.far, event("good", 7))).toBe(200);
    expect(await deliver(server, SECRETS.far, event("fails", null))).toBe(500);
    await deliver(server, SECRETS.far, { ...event("unhandled"), type: "other" });
    await first.until('"unhandled"');
    expect(first.lines().map(({ event_id: id, status, said }) => [id, status, said])).toEqual([
      ["good", 200, "processed"],
      ["fails", 500, "failed"],
      ["unhandled", 200, "unhandled"],
    ]);
    // What is applied later is not brought again.
    expect(await deliver(server, SECRETS.far, event("fails", 5))).toBe(200);
    first.kill("SIGINT");
    expect(await first.exited).toBe(0);
    await deliver(server, SECRETS.far, event("meanwhile", 9));
    // It catches up, also after a serve was killed, and not with what was brought.
    mine.signal("SIGKILL");
    await mine.ended;
    await using second = listen(near, ["--from", await pageOf(server)], token);
    await second.until("meanwhile has not arrived");
    await using restarted = await serve(near.path);
    await second.until("200 processed");
    await deliver(server, SECRETS.far, event("final"));
    await second.until("final");
    second.kill("SIGINT");
    await second.exited;
    expect(second.text()).toContain("2 events brought. The next hookonce listen goes on after them.");
    expect(restarted.url).not.toBe("");
    const applied = await run(["events", "--json", "--folder", near.path]);
    const ids = applied.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event_id: string; outcome: string; deliveries: number });
    expect(
      ids.map(({ event_id: id, outcome, deliveries }) => `${id} ${outcome} ${deliveries}`).sort(),
    ).toEqual([
      "fails failed 1",
      "final processed 1",
      "good processed 1",
      "meanwhile processed 1",
      "unhandled unhandled 1",
    ]);
    for (const secret of [token, SECRETS.near, SECRETS.far])
      expect(first.text() + second.text()).not.toContain(secret);
    const [file = ""] = cursorIn(near);
    expect(file).toMatch(/^listen-[0-9a-f]{16}\.json$/);
    expect(statSync(join(near.path, "data", file)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(near.path, "data", file), "utf8")).not.toContain(token);
  });

  test("a second one with the same target warns, and an ended one leaves no warning behind", async () => {
    using inbox = folderOf(SECRETS.far);
    await using server = await serve(inbox.path);
    await using app = application();
    await using first = listen(inbox, ["--to", app.url, "--json"]);
    await first.until("from now on");
    await using second = listen(inbox, ["--to", app.url, "--json"]);
    await second.until("Bringing events");
    expect(second.text()).toMatch(
      /warning: another hookonce listen \(process \d+\) brings the events of this inbox/,
    );
    expect(first.text()).not.toContain("another hookonce listen");
    for (const one of [second, first]) {
      one.kill("SIGTERM");
      expect(await one.exited).toBe(0);
    }
    await using third = listen(inbox, ["--to", app.url, "--json"]);
    await third.until("Bringing events");
    third.kill("SIGKILL");
    await third.exited;
    await using fourth = listen(inbox, ["--to", app.url, "--json"]);
    await fourth.until("Bringing events");
    expect(third.text() + fourth.text()).not.toContain("another hookonce listen");
    expect(server.log.length).toBeGreaterThan(0);
  });

  test("an older serve that knows no cursor is named", async () => {
    using inbox = folderOf(SECRETS.near);
    await using mine = await serve(inbox.path);
    const older = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () =>
        Response.json(
          {
            error: {
              code: "invalid_request",
              message: "The request is invalid: the value has unknown keys: cursor",
            },
          },
          { status: 400 },
        ),
    });
    await using one = listen(
      inbox,
      ["--from", `http://127.0.0.1:${older.port}`],
      "a-token-of-nobody-else-00",
    );
    expect(await one.exited).toBe(1);
    expect(one.text()).toContain(
      "is older than this one and cannot go on from an event. Update hookonce there",
    );
    await older.stop(true);
    expect(mine.pid).toBeGreaterThan(0);
  });

  test("brings events of this inbox to an application, and masks values before it signs", async () => {
    using inbox = folderOf(SECRETS.far);
    await using server = await serve(inbox.path);
    await deliver(server, SECRETS.far, event("one", 1));
    await deliver(server, SECRETS.far, event("two", 2));
    await using app = application(({ id }) =>
      id === "one" ? new Response("Something broke\nat line 1", { status: 500 }) : new Response("ok"),
    );
    const secretUrl = `${app.url}?key=hidden_in_the_url`;
    const args = ["--to", secretUrl, "--since", "1h", "--redact", "body:$.data.object.email,body:$.misspelt"];
    await using listening = listen(inbox, args);
    await listening.until("two");
    listening.kill("SIGTERM");
    expect(await listening.exited).toBe(0);
    expect(app.ids()).toEqual(["one", "two"]);
    const stripe = providers.get("stripe");
    if (stripe === undefined) throw new Error("no preset");
    const source = createSource({ name: "stripe", provider: stripe, secrets: [SECRETS.far] }, Date.now);
    for (const { headers, raw, body, id } of app.got) {
      expect(body.data.object.email).toBe("masked@example.com");
      expect(headers["hookonce-event-id"]).toBe(id);
      await source.verify({ headers, body: raw, url: app.url } as Parameters<typeof source.verify>[0]);
    }
    const text = listening.text();
    expect(text).toMatch(/500 +stripe {2}paid {2}\d+ ms {2}one\n {4}Something broke\n/);
    expect(text).toContain("1 event brought, 1 answered with an error.");
    expect(text).toContain("warning: --redact body:$.misspelt has found nothing");
    for (const secret of [SECRETS.far, "hidden_in_the_url", "ada@private"])
      expect(text).not.toContain(secret);
  });

  test("each event reaches the application, in order and with one id, whatever is killed", async () => {
    using inbox = folderOf(SECRETS.far);
    const database = join(inbox.path, "data");
    const count = 40;
    let server = await serve(inbox.path);
    await using app = application();
    try {
      const args = ["--to", app.url, "--json"];
      let listening = listen(inbox, args);
      while (!existsSync(database) || cursorIn(inbox).length === 0) await Bun.sleep(20);
      for (let n = 0; n < count; n++) {
        expect(await deliver(server, SECRETS.far, event(`evt_${n}`))).toBe(200);
        if (n % 10 === 4) {
          listening.kill("SIGKILL");
          await listening.exited;
          listening = listen(inbox, args);
        }
        if (n % 20 === 9) {
          server.signal("SIGKILL");
          await server.ended;
          server = await serve(inbox.path);
        }
      }
      await listening.until(`evt_${count - 1}"`);
      listening.kill("SIGINT");
      await listening.exited;
    } finally {
      await server[Symbol.asyncDispose]();
    }
    const expected = Array.from({ length: count }, (_, n) => `evt_${n}`);
    const ids = app.ids();
    // A kill between an answer and the cursor brings that one event again.
    expect(ids.filter((id, at) => ids.indexOf(id) === at)).toEqual(expected);
    expect(ids.length).toBeLessThanOrEqual(count + 4);
    const messages = app.got.map(({ id, headers }) => `${id} ${headers["hookonce-message-id"]}`);
    expect(new Set(messages).size).toBe(count);
  });

  test("waits for an application that cannot be reached, and leaves nothing out", async () => {
    using inbox = folderOf(SECRETS.far);
    await using server = await serve(inbox.path);
    await deliver(server, SECRETS.far, event("one"));
    await deliver(server, SECRETS.far, event("two"));
    const free = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { port } = free;
    await free.stop(true);
    const args = ["--to", `http://127.0.0.1:${port}/`, "--since", "1h"];
    await using listening = listen(inbox, args);
    await listening.until("one has not arrived: nothing listens at");
    const got: string[] = [];
    const app = Bun.serve({
      port: Number(port),
      hostname: "127.0.0.1",
      async fetch(request) {
        got.push(((await request.json()) as Payload).id);
        return new Response("ok");
      },
    });
    await listening.until("two");
    await app.stop(true);
    expect(got).toEqual(["one", "two"]);
  });

  test("names what it does not bring: events of sources that this folder does not have, and bodies that are gone", async () => {
    using far = folderOf(SECRETS.far, '[sources.shop]\nprovider = "github"\nsecret = "env:STRIPE"\n');
    using near = folderOf(SECRETS.near);
    await using server = await serve(far.path);
    await using mine = await serve(near.path);
    const token = await tokenIn(far);
    const body = JSON.stringify({ zen: "x" });
    const signature = new Bun.CryptoHasher("sha256", SECRETS.far).update(body).digest("hex");
    for (const id of ["a", "b"])
      await fetch(`${server.url}/webhook/shop`, {
        method: "POST",
        body,
        headers: {
          "content-type": "application/json",
          "x-github-event": "ping",
          "x-github-delivery": id,
          "x-hub-signature-256": `sha256=${signature}`,
        },
      });
    await deliver(server, SECRETS.far, event("gone"));
    await deliver(server, SECRETS.far, event("stays"));
    server.signal("SIGTERM");
    await server.ended;
    const { Database } = await import("bun:sqlite");
    const db = new Database(join(far.path, "data/hookonce.db"));
    db.run(
      "delete from hookonce_bodies where id = (select r.body from hookonce_results r join hookonce_events e on e.id = r.event where e.event_id = 'gone')",
    );
    db.close(true);
    await using again = await serve(far.path);
    await using listening = listen(near, ["--from", await pageOf(again), "--since", "1h"], token);
    await listening.until("200 processed");
    listening.kill("SIGINT");
    await listening.exited;
    const text = listening.text();
    expect(text.match(/note: events of source "shop" are skipped/g)).toHaveLength(1);
    expect(text).toMatch(/not stored +stripe +paid +gone/);
    expect(text).toContain("1 event brought, 2 skipped, 1 no longer stored.");
    expect(mine.url).not.toBe("");
  });

  test("an event that cannot be signed again goes to a URL as it came, with a warning, and not into an inbox", async () => {
    const linear = '[sources.issues]\nprovider = "linear"\nsecret = "env:STRIPE"\n';
    using far = folderOf(SECRETS.far, linear);
    using near = folderOf(SECRETS.near, linear);
    await using server = await serve(far.path);
    await using mine = await serve(near.path);
    const token = await tokenIn(far);
    const body = JSON.stringify({ action: "create", type: "Issue", webhookTimestamp: Date.now() });
    const signature = new Bun.CryptoHasher("sha256", SECRETS.far).update(body).digest("hex");
    const headers = {
      "content-type": "application/json",
      "linear-signature": signature,
      "linear-delivery": "d_1",
    };
    const { status } = await fetch(`${server.url}/webhook/issues`, { method: "POST", body, headers });
    expect(status).toBe(200);
    await using app = application();
    await using there = listen(
      near,
      ["--from", await pageOf(server), "--to", app.url, "--since", "1h"],
      token,
    );
    await using here = listen(near, ["--from", await pageOf(server), "--since", "1h"], token);
    await Promise.all([there.until("  d_1\n"), here.until("  d_1\n")]);
    expect(app.got.map((one) => one.headers["linear-signature"])).toEqual([signature]);
    const why =
      'Deliveries of source "issues" cannot be signed again, because their provider signs a time inside the body';
    expect(there.text()).toContain(`warning: ${why}`);
    expect(here.text()).toContain(`note: events of source "issues" are skipped: ${why}`);
    expect((await run(["events", "--folder", near.path])).stdout).toBe("No events yet.\n");
    expect(mine.url).not.toBe("");
  });

  test("ends if the token is wrong, or the database at the other end is another one", async () => {
    using far = folderOf(SECRETS.far);
    using near = folderOf(SECRETS.near);
    await using server = await serve(far.path);
    const page = await pageOf(server);
    const wrong = await run(["listen", "--from", page, "--folder", near.path], {
      environment: { HOOKONCE_TOKEN: "a_wrong_token_0123456789abcdef" },
    });
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("[unauthenticated]")]);
    expect(wrong.stderr).not.toContain("a_wrong_token");
    const none = await run(["listen", "--from", page, "--folder", near.path]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("HOOKONCE_TOKEN is not set")]);
    await deliver(server, SECRETS.far, event("one"));
    {
      await using app = application();
      await using listening = listen(far, ["--to", app.url, "--since", "1h"]);
      await listening.until("one");
      const [file = ""] = cursorIn(far);
      const path = join(far.path, "data", file);
      while (!readFileSync(path, "utf8").includes('"1.')) await Bun.sleep(20);
      listening.kill("SIGKILL");
      await listening.exited;
      far.write({ [`data/${file}`]: readFileSync(path, "utf8").replace(/1\.0\.\w+/, "1.0.0123456789ab") });
      const other = await run(["listen", "--to", app.url, "--folder", far.path]);
      expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("[invalid_cursor]")]);
    }
  });
});
