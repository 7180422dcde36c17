import { expect, test } from "bun:test";
import { join } from "node:path";
import { withLock } from "../../src/app/trial.ts";
import { fileAt } from "../../src/config/location.ts";

const trial = join(import.meta.dir, "../../src/app/trial.ts");

/** A run that holds the lock for too long ends its process with SIGALRM, so each test has a process for it. */
async function runAlone(code: string): Promise<{ signal: unknown; printed: string }> {
  const program = `import { withLock } from "${trial}";
    const LIVE = { place: "live", database: { kind: "file", path: "/x.db" } };
    function busy(ms) { const began = performance.now(); while (performance.now() - began < ms); return began; }
    ${code}`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "ignore" });
  const printed = await new Response(child.stdout).text();
  await child.exited;
  return { signal: child.signalCode, printed };
}

test("the real database stays free after each run, longer than a serve waits between two looks", async () => {
  const threeRuns = `const begins = [];
    for (let n = 0; n < 3; n++) begins.push(await withLock(LIVE, () => busy(12)));
    console.log(JSON.stringify(begins.slice(1).map((begin, n) => begin - begins[n] - 12)));`;
  let ran = await runAlone(threeRuns);
  // On a loaded machine, 12 ms of work can take longer than the 25 ms that a run has.
  for (let again = 0; again < 20 && ran.signal === "SIGALRM"; again++) ran = await runAlone(threeRuns);
  const gaps = JSON.parse(ran.printed) as number[];
  expect(gaps).toHaveLength(2);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(59);
}, 60_000);

test("a run in a copy needs no rest", async () => {
  let rested = 0;
  for (let n = 0; n < 100; n++) {
    const began = performance.now();
    let ended = began;
    await withLock({ place: "copy", database: fileAt("/x.db") }, () => {
      while (ended - began < 1) ended = performance.now();
      return true;
    });
    rested += performance.now() - ended;
  }
  // With rests of nine times as long, it takes a second at least.
  expect(rested).toBeLessThan(900);
});

test("a run that locks the real database for too long is ended, also if nobody watches it", async () => {
  const { signal } = await runAlone(`await withLock(LIVE, () => { for (;;); });`);
  expect(signal).toBe("SIGALRM");
}, 30_000);
