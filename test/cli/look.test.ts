import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describeUnless, onlyInFullRun, testInFullRun as test } from "../crash/requirements.ts";
import { hookonce, inboxFiles, paid, run, scratch, serve, start, type Scratch } from "./support/hookonce.ts";

// Each command is a process of its own, which takes up to a second on a loaded machine.
setDefaultTimeout(60_000);

const HANDLER = "handlers/default/_any.sql";

/** Fails for an event without cents. */
const files = {
  ...inboxFiles,
  "handlers/default/push.sql": "select json(:payload ->> '$.broken');\n",
};

async function command(inbox: Scratch, ...args: string[]) {
  const { code, stdout, stderr } = await run([...args, "--folder", inbox.path]);
  return { code, stdout, stderr, lines: stdout.trimEnd().split("\n") };
}

const jsonOf = (lines: readonly string[]): Record<string, unknown>[] =>
  lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Record<string, unknown>);

test("a folder that has never been served has no events, and a wrong config is named", async () => {
  using inbox = scratch(files);
  expect((await command(inbox, "events")).stdout).toBe("No events yet.\n");
  expect((await command(inbox, "failures")).stdout).toBe("No failed event is owed.\n");
  expect((await command(inbox, "event", "evt_1")).code).toBe(1);
  inbox.write({ "hookonce.toml": "version = 2\n" });
  const { code, stderr } = await command(inbox, "events");
  expect([code, stderr]).toEqual([1, expect.stringContaining("[config_invalid]")]);
});

test("looking needs no secret and no handler that loads", async () => {
  using inbox = scratch(files);
  {
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid);
    server.signal("SIGTERM");
    await server.ended;
  }
  inbox.write({
    "hookonce.toml": `${inboxFiles["hookonce.toml"]}\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:NOT_SET"\n`,
    [HANDLER]: "this is not SQL",
  });
  const { lines, stderr } = await command(inbox, "events", "--json");
  expect([stderr, jsonOf(lines).map(({ event_id: id }) => id)]).toEqual(["", ["evt_1"]]);
});

const groupsIn = (stdout: string): number => stdout.split("handler_error").length - 1;

describeUnless(onlyInFullRun(), "beside a running serve", () => {
  test("status, events, event and failures answer the same with and without a serve", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid);
    await server.post("/webhook", paid);
    await server.post("/webhook", { event_id: "evt_2", type: "push", broken: "{" });
    const ask = async () => {
      const [events, json, failed, limited, event, eventJson, unknown, groups, failures, none] =
        await Promise.all([
          command(inbox, "events"),
          command(inbox, "events", "--json"),
          command(inbox, "events", "--outcome", "failed", "--json"),
          command(inbox, "events", "--limit", "1", "--json"),
          command(inbox, "event", "evt_1"),
          command(inbox, "event", "evt_1", "--json"),
          command(inbox, "event", "evt_9"),
          command(inbox, "failures"),
          command(inbox, "failures", "--json"),
          command(inbox, "events", "--search", "nothing has this"),
        ]);
      return { events, json, failed, limited, event, eventJson, unknown, groups, failures, none };
    };
    const status = await command(inbox, "status");
    expect(status.stdout).toContain(`has served ${server.url}`);
    expect(status.stdout).toContain("1 processed, 1 duplicate, 1 failed");
    expect(status.stdout).toContain("1 failed, source default, type push");
    const during = await ask();
    server.signal("SIGTERM");
    await server.ended;
    const after = await ask();
    expect({ ...after, event: null, groups: null }).toEqual({ ...during, event: null, groups: null });
    expect((await command(inbox, "status")).stdout).toContain("No hookonce serve is running");

    expect(during.events.lines[0]).toMatch(/^time +outcome +source +type +copies +rows +took +id$/);
    expect(during.events.lines[2]).toMatch(
      /^\d\d-\d\d [\d:]{8} {2}processed {2}default {2}paid {2}×2 +1 +[\d.]+ ms {2}evt_1$/,
    );
    expect(jsonOf(during.json.lines).map(({ event_id: id, outcome }) => [id, outcome])).toEqual([
      ["evt_2", "failed"],
      ["evt_1", "processed"],
    ]);
    expect(jsonOf(during.failed.lines).map(({ event_id: id }) => id)).toEqual(["evt_2"]);
    expect(jsonOf(during.limited.lines).map(({ event_id: id }) => id)).toEqual(["evt_2"]);
    expect(during.event.stdout).toContain(`Applied once by ${HANDLER}, changed 1 row`);
    expect(during.event.stdout).toContain('"customer": "ada"');
    expect(jsonOf(during.eventJson.lines)[0]).toMatchObject({
      event_id: "evt_1",
      deliveries: 2,
      payload: paid,
    });
    expect([during.unknown.code, during.unknown.stderr]).toEqual([
      1,
      'hookonce: There is no event "evt_9". To search: hookonce events --search TEXT [unknown_event]\n',
    ]);
    expect(during.groups.stdout).toMatch(
      /^1 event of default: handlers\/default\/push\.sql\n {2}handler_error: /,
    );
    expect(during.groups.stdout).toEndWith(
      "\nTo see one: hookonce event ID; to list them: hookonce events --outcome failed; after a fix: hookonce apply\n",
    );
    expect(jsonOf(during.failures.lines)).toMatchObject([
      { event_id: "evt_2", handler: "handlers/default/push.sql", attempts: 1 },
    ]);
    expect([during.none.code, during.none.stdout]).toEqual([0, "No event matches.\n"]);
  });

  test("failures say how many groups there are, and take as large a limit as events", async () => {
    using inbox = scratch({
      ...files,
      "handlers/default/boom.ts": `import { handler } from "hookonce";
export default handler(({ event }) => { throw new Error(event.id); });
`,
    });
    await using server = await serve(inbox.path);
    for (const letter of "abcdefg")
      await server.post("/webhook", { event_id: `evt_${letter}`, type: "boom" });
    const three = await command(inbox, "failures", "--limit", "3");
    expect(groupsIn(three.stdout)).toBe(3);
    expect(three.lines.at(-1)).toBe("3 of 7 groups are shown. --limit shows more.");
    const all = await command(inbox, "failures", "--limit", "1000");
    expect([all.code, groupsIn(all.stdout)]).toEqual([0, 7]);
    expect(all.stdout).not.toContain("are shown");
    const json = await command(inbox, "failures", "--limit", "1000", "--json");
    expect(jsonOf(json.lines)).toHaveLength(7);
  });

  test("an id that two sources have asks for --source", async () => {
    using inbox = scratch({
      ...files,
      "hookonce.toml": `${inboxFiles["hookonce.toml"]}\n[sources.b]\nprovider = "unsigned"\nevent_id = "body:$.event_id"\ntype = "body:$.type"\n`,
    });
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid);
    await server.post("/webhook/b", paid);
    const { code, stderr } = await command(inbox, "event", "evt_1");
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /: b \(paid, unhandled\), default \(paid, processed\)\. Add --source NAME\. \[ambiguous_event\]/,
      ),
    ]);
    expect((await command(inbox, "event", "evt_1", "--source", "b")).stdout).toContain("source b");
  });

  test("events --follow prints what arrives, until a signal ends it", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid);
    const child = Bun.spawn([...hookonce, "events", "--follow", "--json", "--folder", inbox.path], {
      stdout: "pipe",
      stderr: "pipe",
      env: { HOME: process.env["HOME"] ?? "/tmp", NO_COLOR: "1" },
    });
    let text = "";
    const arrived = (async () => {
      for await (const chunk of child.stdout) {
        text += Buffer.from(chunk).toString();
        if (text.includes("\n")) return true;
      }
      throw new Error(`it ended: ${await new Response(child.stderr).text()}`);
    })();
    // The stream begins at some moment after the command, so events are delivered until one arrives.
    for (let at = 1; at < 200; at++) {
      await server.post("/webhook", { ...paid, event_id: `live_${at}` });
      if (await Promise.race([arrived, Bun.sleep(100)])) break;
    }
    expect(text).not.toContain("evt_1");
    expect(jsonOf([text.split("\n")[0] ?? ""])[0]).toMatchObject({ type: "paid", outcome: "processed" });
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
  });

  test("events --follow says that serve stopped, also after kill -9", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    const child = Bun.spawn([...hookonce, "events", "--follow", "--json", "--folder", inbox.path], {
      stdout: "pipe",
      stderr: "pipe",
      env: { HOME: process.env["HOME"] ?? "/tmp", NO_COLOR: "1" },
    });
    const arrived = child.stdout.getReader().read();
    for (let at = 1; at < 200; at++) {
      await server.post("/webhook", { ...paid, event_id: `live_${at}` });
      if (await Promise.race([arrived.then(() => true), Bun.sleep(100)])) break;
    }
    server.signal("SIGKILL");
    expect(await child.exited).toBe(1);
    expect(await new Response(child.stderr).text()).toBe("hookonce serve stopped.\n");
  });

  test("a token works until it is revoked, and only its hash is stored", async () => {
    using inbox = scratch(files);
    expect((await command(inbox, "token", "create", "--name", "ci")).stderr).toContain("[not_serving]");
    await using server = await serve(inbox.path);
    const page = String((await server.logged("listening"))["page"]);
    expect(page).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const created = await command(inbox, "token", "create", "--name", "ci", "--expires", "90d");
    expect([created.code, created.stdout]).toEqual([0, expect.stringMatching(/^[\w-]{43}\n$/)]);
    expect(created.stderr).toContain('The token "ci" may read until');
    const token = created.stdout.trim();
    const ask = (path: string, body?: object): Promise<Response> =>
      fetch(`${page}${path}`, {
        method: body === undefined ? "GET" : "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    expect((await ask("/api/status")).status).toBe(200);
    expect((await fetch(`${page}/api/status`)).status).toBe(401);
    expect((await ask("/api/jobs", { action: "apply" })).status).toBe(403);
    const login = await fetch(`${page}/api/session`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: page },
      body: JSON.stringify({ token }),
    });
    const cookie = (login.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const withCookie = (): Promise<Response> => fetch(`${page}/api/status`, { headers: { cookie } });
    expect((await withCookie()).status).toBe(200);
    expect((await command(inbox, "token", "list")).stdout).toMatch(
      /^name +scopes +created +expires\nci +read +/,
    );
    using db = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
    expect(JSON.stringify(db.query("select * from hookonce_tokens").all())).not.toContain(token);
    expect((await command(inbox, "token", "revoke", "ci")).code).toBe(0);
    expect((await ask("/api/status")).status).toBe(401);
    expect((await withCookie()).status).toBe(401);
    expect((await command(inbox, "token", "revoke", "ci")).stderr).toContain("[unknown_token]");
    expect(server.log.map((line) => JSON.stringify(line)).join("\n")).not.toContain(token);
  });

  test("a port that is taken turns the page off, and webhooks are still received", async () => {
    const taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("another program") });
    try {
      using inbox = scratch({
        ...files,
        "hookonce.toml": `${inboxFiles["hookonce.toml"]}\n[admin]\nlisten = "127.0.0.1:${taken.port}"\n`,
      });
      // With port 0 for the webhooks, the page would take a free port as well.
      const free = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
      const { port } = free;
      await free.stop(true);
      await using server = start(inbox.path, { flags: ["--listen", `127.0.0.1:${port}`] });
      expect(await server.logged("the page is off")).toMatchObject({
        cause: expect.stringContaining("another process uses this port"),
        remedy: expect.stringContaining("[admin]"),
      });
      expect(await server.logged("listening")).toMatchObject({ page: null });
      const answer = await fetch(`http://127.0.0.1:${port}/webhook`, {
        method: "POST",
        body: JSON.stringify(paid),
      });
      expect(answer.status).toBe(200);
      expect((await command(inbox, "status")).code).toBe(0);
    } finally {
      await taken.stop(true);
    }
  });

  test("listen = off publishes no page, and commands still reach the serve", async () => {
    using inbox = scratch({
      ...files,
      "hookonce.toml": `${inboxFiles["hookonce.toml"]}\n[admin]\nlisten = "off"\n`,
    });
    await using server = await serve(inbox.path);
    expect(await server.logged("listening")).toMatchObject({ page: null });
    expect((await command(inbox, "status")).stdout).toContain(`has served ${server.url}`);
  });

  test("events --follow waits for a serve to start, shows its events, and ends at Ctrl+C", async () => {
    using inbox = scratch(files);
    const child = Bun.spawn([...hookonce, "events", "--follow", "--json", "--folder", inbox.path], {
      env: { NO_COLOR: "1", HOME: process.env["HOME"] ?? "/tmp" },
      stdout: "pipe",
      stderr: "pipe",
    });
    const errors = child.stderr.getReader();
    expect(new TextDecoder().decode((await errors.read()).value)).toBe(
      "note: hookonce serve is not running, so nothing arrives until it starts.\n",
    );
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid);
    const { value } = await child.stdout.getReader().read();
    expect(jsonOf([new TextDecoder().decode(value).trimEnd()])).toMatchObject([{ event_id: "evt_1" }]);
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    expect((await errors.read()).done).toBe(true);
  });

  test("a serve whose socket is gone is named, and the database is read without it", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid);
    rmSync(join(inbox.path, "data/hookonce.db.sock"));
    const message = new RegExp(
      `A hookonce serve runs \\(process ${server.pid} on .+\\), but its socket \\S+/hookonce.db.sock is not there\\.`,
    );
    const status = await command(inbox, "status");
    expect([status.code, status.stdout]).toEqual([1, expect.stringMatching(message)]);
    const events = await command(inbox, "events", "--json");
    expect([events.code, events.stderr]).toEqual([0, expect.stringMatching(message)]);
    expect(jsonOf(events.lines)).toMatchObject([{ event_id: "evt_1" }]);
    for (const args of [["apply"], ["token", "create", "--name", "ci"], ["verify", "--last"]]) {
      const { code, stdout, stderr } = await command(inbox, ...args);
      expect([code, stdout, stderr]).toEqual([1, "", expect.stringMatching(message)]);
    }
  });

  test("a serve that is stopped is named, and the database is read without it", async () => {
    using inbox = scratch(files);
    await using server = await serve(inbox.path);
    await server.post("/webhook", paid);
    server.signal("SIGSTOP");
    const [status, applied] = await Promise.all([command(inbox, "status"), command(inbox, "apply")]);
    const message = expect.stringMatching(/hookonce serve has not answered on \S+ for 10 s\./);
    expect([status.code, status.stdout]).toEqual([1, message]);
    expect(status.stdout).toContain("1 processed");
    expect([applied.code, applied.stderr]).toEqual([1, message]);
  });
});
