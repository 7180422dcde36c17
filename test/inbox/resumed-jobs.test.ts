import { expect, test } from "bun:test";
import type { Entry, KeptJob } from "../../src/engines/records.ts";
import { createBackgroundJobs, type BackgroundInbox, type JobView } from "../../src/inbox/background-jobs.ts";

/** Resumes a job that was interrupted, and returns what is recorded of it until it ends. */
async function resumed(
  progress: object,
  action: "apply" | "replay" | "discard" = "replay",
): Promise<{
  readonly states: string[];
  readonly looked: number;
  readonly atLeast: unknown;
}> {
  const recorded: KeptJob[] = [];
  let looked = 0;
  const look = () => {
    looked++;
    return { items: [], next: undefined };
  };
  const kept: KeptJob = {
    id: "a-job",
    action,
    actor: "ada",
    startedAt: 1,
    endedAt: null,
    request: JSON.stringify({ action, filter: {}, dryRun: false, reason: "a test" }),
    progress: JSON.stringify({
      state: "running",
      error: null,
      imported: null,
      groups: [],
      failures: [],
      ...progress,
    }),
  };
  const inbox = {
    reader: {
      unendedJobs: () => [kept],
      job: () => undefined,
      followed: () => ({ event: 9, failure: 0, change: 0 }),
      recorded: look,
      owed: look,
    },
    queue: {
      write(job: { entries: readonly Entry[] }) {
        for (const entry of job.entries) if (entry.entry === "job") recorded.push(entry.job);
        return Promise.resolve();
      },
    },
    sources: new Map(),
    handlers: () => ({ for: () => null, files: [] }),
    clock: () => 2,
  } as unknown as BackgroundInbox;
  const jobs = createBackgroundJobs(() => Promise.resolve(inbox));
  await jobs.resume();
  await jobs.close();
  const states = recorded.map(
    ({ endedAt, progress: text }) => `${(JSON.parse(text) as JobView).state}, ended ${String(endedAt)}`,
  );
  const { atLeast } = JSON.parse(recorded[0]?.progress ?? "{}") as JobView;
  return { states, looked, atLeast };
}

test("a job that was interrupted continues where it was", async () => {
  expect(await resumed({})).toMatchObject({ looked: 1, states: ["running, ended null", expect.anything()] });
  const later = { position: { ids: 0, ordered: { event: 9, change: 0 } }, resumedFrom: null };
  expect((await resumed(later)).looked).toBe(1);
});

test("a job that is interrupted again and again at the same place ends", async () => {
  const later = {
    position: { ids: 64, ordered: { event: 9, change: 0 } },
    resumedFrom: { ids: 64, ordered: { event: 9, change: 0 } },
  };
  for (const at of [{ resumedFrom: null }, later]) {
    const goesOn = (await resumed({ ...at, resumes: 9 })).states[0];
    expect(goesOn).toBe("running, ended null");
    expect(await resumed({ ...at, resumes: 10 })).toMatchObject({
      looked: 0,
      states: ["failed, ended 2"],
    });
  }
  const elsewhere = { ...later, resumedFrom: null, resumes: 10 };
  expect((await resumed(elsewhere)).states[0]).toBe("running, ended null");
});

test("after a kill, a job that applies or discards says that it did at least what it counts", async () => {
  const killed = { isAudited: true };
  expect((await resumed(killed, "apply")).atLeast).toBe(true);
  expect((await resumed(killed, "discard")).atLeast).toBe(true);
  // A replay knows which events it has run.
  expect((await resumed(killed, "replay")).atLeast).toBe(false);
  expect((await resumed({ isAudited: false }, "apply")).atLeast).toBe(false);
  const stopped = { ...killed, isExact: true };
  expect((await resumed(stopped, "apply")).atLeast).toBe(false);
  expect((await resumed({ ...stopped, atLeast: true }, "apply")).atLeast).toBe(true);
});
