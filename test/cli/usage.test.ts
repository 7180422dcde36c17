import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { inboxFiles, run, scratch, serve } from "./support/hookonce.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";

describeUnless(onlyInFullRun(), "help", () => {
  for (const { args, says } of [
    { args: ["--help"], says: ["Usage: hookonce", "init", "serve", "check", "add", "send", "demo"] },
    { args: ["help", "serve"], says: ["Usage: hookonce serve", "--listen", "--dev"] },
    { args: ["init", "--help"], says: ["Usage: hookonce init", "folder"] },
    { args: ["serve", "--help"], says: ["Usage: hookonce serve", "--listen", "--database", "--dev"] },
    { args: ["check", "--help"], says: ["Usage: hookonce check", "folder", "--database"] },
    {
      args: ["providers"],
      says: [
        "stripe",
        "slack",
        "mollie-classic                Mollie (classic payment webhooks)",
        "hookonce providers NAME",
      ],
    },
    { args: ["providers", "square"], says: ["Square", "public_url", "covered by the signature", "https://"] },
    { args: ["providers", "paddle"], says: ["5 min either way", "the secret's text as it is"] },
    { args: ["providers", "svix"], says: ["5 min either way", "without whsec_, decoded from base64"] },
    { args: ["providers", "discord"], says: ["any age is accepted", "64 hex digits"] },
    {
      args: ["providers", "paypal"],
      says: ["not covered by the signature", "CRC32", "its age is not checked"],
    },
    { args: ["providers", "aws-sns"], says: ["three times, 20 s apart", "MessageAttributes are not signed"] },
    {
      args: ["verify", "--help"],
      says: ["Usage: hookonce verify", "--source", "--request", "--at", "--folder"],
    },
    { args: ["demo", "--help"], says: ["Usage: hookonce demo"] },
  ]) {
    test(`hookonce ${args.join(" ")} prints to standard output and exits with 0`, async () => {
      const { code, stdout, stderr } = await run(args);
      expect([code, stderr]).toEqual([0, ""]);
      for (const word of says) expect(stdout).toContain(word);
    });
  }

  test.each([["--version"], ["version"]])("hookonce %s prints the version of package.json", async (arg) => {
    expect(await run([arg])).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: "" });
  });

  test("hookonce alone prints five lines and exits with 0", async () => {
    const { code, stdout, stderr } = await run([]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout.trimEnd().split("\n")).toHaveLength(5);
    for (const word of [packageJson.version, "hookonce init", "hookonce help"])
      expect(stdout).toContain(word);
  });
});

describeUnless(onlyInFullRun(), "wrong usage exits with 2 and starts nothing", () => {
  for (const { args, says } of [
    { args: ["start"], says: ["unknown command 'start'", "Did you mean serve?"] },
    { args: ["retry", "evt_1"], says: ["unknown command 'retry'", "Did you mean apply?"] },
    { args: ["doctor"], says: ["Did you mean verify?"] },
    { args: ["logs"], says: ["unknown command 'logs'", "Did you mean events --follow?"] },
    { args: ["ls"], says: ["Did you mean events?"] },
    { args: ["event"], says: ["missing required argument 'id'"] },
    { args: ["events", "--outcome", "lost"], says: ["Allowed choices are processed, imported,"] },
    { args: ["events", "--limit", "0"], says: ["from 1 to 999999"] },
    { args: ["token", "make"], says: ["make: allowed choices are create, list, revoke"] },
    { args: ["token", "create", "--scopes", "write"], says: ["read, steer and forget"] },
    { args: ["token", "create", "--expires", "90"], says: ["as in 90d"] },
    { args: ["hold", "app"], says: ["unknown command 'hold'", "Did you mean pause?"] },
    { args: ["pause"], says: ["missing required argument 'name'"] },
    { args: ["resend"], says: ["name the messages: give ids, or a filter such as --destination app"] },
    { args: ["resend", "--to", "app"], says: ["name the events"] },
    { args: ["resend", "--search", "x"], says: ["--search is for events"] },
    { args: ["resend", "--to", "app", "--state", "dead"], says: ["--state is for messages"] },
    { args: ["resend", "msg_1", "--state", "dead"], says: ["--state cannot be used with message ids"] },
    { args: ["messages", "--state", "lost"], says: ["Allowed choices are waiting, sending,"] },
    { args: ["messages", "msg_1", "--state", "dead"], says: ["--state cannot be used with a message id"] },
    {
      args: ["discard", "evt_1", `msg_${"a".repeat(52)}`, "--reason", "x"],
      says: ["there are ids of events and of messages (msg_…) among these"],
    },
    { args: ["discard", "--destination", "app"], says: ["--reason TEXT, which is kept with the message"] },
    {
      args: ["discard", "--state", "dead", "--search", "x", "--reason", "y"],
      says: ["--search is for events"],
    },
    { args: ["forward"], says: ["unknown command 'forward'", "Did you mean listen?"] },
    { args: ["pull"], says: ["Did you mean listen?"] },
    { args: ["listen"], says: ["from where, or to where?", "hookonce listen --help"] },
    { args: ["listen", "--to", "127.0.0.1:3000"], says: ["--to:", "http://"] },
    { args: ["listen", "--from", "http://hooks.example.com"], says: ["--from:", "https://"] },
    { args: ["listen", "--from", "https://me:secret@hooks.example.com"], says: ["HOOKONCE_TOKEN"] },
    { args: ["listen", "--redact", "email"], says: ["body:$.data.object.email"] },
    { args: ["help", "chek"], says: ["unknown command 'chek'", "Did you mean check?"] },
    {
      args: ["send", "stripe", "--type", "invoice.paid"],
      says: ["unknown option '--type'", "The type has no option, as in hookonce send stripe invoice.paid"],
    },
    { args: ["--foldr", "x", "check"], says: ["unknown option '--foldr'", "Did you mean --folder?"] },
    { args: ["check", "a", "--folder", "b"], says: ["two folders", "hookonce check --help"] },
    { args: ["chek"], says: ["unknown command 'chek'", "Did you mean check?", "--help"] },
    {
      args: ["serve", "--lisen", "127.0.0.1:0"],
      says: ["unknown option '--lisen'", "Did you mean --listen?"],
    },
    {
      args: ["serve", "--listen"],
      says: ["--listen <host:port>", "argument missing", "For help: hookonce serve --help"],
    },
    { args: ["serve", "--listen", "8787"], says: ["'8787' is invalid", "host:port"] },
    { args: ["providers", "whatsapp"], says: ["did you mean meta?"] },
    { args: ["providers", "stripes"], says: ["did you mean stripe?"] },
    { args: ["add", "facebook"], says: ["did you mean meta?"] },
    { args: ["send", "forgejo"], says: ["did you mean gitea?"] },
    { args: ["check", "one", "two"], says: ["too many arguments for 'check'"] },
  ]) {
    test(["hookonce", ...args].join(" "), async () => {
      const { code, stdout, stderr } = await run(args);
      expect([code, stdout]).toEqual([2, ""]);
      for (const word of says) expect(stderr).toContain(word);
      expect(stderr).not.toContain("    at ");
    });
  }
});

describeUnless(onlyInFullRun(), "the inbox folder", () => {
  test("may be named before or after the command, in the environment, and as an argument", async () => {
    using inbox = scratch(inboxFiles);
    using other = scratch();
    for (const [args, environment] of [
      [["--folder", inbox.path, "check"], {}],
      [["check", `--folder=${inbox.path}`], {}],
      [["check"], { HOOKONCE_FOLDER: inbox.path }],
      // What is nearer wins.
      [["check", "--folder", inbox.path], { HOOKONCE_FOLDER: other.path }],
      [["check", inbox.path], { HOOKONCE_FOLDER: other.path }],
    ] as [string[], Record<string, string>][]) {
      const { code, stdout } = await run(args, { cwd: other.path, environment });
      expect([args, code, stdout]).toEqual([args, 0, expect.stringContaining("no problems found")]);
    }
  }, 20_000);

  test("works with every command", async () => {
    using inbox = scratch(inboxFiles);
    using other = scratch({ request: "POST /webhook HTTP/1.1\ncontent-length: 2\n\n{}" });
    const environment = { HOOKONCE_FOLDER: inbox.path };
    const elsewhere = { cwd: other.path };
    const after = (...args: string[]) => run([...args, "--folder", inbox.path], elsewhere);
    const before = (...args: string[]) => run(["--folder", inbox.path, ...args], elsewhere);
    const around = (...args: string[]) => run(args, { ...elsewhere, environment });
    for (const [name, ways] of [
      ["apply", [() => after("apply"), () => before("apply"), () => around("apply", "--dry-run")]],
      ["init", [() => after("init"), () => before("init"), () => around("init")]],
      ["providers", [() => after("providers"), () => before("providers", "stripe")]],
    ] as [string, (() => ReturnType<typeof run>)[]][]) {
      for (const way of ways)
        expect([name, await way()]).toEqual([name, expect.objectContaining({ code: 0 })]);
    }
    expect(existsSync(join(inbox.path, "tsconfig.json"))).toBe(true);
    const verify = ["verify", "--source", "default", "--request", "request"];
    for (const way of [after, before, around])
      expect((await way(...verify)).stdout).toContain("source default");
    await using serving = await serve("", { environment, cwd: other.path, inFolder: false });
    const send = ["send", "unsigned", "--source", "default", "--to", `${serving.url}/webhook`];
    for (const way of [after, before, around]) expect((await way(...send)).code).toBe(0);
    // Last, because the secrets of these sources are not set.
    expect((await after("add", "github")).code).toBe(0);
    expect((await before("add", "gitea")).code).toBe(0);
    expect((await around("add", "zoom")).code).toBe(0);
    expect(readFileSync(join(inbox.path, "hookonce.toml"), "utf8")).toMatch(/github[^]*gitea[^]*zoom/);
    expect(readdirSync(other.path)).toEqual(["request"]);
  }, 60_000);

  test("is not guessed: a folder without hookonce.toml is left alone, and its handlers/ are not loaded", async () => {
    using app = scratch({ "handlers/users.ts": 'await Bun.write("loaded", "");', "migrations/1.sql": "x" });
    const { code, stderr } = await run(["check"], { cwd: app.path });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/hookonce\.toml does not exist[^]*1 problem in/),
    ]);
    expect(readdirSync(app.path).sort()).toEqual(["handlers", "migrations"]);
  });
});
