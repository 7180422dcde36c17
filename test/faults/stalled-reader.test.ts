import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLineBuffer } from "../../src/logging/line-buffer.ts";
import { hookonce, inboxFiles, scratch } from "../cli/support/hookonce.ts";
import { describeUnless, needsLinux, onlyInFullRun } from "../crash/requirements.ts";

/** A pipe whose reader reads only on demand. */
class StalledPipe implements Disposable {
  /** The writer's end. */
  readonly descriptor: number;
  readonly #reader: number;
  readonly #decoder = new TextDecoder();
  readonly #chunks: string[] = [];
  #open = true;

  /** @param mode the mode of the writer's end */
  constructor(folder: string, mode: "blocking" | "non-blocking" = "blocking") {
    const path = join(folder, "pipe");
    Bun.spawnSync(["mkfifo", path]);
    const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
    this.#reader = openSync(path, O_RDONLY | O_NONBLOCK);
    this.descriptor = openSync(path, mode === "blocking" ? O_WRONLY : O_WRONLY | O_NONBLOCK);
  }

  /** Everything read so far. */
  get text(): string {
    return this.#chunks.join("");
  }

  /**
   * Reads until `end` has arrived, or for `ms` milliseconds.
   *
   * @returns everything read so far
   */
  async readUntil(end: string, ms = 30_000): Promise<string> {
    const buffer = Buffer.alloc(64 * 1024);
    const until = performance.now() + ms;
    while (!this.#chunks.slice(-2).join("").includes(end) && performance.now() < until) {
      try {
        const length = readSync(this.#reader, buffer);
        this.#chunks.push(this.#decoder.decode(buffer.subarray(0, length), { stream: true }));
      } catch {
        // EAGAIN: there is nothing to read yet
      }
      // Let the pipe fill up. Otherwise each read would get one page.
      await Bun.sleep(1);
    }
    return this.text;
  }

  closeReader(): void {
    if (this.#open) closeSync(this.#reader);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.closeReader();
    closeSync(this.descriptor);
  }
}

const numbered = (n: number): string => `${String(n).padStart(8, "0")} ${"x".repeat(190)}\n`;

async function served(work: (url: string, pipe: StalledPipe, child: Bun.Subprocess) => Promise<void>) {
  using inbox = scratch(inboxFiles);
  using pipe = new StalledPipe(inbox.path);
  await using child = Bun.spawn([...hookonce, "serve", inbox.path, "--dev", "--listen", "127.0.0.1:0"], {
    cwd: tmpdir(),
    env: { HOME: process.env["HOME"] ?? tmpdir() },
    stdin: "ignore",
    stdout: pipe.descriptor,
    stderr: "inherit",
  });
  const text = await pipe.readUntil('"listening"');
  await work(/"url":"(http:[^"]+)","database"/.exec(text)?.[1] ?? "", pipe, child);
}

const deliver = async (url: string, count: number): Promise<void> => {
  for (let n = 0; n < count; n += 50) {
    const answers = Array.from({ length: 50 }, (_, index) =>
      fetch(`${url}/webhook`, {
        method: "POST",
        body: JSON.stringify({ event_id: `evt_${n + index}`, type: "paid", customer: "ada", cents: 1 }),
        signal: AbortSignal.timeout(10_000),
      }),
    );
    for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200);
  }
};

const linesOf = (text: string): string[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => String((JSON.parse(line) as { event?: string }).event));

describeUnless(needsLinux() ?? onlyInFullRun(), "a stalled reader of the log", () => {
  test.each(["blocking", "non-blocking"] as const)(
    "gets every line once, complete and in order, after it reads on: %s",
    async (mode) => {
      using folder = scratch();
      using pipe = new StalledPipe(folder.path, mode);
      const lines = createLineBuffer(pipe.descriptor, () => "dropped\n");
      const expected = Array.from({ length: 5000 }, (_, n) => numbered(n)).join("");
      for (let n = 0; n < 5000; n++) {
        lines.write(numbered(n));
        if (n % 500 === 0) await Bun.sleep(1);
      }
      const read = pipe.readUntil(numbered(4999));
      await lines.flush();
      expect(await read).toBe(expected);
    },
  );

  test.each(["blocking", "non-blocking"] as const)(
    "costs limited memory: further lines are dropped and counted, and the log continues: %s",
    async (mode) => {
      using folder = scratch();
      using pipe = new StalledPipe(folder.path, mode);
      const lines = createLineBuffer(pipe.descriptor, (count) => `dropped ${count}\n`);
      const total = 60_000; // 12 MB
      for (let n = 0; n < total; n++) lines.write(numbered(n));
      await Bun.sleep(100);
      for (let n = 0; n < total; n++) lines.write(numbered(total + n));
      const started = performance.now();
      await lines.flush();
      expect(performance.now() - started).toBeLessThan(10_000);

      const read = pipe.readUntil("after\n", 50_000);
      let after = 0;
      for (let done = false; !done; after++) {
        lines.write("after\n");
        await lines.flush();
        done = await Promise.race([read.then(() => true), Bun.sleep(50).then(() => false)]);
      }
      const text = await read;
      const counted = [...text.matchAll(/^dropped (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
      const kept = [...text.matchAll(/^(\d{8}) x{190}$/gm)].map(([, n]) => Number(n));
      const others = text.split("\n").filter((line) => !/^(?:\d{8} x{190}|dropped \d+|after|)$/.test(line));
      expect(others).toEqual([]);
      expect(counted).toBeGreaterThan(total / 4);
      expect(kept.length + counted).toBeWithin(2 * total, 2 * total + after + 1);
      expect(kept.every((n, index) => index === 0 || n > (kept[index - 1] as number))).toBe(true);
    },
    60_000,
  );

  test("receives lines of any length and alphabet in full", async () => {
    using folder = scratch();
    using pipe = new StalledPipe(folder.path);
    const lines = createLineBuffer(pipe.descriptor, () => "dropped\n");
    // Characters of two, three and four bytes. The longest line is longer than what is joined for one write.
    const expected = ["é", "€", "🪝"].flatMap((character) =>
      [1, 1000, 100_000].map((length) => `${character.repeat(length)}\n`),
    );
    for (const line of expected) lines.write(line);
    lines.write("end\n");
    const read = pipe.readUntil("end\n");
    await lines.flush();
    expect(await read).toBe(`${expected.join("")}end\n`);
  });

  test("that closes the pipe ends the log and nothing else", async () => {
    using folder = scratch();
    using pipe = new StalledPipe(folder.path);
    const lines = createLineBuffer(pipe.descriptor, () => "dropped\n");
    lines.write("one\n");
    await lines.flush();
    expect(await pipe.readUntil("one\n")).toBe("one\n");
    pipe.closeReader();
    for (let n = 0; n < 1000; n++) lines.write(numbered(n));
    const started = performance.now();
    await lines.flush();
    lines.write("two\n");
    lines.flushBeforeExit();
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  describe("does not delay serve", () => {
    test("every delivery has its line after it reads on", async () => {
      await served(async (url, pipe, child) => {
        await deliver(url, 2000);
        child.kill("SIGTERM");
        const text = await pipe.readUntil('"stopped"');
        expect(await child.exited).toBe(0);
        const events = linesOf(text).filter((event) => event.startsWith("evt_"));
        expect([events.length, new Set(events).size]).toEqual([2000, 2000]);
      });
    }, 60_000);

    test("a stop takes less than 10 s even if it never reads on", async () => {
      await served(async (url, _, child) => {
        await deliver(url, 1000);
        const started = performance.now();
        child.kill("SIGTERM");
        expect(await child.exited).toBe(0);
        expect(performance.now() - started).toBeLessThan(10_000);
      });
    }, 60_000);

    test("deliveries and a stop also work after it closes the pipe", async () => {
      await served(async (url, pipe, child) => {
        await deliver(url, 500);
        pipe.closeReader();
        await deliver(url, 1000);
        child.kill("SIGTERM");
        expect(await child.exited).toBe(0);
      });
    }, 60_000);
  });
});
