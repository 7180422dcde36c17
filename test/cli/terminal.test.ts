import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { banner } from "../../src/cli/banner.ts";
import type { ReadySource } from "../../src/app/announce.ts";
import { wrapped } from "../../src/logging/wrap.ts";
import { providers } from "../../src/providers/presets.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { inboxFiles, scratch, serve } from "./support/hookonce.ts";
import { onTerminal } from "./support/on-terminal.ts";

/** A command to copy, or one word: a path or an id. */
const isWhole = (line: string): boolean => /^ +hookonce [a-z]/.test(line) || /^[ !] +\S+$/.test(line);

describe("wrapped", () => {
  for (const { name, text, columns, gives } of [
    {
      name: "breaks between words and indents the rest",
      text: "a bb ccc dddd eeeee ffffff ggggggg hh",
      columns: 30,
      gives: "a bb ccc dddd eeeee ffffff\n  ggggggg hh",
    },
    {
      name: "keeps the indentation",
      text: "  aaaa bbbb cccc dddd eeee ffff gggg",
      columns: 30,
      gives: "  aaaa bbbb cccc dddd eeee\n    ffff gggg",
    },
    {
      name: "leaves a command whole",
      text: "  hookonce send stripe --folder /a/long/path/to/it",
      columns: 30,
      gives: "  hookonce send stripe --folder /a/long/path/to/it",
    },
    {
      name: "puts what is said about a command on the next line",
      text: "  hookonce send stripe --folder /a/long/path/to/it   # deliver an event",
      columns: 40,
      gives: "  hookonce send stripe --folder /a/long/path/to/it\n    # deliver an event",
    },
    {
      name: "puts the command at the end of a text on a line of its own, whole",
      text: "shop is paused: 3 events are held. To go on: hookonce resume shop --folder /a/long/path",
      columns: 40,
      gives: "shop is paused: 3 events are held. To\n  go on:\n  hookonce resume shop --folder /a/long/path",
    },
    {
      name: "puts the sentence with a short command on a line of its own",
      text: "shop is paused since 11-28 09:36:41: 1 event is held. To go on: hookonce resume shop",
      columns: 60,
      gives: "shop is paused since 11-28 09:36:41: 1 event is held.\n  To go on: hookonce resume shop",
    },
    {
      name: "does not take a sentence about hookonce for a command",
      text: "To see why: hookonce says it in its log. Look there.",
      columns: 30,
      gives: "To see why: hookonce says it\n  in its log. Look there.",
    },
    {
      name: "does not take the name of a file for a command",
      text: "  hookonce.toml:4: foo is not a key of it",
      columns: 30,
      gives: "  hookonce.toml:4: foo is\n    not a key of it",
    },
    {
      name: "begins later lines of a step at its text",
      text: "12. aaaa bbbb cccc dddd eeee ffff",
      columns: 30,
      gives: "12. aaaa bbbb cccc dddd eeee\n    ffff",
    },
    {
      name: "begins later lines of a labelled text in the column of the text",
      text: "  event id  aaaa bbbb cccc dddd eeee",
      columns: 30,
      gives: "  event id  aaaa bbbb cccc\n            dddd eeee",
    },
    {
      name: "leaves a long word whole",
      text: `see https://example.com/${"a".repeat(40)} now`,
      columns: 30,
      gives: `see\n  https://example.com/${"a".repeat(40)}\n  now`,
    },
    {
      name: "does nothing if the width is unknown",
      text: "a ".repeat(40),
      columns: Number.NaN,
      gives: "a ".repeat(40),
    },
  ])
    test(name, () => expect(wrapped(text, columns)).toBe(gives));

  test("leaves room on the first line for what precedes it, and uses the width of the others", () => {
    const text = "aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii";
    expect(wrapped(text, 40, 10)).toBe("aaaa bbbb cccc dddd eeee\n  ffff gggg hhhh iiii");
    expect(wrapped("short", 40, 10)).toBe("short");
    expect(wrapped(text, 40, 20)).toBe(text);
  });
});

const source = (
  name: string,
  provider: string,
  handlers: string[],
  destinations: string[] = [],
): ReadySource => ({
  name,
  provider: providers.get(provider)!,
  url: `http://127.0.0.1:8787/webhook/${name}`,
  handlers,
  destinations,
});

describe("the banner", () => {
  const where = { folder: "my inbox", elsewhere: false, dev: false };
  const url = "http://127.0.0.1:8787";

  test("names what is served where, what is owed, and what to do next", () => {
    const text = banner(
      {
        url,
        page: "http://127.0.0.1:8788",
        hasToken: false,
        database: "/srv/app.db",
        sources: [
          source("stripe", "stripe", ["handlers/stripe/a.sql", "handlers/stripe/b.sql"]),
          source("hub", "github", []),
          source("a", "unsigned", []),
          source("b", "unsigned", ["handlers/b/_any.sql"], ["app", "deploy"]),
          source("c", "unsigned", [], ["app"]),
        ],
        owed: [{ source: "hub", type: "push\u001B[2J", outcome: "unhandled", count: 3, capped: false }],
        paused: [],
      },
      where,
    );
    for (const line of [
      "  http://127.0.0.1:8787/webhook/stripe  Stripe  stripe/a.sql, stripe/b.sql",
      "  http://127.0.0.1:8787/webhook/hub     GitHub  no handlers yet",
      "  http://127.0.0.1:8787/webhook/a       Unsigned (development)  no handlers yet",
      "  http://127.0.0.1:8787/webhook/b       Unsigned (development)  b/_any.sql; sent on to app, deploy",
      "  http://127.0.0.1:8787/webhook/c       Unsigned (development)  sent on to app",
      "  database /srv/app.db",
      "  page http://127.0.0.1:8788",
      "3 events are owed:",
      "  3 unhandled, source hub, type push\\u001b[2J",
      "  hookonce apply --folder 'my inbox'   # run the owed events that have a handler",
      "  hookonce add github --name hub --folder 'my inbox' --handlers   # write starters in handlers/hub/",
      "  hookonce send stripe --folder 'my inbox'   # deliver a made-up event",
      "  hookonce token create --name me --scopes read,steer --folder 'my inbox'   # log in to the page",
      "  hookonce reload 'my inbox'   # check a change, and load it",
    ])
      expect(text.split("\n")).toContain(line);
  });

  test("shows how to deliver an event to the unsigned source of init", () => {
    const sources = [source("default", "unsigned", ["handlers/default/_any.sql"])];
    const ready = { url, page: null, hasToken: false, database: "/x.db", sources, owed: [], paused: [] };
    const text = banner(ready, { folder: ".", elsewhere: false, dev: true });
    expect(text).toContain(`curl -d '{"event_id":"evt_1",`);
    expect(text).toContain("  hookonce add stripe   # add a provider\n");
    expect(text).toContain("  hookonce check   # check a change; what you save is loaded by itself\n");
    expect(text).not.toContain("owed");
    expect(text).not.toContain("page");
  });
});

test("commands write to standard output only through terminal.ts, which makes text visible", () => {
  const folder = join(import.meta.dir, "../../src/cli");
  const writing = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .filter((file) => /console\.log|std(?:out|err)\.write/.test(readFileSync(join(folder, file), "utf8")));
  // Beside constants, these write a request as its bytes, questions, and numbers.
  expect(writing.sort()).toEqual(["cli.ts", "demo.ts", "forget.ts", "send.ts", "steer.ts", "terminal.ts"]);
});

describeUnless(onlyInFullRun(), "on a terminal", () => {
  test("what the commands that look and steer print fits 80 columns, with long names and large counts", async () => {
    const [long, type] = [
      "a-source-with-a-really-long-name-for-payments",
      "customer.subscription.trial_will_end",
    ];
    using inbox = scratch({
      "hookonce.toml": `version = 1
[sources.${long}]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
forward = [{ to = "the-application-of-our-largest-customer", types = ["sent"] }]
[destinations.the-application-of-our-largest-customer]
url = "http://127.0.0.1:9/a/path/that/is/also/long"
sign = "none"
`,
      "migrations/0001_prices.sql": "create table prices (cents integer not null);",
      [`handlers/${long}/${type}.sql`]: "insert into prices values (null);",
      [`handlers/${long}/sent.sql`]: "select 1;",
    });
    await using server = await serve(inbox.path);
    const deliver = (id: string, of: string) => server.post(`/webhook/${long}`, { event_id: id, type: of });
    expect((await deliver("evt_1NxXyz0123456789abcdefghij", type)).status).toBe(500);
    expect((await deliver("evt_2NxXyz0123456789abcdefghij", "sent")).status).toBe(200);
    using database = new Database(join(inbox.path, "data/hookonce.db"));
    database.run("pragma busy_timeout = 10000");
    database.run(
      `insert into hookonce_messages (message_id, destination, state, created_at, next_at, since, settled_at, body)
       values ('msg_dead', 'the-application-of-our-largest-customer', 'dead', 1, 1, 1, 1, 'x')`,
    );
    const shown = async (...args: string[]): Promise<string> => {
      const { text } = await onTerminal([...args, "--folder", inbox.path], { columns: 80 });
      // Without the progress that was replaced.
      const plain = Bun.stripANSI(text).replaceAll(/^.*\r/gm, "");
      expect(plain.split("\n").filter((line) => line.length > 80 && !isWhole(line))).toEqual([]);
      return plain;
    };
    const reason = "migrating the invoices to a table that has the cents as integers";
    expect(await shown("pause", long, "--reason", reason, "--for", "2h")).toContain(`Paused ${long}.`);
    expect((await deliver("evt_3NxXyz0123456789abcdefghij", type)).status).toBe(200);
    database.run(
      `with recursive n (i) as (select 1 union all select i + 1 from n where i < 12345)
       insert into hookonce_events (source, event_id, type, received_at, outcome, deliveries, last_delivery_at)
       select '${long}', 'more ' || i, 'other', 0, 'held', 1, 0 from n`,
    );
    const status = await shown("status");
    expect(status).toMatch(/^source {2,}state {2,}last delivery {2,}last hour {2,}p95$/m);
    expect(status).toMatch(/^a-source\S*payments +paused /m);
    expect(status.replaceAll(/\s+/g, " ")).toContain("12,346 events are held.");
    expect(status).toContain(`\n  hookonce resume ${long} --folder ${inbox.path}\n`);
    expect(status).toContain(`\n  To see why: hookonce failures --folder ${inbox.path}\n`);
    for (const args of [["events"], ["event", "evt_1NxXyz0123456789abcdefghij"], ["failures"], ["messages"]])
      expect(await shown(...args)).not.toBe("");
    expect(await shown("reload")).toContain("Reloaded: 1 source, 2 handlers, 1 destination.");
    expect(await shown("check")).toContain("is paused");
    const resumed = (await shown("resume", long)).replaceAll(/\s+/g, " ");
    expect(resumed).toContain("1 failed and 12,346 held events run now, in the order received.");
  }, 120_000);

  test("--json is one object a line, whatever the width is", async () => {
    using inbox = scratch(inboxFiles);
    const words = "a sentence that is wider than the terminal".split(" ");
    await using server = await serve(inbox.path);
    await server.post("/webhook", { event_id: "evt_1", type: "paid", customer: words.join(" "), cents: 5 });
    const { text } = await onTerminal(["event", "evt_1", "--json", "--folder", inbox.path], { columns: 40 });
    expect(JSON.parse(text)).toMatchObject({ payload: { customer: words.join(" ") } });
  }, 20_000);

  test("check wraps its lines at the width, and warnings have a colour unless NO_COLOR is set", async () => {
    using inbox = scratch(inboxFiles);
    const { code, text } = await onTerminal(["check", inbox.path]);
    expect(code).toBe(0);
    expect(text).toContain("\u001B[33mwarning\u001B[39m: ");
    const plain = Bun.stripANSI(text);
    for (const line of plain.split("\n")) expect(line.length).toBeLessThanOrEqual(60);
    expect(plain.replaceAll(/\n\s+/g, " ")).toContain("hookonce serve starts only with --dev");
    const none = await onTerminal(["check", inbox.path], { environment: { NO_COLOR: "1" } });
    expect(none.text).toBe(plain);
  }, 20_000);

  test("check labels its problems, in colours unless NO_COLOR is set", async () => {
    using inbox = scratch({ ...inboxFiles, "handlers/default/_any.sql": "select * from nowhere;\n" });
    const { code, text } = await onTerminal(["check", inbox.path], { columns: 100 });
    expect(code).toBe(1);
    expect(text).toContain("\u001B[31merror\u001B[39m: handlers/default/_any.sql:1: no such table: nowhere");
    expect(text).toContain("\u001B[33mwarning\u001B[39m: ");
    const none = await onTerminal(["check", inbox.path], { columns: 100, environment: { NO_COLOR: "1" } });
    expect(none.text).toBe(Bun.stripANSI(text));
  }, 20_000);

  test("a wrong command line names the help of its command", async () => {
    const { code, text } = await onTerminal(["send", "strpe"]);
    expect([code, Bun.stripANSI(text).replaceAll(/\s+/g, " ").trim()]).toEqual([
      2,
      'error: "strpe" is neither a source nor a provider; did you mean stripe? For help: hookonce send --help',
    ]);
  });

  test("a start of serve ends with the banner, and its log lines are wrapped and coloured", async () => {
    using inbox = scratch(inboxFiles);
    const args = ["serve", "--dev", inbox.path, "--listen", "127.0.0.1:0"];
    const { code, text } = await onTerminal(args, { columns: 70, until: "# check a change" });
    expect(code).toBe(0);
    expect(text).toContain("\u001B[32mINFO\u001B[39m");
    const plain = Bun.stripANSI(text);
    expect(plain).toMatch(/is ready\. Process \d+; Ctrl\+C stops it\.\n/);
    expect(plain).toMatch(/ {2}http:\/\/127\.0\.0\.1:\d+\/webhook {2}Unsigned/);
    expect(plain).not.toContain("listening");
  }, 20_000);
});
