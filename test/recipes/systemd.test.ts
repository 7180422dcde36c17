import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { scratch } from "../cli/support/hookonce.ts";
import { needsCommand, testUnless } from "../crash/requirements.ts";
import { block, readme } from "../support/readme.ts";

const unit = block("ini", "[Service]");

/** What systemd has to say about a unit; nothing if it is correct. */
function verify(text: string): string {
  // systemd looks for the program, which is not installed where tests run.
  using folder = scratch({
    "hookonce.service": text.replaceAll("/usr/local/bin/hookonce", process.execPath),
  });
  const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", join(folder.path, "hookonce.service")], {
    encoding: "utf8",
  });
  return stdout + stderr;
}

testUnless(
  needsCommand("systemd-analyze"),
  "systemd finds nothing wrong with the README's unit",
  () => {
    expect(verify(unit)).toBe("");
    expect(verify(unit.replace("RestartSec", "RestartSecs"))).toContain("Unknown key");
  },
  30_000,
);

test("the README's unit may write to the folders that its text names, and systemd always restarts it", () => {
  const folder = /serve (\S+)/.exec(unit)?.[1] ?? "none";
  expect(unit).toContain(`ReadWritePaths=${folder}\n`);
  expect(readme).toContain(`chown -R hookonce: ${folder}\n`);
  // systemd stops restarting after five starts in ten seconds, unless starts are farther apart or are not
  // counted.
  expect(unit).toContain("StartLimitIntervalSec=0\n");
  expect(Number(/RestartSec=(\d+)/.exec(unit)?.[1])).toBeGreaterThan(2);
});
