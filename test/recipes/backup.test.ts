import { expect } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hookonce, inboxFiles, paid, scratch, serve, type Scratch } from "../cli/support/hookonce.ts";
import { needsCommand, needsLinux, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { block } from "../support/readme.ts";

const signed = `${inboxFiles["hookonce.toml"]}allow_public = true

[sources.stripe]
provider = "stripe"
secret = "env:STRIPE"
`;

/** Debian's cron sets it. */
const CRON_PATH = "/usr/bin:/bin";

/** A machine with the paths of the README, below a temporary folder. */
function machine(): Scratch & { run(script: string, path?: string): { code: number; output: string } } {
  const folder = scratch({
    "bin/hookonce": `#!/bin/sh\nexec ${hookonce.map((word) => `'${word}'`).join(" ")} "$@"\n`,
    "var/backups/inbox/.keep": "",
  });
  chmodSync(join(folder.path, "bin/hookonce"), 0o755);
  const here = (text: string): string =>
    text
      .replaceAll("/srv/", `${folder.path}/srv/`)
      .replaceAll("/var/backups/", `${folder.path}/var/backups/`)
      .replaceAll("/usr/local/bin", `${folder.path}/bin`);
  return {
    ...folder,
    [Symbol.dispose]: folder[Symbol.dispose],
    run(script, path = `${join(folder.path, "bin")}:${process.env["PATH"]}`) {
      const { exitCode, stdout, stderr } = Bun.spawnSync(["sh", "-e"], {
        stdin: Buffer.from(here(script)),
        env: { HOME: process.env["HOME"], PATH: path },
      });
      return { code: exitCode, output: stdout.toString() + stderr.toString() };
    },
  };
}

testUnless(
  onlyInFullRun() ?? needsLinux() ?? needsCommand("tar"),
  "the nightly script proves each backup and removes old ones, and the steps of a restore bring the inbox back",
  async () => {
    using on = machine();
    for (const [path, text] of Object.entries({
      ...inboxFiles,
      "hookonce.toml": signed,
      ".env": "STRIPE=whsec_0123456789abcdef0123456789abcdef\n",
    }))
      on.write({ [`srv/inbox/${path}`]: text });
    const inbox = join(on.path, "srv/inbox");
    const backups = join(on.path, "var/backups/inbox");
    const old = join(backups, "inbox-2026-01-01-031701.tar");
    writeFileSync(old, "an old backup");
    utimesSync(old, 0, 0);
    {
      await using server = await serve(inbox);
      await server.post("/webhook", paid);
      expect(on.run(block("sh", "set -eu\nPATH="), CRON_PATH)).toEqual({
        code: 0,
        output: expect.not.stringContaining("hookonce:"),
      });
      await server.post("/webhook", { ...paid, event_id: "evt_2" });
      // Not stopped cleanly: its log is still there.
      server.signal("SIGKILL");
    }
    const made = readdirSync(backups).filter((name) => name.endsWith(".tar"));
    expect(made).toEqual([expect.stringMatching(/^inbox-\d{4}-\d\d-\d\d-\d{6}\.tar$/)]);
    const steps = block("sh", "mv /srv/inbox /srv/inbox.old")
      .replace(/inbox-2026[\w-]*\.tar/, made[0] as string)
      .replaceAll(/^(?:systemctl|chown) .*$/gm, "");
    expect(on.run(steps)).toMatchObject({ code: 0, output: expect.stringContaining("no problems found") });
    await using server = await serve(inbox, { dev: false });
    const outcome = async (id: string) =>
      (await server.post("/webhook", { ...paid, event_id: id })).body["status"];
    expect([await outcome("evt_1"), await outcome("evt_2"), await outcome("evt_2")]).toEqual([
      "duplicate",
      "processed",
      "duplicate",
    ]);
  },
  120_000,
);

testUnless(
  onlyInFullRun() ?? needsCommand("tar"),
  "the nightly script keeps old backups if the new one fails, and says why",
  () => {
    using on = machine();
    mkdirSync(join(on.path, "srv/inbox"), { recursive: true });
    const old = join(on.path, "var/backups/inbox/inbox-2026-01-01-031701.tar");
    writeFileSync(old, "an old backup");
    utimesSync(old, 0, 0);
    const { code, output } = on.run(block("sh", "set -eu\nPATH="), CRON_PATH);
    expect(code).toBe(1);
    expect(output).toContain("hookonce.toml does not exist");
    expect(readdirSync(join(on.path, "var/backups/inbox"))).toContain("inbox-2026-01-01-031701.tar");
  },
  60_000,
);
