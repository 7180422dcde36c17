import { expect, test } from "bun:test";
import { join } from "node:path";
import { withLock } from "../../src/app/trial.ts";

function busy(ms: number): number {
  const began = performance.now();
  while (performance.now() - began < ms);
  return began;
}

test("the real database stays free after each run, longer than a serve waits between two looks", async () => {
  const begins: number[] = [];
  for (let n = 0; n < 3; n++) begins.push((await withLock("live", () => busy(12))) as number);
  const gaps = begins.slice(1).map((begin, n) => begin - (begins[n] as number) - 12);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(59);
});

test("a run in a copy needs no rest", async () => {
  const began = performance.now();
  for (let n = 0; n < 100; n++) await withLock("copy", () => busy(1));
  // With rests of nine times as long, it takes a second at least.
  expect(performance.now() - began).toBeLessThan(900);
});

test("a run that locks the real database for too long is ended, also if nobody watches it", async () => {
  const trial = join(import.meta.dir, "../../src/app/trial.ts");
  const code = `import { withLock } from "${trial}"; await withLock("live", () => { for (;;); });`;
  const child = Bun.spawn([process.execPath, "-e", code], { stdout: "ignore", stderr: "ignore" });
  await child.exited;
  expect(child.signalCode).toBe("SIGALRM");
});
