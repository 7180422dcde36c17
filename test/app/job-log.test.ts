import { expect, test } from "bun:test";
import pino from "pino";
import { logEnd, logResume } from "../../src/app/job-log.ts";
import type { JobView } from "../../src/inbox/background-jobs.ts";

const group = {
  source: "shop",
  type: "paid",
  outcome: "failed" as const,
  handler: "handlers/shop/paid.sql",
  wouldRun: 0,
  processed: 0,
  failed: 0,
  discarded: 0,
  quarantined: 0,
  noHandler: 0,
  alreadyDone: 0,
  unfit: 0,
  stale: 0,
  held: 0,
  forced: 0,
  forgotten: 0,
  left: 0,
  resent: 0,
};

const job: JobView = {
  id: "a-job",
  action: "discard",
  actor: "ada",
  reason: "a test",
  dryRun: false,
  target: "type:paid",
  startedAt: 1,
  endedAt: 2,
  state: "done",
  error: null,
  imported: null,
  groups: [{ ...group, discarded: 4 }],
  failures: [],
  tried: null,
};

function lines(work: (log: pino.Logger) => void): unknown[] {
  const written: unknown[] = [];
  const options = { base: null, timestamp: false } as const;
  work(pino(options, { write: (line: string) => void written.push(JSON.parse(line)) }));
  return written;
}

test("the log says how each job ended, and what it did", () => {
  const apply = { ...job, action: "apply" as const, groups: [{ ...group, processed: 2, failed: 1 }] };
  const logged = lines((log) => {
    logEnd(log, job);
    logEnd(log, { ...job, state: "stopped" });
    logEnd(log, { ...job, state: "running", endedAt: null });
    logResume(log, { ...apply, state: "running", endedAt: null });
    logEnd(log, apply);
    logEnd(log, { ...apply, dryRun: true, groups: [{ ...group, wouldRun: 3 }] });
    logEnd(log, { ...job, action: "import", imported: { fresh: 5, known: 6, owed: 7, old: 8, settled: [] } });
    logEnd(log, { ...apply, state: "failed", error: { code: "disk_full", message: "The disk is full." } });
  });
  const about = { level: 30, job: "a-job", target: "type:paid" };
  expect(logged).toEqual([
    { ...about, action: "discard", state: "done", discarded: 4, msg: "discard ended" },
    { ...about, action: "discard", state: "stopped", discarded: 4, msg: "discard was stopped" },
    {
      ...about,
      action: "discard",
      state: "running",
      discarded: 4,
      msg: "discard was interrupted and goes on at the next start",
    },
    {
      ...about,
      action: "apply",
      state: "running",
      processed: 2,
      failed: 1,
      msg: "apply goes on after a restart",
    },
    { ...about, action: "apply", state: "done", processed: 2, failed: 1, msg: "apply ended" },
    { ...about, action: "apply", state: "done", would_run: 3, msg: "a dry run of apply ended" },
    { ...about, action: "import", state: "done", new: 5, known: 6, owed: 7, msg: "import ended" },
    {
      ...about,
      level: 50,
      action: "apply",
      state: "failed",
      processed: 2,
      failed: 1,
      code: "disk_full",
      cause: "The disk is full.",
      msg: "apply failed",
    },
  ]);
});
