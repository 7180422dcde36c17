import { expect, test } from "bun:test";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { check } from "../../src/app/check.ts";
import { providers } from "../../src/providers/presets.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import { randomKeys } from "../../src/providers/verifier.ts";
import { addSource } from "../../src/simulator/add-source.ts";
import { examples } from "../../src/simulator/examples.ts";
import { inboxFiles, run, scratch, serve } from "./support/hookonce.ts";

const read = (folder: string, file: string): string => readFileSync(join(folder, file), "utf8");

describeUnless(
  onlyInFullRun(),
  "check finds no problem in a folder once the added provider's secrets are set",
  () => {
    test.each([...providers.keys()])("%s", async (name) => {
      using inbox = scratch(inboxFiles);
      const provider = providers.get(name)!;
      const { wanted, types } = addSource({
        folder: inbox.path,
        provider,
        example: examples.get(name)!,
        types: [],
        name,
        handlers: true,
      });
      const needsNone = !kindOf(provider.scheme).needsSecret || name === "notion";
      expect(wanted.length > 0).toBe(!needsNone);
      const { secret } = randomKeys(provider.scheme);
      const environment = Object.fromEntries(
        wanted.map((one) => [one, one.endsWith("_VERIFY_TOKEN") ? "token" : secret]),
      );
      const checked = await check(inbox.path, { environment, clock: Date.now });
      expect(checked.problems).toEqual([]);
      expect(checked.failing).toHaveLength(types.length);
      // A public_url and the keys of a JWT are placeholders.
      const waiting = checked.warnings.filter(({ message }) => message.includes("it has no secret yet"));
      // Notion sends its secret once it has the URL.
      expect(waiting).toHaveLength(name === "notion" ? 1 : 0);
      const unsigned = checked.warnings
        .filter((one) => !waiting.includes(one))
        .filter(({ message }) => !message.includes("its value is still the one from an example"))
        .map(({ message }) => /^source "(\w+)" is unsigned/.exec(message)?.[1]);
      expect(unsigned).toEqual(name === "unsigned" ? ["default", "unsigned"] : ["default"]);
      expect(checked.sources.get(name)?.provider.name).toBe(name);
      expect(checked.handlers.files.filter(({ source }) => source === name)).toHaveLength(types.length);
    });
  },
);

describeUnless(onlyInFullRun(), "hookonce add", () => {
  test("shows the URL with the secret's place if the provider signs nothing", async () => {
    using inbox = scratch(inboxFiles);
    const { code, stdout } = await run(["add", "strava", "--folder", inbox.path]);
    expect(code).toBe(0);
    expect(stdout).toContain("https://your.host/webhook/strava?token=…");
    expect(stdout).toContain("openssl rand");
    expect(read(inbox.path, "hookonce.toml")).toContain('\nsecret_in = "query:token" # Strava signs nothing');
  });

  test("writes the source and the name of its secret, no handlers, and prints what to do next", async () => {
    using inbox = scratch(inboxFiles);
    const { code, stdout, stderr } = await run(["add", "stripe", "--folder", inbox.path]);
    expect([code, stderr]).toEqual([0, ""]);
    for (const says of [
      "Wrote hookonce.toml, .env.",
      "handlers/stripe/checkout.session.completed.sql",
      "kept as unhandled",
      "https://your.host/webhook/stripe",
      "https://dashboard.stripe.com/webhooks",
      "checkout.session.completed, invoice.paid, customer.subscription.deleted",
      "stripe listen --forward-to http://127.0.0.1:8787/webhook/stripe",
      "STRIPE_WEBHOOK_SECRET=",
      "hookonce send stripe --folder",
    ]) {
      expect(stdout).toContain(says);
    }
    expect(read(inbox.path, "hookonce.toml")).toBe(
      `${inboxFiles["hookonce.toml"]}\n[sources.stripe]\nprovider = "stripe"\nsecret = "env:STRIPE_WEBHOOK_SECRET"\n`,
    );
    expect(read(inbox.path, ".env")).toBe("# Stripe: the signing secret\nSTRIPE_WEBHOOK_SECRET=\n");
    expect(statSync(join(inbox.path, ".env")).mode & 0o777).toBe(0o600);
    // The folder is there, so that the user can write into it.
    expect(readdirSync(join(inbox.path, "handlers/stripe"))).toEqual([]);
    const unset = await run(["check", inbox.path]);
    expect([unset.code, unset.stderr]).toEqual([
      1,
      expect.stringContaining("STRIPE_WEBHOOK_SECRET is empty"),
    ]);
  });

  test("with --handlers writes starters that fail until they are edited, also to a source that exists", async () => {
    using inbox = scratch(inboxFiles);
    const stdout = (await run(["add", "stripe"], { cwd: inbox.path })).stdout;
    const [again = ""] = /hookonce add stripe --handlers/.exec(stdout) ?? [];
    const before = read(inbox.path, "hookonce.toml");
    const added = await run(again.split(" ").slice(1), { cwd: inbox.path });
    expect([added.code, added.stderr, read(inbox.path, "hookonce.toml")]).toEqual([0, "", before]);
    expect(added.stdout).toContain("Finish the handlers.");
    const file = "handlers/stripe/checkout.session.completed.sql";
    const starter = read(inbox.path, file);
    for (const path of ["client_reference_id", "metadata.plan", "payment_status", "amount_total"])
      expect(starter).toContain(`:payload ->> '$.data.object.${path}'`);

    const environment = { STRIPE_WEBHOOK_SECRET: "whsec_x" };
    const elsewhere = { cwd: inbox.path, environment };
    const checked = await run(["check"], elsewhere);
    expect([checked.code, checked.stderr]).toEqual([1, expect.stringContaining(`${file}: is not finished`)]);
    const send = (url: string) =>
      run(["send", "stripe", "--source", "stripe", "--to", `${url}/webhook/stripe`], elsewhere);
    {
      await using server = await serve(inbox.path, { environment });
      expect(await send(server.url)).toMatchObject({
        code: 1,
        stdout: expect.stringContaining("500 failed"),
      });
      expect((await server.logged("delivery"))["code"]).toBe("handler_unfinished");
    }
    writeFileSync(join(inbox.path, file), starter.replace(/^.*\n/, ""));
    await using server = await serve(inbox.path, { environment });
    // The failed event is owed, and applied once.
    expect((await run(["apply"], elsewhere)).stdout).toContain("1 event applied.");
    expect(await send(server.url)).toMatchObject({ code: 0 });
  }, 30_000);

  test("takes event types, a name for the source, and the public URL from the command line", async () => {
    using inbox = scratch(inboxFiles);
    const url = "https://shop.example.com/webhook/square-eu";
    const flags = ["--folder", inbox.path, "--name", "square-eu", "--public-url", url, "--handlers"];
    const { code, stdout } = await run(["add", "square", "refund.updated", "a b/c", ...flags]);
    expect([code, stdout.includes(`URL     ${url}`)]).toEqual([0, true]);
    expect(read(inbox.path, "hookonce.toml")).toContain(
      `[sources.square-eu]\nprovider = "square"\nsecret = "env:SQUARE_EU_WEBHOOK_SECRET"\npublic_url = "${url}"`,
    );
    for (const file of ["refund.updated.sql", "a_b/c.sql"])
      expect(existsSync(join(inbox.path, "handlers/square-eu", file))).toBe(true);
  });

  test("says first which values are guessed, and that public_url must be set", async () => {
    for (const [provider, ...says] of [
      [
        "hmac",
        "1. In hookonce.toml, correct the values that are only guesses: signature.header, event_id, type.",
      ],
      ["static", "1. In hookonce.toml, correct the values that are only guesses: secret_in, event_id, type."],
      [
        "public-key",
        "1. In hookonce.toml, correct the values that are only guesses: signature.header, event_id, type.",
      ],
      ["jwt", "only guesses: signature.jwks_url, signature.issuer, signature.audience, event_id, type."],
      ["twilio", "1. In hookonce.toml, set public_url to the URL that you register"],
      ["square", "1. In hookonce.toml, set public_url to the URL that you register"],
    ] as const) {
      using inbox = scratch(inboxFiles);
      const { code, stdout } = await run(["add", provider, "--folder", inbox.path]);
      expect(code).toBe(0);
      for (const each of says) expect(stdout).toContain(each);
    }
  }, 30_000);

  test("explains who can send to an unsigned source, instead of where to register it", async () => {
    using inbox = scratch(inboxFiles);
    const { stdout } = await run(["add", "unsigned", "--folder", inbox.path]);
    expect(stdout).toContain("hookonce serve --dev");
    expect(stdout).toContain("allow_public = true");
    expect(stdout).toContain("http://127.0.0.1:8787/webhook/unsigned");
    expect(stdout).not.toMatch(/your\.host|cloudflared|Register/);
  });

  test("repeats the types in the command for --handlers, and marks those that are unknown", async () => {
    using inbox = scratch(inboxFiles);
    const { stdout, stderr } = await run(["add", "stripe", "invoice.payd", "invoice.paid"], {
      cwd: inbox.path,
    });
    expect(stderr).toContain("did you mean invoice.paid?");
    expect(stdout).toContain("hookonce add stripe invoice.payd invoice.paid --handlers\n");
    expect(stdout).toContain("handlers/stripe/invoice.payd.sql   (an unknown type: see the warning)\n");
    expect(stdout).toContain("handlers/stripe/invoice.paid.sql\n");
    expect(stdout).toContain("invoice.payd, invoice.paid   (unknown: invoice.payd)\n");
  });

  test("says where inbound mail comes from, which has no type, and writes its starter", async () => {
    using inbox = scratch(inboxFiles);
    const { code, stdout, stderr } = await run([
      "add",
      "mailgun",
      "inbound",
      "--handlers",
      "--folder",
      inbox.path,
    ]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).not.toContain("  events ");
    expect(stdout).toContain("a route that forwards to this URL; its handler is handlers/mailgun/_any\n");
    const starter = read(inbox.path, "handlers/mailgun/_any.sql");
    for (const words of ["-- Mailgun: inbound.", `'$."body-plain"'`, "event.files"])
      expect(starter).toContain(words);
    const events = await run(["add", "mailgun", "--name", "mg", "--folder", inbox.path]);
    for (const words of ["  events  delivered, failed, opened\n", "a route that forwards to this URL"])
      expect(events.stdout).toContain(words);
  });

  test("apply does not warn of starters if nothing is owed", async () => {
    using inbox = scratch(inboxFiles);
    await run(["add", "stripe", "--handlers", "--folder", inbox.path]);
    const { code, stdout, stderr } = await run(["apply", "--folder", inbox.path]);
    expect([code, stdout, stderr]).toEqual([0, "Nothing is owed.\n", ""]);
  });

  test("makes a handler file for a Slack command", async () => {
    using inbox = scratch(inboxFiles);
    expect((await run(["add", "slack", "/weather", "--folder", inbox.path, "--handlers"])).code).toBe(0);
    expect(existsSync(join(inbox.path, "handlers/slack/_weather.sql"))).toBe(true);
  });

  test("explains how to get the secret of a provider that sends it later", async () => {
    using inbox = scratch(inboxFiles);
    const { code, stdout } = await run(["add", "notion"], { cwd: inbox.path });
    expect(read(inbox.path, "hookonce.toml")).toContain(
      '# secret = "env:NOTION_WEBHOOK_SECRET"   # Notion sends it: see hookonce verify --last; then remove',
    );
    expect(code).toBe(0);
    expect(read(inbox.path, ".env")).toEndWith("\n# NOTION_WEBHOOK_SECRET=\n");
    for (const says of [
      "Wrote hookonce.toml, .env.",
      "handlers/notion/page.content_updated.sql",
      "handlers/notion/page.created.sql",
      "3. Do this while hookonce serve is running: Notion sends its secret",
      "and hookonce shows it on the terminal. Elsewhere, run hookonce verify --last.",
      "4. Confirm the webhook at Notion",
      "NOTION_WEBHOOK_SECRET=",
      "hookonce send notion   (once you have the secret)",
    ])
      expect(stdout).toContain(says);
    const sent = await run(["send", "notion", "--source", "notion"], { cwd: inbox.path });
    expect([sent.code, sent.stderr]).toEqual([
      1,
      expect.stringContaining('The source "notion" has no secret yet'),
    ]);

    // Follow the printed steps: remove the # from both lines.
    for (const file of [".env", "hookonce.toml"]) {
      const text = read(inbox.path, file).replace(/# (?=NOTION|secret = )/, "");
      writeFileSync(join(inbox.path, file), text.replace("SECRET=\n", "SECRET=secret_abc\n"));
    }
    expect((await run(["check"], { cwd: inbox.path })).stdout).toContain("no problems found");
    await using serving = await serve(inbox.path);
    const to = ["--to", `${serving.url}/webhook/notion`];
    expect(await run(["send", "notion", "--source", "notion", ...to], { cwd: inbox.path })).toMatchObject({
      code: 0,
      stderr: "",
    });
  });

  test("prints an unsigned source to use if only the provider can sign", async () => {
    using inbox = scratch(inboxFiles);
    const { stdout } = await run(["add", "paypal"], { cwd: inbox.path });
    const [table = ""] = /\[sources\.paypal-dev\](?:\n +\w+ = ".*")+/.exec(stdout) ?? [];
    appendFileSync(join(inbox.path, "hookonce.toml"), table);
    const environment = { PAYPAL_WEBHOOK_SECRET: "8PT597110X687430L" };
    await using serving = await serve(inbox.path, { environment });
    const [command = ""] = /hookonce send .*/.exec(stdout) ?? [];
    const args = command.split(" ").slice(1);
    const sent = await run([...args, "--to", `${serving.url}/webhook/paypal-dev`], {
      cwd: inbox.path,
      environment,
    });
    expect([sent.code, sent.stdout]).toEqual([0, expect.stringContaining("200 unhandled")]);
  });

  test("lists the event names that the provider's form offers, also in the command to forward them", async () => {
    using inbox = scratch(inboxFiles);
    const types = ["push", "issues.opened", "issues.closed"];
    const { stdout } = await run(["add", "github", ...types, "--folder", inbox.path]);
    expect(stdout).toContain("     events  push, issues   (each box covers all its actions)");
    expect(stdout).toContain("gh webhook forward --repo=OWNER/REPOSITORY --events=push,issues --url=http://");
    expect(stdout).toContain("handlers/github/issues.closed.sql");
  });

  test("overwrites no name in .env and no handler, and appends to files without a final line break", async () => {
    using inbox = scratch({
      ...inboxFiles,
      "hookonce.toml": inboxFiles["hookonce.toml"].trimEnd(),
      ".env": "GITHUB_WEBHOOK_SECRET=mine",
      "handlers/github/push.sql": "select 1;",
      "handlers/github/issues.ts": "export {};",
    });
    const { code, stdout } = await run([
      "add",
      "github",
      "push",
      "issues",
      "release",
      "--handlers",
      "--folder",
      inbox.path,
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain("Left unchanged: handlers/github/push.sql, handlers/github/issues.sql");
    expect(read(inbox.path, ".env")).toBe("GITHUB_WEBHOOK_SECRET=mine");
    expect(read(inbox.path, "handlers/github/push.sql")).toBe("select 1;");
    expect(existsSync(join(inbox.path, "handlers/github/issues.sql"))).toBe(false);
    expect(existsSync(join(inbox.path, "handlers/github/release.sql"))).toBe(true);

    using other = scratch({ ...inboxFiles, ".env": "OTHER=1" });
    await run(["add", "meta", "--folder", other.path]);
    expect(read(other.path, ".env")).toBe(
      "OTHER=1\n# Meta (WhatsApp, Facebook, Instagram): the app secret\nMETA_WEBHOOK_SECRET=\n" +
        "# Meta (WhatsApp, Facebook, Instagram): the verify token, which you choose\nMETA_VERIFY_TOKEN=\n",
    );
  });

  for (const { name, args, toml, code, says } of [
    { name: "a misspelled provider", args: ["strpe"], code: 2, says: "did you mean stripe?" },
    { name: "an unknown provider", args: ["zzzzzzzz"], code: 2, says: "run hookonce providers" },
    { name: "no provider", args: [], code: 2, says: "missing required argument" },
    {
      name: "a source that exists",
      args: ["unsigned", "--name", "default"],
      code: 1,
      says: "--name default-2",
    },
    {
      name: "an invalid source name",
      args: ["stripe", "--name", "Stripe!"],
      code: 1,
      says: "lower-case letters",
    },
    {
      name: "the name of the folder for shared code",
      args: ["stripe", "--name", "lib"],
      code: 1,
      says: 'not "lib"',
    },
    { name: "an empty type", args: ["stripe", ""], code: 2, says: "Write an event type" },
    {
      name: "a blank type after another",
      args: ["stripe", "a.b", " "],
      code: 2,
      says: "Write an event type",
    },
    {
      name: "a type that leads out of the folder",
      args: ["stripe", "../../x"],
      code: 1,
      says: "cannot name a file",
    },
    {
      name: "a type that is an absolute path",
      args: ["stripe", "/etc/x"],
      code: 1,
      says: "cannot name a file",
    },
    {
      name: "a config that is not valid TOML",
      args: ["stripe"],
      toml: "version = \n",
      code: 1,
      says: "hookonce.toml:2",
    },
    {
      name: "a config that ends in an inline table",
      args: ["stripe"],
      toml: 'version = 1\nsources = { a = { provider = "unsigned", type = "body:$.type" } }\n',
      code: 1,
      says: "Add it yourself",
    },
  ]) {
    test.concurrent(`refuses ${name} and writes nothing`, async () => {
      using inbox = scratch(inboxFiles);
      if (toml !== undefined) writeFileSync(join(inbox.path, "hookonce.toml"), toml);
      const before = read(inbox.path, "hookonce.toml");
      const ended = await run(["add", ...args, "--folder", inbox.path]);
      expect([ended.code, ended.stdout]).toEqual([code, ""]);
      expect(ended.stderr).toContain(says);
      expect(ended.stderr).not.toContain("    at ");
      expect(read(inbox.path, "hookonce.toml")).toBe(before);
      for (const file of [".env", "handlers/stripe"]) expect(existsSync(join(inbox.path, file))).toBe(false);
      // All of them run at once.
    }, 30_000);
  }

  test("refuses a folder without hookonce.toml", async () => {
    using empty = scratch();
    const { code, stderr } = await run(["add", "stripe", "--folder", empty.path]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("hookonce init")]);
  });

  test("check reads what several adds have written", async () => {
    using inbox = scratch(inboxFiles);
    for (const name of ["stripe", "github", "telegram"])
      expect((await run(["add", name, "--folder", inbox.path])).code).toBe(0);
    const secrets = { GITHUB_WEBHOOK_SECRET: "g1", TELEGRAM_WEBHOOK_SECRET: "t1" };
    // In .env, a later line overrides an earlier one.
    appendFileSync(join(inbox.path, ".env"), "STRIPE_WEBHOOK_SECRET=whsec_x\n");
    const { code, stdout } = await run(["check", inbox.path], { environment: secrets });
    expect([code, stdout]).toEqual([0, expect.stringContaining("source telegram (Telegram Bot API): ")]);
  });

  test("with --run writes a source, a destination and a script that fails until it is edited", async () => {
    using inbox = scratch(inboxFiles);
    const elsewhere = { cwd: inbox.path, environment: { PATH: process.env["PATH"] ?? "" } };
    const { code, stdout, stderr } = await run(["add", "github", "push", "--run", "./deploy.sh"], elsewhere);
    expect([code, stderr]).toEqual([0, ""]);
    for (const says of [
      "Wrote hookonce.toml, deploy.sh, .env.",
      "1. Finish deploy.sh.",
      "GITHUB_WEBHOOK_SECRET=",
      "https://your.host/webhook/github",
      "events  push",
      "hookonce send github push\n",
    ])
      expect(stdout).toContain(says);
    expect(stdout).not.toContain("handlers/");
    expect(read(inbox.path, "hookonce.toml")).toBe(
      `${inboxFiles["hookonce.toml"]}\n[sources.github]\nprovider = "github"\nsecret = "env:GITHUB_WEBHOOK_SECRET"\nforward = [{ to = "deploy", types = ["push"] }]\n\n[destinations.deploy]\ncommand = ["./deploy.sh"]\n`,
    );
    expect(read(inbox.path, ".env")).toBe("# GitHub: the signing secret\nGITHUB_WEBHOOK_SECRET=\n");
    const script = Bun.spawn(["./deploy.sh"], {
      cwd: inbox.path,
      env: elsewhere.environment,
      stdin: new Blob(["{}"]),
      stderr: "pipe",
    });
    expect([await script.exited, await new Response(script.stderr).text()]).toEqual([
      1,
      "This script is not finished: it received 2 characters. Edit it, and delete this line and the next.\n",
    ]);
    appendFileSync(join(inbox.path, ".env"), "GITHUB_WEBHOOK_SECRET=a-long-enough-secret\n");
    const checked = await run(["check"], elsewhere);
    expect([checked.code, checked.stdout]).toEqual([
      0,
      expect.stringContaining("source github (GitHub): sent on to deploy\n") as string,
    ]);
  }, 30_000);

  test("with --run adds a command to a source that exists, and leaves its script unchanged", async () => {
    using inbox = scratch({ ...inboxFiles, "deploy.sh": "#!/bin/sh\nexit 0\n" });
    await run(["add", "github"], { cwd: inbox.path });
    const before = read(inbox.path, "hookonce.toml");
    const add = ["add", "github", "issues", "--run", "./deploy.sh --fast"];
    const { code, stdout, stderr } = await run(add, { cwd: inbox.path });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toStartWith("Wrote hookonce.toml.\nLeft unchanged: deploy.sh.\n");
    // A handler for issues would run for issues.opened, too.
    expect(read(inbox.path, "hookonce.toml")).toBe(
      `${before.trimEnd().replace('"github"', '"github"\nforward = [{ to = "deploy", types = ["issues.*"] }]')}\n\n[destinations.deploy]\ncommand = ["./deploy.sh", "--fast"]\n`,
    );
    expect(read(inbox.path, "deploy.sh")).toBe("#!/bin/sh\nexit 0\n");
    const again = await run(add, { cwd: inbox.path });
    expect([again.code, again.stdout]).toEqual([
      0,
      expect.stringContaining("Left unchanged: deploy.sh.") as string,
    ]);
  }, 30_000);

  test.concurrent.each([
    ["./deploy.sh | tee log", "No shell runs it"],
    ["", "Write a program and its arguments"],
  ])(
    "refuses --run %j",
    async (command, says) => {
      using inbox = scratch(inboxFiles);
      const { code, stderr } = await run(["add", "github", "--run", command], { cwd: inbox.path });
      expect([code, stderr]).toEqual([2, expect.stringContaining(says) as string]);
      expect(read(inbox.path, "hookonce.toml")).toBe(inboxFiles["hookonce.toml"]);
    },
    30_000,
  );
});
