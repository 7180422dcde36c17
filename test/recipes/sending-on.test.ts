import { expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Stripe } from "stripe";
import { describeUnless, needsCommand, onlyInFullRun } from "../crash/requirements.ts";
import { run, scratch, serve } from "../cli/support/hookonce.ts";
import { block, commands } from "../support/readme.ts";
import { freePort } from "./proxies.ts";

const SECRET = "whsec_aG9va29uY2UgcmVjaXBlcw";
const environment = { PATH: process.env["PATH"] ?? "" };

/** Runs the `hookonce` commands of a block. */
async function runAll(shell: string, cwd: string): Promise<void> {
  for (const args of commands(shell))
    expect(await run(args, { cwd, environment })).toMatchObject({ code: 0, stderr: "" });
}

function changeConfig(folder: string, change: (text: string) => string): void {
  const path = join(folder, "hookonce.toml");
  const before = readFileSync(path, "utf8");
  const after = change(before);
  expect(after).not.toBe(before);
  writeFileSync(path, after);
}

function git(cwd: string, ...args: string[]): void {
  const identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
  expect(Bun.spawnSync(["git", ...identity, ...args], { cwd }).exitCode).toBe(0);
}

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await Bun.sleep(50);
}

describeUnless(onlyInFullRun(), "the README's recipe for an application that Stripe's events go to", () => {
  test("delivers to an application that starts later, and Stripe's library accepts it", async () => {
    using folder = scratch();
    await runAll(block("sh", "hookonce add stripe --folder inbox"), folder.path);
    const inbox = join(folder.path, "inbox");
    appendFileSync(join(inbox, ".env"), `STRIPE_WEBHOOK_SECRET=${SECRET}\n`);
    const port = await freePort();
    const added = block("toml", 'forward = ["app"] ').replace("127.0.0.1:3000", `127.0.0.1:${port}`);
    const [forward = "", ...destination] = added.split("\n");
    changeConfig(
      inbox,
      (text) => text.replace(/^\[sources\.stripe\]\n/m, `$&${forward}\n`) + destination.join("\n"),
    );
    expect(await run(["check", "inbox"], { cwd: folder.path, environment })).toMatchObject({ code: 0 });

    await using server = await serve(inbox, { environment });
    const send = ["send", "stripe", "invoice.paid", "--folder", "inbox"];
    const sent = await run([...send, "--to", `${server.url}/webhook/stripe`], {
      cwd: folder.path,
      environment,
    });
    // Stripe has its answer while the application does not run.
    expect([sent.code, sent.stdout]).toEqual([0, expect.stringContaining("200 processed") as string]);
    await server.logged("a message was not delivered");

    const { webhooks } = new Stripe("sk_test_recipes");
    const events: string[] = [];
    using application = Bun.serve({
      hostname: "127.0.0.1",
      port,
      routes: {
        "/webhooks/stripe": {
          async POST(request) {
            const signature = request.headers.get("stripe-signature") ?? "";
            const event = await webhooks.constructEventAsync(await request.text(), signature, SECRET);
            events.push(event.type);
            return new Response();
          },
        },
      },
    });
    await until(() => events.length > 0);
    expect([application.port, events]).toEqual([port, ["invoice.paid"]]);
  }, 180_000);
});

describeUnless(
  onlyInFullRun() ?? needsCommand("git"),
  "the README's recipe for a script that runs for each push",
  () => {
    test("deploys a push to main, and ignores one to another branch", async () => {
      using folder = scratch();
      const application = join(folder.path, "app");
      const work = join(folder.path, "work");
      mkdirSync(work);
      git(folder.path, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git");
      git(work, "init", "--quiet", "--initial-branch=main");
      git(work, "remote", "add", "origin", "../origin.git");
      const push = (name: string): void => {
        writeFileSync(join(work, "restart.sh"), `#!/bin/sh\ntouch restarted-${name}\n`, { mode: 0o755 });
        git(work, "add", "restart.sh");
        git(work, "commit", "--quiet", "--message", name);
        git(work, "push", "--quiet", "origin", "main");
      };
      push("first");
      git(folder.path, "clone", "--quiet", "origin.git", "app");

      await runAll(block("sh", "--folder deploy-inbox"), folder.path);
      const inbox = join(folder.path, "deploy-inbox");
      appendFileSync(join(inbox, ".env"), "GITHUB_WEBHOOK_SECRET=the secret of the recipe\n");
      const script = block("sh", "./restart.sh");
      expect(script).toContain("/srv/app");
      writeFileSync(join(inbox, "deploy.sh"), script.replace("/srv/app", application));
      changeConfig(inbox, (text) =>
        text.replace(
          /^forward = .*\n/m,
          block("toml", 'forward = [{ to = "deploy", types = ["push"], where'),
        ),
      );
      const cwd = folder.path;
      expect(await run(["check", "deploy-inbox"], { cwd, environment })).toMatchObject({ code: 0 });

      await using server = await serve(inbox, { environment });
      const deliver = async (ref: string): Promise<string> => {
        folder.write({ "push.json": JSON.stringify({ ref }) });
        const send = ["send", "github", "push", "--folder", "deploy-inbox", "--data", "push.json"];
        const sent = await run([...send, "--to", `${server.url}/webhook/github`], { cwd, environment });
        return sent.stdout;
      };
      push("second");
      expect(await deliver("refs/heads/other")).toContain("200 ignored");
      expect(await deliver("refs/heads/main")).toContain("200 processed");
      await until(() => existsSync(join(application, "restarted-second")));
      expect(existsSync(join(application, "restarted-first"))).toBe(false);
    }, 180_000);
  },
);
