import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { makeInboxFolder } from "../crash/inbox-folder.ts";
import { describeUnless, needsLinux, onlyInLongRun, type Reason } from "../crash/requirements.ts";
import { compiledServe, ensureBinary, startServer, type Server } from "../crash/server.ts";
import { deliver, makeEvent } from "../crash/stripe-events.ts";
import { rawClient, requestHead } from "../server/support/raw-client.ts";

const sources = `
[sources.github]
provider = "github"
secret   = "env:SECRET"

[sources.ko-fi]
provider = "ko-fi"
secret   = "env:SECRET"

[sources.figma]
provider = "figma"
secret   = "env:SECRET"

[sources.aws-sns]
provider = "aws-sns"
secret   = "env:TOPIC"

[sources.mailgun]
provider = "mailgun"
secret   = "env:SECRET"

[sources.adyen]
provider = "adyen"
secret   = "env:KEY"

[sources.notion]
provider = "notion"

[sources.woocommerce]
provider = "woocommerce"
secret   = "env:SECRET"
`;

const secrets = {
  SECRET: "secret-of-the-tests",
  KEY: "00112233445566778899aabbccddeeff",
  TOPIC: "arn:aws:sns:us-east-1:000000000000:topic",
};

interface Served extends AsyncDisposable {
  readonly url: string;
  readonly server: Server;
}

/** The compiled binary. */
async function serve(): Promise<Served> {
  await ensureBinary();
  const inbox = await makeInboxFolder();
  const config = join(inbox.folder, "hookonce.toml");
  await Bun.write(config, readFileSync(config, "utf8") + sources);
  const server = startServer(compiledServe(inbox), secrets);
  beforeOthers(server.pid);
  return {
    url: await server.listening,
    server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await inbox[Symbol.asyncDispose]();
    },
  };
}

/** Whatever else runs on this machine, such as other tests, should change the result as little as possible. */
function beforeOthers(pid: number): void {
  try {
    setPriority(pid, -10);
  } catch {
    // Only root may.
  }
}

/** @returns MiB: what the process has in memory, or the most that it had */
function memoryOf({ pid }: Server, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
}

/**
 * How long the server's main thread has waited for a processor that other threads had, in milliseconds. A
 * changed priority does not prevent this: Linux compares priorities only within a session (autogroup).
 */
function waitedForProcessor({ pid }: Server): number {
  const file = `/proc/${pid}/schedstat`;
  // Not every kernel counts it.
  if (!existsSync(file)) return 0;
  return Number(readFileSync(file, "utf8").split(" ")[1]) / 1e6;
}

/** The server and the attackers have one descriptor each for a connection. */
function needsDescriptors(): Reason {
  if (!existsSync("/proc/self/limits")) return "needs /proc";
  const hard = /Max open files\s+\d+\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return Number(hard) >= 6000 ? undefined : "needs 6,000 file descriptors (ulimit -Hn)";
}

async function lastLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  return (await new Response(stream).text()).trim().split("\n").at(-1) ?? "";
}

const percentile = (times: readonly number[], part: number): number =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN;

/** In whole milliseconds. */
const percentiles = (times: readonly number[]): string =>
  [0.5, 0.95, 0.99, 1].map((part) => `p${part * 100} ${Math.round(percentile(times, part))}`).join(", ");

describeUnless(onlyInLongRun() ?? needsLinux() ?? needsDescriptors(), "the compiled binary", () => {
  test("5,000 idle connections, bombs and large bodies at once: a normal client's p99 stays below 250 ms, not counting waits for a processor", async () => {
    await using it = await serve();
    beforeOthers(process.pid);
    // Real attackers are on other machines, so these only get what the server and the client leave.
    const command = ["nice", "-n", "19", process.execPath, join(import.meta.dir, "attackers.ts"), it.url];
    const attackers = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
    const attacks = lastLine(attackers.stdout);
    try {
      // Until all connections are open.
      await Bun.sleep(10_000);
      const answers: Record<string, number> = {};
      let sent = 0;
      let most = 0;
      const times: number[] = [];
      // Without the waits for a processor. Beside other work at a load of 6, two runs had a p99 of 231 and 254
      // ms with them, and of 101 and 162 ms without.
      const served: number[] = [];
      for (const until = performance.now() + 60_000; performance.now() < until; await Bun.sleep(10)) {
        const waited = waitedForProcessor(it.server);
        const started = performance.now();
        const { httpStatus, code } = await deliver(it.url, makeEvent("normal", sent++));
        const time = performance.now() - started;
        times.push(time);
        served.push(time - (waitedForProcessor(it.server) - waited));
        const answer = code ?? String(httpStatus);
        answers[answer] = (answers[answer] ?? 0) + 1;
        most = Math.max(most, memoryOf(it.server, "VmRSS"));
      }
      console.log(`${sent} deliveries, in ms: ${percentiles(times)}; ${Math.round(most)} MiB`);
      console.log(`without waits for a processor: ${percentiles(served)}`);
      attackers.kill();
      console.log(await attacks);
      const { bombs, large, reopened } = JSON.parse(await attacks) as Record<string, number>;
      expect(bombs).toBeGreaterThan(100);
      expect(large).toBeGreaterThan(20);
      expect(reopened).toBeGreaterThan(1000);
      expect(answers).toEqual({ 200: sent });
      expect(most).toBeLessThan(400);
      expect(percentile(served, 0.99)).toBeLessThan(250);
      // The waits include those for the server's other threads, so they have a limit too.
      expect(percentile(times, 0.99)).toBeLessThan(1500);
    } finally {
      attackers.kill();
    }
  }, 180_000);

  test("bodies of 25 MB with bad signatures on 12 connections take less than 250 MiB", async () => {
    await using it = await serve();
    const body = Buffer.alloc(25_000_000, "x");
    const statuses: Record<number, number> = {};
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        for (let n = 0; n < 10; n++) {
          const response = await fetch(`${it.url}/webhook/github`, {
            method: "POST",
            headers: { "x-hub-signature-256": `sha256=${"0".repeat(64)}` },
            body,
          });
          await response.text();
          statuses[response.status] = (statuses[response.status] ?? 0) + 1;
        }
      }),
    );
    const most = memoryOf(it.server, "VmHWM");
    console.log(`${Math.round(most)} MiB; answers: ${JSON.stringify(statuses)}`);
    expect(statuses[401]).toBeGreaterThan(10);
    expect(most).toBeLessThan(250);
  }, 120_000);

  test("a connection outlives the 120 s for which Caddy keeps one", async () => {
    await using it = await serve();
    using client = await rawClient(it.url);
    const request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    await client.send(request);
    expect(await client.answer).toMatchObject({ status: 200 });
    let closed = false;
    void client.closed.then(() => (closed = true));
    await Bun.sleep(130_000);
    expect(closed).toBe(false);
    expect(await client.send(request)).toBe(true);
    await Bun.sleep(500);
    expect(closed).toBe(false);
  }, 180_000);

  test("a body has 10 s between bytes and 60 s in all", async () => {
    await using it = await serve();
    const head = requestHead("/webhook/stripe", { "content-length": 100, "stripe-signature": "t=1,v1=00" });
    const ended = async (gapMs: number): Promise<{ code: unknown; seconds: number }> => {
      using client = await rawClient(it.url);
      const started = performance.now();
      await client.send(head);
      const drip = setInterval(() => void client.send("x"), gapMs);
      const answer = await client.answer;
      clearInterval(drip);
      const { error } = JSON.parse(answer?.body || "{}") as { error?: { code: string } };
      return { code: error?.code, seconds: (performance.now() - started) / 1000 };
    };
    const [stalled, slow] = await Promise.all([ended(70_000), ended(8000)]);
    expect(stalled.code).toBe("body_timeout");
    expect(stalled.seconds).toBeWithin(9.9, 12);
    expect(slow.code).toBe("body_timeout");
    expect(slow.seconds).toBeWithin(59.9, 63);
  }, 90_000);
});
