import { describe, test } from "bun:test";

/**
 * Why a test that needs more than `bun install` cannot run here, or undefined if it can. The reason becomes
 * part of the skipped test's name, so that a short run shows what it skipped.
 */
export type Reason = string | undefined;

/**
 * What takes long: loops, and suites that start a process for each step. Plain `bun test` is to finish within
 * two minutes.
 */
export function onlyInFullRun(): Reason {
  return process.env["HOOKONCE_TEST_ALL"] === "1" ? undefined : "set HOOKONCE_TEST_ALL=1 to run it";
}

/** What takes minutes by itself: `bun run test:long`. */
export function onlyInLongRun(): Reason {
  return process.env["HOOKONCE_TEST_LONG"] === "1" ? undefined : "bun run test:long runs it";
}

export function needsLinux(): Reason {
  return process.platform === "linux" ? undefined : "needs Linux";
}

export function needsRoot(): Reason {
  return process.getuid?.() === 0 ? undefined : "needs root";
}

export function needsCommand(name: string): Reason {
  return Bun.which(name) === null ? `needs ${name}, which is not installed` : undefined;
}

/** Skips with the reason in the name. `bun run test:all` or `bun run test:long` runs what takes long. */
export function testUnless(
  reason: Reason,
  name: string,
  body: () => Promise<void> | void,
  timeoutMs: number,
): void {
  if (reason === undefined) test(name, body, timeoutMs);
  else test.skip(`${name} (${reason})`, body);
}

/** The same for a group of tests. */
export function describeUnless(reason: Reason, name: string, body: () => void): void {
  if (reason === undefined) describe(name, body);
  else describe.skip(`${name} (${reason})`, body);
}

/** bun's `test`, but skipped in a short run. */
export function testInFullRun(name: string, body: () => Promise<void> | void, timeoutMs = 30_000): void {
  testUnless(onlyInFullRun(), name, body, timeoutMs);
}
