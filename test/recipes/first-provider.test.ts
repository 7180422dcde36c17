import { expect } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { run, scratch, serve } from "../cli/support/hookonce.ts";
import { block, commands } from "../support/readme.ts";
import { freePort } from "./proxies.ts";

testUnless(
  onlyInFullRun(),
  "the README's first provider works, from init to an event that is applied once",
  async () => {
    using folder = scratch();
    const cwd = folder.path;
    for (const args of commands(block("sh", "hookonce init my-inbox")))
      expect(await run(args, { cwd })).toMatchObject({ code: 0, stderr: "" });

    const config = join(cwd, "my-inbox/hookonce.toml");
    const written = readFileSync(config, "utf8");
    const source = block("toml", '[sources.stripe]\nprovider = "stripe"\nsecret ');
    const table = Bun.TOML.parse(written) as { sources: Record<string, unknown> };
    expect(table.sources["stripe"]).toEqual(
      (Bun.TOML.parse(source) as { sources: Record<string, unknown> }).sources["stripe"],
    );
    appendFileSync(join(cwd, "my-inbox/.env"), "STRIPE_WEBHOOK_SECRET=whsec_readme\n");
    folder.write({
      "my-inbox/handlers/stripe/checkout.session.completed.sql": block("sql", "insert into credits"),
    });

    const port = await freePort();
    writeFileSync(config, written.replace("127.0.0.1:8787", `127.0.0.1:${port}`));
    const [check = [], start = [], send = []] = commands(block("sh", "hookonce check my-inbox"));
    expect([start, (await run(check, { cwd })).code]).toEqual([["serve", "--dev", "my-inbox"], 0]);
    await using server = await serve("my-inbox", { cwd, flags: ["--listen", `127.0.0.1:${port}`] });
    expect(server.url).toEndWith(`:${port}`);
    const sent = await run(send, { cwd });
    expect([sent.code, sent.stdout]).toEqual([0, expect.stringContaining("1 processed, 2 duplicate")]);
  },
  60_000,
);
