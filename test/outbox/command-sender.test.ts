import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import type { StartedProcess } from "../../src/outbox/process-groups.ts";
import { describeUnless, needsLinux, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { createEventAlone } from "../../src/providers/event-alone.ts";
import type { SourceSettings } from "../../src/providers/source.ts";
import { deliver, json, sendingFor } from "../providers/sent-on.ts";
import { commandInbox, messageOf, runningIn, until } from "./support/commands.ts";

const LIMIT_MS = 60_000;

const descriptors = (): number => readdirSync("/proc/self/fd").length;

describeUnless(needsLinux() ?? onlyInFullRun(), "a command", () => {
  test("gets the body on standard input and settles with exit code 0", async () => {
    using inbox = commandInbox();
    const result = await inbox.run("cat", { message: messageOf('{"ref":"refs/heads/main"}') });
    expect(result).toEqual({
      verdict: "delivered",
      status: 0,
      error: null,
      retryAfterMs: null,
      answer: '{"ref":"refs/heads/main"}',
      ms: expect.any(Number),
    });
  });

  test.each([0, 1, 5 * 1024 * 1024])("reads a body of %d bytes whole", async (bytes) => {
    using inbox = commandInbox();
    const body = new Uint8Array(bytes).map((_, at) => (at * 31) % 251);
    const { answer, verdict } = await inbox.run("sha256sum", { message: messageOf(body) });
    expect(verdict).toBe("delivered");
    expect(answer).toBe(`${createHash("sha256").update(body).digest("hex")}  -\n`);
  });

  test("reads an event of a batch as a batch of one, and fails if its source is gone", async () => {
    using inbox = commandInbox();
    const grafana = sendingFor("grafana");
    const alerts = ["a", "b"].map((fingerprint) => ({ status: "firing", fingerprint }));
    const [, second] = await deliver(grafana, json({ title: "two", alerts }));
    const message = { ...messageOf(""), ...second };
    const reading = (settings: SourceSettings | undefined) => {
      const alone = createEventAlone(() => settings);
      return inbox.run("cat", { message, inputOf: (one) => alone(one).body });
    };
    const { answer, verdict } = await reading(grafana.settings);
    expect(verdict).toBe("delivered");
    expect(JSON.parse(answer)).toEqual({ title: "two", alerts: [alerts[1]] });
    expect(await reading(undefined)).toMatchObject({
      verdict: "failed",
      error: expect.stringContaining('source "grafana", which is not in hookonce.toml') as string,
    });
  });

  test.each([
    ["does not read it", "exit 0"],
    ["reads its beginning", "head -c 3 > /dev/null"],
    ["closes it", "exec <&-; sleep 0.1"],
    ["opens it again", "test $(cat /dev/stdin | wc -c) = 5242880"],
  ])("settles if it %s", async (_name, script) => {
    using inbox = commandInbox();
    const message = messageOf(new Uint8Array(5 * 1024 * 1024));
    expect(await inbox.run(script, { message })).toMatchObject({ verdict: "delivered", status: 0 });
  });

  test("has the event in its environment, and none of the secrets", async () => {
    using inbox = commandInbox();
    const { answer } = await inbox.run("env -0 | tr '\\0\\n' '\\n|'", {
      environment: {
        PATH: process.env["PATH"],
        APP_URL: "http://app",
        STRIPE_SECRET: "s3cret",
        HOOKONCE_FOLDER: "/elsewhere",
        UNSET: undefined,
      },
      secretVariables: ["STRIPE_SECRET", "GITHUB_SECRET"],
      message: messageOf("", { id: "own\0id", eventId: "evt $(x)", type: "a\nb", attempt: 3, source: "" }),
    });
    const variables = answer
      .trim()
      .split("\n")
      // The shell that waits for the start adds the working directory, and `_` or SHLVL on some systems.
      .filter((line) => !/^(?:PATH|OLDPWD|SHLVL|_)=/.test(line))
      .sort();
    expect(variables).toEqual([
      "APP_URL=http://app",
      "HOOKONCE_ATTEMPT=3",
      "HOOKONCE_EVENT_ID=evt $(x)",
      "HOOKONCE_MESSAGE_ID=own\u{fffd}id",
      "HOOKONCE_SOURCE=",
      "HOOKONCE_TYPE=a|b",
      `PWD=${realpathSync(inbox.folder)}`,
    ]);
  });

  test("runs without a shell: its arguments are those of the config", async () => {
    using inbox = commandInbox();
    inbox.write("a b.sh", '#!/bin/sh\npwd; printf "<%s>" "$@"');
    const sender = inbox.sender({ command: ["./a b.sh", "$HOME; exit 9", "", "a  b", "*", "-c"] });
    const { answer } = await sender.send(messageOf("$(payload)"), new AbortController().signal);
    expect(answer).toBe(`${realpathSync(inbox.folder)}\n<$HOME; exit 9><><a  b><*><-c>`);
  });

  test("looks a bare name up in PATH", async () => {
    using inbox = commandInbox();
    const sender = inbox.sender({ command: ["printf", "%s", "found"] });
    expect(await sender.send(messageOf(""), new AbortController().signal)).toMatchObject({
      verdict: "delivered",
      answer: "found",
    });
  });

  test("has no descriptors of hookonce, and the usual signals", async () => {
    using inbox = commandInbox();
    const { answer } = await inbox.run(
      "ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Ign|Blk)' /proc/self/status",
    );
    // 3 is the folder that ls reads.
    expect(answer.replaceAll(/\s+/g, " ").trim()).toBe(
      "0 1 2 3 SigBlk: 0000000000000000 SigIgn: 0000000000000000",
    );
  });

  test("fails with its exit code, and keeps what it printed in the order in which it came", async () => {
    using inbox = commandInbox();
    const result = await inbox.run("echo 1; echo 2 >&2; echo 3; echo 4 > /dev/stderr; exit 7");
    expect(result).toMatchObject({
      verdict: "failed",
      status: 7,
      error: "it ended with exit code 7",
      answer: "1\n2\n3\n4\n",
    });
  });

  test("fails if a signal ends it", async () => {
    using inbox = commandInbox();
    expect(await inbox.run("echo before; kill -SEGV $$")).toMatchObject({
      verdict: "failed",
      status: null,
      error: "it was ended by SIGSEGV",
      answer: "before\n",
    });
  });

  test("fails with the remedy if it is missing, and runs once it is there", async () => {
    using inbox = commandInbox();
    const sender = inbox.sender({ command: ["./deploy.sh"] });
    const send = () => sender.send(messageOf(""), new AbortController().signal);
    expect(await send()).toMatchObject({
      verdict: "failed",
      status: null,
      error: `"./deploy.sh" does not exist in ${inbox.folder}. Relative paths begin in the inbox folder.`,
    });
    inbox.write("deploy.sh", "#!/bin/sh\n");
    expect(await send()).toMatchObject({ verdict: "delivered" });
  });

  test("keeps the last 4 kB of its output, from a whole character on", async () => {
    using inbox = commandInbox();
    const { answer } = await inbox.run(`awk 'BEGIN { for (i = 0; i < 4000; i++) printf "é"; print "x" }'`);
    expect(answer).toBe(`${"é".repeat(2047)}x\n`);
  });

  testUnless(
    onlyInFullRun(),
    "that prints a gigabyte fills no memory and does not hold up the event loop",
    async () => {
      using inbox = commandInbox();
      let longest = 0;
      let last = performance.now();
      const ticks = setInterval(() => {
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      }, 5);
      const before = process.memoryUsage().external;
      const result = await inbox.run("yes 0123456789 | head -c 1000000000; echo; echo end");
      clearInterval(ticks);
      expect(result.verdict).toBe("delivered");
      expect(result.answer).toEndWith("\nend\n");
      expect(result.answer.length).toBe(4096);
      expect(process.memoryUsage().external - before).toBeLessThan(256 * 1024 * 1024);
      expect(longest).toBeLessThan(2000);
    },
    LIMIT_MS,
  );

  test("settles when it has ended, although a program that it left in the background runs on", async () => {
    using inbox = commandInbox();
    const script = `
      (i=0; while [ $i -lt 40 ]; do echo "still here"; sleep 0.05; i=$((i + 1)); done; touch survived) &
      echo started`;
    const { verdict, answer } = await inbox.run(script);
    expect(verdict).toBe("delivered");
    expect(answer).toContain("started");
    expect(existsSync(join(inbox.folder, "survived"))).toBe(false);
    // It prints on after the attempt. A closed pipe would have ended it.
    await until(() => existsSync(join(inbox.folder, "survived")));
  }, 20_000);
});

/** Sixty-three processes in one group. All ignore SIGTERM. */
const MANY = `
  trap '' TERM
  more() {
    if [ $1 -gt 0 ]; then more $(($1 - 1)) & more $(($1 - 1)) & fi
    while :; do sleep 1; done
  }
  more 5 &
  echo ready > ready
  while :; do sleep 1; done`;

describeUnless(needsLinux() ?? onlyInFullRun(), "a command that does not end", () => {
  test.each([
    ["ends at SIGTERM", "echo working; exec sleep 100"],
    [
      "says goodbye with exit code 0",
      "trap 'echo bye; exit 0' TERM; echo working; while :; do sleep 0.05; done",
    ],
    ["ignores SIGTERM", "trap '' TERM; echo working; while :; do sleep 0.05; done"],
  ])(
    "and %s has failed at its timeout",
    async (_name, script) => {
      using inbox = commandInbox();
      let pid = 0;
      const result = await inbox.run(script, {
        timeoutMs: 1000,
        killAfterMs: 500,
        onStarted: async (_message, started) => void (pid = started.pid),
      });
      expect(result).toMatchObject({ verdict: "failed", status: null, error: "it did not end within 1s" });
      expect(result.answer).toStartWith("working\n");
      expect(runningIn(pid)).toEqual([]);
    },
    20_000,
  );

  test("is ended with everything in its group, even if all of it ignores SIGTERM", async () => {
    using inbox = commandInbox();
    let pid = 0;
    const stop = new AbortController();
    const attempt = inbox.run(MANY, {
      signal: stop.signal,
      killAfterMs: 300,
      onStarted: async (_message, started) => void (pid = started.pid),
    });
    await until(() => pid !== 0 && runningIn(pid).length >= 64);
    stop.abort();
    expect(await attempt).toMatchObject({ verdict: "interrupted", status: null, error: "hookonce stopped" });
    expect(runningIn(pid)).toEqual([]);
  }, 30_000);

  testUnless(
    onlyInFullRun(),
    "is interrupted by a stop within 8 s",
    async () => {
      using inbox = commandInbox();
      const stop = new AbortController();
      const attempt = inbox.run("trap '' TERM; touch ready; while :; do sleep 0.05; done", {
        signal: stop.signal,
      });
      await until(() => existsSync(join(inbox.folder, "ready")));
      const begin = performance.now();
      stop.abort();
      expect(await attempt).toMatchObject({ verdict: "interrupted" });
      expect(performance.now() - begin).toBeLessThan(8000);
    },
    20_000,
  );
});

describeUnless(needsLinux() ?? onlyInFullRun(), "the start of a command", () => {
  test("is recorded before the command runs", async () => {
    using inbox = commandInbox();
    const recorded = Promise.withResolvers<void>();
    let started: StartedProcess | undefined;
    const attempt = inbox.run("touch ran", {
      onStarted: (message, process) => {
        expect(message.id).toBe("msg_1");
        started = process;
        return recorded.promise;
      },
    });
    await until(() => started !== undefined);
    await Bun.sleep(300);
    expect(existsSync(join(inbox.folder, "ran"))).toBe(false);
    recorded.resolve();
    expect(await attempt).toMatchObject({ verdict: "delivered" });
    expect(existsSync(join(inbox.folder, "ran"))).toBe(true);
    expect(started).toEqual({
      pid: expect.any(Number),
      startedAt: expect.stringMatching(/^\d+$/),
      bootId: expect.stringMatching(/^[\da-f-]{36}$/),
    });
  });

  test("that cannot be recorded runs nothing", async () => {
    using inbox = commandInbox();
    let pid = 0;
    const result = await inbox.run("touch ran", {
      onStarted: (_message, started) => {
        pid = started.pid;
        return Promise.reject(new Error("the disk is full"));
      },
    });
    expect(result).toMatchObject({
      verdict: "interrupted",
      error: "its start could not be recorded: the disk is full",
    });
    expect(runningIn(pid)).toEqual([]);
    expect(existsSync(join(inbox.folder, "ran"))).toBe(false);
  });

  test.each(["before it is recorded", "while it is recorded"])("at a stop %s runs nothing", async (when) => {
    using inbox = commandInbox();
    const stop = new AbortController();
    if (when === "before it is recorded") stop.abort();
    const result = await inbox.run("touch ran", {
      signal: stop.signal,
      onStarted: async () => stop.abort(),
    });
    expect(result).toMatchObject({ verdict: "interrupted", error: "hookonce stopped" });
    expect(existsSync(join(inbox.folder, "ran"))).toBe(false);
  });

  test("leaves no descriptor open", async () => {
    using inbox = commandInbox();
    await inbox.run("cat", { message: messageOf("payload") });
    const before = descriptors();
    for (let run = 0; run < 20; run++) await inbox.run("cat", { message: messageOf("payload") });
    expect(descriptors()).toBeLessThan(before + 10);
  }, 20_000);
});
