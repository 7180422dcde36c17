import { expect } from "bun:test";
import { join } from "node:path";
import type { AuditJson, List } from "../../src/http/admin/shapes.ts";
import { inboxFiles, paid, run, scratch, serve } from "../cli/support/hookonce.ts";
import { needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { block } from "../support/readme.ts";

const toml = `${inboxFiles["hookonce.toml"]}forward = ["app"]

[destinations.app]
command = ["/bin/false"]
`;

testUnless(
  onlyInFullRun() ?? needsCommand("curl"),
  "the README's curl shows each change, with the user who made it",
  async () => {
    using inbox = scratch({ ...inboxFiles, "hookonce.toml": toml });
    await using server = await serve(inbox.path);
    for (const id of ["evt_1", "evt_2"]) await server.post("/webhook", { ...paid, event_id: id });
    await server.post("/webhook", { ...paid, event_id: "evt_held", type: "later" });
    inbox.write({ "one.csv": "evt_9\n" });
    const reason = ["--reason", "a test"];
    const commands = [
      ["pause", "default", ...reason],
      ["resume", "default"],
      ["pause", "app"],
      ["resume", "app"],
      ["reload"],
      ["replay", "evt_1", ...reason],
      ["discard", "--destination", "app", "--state", "waiting", "--yes", ...reason],
      ["resend", "--destination", "app", "--state", "discarded"],
      ["import", join(inbox.path, "one.csv"), "--source", "default"],
      ["forget", "evt_1", ...reason],
      ["token", "create", "--name", "ci"],
      ["token", "revoke", "ci"],
    ];
    for (const args of commands) {
      const { code, stderr } = await run([...args, "--folder", inbox.path]);
      expect([args, code, stderr]).toEqual([
        args,
        expect.any(Number),
        expect.not.stringContaining("hookonce:"),
      ]);
    }
    const { stdout, exitCode } = Bun.spawnSync(["sh", "-ec", block("sh", "/api/audit")], { cwd: inbox.path });
    expect(exitCode).toBe(0);
    const { items } = JSON.parse(stdout.toString()) as List<AuditJson>;
    expect(items.map(({ action, target }) => [action, target]).toReversed()).toEqual([
      ["pause", "default"],
      ["resume", "default"],
      ["pause", "app"],
      ["resume", "app"],
      ["reload", "hookonce.toml"],
      ["replay", "evt_1"],
      ["discard", expect.stringContaining("app")],
      ["resend", expect.stringContaining("app")],
      ["import", expect.stringContaining("default")],
      ["forget", "evt_1"],
      ["token create", "ci"],
      ["token revoke", "ci"],
    ]);
    const user = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
    expect([...new Set(items.map(({ actor }) => actor))]).toEqual([user]);
  },
  120_000,
);
