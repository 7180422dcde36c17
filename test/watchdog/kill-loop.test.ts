import { expect, test } from "bun:test";
import { describeUnless, needsLinux, onlyInFullRun } from "../crash/requirements.ts";
import { killLoop } from "./kill-loop.ts";

// 200 rounds are in test/long.
describeUnless(onlyInFullRun() ?? needsLinux(), "kill -9 at random moments, with handlers of 1 ms", () => {
  test("blames no handler, and applies each event once", async () => {
    const { interruptedRuns, applied, ...rest } = await killLoop(20);
    expect(rest).toEqual({ quarantined: [], failures: [], wrong: [] });
    expect(interruptedRuns).toBeGreaterThan(2);
    expect(applied).toBeGreaterThan(100);
  }, 120_000);
});
