import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { banner } from "../../src/cli/banner.ts";
import type { ReadySource } from "../../src/app/announce.ts";
import { wrapped } from "../../src/logging/wrap.ts";
import { providers } from "../../src/providers/presets.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { fromSource, inboxFiles, scratch, serve } from "./support/hookonce.ts";

/**
 * Runs a command on a terminal with this many columns. `until` ends it with SIGINT once it has written this.
 */
async function onTerminal(
  args: readonly string[],
  {
    columns = 60,
    environment = {},
    until,
  }: { columns?: number; environment?: Record<string, string>; until?: string } = {},
): Promise<{ code: number; text: string }> {
  let text = "";
  const decoder = new TextDecoder();
  const child = Bun.spawn([...fromSource, ...args], {
    env: { HOME: process.env["HOME"] ?? "/tmp", TERM: "xterm", ...environment },
    terminal: {
      cols: columns,
      rows: 40,
      data(_, chunk) {
        text += decoder.decode(chunk, { stream: true });
        if (until !== undefined && text.includes(until)) child.kill("SIGINT");
      },
    },
  });
  const code = await child.exited;
  await Bun.sleep(50);
  child.terminal?.close();
  return { code, text: text.replaceAll("\r\n", "\n") };
}

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
  const where = { folder: "my inbox", elsewhere: false };
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
    ])
      expect(text.split("\n")).toContain(line);
  });

  test("shows how to deliver an event to the unsigned source of init", () => {
    const sources = [source("default", "unsigned", ["handlers/default/_any.sql"])];
    const ready = { url, page: null, hasToken: false, database: "/x.db", sources, owed: [] };
    const text = banner(ready, { folder: ".", elsewhere: false });
    expect(text).toContain(`curl -d '{"event_id":"evt_1",`);
    expect(text).toContain("  hookonce add stripe   # add a provider\n");
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
