import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  endGroup,
  endLeftover,
  identifyProcess,
  type StartedProcess,
} from "../../src/outbox/process-groups.ts";
import { describeUnless, needsLinux, onlyInFullRun } from "../crash/requirements.ts";
import { markOf } from "../../src/outbox/command-sender.ts";
import { commandInbox, runningIn, until } from "./support/commands.ts";

/** Of the command that support/command-parent.ts runs. */
const MARK = markOf("msg_1");

/** Starts a process that runs a command, and returns what it says before it would record the start. */
async function parentOf(folder: string, records: "always" | "never") {
  const parent = Bun.spawn(
    [process.execPath, join(import.meta.dir, "support/command-parent.ts"), folder, records],
    {
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  let said = "";
  for await (const chunk of parent.stdout) {
    said += new TextDecoder().decode(chunk);
    if (said.includes("\n")) break;
  }
  return { parent, started: JSON.parse(said) as StartedProcess };
}

describeUnless(needsLinux() ?? onlyInFullRun(), "kill -9 of hookonce", () => {
  test("before the start of a command is recorded runs nothing of it", async () => {
    using inbox = commandInbox();
    inbox.write("run.sh", "#!/bin/sh\ntouch ran\n");
    const { parent, started } = await parentOf(inbox.folder, "never");
    expect(runningIn(started.pid)).toEqual([started.pid]);
    parent.kill("SIGKILL");
    await until(() => runningIn(started.pid).length === 0);
    expect(existsSync(join(inbox.folder, "ran"))).toBe(false);
  }, 20_000);

  test("leaves a command that the next start ends, with its children", async () => {
    using inbox = commandInbox();
    inbox.write(
      "run.sh",
      "#!/bin/sh\ntrap '' TERM HUP PIPE\n(while :; do sleep 0.05; done) &\ncat > got\ntouch ready\nwhile :; do sleep 0.05; done\n",
    );
    const { parent, started } = await parentOf(inbox.folder, "always");
    await until(() => existsSync(join(inbox.folder, "ready")));
    parent.kill("SIGKILL");
    await parent.exited;
    expect(inbox.read("got")).toBe("payload");
    expect(runningIn(started.pid).length).toBeGreaterThan(1);
    expect(await endLeftover(started, MARK, 300)).toBe(true);
    expect(runningIn(started.pid)).toEqual([]);
    // Again: it has ended.
    expect(await endLeftover(started, MARK, 300)).toBe(true);
  }, 20_000);

  test("leaves children of a command that has ended, and the next start ends them", async () => {
    using inbox = commandInbox();
    inbox.write(
      "run.sh",
      "#!/bin/sh\n(while :; do sleep 0.05; done) > /dev/null 2>&1 &\ntouch ready\nkill -9 $$\n",
    );
    const { parent, started } = await parentOf(inbox.folder, "always");
    await until(
      () => existsSync(join(inbox.folder, "ready")) && !runningIn(started.pid).includes(started.pid),
    );
    parent.kill("SIGKILL");
    await parent.exited;
    expect(runningIn(started.pid).length).toBeGreaterThan(0);
    // Those of another message's command are not touched.
    expect(await endLeftover(started, markOf("msg_other"), 300)).toBe(true);
    expect(runningIn(started.pid).length).toBeGreaterThan(0);
    expect(await endLeftover(started, MARK, 300)).toBe(true);
    expect(runningIn(started.pid)).toEqual([]);
  }, 20_000);
});

describeUnless(needsLinux() ?? onlyInFullRun(), "a process that is not the one that was started", () => {
  test("is left alone if its pid is used again, or the machine was started again", async () => {
    const other = Bun.spawn(["sleep", "100"], { detached: true });
    const { pid, startedAt, bootId } = identifyProcess(other.pid);
    for (const left of [
      { pid, startedAt: String(Number(startedAt) - 1), bootId },
      { pid, startedAt, bootId: "b0a1c6d4-0000-4000-8000-000000000000" },
      { pid, startedAt: "", bootId },
    ]) {
      expect(await endLeftover(left, MARK, 0)).toBe(true);
      expect(runningIn(pid)).toEqual([pid]);
    }
    expect(await endLeftover({ pid, startedAt, bootId }, MARK, 5000)).toBe(true);
    expect(runningIn(pid)).toEqual([]);
  }, 20_000);

  test("is never hookonce itself or all processes", async () => {
    // Reaching the end of this test proves it.
    for (const group of [0, 1, -1, Number.NaN]) await endGroup(group, 0);
    expect(process.pid).toBeGreaterThan(1);
  });

  test("reads the start of a process whose name contains a parenthesis", async () => {
    using inbox = commandInbox();
    inbox.write("a) Z 1 (b", "#!/bin/sh\nwhile :; do sleep 0.05; done\n");
    const odd = Bun.spawn([join(inbox.folder, "a) Z 1 (b")], { detached: true });
    const { startedAt } = identifyProcess(odd.pid);
    const own = identifyProcess(process.pid).startedAt;
    expect(Number(startedAt)).toBeGreaterThanOrEqual(Number(own));
    await endGroup(odd.pid);
    expect(identifyProcess(odd.pid).startedAt).toBe("");
  }, 20_000);
});
