import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readme } from "./support/readme.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";
import { testInFullRun } from "./crash/requirements.ts";

const project = join(import.meta.dir, "..");
const scratch = temporaryFolder("demo-test");
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Starts `hookonce demo` as a process, with its own temporary folder, which it must leave empty. */
function startDemo(environment: Record<string, string> = {}) {
  const temporary = mkdtempSync(join(scratch, "tmp-"));
  const demo = Bun.spawn([process.execPath, "src/main.ts", "demo"], {
    cwd: project,
    env: { ...process.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary, ...environment },
    stdout: "pipe",
    stderr: "pipe",
  });
  return { demo, leftBehind: () => readdirSync(temporary) };
}

/** The two numbers in a row of the table; amounts of money in cents. */
function row(output: string, label: string): { tutorial: number; hookonce: number } {
  const line = output.split("\n").find((line) => line.startsWith(`${label}  `)) ?? "";
  const [tutorial = Number.NaN, hookonce = Number.NaN] = line
    .slice(label.length)
    .trim()
    .split(/ {2,}/)
    .map((cell) => Number(cell.replaceAll(/[$,.]| s$/g, "")));
  return { tutorial, hookonce };
}

/** Two runs print the same text but for their numbers, and for the spaces that align them. */
function withoutNumbers(text: string): string {
  return text.replaceAll(/[\d.,]+/g, "0").replaceAll(/ +/g, " ");
}

describe("hookonce demo", () => {
  testInFullRun(
    "the tutorial's receiver credits too much, hookonce credits the right amount, and no file is left behind",
    async () => {
      const startedAt = performance.now();
      // If the demo used this proxy, even its loopback requests would go through it.
      const { demo, leftBehind } = startDemo({
        HTTP_PROXY: "http://127.0.0.1:9",
        http_proxy: "http://127.0.0.1:9",
      });
      const [output, errors] = await Promise.all([demo.stdout.text(), demo.stderr.text()]);
      expect(errors).toBe("");
      expect(await demo.exited).toBe(0);
      expect(performance.now() - startedAt).toBeLessThan(8000);

      const expected = row(output, "credits expected");
      const credited = row(output, "credited");
      const doubled = row(output, "events doubled");
      expect(expected.hookonce).toBeGreaterThan(0);
      expect(credited.hookonce).toBe(expected.hookonce);
      expect(doubled.hookonce).toBe(0);
      expect(credited.tutorial).toBeGreaterThan(expected.tutorial);
      expect(doubled.tutorial).toBeGreaterThan(0);
      expect(row(output, "events sent").hookonce).toBeGreaterThanOrEqual(200);
      // Each lost answer causes one more delivery.
      const lost = row(output, "answers lost").hookonce;
      expect(lost).toBeGreaterThan(0);
      expect(row(output, "deliveries").hookonce).toBe(row(output, "events sent").hookonce * 10 + lost);

      // The README shows this output, with the numbers of another run.
      const shown = /^\$ hookonce demo\n([^]*?)^```$/m.exec(readme)?.[1] ?? "none";
      expect(withoutNumbers(output)).toContain(withoutNumbers(shown));
      expect(output).toContain("hookonce init");
      // Piped output has no colours.
      expect(output).not.toContain("\u001b");
      expect(leftBehind()).toEqual([]);
    },
    20_000,
  );

  test.skipIf(process.platform === "win32").each([
    { signal: "SIGINT", phase: "tutorial  ", code: 130 },
    { signal: "SIGTERM", phase: "hookonce  ", code: 143 },
  ] as const)(
    "$signal ends it and no file is left behind",
    async ({ signal, phase, code }) => {
      const { demo, leftBehind } = startDemo();
      let output = "";
      let made: string[] = [];
      const decoder = new TextDecoder();
      for await (const chunk of demo.stdout) {
        output += decoder.decode(chunk, { stream: true });
        if (made.length > 0 || !output.includes(`\n${phase}`)) continue;
        made = leftBehind();
        demo.kill(signal);
      }
      expect(made).toHaveLength(1);
      expect(await demo.exited).toBe(code);
      expect(output).not.toContain("credits expected");
      expect(await demo.stderr.text()).toBe("");
      expect(leftBehind()).toEqual([]);
    },
    20_000,
  );
});
