import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { SourceStateJson } from "../../src/http/admin/shapes.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { run, scratch, serve, type Ended, type Scratch } from "./support/hookonce.ts";

/** pause and resume of sources, and what status, check and apply say of them, as a person runs them. */

const CONFIG = `version = 1

[sources.shop]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"

[sources.chat]
provider = "slack"
secret = "env:S"
`;

const FILES = {
  "hookonce.toml": CONFIG,
  ".env": "S=0123456789abcdef0123456789abcdef\n",
  "migrations/0001_effects.sql": "create table effects (event_id text not null);",
  "handlers/shop/paid.sql": "insert into effects values (:event_id);",
};

const command = (inbox: Scratch, ...args: string[]): Promise<Ended> => run([...args, "--folder", inbox.path]);

function effects(inbox: Scratch): unknown[] {
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  return database.prepare("select event_id from effects order by rowid").values().flat();
}

const event = (id: string) => ({ event_id: id, type: "paid" });

describeUnless(onlyInFullRun(), "pause and resume of a source", () => {
  test("the next delivery after pause is held, and resume runs what is held in order", async () => {
    using inbox = scratch(FILES);
    await using server = await serve(inbox.path);
    const answer = async (id: string): Promise<string> => {
      const { status, body } = await server.post("/webhook/shop", event(id));
      return `${status} ${(body as { status: string }).status}`;
    };
    expect(await answer("a")).toBe("200 processed");
    const paused = await command(inbox, "pause", "shop", "--reason", "a new handler");
    expect([paused.code, paused.stdout]).toEqual([
      0,
      expect.stringMatching(
        /^Paused shop\. Its events are stored, answered 200, and not run\.\nTo go on: hookonce resume shop --folder \S+\n$/,
      ),
    ]);
    for (const id of ["b", "c", "d"]) expect(await answer(id)).toBe("200 held");
    const status = await command(inbox, "status");
    expect(status.stdout).toContain("3 held, source shop, type paid");
    expect(status.stdout).toMatch(
      /shop is paused since .* \(a new handler\): 3 events are held\. To go on: hookonce resume shop/,
    );
    expect(status.stdout).not.toContain("hookonce apply");
    const checked = await command(inbox, "check");
    expect([checked.code, checked.stdout + checked.stderr]).toEqual([
      0,
      expect.stringContaining(
        "sources.shop: it is paused (a new handler): 3 events are held. To go on, run hookonce resume shop",
      ),
    ]);
    const applied = await command(inbox, "apply");
    expect([applied.code, applied.stdout]).toEqual([
      0,
      expect.stringContaining("0 events applied, 3 held until hookonce resume shop."),
    ]);
    const replayed = await command(inbox, "replay", "a", "--reason", "x");
    expect([replayed.code, replayed.stdout]).toEqual([
      1,
      expect.stringContaining("1 not replayed, because the source is paused"),
    ]);
    expect(effects(inbox)).toEqual(["a"]);

    const resumed = await command(inbox, "resume", "shop");
    expect([resumed.code, resumed.stdout]).toEqual([
      0,
      expect.stringMatching(
        /^(?:Resuming shop: .* run now, in the order received|Resumed shop\. Nothing is held)/,
      ),
    ]);
    while (effects(inbox).length < 4) await Bun.sleep(20);
    expect(effects(inbox)).toEqual(["a", "b", "c", "d"]);
    let again = await answer("e");
    for (let n = 0; again === "200 held" && n < 100; n++) again = await answer(`e ${n}`);
    expect(again).toBe("200 processed");
  }, 120_000);

  test("--refuse, --for and --json", async () => {
    using inbox = scratch(FILES);
    await using server = await serve(inbox.path);
    const refusing = await command(inbox, "pause", "shop", "--refuse", "--for", "2h", "--json");
    const state = JSON.parse(refusing.stdout) as SourceStateJson;
    expect(state).toMatchObject({ name: "shop", state: "refusing", stop_on_failure: false });
    expect((state.until ?? 0) - (state.since ?? 0)).toBeWithin(2 * 3_600_000 - 60_000, 2 * 3_600_000 + 1);
    expect((await server.post("/webhook/shop", event("a"))).status).toBe(503);
    const status = await command(inbox, "status");
    expect(status.stdout).toMatch(
      /shop is refusing its deliveries since .* It resumes at .*, or with: hookonce resume shop/,
    );
    const resumed = await command(inbox, "resume", "shop", "--stop-on-failure");
    expect([resumed.code, resumed.stdout]).toEqual([0, "Resumed shop. Nothing is held.\n"]);
    expect((await server.post("/webhook/shop", event("a"))).status).toBe(200);

    for (const [args, code, words] of [
      [["pause", "chat"], 1, "[held_reply_missing]"],
      [["pause", "shpo"], 1, 'There is no source or destination "shpo" in hookonce.toml; did you mean shop?'],
      [
        ["pause", "shop", "--for", "2"],
        2,
        "option '--for <time>' argument '2' is invalid. Write a whole number",
      ],
      [["pause", "shop", "--for", "0s"], 2, "argument '0s' is invalid. It must be longer than 0"],
    ] as const) {
      const wrong = await command(inbox, ...args);
      expect([wrong.code, wrong.stdout, wrong.stderr]).toEqual([code, "", expect.stringContaining(words)]);
    }
    const open = await command(inbox, "resume", "chat");
    expect([open.code, open.stdout]).toEqual([0, "chat was not paused.\n"]);
    const hold = await command(inbox, "hold", "shop");
    expect([hold.code, hold.stderr]).toEqual([2, expect.stringContaining("pause")]);
  }, 120_000);

  test("send knows what is held by its held_reply", async () => {
    using inbox = scratch({ ...FILES, "hookonce.toml": `${CONFIG}held_reply = { body = "Back soon." }\n` });
    await using server = await serve(inbox.path);
    const send = () => command(inbox, "send", "chat", "--to", `${server.url}/webhook/chat`);
    expect((await send()).stdout).not.toContain("held");
    expect((await command(inbox, "pause", "chat")).code).toBe(0);
    const held = await send();
    expect([held.code, held.stdout]).toEqual([
      0,
      expect.stringMatching(/ 200 held .*\nheld: the source is paused, and runs .*: hookonce resume chat/s),
    ]);
  }, 120_000);

  test("without a serve it says what to start, and status still shows the state", async () => {
    using inbox = scratch(FILES);
    {
      await using server = await serve(inbox.path);
      await command(inbox, "pause", "shop", "--reason", "a migration");
      await server.post("/webhook/shop", event("a"));
    }
    for (const name of ["pause", "resume"]) {
      const refused = await command(inbox, name, "shop");
      expect([refused.code, refused.stderr]).toEqual([
        1,
        expect.stringContaining(
          `${name} needs one. Start it: hookonce serve --dev --folder ${inbox.path} [not_serving]`,
        ),
      ]);
    }
    const status = await command(inbox, "status");
    expect(status.stdout).toContain("(a migration): 1 event is held. To go on: hookonce resume shop");
    {
      await using _ = await serve(inbox.path);
      expect((await command(inbox, "resume", "shop")).code).toBe(0);
      while (effects(inbox).length === 0) await Bun.sleep(20);
    }
  }, 120_000);
});

describeUnless(onlyInFullRun(), "what has failed, and what is sent, while its source is paused", () => {
  const BAD = "insert into effects values (json(:event_id));";

  test("every command that advises apply advises resume instead, and resume runs what has failed first", async () => {
    using inbox = scratch({ ...FILES, "handlers/shop/paid.sql": BAD });
    await using server = await serve(inbox.path);
    const answer = async (id: string, type = "paid"): Promise<string> => {
      const { status, body } = await server.post("/webhook/shop", { event_id: id, type });
      return `${status} ${(body as { status: string }).status}`;
    };
    expect([await answer("f"), await answer("u", "other")]).toEqual(["500 failed", "200 unhandled"]);
    const said = async (...args: string[]): Promise<string> => {
      const { stdout, stderr } = await command(inbox, ...args);
      return (stdout + stderr).replaceAll(` --folder ${inbox.path}`, "");
    };
    const APPLY = "To run the owed events that have a handler: hookonce apply";
    for (const name of ["status", "check"]) expect(await said(name)).toContain(APPLY);
    expect(await said("failures")).toContain("after a fix: hookonce apply");

    await command(inbox, "pause", "shop");
    expect(await answer("h")).toBe("200 held");
    for (const name of ["status", "check"]) {
      const text = await said(name);
      expect(text).not.toContain(APPLY);
      expect(text).toContain("To run what has failed of shop: hookonce resume shop\n");
      expect(text).toContain("To run what is unhandled of shop: hookonce resume shop, then hookonce apply\n");
    }
    expect(await said("failures")).toContain("after a fix: hookonce resume shop\n");
    expect(await said("event", "f")).toContain(
      "run hookonce reload if serve runs, and run hookonce resume shop.",
    );
    expect(await said("event", "u")).toContain("hookonce resume shop, and then hookonce apply.");
    expect(await said("event", "h")).toContain("To resume it, run hookonce resume shop.");
    expect(await said("forget", "f", "--reason", "x")).toContain(
      "or hookonce resume if its source is paused",
    );
    expect(await said("apply")).toContain(
      "0 events applied, 1 without a handler, 2 held until hookonce resume shop.\nAdd the handler, run hookonce reload, run hookonce resume shop, then run hookonce apply again.",
    );

    inbox.write({ "handlers/shop/paid.sql": FILES["handlers/shop/paid.sql"] });
    await command(inbox, "reload");
    expect(await said("resume", "shop")).toContain(
      "Resuming shop: 1 failed and 1 held events run now, in the order received.",
    );
    while (effects(inbox).length < 2) await Bun.sleep(20);
    expect(effects(inbox)).toEqual(["f", "h"]);
  }, 300_000);

  test("a pause that is repeated says since when, changes the time, and keeps the reason", async () => {
    using inbox = scratch(FILES);
    await using _ = await serve(inbox.path);
    await command(inbox, "pause", "shop", "--reason", "a table moves");
    const again = await command(inbox, "pause", "shop", "--for", "2h");
    expect(again.stdout).toMatch(
      /^shop was paused already, since .*\. Its events are stored, .*\nIt resumes by itself at /,
    );
    const { stdout } = await command(inbox, "status");
    expect(stdout).toMatch(/shop is paused since .* \(a table moves\): .* It resumes at /);
    const last = await command(inbox, "pause", "shop", "--reason", "two tables move");
    expect(last.stdout).toMatch(/^shop was paused already, since .*\nTo go on: hookonce resume shop/);
    expect((await command(inbox, "status")).stdout).toContain("(two tables move)");
  }, 300_000);

  test("send finds that held is right, says that the source is paused, and exits with 0", async () => {
    using inbox = scratch(FILES);
    await using server = await serve(inbox.path);
    const send = (): Promise<Ended> =>
      command(inbox, "send", "github", "push", "--source", "shop", "--to", `${server.url}/webhook/shop`);
    await command(inbox, "pause", "shop");
    const held = await send();
    expect([held.code, held.stdout + held.stderr]).toEqual([
      0,
      expect.stringContaining("held: the source is paused"),
    ]);
    await command(inbox, "pause", "shop", "--refuse");
    const refused = await send();
    expect([refused.code, refused.stdout + refused.stderr]).toEqual([
      1,
      expect.stringContaining("source_paused: the source is paused, and refuses its deliveries"),
    ]);
  }, 300_000);
});
