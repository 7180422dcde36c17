import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { run, scratch, serve, type Ended, type Scratch } from "./support/hookonce.ts";

/** messages, resend, discard, pause and resume, as a person runs them, with a receiver that answers. */

const config = (port: number): string => `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
forward = ["app"]

[destinations.app]
url = "http://127.0.0.1:${port}/hooks?key=hunter2"
sign = "none"
`;

const command = (inbox: Scratch, ...args: string[]): Promise<Ended> => run([...args, "--folder", inbox.path]);

const lines = ({ stdout }: Ended): Record<string, unknown>[] =>
  stdout
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

function rows(inbox: Scratch, sql: string): unknown[][] {
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  return database.prepare(sql).values();
}

/** Waits until a query has this answer. */
async function until(inbox: Scratch, sql: string, answer: unknown): Promise<void> {
  while (!Bun.deepEquals(rows(inbox, sql), answer)) await Bun.sleep(20);
}

const paid = (id: string) => ({ event_id: id, type: "paid", cents: 5 });

describeUnless(onlyInFullRun(), "messages", () => {
  test("from a receiver that is gone to a message that is delivered, in each command", async () => {
    let status = 410;
    const got: string[] = [];
    using receiver = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        got.push(((await request.json()) as { event_id: string }).event_id);
        return new Response(status === 200 ? "thanks" : "we moved\nask ops", { status });
      },
    });
    using inbox = scratch({ "hookonce.toml": config(receiver.port as number) });
    {
      await using server = await serve(inbox.path);
      const none = await command(inbox, "messages");
      expect([none.code, none.stdout]).toEqual([0, "No messages yet.\n"]);
      const nobody = await command(inbox, "messages", "--destination", "ap");
      expect(nobody.stdout).toBe(
        'No message matches. hookonce.toml has no destination "ap"; did you mean app?\n',
      );

      await server.post("/webhook", paid("evt_1"));
      await until(inbox, "select state from hookonce_messages", [["dead"]]);
      await until(inbox, "select state from hookonce_destinations", [["paused"]]);
      const [dead] = lines(await command(inbox, "messages", "--state", "dead", "--json"));
      const id = String(dead?.["id"]);
      expect(dead).toEqual({
        id: expect.stringMatching(/^msg_[a-z2-7]{52}$/),
        destination: "app",
        source: "default",
        event_id: "evt_1",
        type: "paid",
        state: "dead",
        attempts: 1,
        created_at: expect.any(Number),
        next_at: null,
        last_status: 410,
        last_error: expect.stringContaining("410"),
      });
      const listed = await command(inbox, "messages");
      expect(listed.stdout).toMatch(/^written +state +destination +type +tries +status +next +id/);
      expect(listed.stdout).toContain(`dead   app          paid  1      410           ${id}`);
      const one = await command(inbox, "messages", id);
      expect(one.stdout).toMatch(/ {3}1 {2}.* 410 in .* ms\n/);
      expect(one.stdout).toContain("        | we moved\n        | ask ops\n");
      const event = await command(inbox, "event", "evt_1");
      expect(event.stdout).toContain("\nMessages\n  app  dead after 1 attempt.");
      expect(event.stdout).toContain(`\n    ${id}\n`);

      const state = await command(inbox, "status");
      expect([state.code, state.stdout]).toEqual([0, expect.stringContaining("app is paused (")]);
      expect(state.stdout).toContain("To go on: hookonce resume app");
      expect(state.stdout).toContain("1 to app is dead.");
      expect(state.stdout).toContain("hookonce resend --destination app");
      expect(state.stdout).toContain(`127.0.0.1:${receiver.port}`);
      expect(state.stdout + one.stdout).not.toContain("hunter2");
      const checked = await command(inbox, "check");
      expect(checked.stderr).toMatch(
        /hookonce\.toml:9: destinations\.app: it is paused \(.*hookonce resume app/,
      );
      expect(checked.stderr).toContain(
        "destinations.app: 1 message is dead. To send it again, run hookonce resend",
      );

      status = 200;
      const resumed = await command(inbox, "resume", "app");
      expect([resumed.code, resumed.stdout]).toEqual([0, "Resumed app.\n"]);
      const open = await command(inbox, "resume", "app");
      expect([open.code, open.stdout]).toEqual([0, "app was not paused.\n"]);
      const dry = await command(inbox, "resend", "--destination", "app", "--dry-run");
      expect(dry.stdout).toContain("1 message would be sent again.\n");
      expect(got).toEqual(["evt_1"]);
      const sent = await command(inbox, "resend", "--destination", "app", "--json");
      expect([sent.code, lines(sent)]).toEqual([
        0,
        [
          {
            destination: "app",
            source: "default",
            type: "paid",
            state: "dead",
            resent: 1,
            already_done: 0,
            unfit: 0,
          },
        ],
      ]);
      await until(inbox, "select state from hookonce_messages", [["delivered"]]);
      expect(got).toEqual(["evt_1", "evt_1"]);
      const again = await command(inbox, "resend", "--destination", "app");
      expect([again.code, again.stdout]).toEqual([0, "No dead message matches.\n"]);

      const paused = await command(inbox, "pause", "app", "--reason", "the app is down");
      expect(paused.stdout).toBe(
        `Paused app. Its messages are kept. To go on: hookonce resume app --folder ${inbox.path}\n`,
      );
      await server.post("/webhook", paid("evt_2"));
      await server.post("/webhook", paid("evt_3"));
      const whilePaused = (await command(inbox, "status")).stdout;
      expect(whilePaused).toContain("app is paused (the app is down).");
      expect(whilePaused).toContain("\nNo event is owed.\n");
      expect((await command(inbox, "messages", "--state", "waiting")).stdout).toMatch(/ now {3}msg_/);
      const noneDead = await command(inbox, "resend", "--destination", "app");
      expect([noneDead.code, noneDead.stdout]).toEqual([
        0,
        `No dead message matches.\n2 messages wait for their next attempt. To send them now: hookonce resend --destination app --state waiting --folder ${inbox.path}\n`,
      ]);
      for (const action of [["resend"], ["discard", "--reason", "x", "--yes"]]) {
        const misspelt = await command(inbox, ...action, "--destination", "ap");
        expect([misspelt.code, misspelt.stderr]).toEqual([
          1,
          'hookonce: hookonce.toml has no destination "ap"; did you mean app? [unknown_destination]\n',
        ]);
      }
      const [third] = lines(await command(inbox, "messages", "--state", "waiting", "--json"));
      const gone = await command(inbox, "discard", String(third?.["id"]), "--reason", "sent by hand");
      expect([gone.code, gone.stdout]).toEqual([0, expect.stringContaining("1 message discarded.")]);
      await command(inbox, "resume", "app");
      await until(inbox, "select event_id, state from hookonce_messages order by id", [
        ["evt_1", "delivered"],
        ["evt_2", "delivered"],
        ["evt_3", "discarded"],
      ]);
      const on = await command(inbox, "resend", "--to", "app", "evt_3");
      expect([on.code, on.stdout]).toEqual([0, expect.stringContaining("1 event sent on.")]);
      await until(inbox, "select state from hookonce_messages where event_id = 'evt_3' order by id", [
        ["discarded"],
        ["delivered"],
      ]);
      expect(got).toEqual(["evt_1", "evt_1", "evt_2", "evt_3"]);
      const of = await command(inbox, "discard", id, "--reason", "x");
      expect([of.code, of.stderr]).toEqual([1, expect.stringContaining("Only an unsent message")]);
      expect(
        rows(
          inbox,
          "select action, target, reason from hookonce_audit where actor <> 'hookonce' order by id",
        ),
      ).toEqual([
        ["resume", "app", null],
        ["resume", "app", null],
        ["resend", "destination:app", null],
        ["pause", "app", "the app is down"],
        ["discard", String(third?.["id"]), "sent by hand"],
        ["resume", "app", null],
        ["resend", "evt_3 to:app", null],
      ]);
    }
  }, 120_000);

  test("without a serve they read and discard, and say what to start for the rest", async () => {
    using receiver = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response("no", { status: 500 }),
    });
    using inbox = scratch({ "hookonce.toml": config(receiver.port as number) });
    {
      await using server = await serve(inbox.path);
      await command(inbox, "pause", "app");
      for (const id of ["evt_1", "evt_2"]) await server.post("/webhook", paid(id));
      for (const option of ["--refuse", "--for=2h"]) {
        const ofSources = await command(inbox, "pause", "app", option);
        expect([ofSources.code, ofSources.stderr]).toEqual([
          2,
          expect.stringContaining("is for sources, and app is a destination."),
        ]);
      }
      const nobody = await command(inbox, "resume", "ap");
      expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining("[unknown_source]")]);
    }
    for (const [args, words] of [
      [["resend", "--state", "waiting"], "resend needs one. Start it: hookonce serve"],
      [["pause", "app"], "pause needs one. Start it: hookonce serve"],
      [["resume", "app"], "resume needs one. Start it: hookonce serve"],
    ] as const) {
      const refused = await command(inbox, ...args);
      expect([refused.code, refused.stdout, refused.stderr]).toEqual([1, "", expect.stringContaining(words)]);
    }
    const listed = lines(await command(inbox, "messages", "--json"));
    expect(listed.map(({ event_id, state }) => [event_id, state])).toEqual([
      ["evt_2", "waiting"],
      ["evt_1", "waiting"],
    ]);
    expect((await command(inbox, "status")).stdout).toContain("app is paused.");
    const many = await command(inbox, "discard", "--destination", "app", "--reason", "x");
    expect([many.code, many.stderr]).toEqual([
      2,
      expect.stringContaining("2 messages would be discarded. To do it without being asked, add --yes"),
    ]);
    const all = await command(inbox, "discard", "--destination", "app", "--reason", "x", "--yes", "--json");
    expect([all.code, lines(all)]).toEqual([
      0,
      [
        {
          destination: "app",
          source: "default",
          type: "paid",
          state: "waiting",
          discarded: 2,
          already_done: 0,
          unfit: 0,
        },
      ],
    ]);
    expect(rows(inbox, "select distinct state, reason from hookonce_messages")).toEqual([["discarded", "x"]]);
  }, 60_000);
});
