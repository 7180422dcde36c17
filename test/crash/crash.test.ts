import { beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import type { CrashReport } from "./checks.ts";
import { crashLoop } from "./crash-loop.ts";
import { needsShim } from "./fsync-shim.ts";
import { onlyInFullRun, testUnless } from "./requirements.ts";
import { compiledServe, ensureBinary, type Command } from "./server.ts";

const rounds = 8;
// A round takes about a second. Later rounds take longer, because each redelivers everything sent so far.
const timeoutMs = 240_000;

/** The same app from its source, with synchronous=NORMAL. The product must not have a switch for that. */
const serveWithNormal: Command = ({ folder }) => [
  process.execPath,
  join(import.meta.dir, "serve-normal.ts"),
  folder,
];

function tell(name: string, { rounds, sent, answered, lost, doubled, forgotten }: CrashReport): void {
  console.log(
    `${name}: ${rounds} rounds, ${sent} events sent, ${answered} answered 200, ${lost} of them lost, ${forgotten} forgotten, ${doubled} applied twice`,
  );
}

describe("under load, with retries and lost answers", () => {
  beforeAll(async () => {
    if (onlyInFullRun() === undefined) await ensureBinary();
  }, 120_000);

  testUnless(
    onlyInFullRun(),
    "a kill -9 loses no answered event and applies none twice",
    async () => {
      const report = await crashLoop({ command: compiledServe, rounds, ends: "kill" });
      tell("kill -9, FULL", report);
      expect(report).toMatchObject({ lost: 0, doubled: 0, forgotten: 0, wrong: [] });
      expect(report.answered).toBeGreaterThan(rounds * 50);
    },
    timeoutMs,
  );

  testUnless(
    onlyInFullRun() ?? needsShim(),
    "a power cut loses no answered event and applies none twice",
    async () => {
      const report = await crashLoop({ command: compiledServe, rounds: rounds * 2, ends: "power" });
      tell("power cut, FULL", report);
      expect(report).toMatchObject({ lost: 0, doubled: 0, forgotten: 0, wrong: [] });
      expect(report.answered).toBeGreaterThan(rounds * 50);
    },
    timeoutMs,
  );

  testUnless(
    onlyInFullRun() ?? needsShim(),
    "a power cut with synchronous=NORMAL loses answered events: the control of the test above",
    async () => {
      const report = await crashLoop({ command: serveWithNormal, rounds, ends: "power" });
      tell("power cut, NORMAL", report);
      expect(report.lost).toBeGreaterThan(0);
      // NORMAL gives up only durability: the file stays intact, with one effect per event id.
      expect(report).toMatchObject({ doubled: 0, wrong: [] });
    },
    timeoutMs,
  );
});
