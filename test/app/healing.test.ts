import { expect, test } from "bun:test";
import pino from "pino";
import { createHealing, type Healing } from "../../src/app/healing.ts";
import { HookonceError } from "../../src/errors.ts";
import { refusalOf } from "../support/test-inbox.ts";
import { testInFullRun } from "../crash/requirements.ts";

const full = (): HookonceError =>
  new HookonceError("disk_full", "The disk is full.", {
    cause: Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" }),
  });

interface Told {
  readonly msg: string;
  readonly code?: string;
  readonly detail?: string;
}

function healing(
  waitMs: number,
  signal = new AbortController().signal,
): { heal: Healing; log: readonly Told[] } {
  const log: Told[] = [];
  const logger = pino({ base: null }, { write: (line) => void log.push(JSON.parse(line) as Told) });
  return { heal: createHealing({ log: logger, waitMs, signal }), log };
}

testInFullRun("repeats a step that meets a full disk or a lock, and tells once why", async () => {
  const { heal, log } = healing(10_000);
  const refusals = [full(), full(), new HookonceError("database_locked", "It is locked.")];
  expect(
    await heal(() => {
      const refusal = refusals.shift();
      if (refusal !== undefined) throw refusal;
      return "started";
    }),
  ).toBe("started");
  expect(log).toEqual([
    expect.objectContaining({
      code: "disk_full",
      cause: "The disk is full.",
      detail: "database or disk is full (SQLITE_FULL)",
      msg: "the start is tried again for up to 10 s",
    }),
    expect.objectContaining({ code: "database_locked", msg: "the start is tried again for up to 10 s" }),
    expect.objectContaining({ msg: "the start continues" }),
  ]);
});

testInFullRun("gives up when the time of all steps together is over", async () => {
  const { heal } = healing(600);
  const started = performance.now();
  let failures = 2;
  await heal(() => {
    if (failures-- > 0) throw full();
  });
  expect((await refusalOf(() => heal(() => Promise.reject(full())))).code).toBe("disk_full");
  expect(performance.now() - started).toBeWithin(600, 3000);
});

test("refuses at once for what does not pass by itself", async () => {
  const { heal, log } = healing(10_000);
  const error = new HookonceError("database_unusable", "It is not a database.");
  expect(await refusalOf(() => heal(() => Promise.reject(error)))).toBe(error);
  expect(log).toEqual([]);
});

test("ends the wait with the signal", async () => {
  const abort = new AbortController();
  const { heal } = healing(60_000, abort.signal);
  setTimeout(() => abort.abort(), 50);
  expect((await refusalOf(() => heal(() => Promise.reject(full())))).code).toBe("shutting_down");
});
