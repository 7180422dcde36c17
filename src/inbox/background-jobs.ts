import type { Reader } from "../engines/reader.ts";
import type { Entry } from "../engines/records.ts";
import { HookonceError, messageOf } from "../errors.ts";
import { beginningOf, runEventJob, type JobInbox } from "./event-jobs.ts";
import { runForgetJob } from "./forget.ts";
import { beginning, refuseForget, type ForgetPosition } from "./forget-request.ts";
import { importEvents, type ImportCounts } from "./import.ts";
import { goOn } from "./job-ends.ts";
import type { JobRun } from "./job-pages.ts";
import { createProgressLog } from "./job-progress.ts";
import type { JobPosition } from "./job-selection.ts";
import { firstPosition, runMessageJob, type MessagePosition } from "./message-jobs.ts";
import {
  auditOf,
  entryOf,
  stopOf,
  viewOf,
  viewOfKept,
  type JobRequest,
  type JobView,
  type Kept,
  type Position,
  type Started,
} from "./job-records.ts";
import type { TextMatch } from "./text-match.ts";

export type { JobRequest, JobView } from "./job-records.ts";

export interface BackgroundJobs {
  /**
   * Begins a job. It is recorded at once, so that it goes on after a crash, and in the audit list before it
   * changes the first event.
   *
   * @returns its id
   */
  start(request: JobRequest, actor: string): Promise<string>;
  /** @throws HookonceError `unknown_job` */
  view(id: string): Promise<JobView>;
  /** Those that run, and then the others, each the latest first. */
  list(limit: number): Promise<readonly JobView[]>;
  /** Ends a job after the events that have begun, if it runs. @throws HookonceError `unknown_job` */
  stop(id: string, actor: string): Promise<void>;
  /** Continues the jobs that a crash or a stop of hookonce has interrupted. */
  resume(): Promise<void>;
  /** Ends all of them, and resolves when they have ended. They continue at the next start. */
  close(): Promise<void>;
}

export interface BackgroundInbox extends JobInbox {
  readonly reader: JobInbox["reader"] & Pick<Reader, "jobs" | "job" | "unendedJobs">;
}

export interface JobObserver {
  /** An interrupted job resumes. */
  readonly onResume?: (view: JobView) => void;
  /** A job has ended, or this process is stopping: then its state is still `running`. */
  readonly onEnd?: (view: JobView) => void;
}

/** How many ended jobs are kept in memory. */
const MAX_ENDED = 100;

/** How long a stop waits until the progress of a job is recorded, in milliseconds. */
const MAX_CLOSE_MS = 1000;

/** How often the progress of a job is recorded, in milliseconds. */
const RECORD_MS = 1000;

interface Running {
  readonly view: () => JobView;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** Jobs of a process that is stopping are not stopped for good. */
const CLOSING = "closing";

/** Somebody has stopped a job. */
interface Stop {
  readonly by: string;
}

export function createBackgroundJobs(
  open: () => Promise<BackgroundInbox>,
  { onResume, onEnd }: JobObserver = {},
): BackgroundJobs {
  const jobs = new Map<string, Running>();
  let closing = false;
  /** The end of the latest replay. */
  let replayed: Promise<void> = Promise.resolve();
  /** Interrupted jobs go on before later ones begin. */
  let resuming: Promise<void> = Promise.resolve();
  /** A stop does not wait for another process that holds the write lock. */
  const closed = new AbortController();

  function find(id: string): Running | undefined {
    return jobs.get(id);
  }

  function forgetOldest(): void {
    if (jobs.size < MAX_ENDED) return;
    for (const [id, { view }] of jobs) {
      if (view().state === "running") continue;
      jobs.delete(id);
      return;
    }
  }

  /** Ended jobs are read from their records from then on, and those were changed. */
  async function forgetEnded(matches: TextMatch, { memory }: BackgroundInbox): Promise<number> {
    for (const [id, { view }] of jobs)
      if (view().state !== "running" && (await matches(JSON.stringify(view())))) jobs.delete(id);
    return (await memory?.forget(matches)) ?? 0;
  }

  /** @param before what is recorded of it */
  function run(inbox: BackgroundInbox, job: Started, before: Kept, isResumed: boolean): void {
    forgetOldest();
    const { id, request } = job;
    const abort = new AbortController();
    // A stop while interrupted jobs are being resumed.
    if (closing) abort.abort(CLOSING);
    const log = createProgressLog(before);
    let state: JobView["state"] = "running";
    let error: JobView["error"] = null;
    let imported: ImportCounts | null = null;
    let endedAt: number | null = null;
    /** What was done up to a position: after a crash, the job continues from there. */
    let kept: Pick<Kept, "groups" | "failures" | "erased" | "position" | "left" | "counted" | "done"> =
      before;
    const done = new Set(before.done);
    let isExact = false;
    let isAudited = before.isAudited;
    let recordedAt = performance.now();

    const { resumedFrom, resumes, atLeast } = before;

    const view = (): JobView => ({
      ...viewOf(job),
      state,
      error,
      imported,
      endedAt,
      atLeast,
      ...log.progress(),
    });

    async function record(...others: readonly Entry[]): Promise<void> {
      if (request.dryRun) return;
      const resumed = { resumedFrom, resumes, atLeast };
      const progress: Kept = { ...kept, state, error, imported, isAudited, isExact, ...resumed };
      const entries = [entryOf(job, endedAt, progress), ...others];
      await inbox.queue.write({ kind: "record", entries }, closed.signal);
    }

    async function recordEnd(): Promise<void> {
      const at = endedAt;
      if (!isAudited && error === null && at !== null && !request.dryRun) {
        // It found nothing to change.
        await inbox.queue.write({ kind: "record", entries: [{ entry: "no job", id }] }, closed.signal);
        return;
      }
      const stop = abort.signal.reason as Stop | undefined;
      const isStopped = isAudited && state === "stopped" && stop !== undefined && at !== null;
      await record(...(isStopped ? [stopOf(job, stop.by, at)] : []));
    }

    function recordSometimes(): void {
      if (performance.now() - recordedAt < RECORD_MS) return;
      recordedAt = performance.now();
      // Without it the job would repeat more after a crash. The end of the job reports what is wrong.
      record().catch(() => {});
    }

    async function work(): Promise<void> {
      if (request.action === "import") {
        await importEvents(inbox, request, abort.signal, (counts) => (imported = counts));
        return;
      }
      const run: JobRun<Position> = {
        id,
        startedAt: job.startedAt,
        progress: log,
        isResumed,
        from: before.position ?? (await firstOf(inbox, request)),
        onPosition(position, left) {
          kept = { ...log.progress(), position, ...(Number.isFinite(left) ? { left } : {}) };
          recordSometimes();
        },
        counted: before.counted,
        async onRuns(counted, left) {
          if (counted !== undefined) kept = { ...kept, counted, left };
          if (isAudited && counted === undefined) return;
          const audit = isAudited ? [] : [auditOf(job)];
          isAudited = true;
          await record(...audit).catch((cause: unknown) => {
            isAudited = audit.length === 0;
            throw cause;
          });
        },
        done,
        signal: abort.signal,
      };
      if (request.action === "forget") {
        const onRuns = async (): Promise<void> => run.onRuns?.(undefined, Number.POSITIVE_INFINITY);
        const how = {
          id,
          progress: log,
          from: run.from as ForgetPosition,
          onRuns,
          record,
          signal: abort.signal,
        };
        const onPosition = (position: Position): void => run.onPosition?.(position, Number.POSITIVE_INFINITY);
        return runForgetJob(
          { ...inbox, memory: { forget: (matches) => forgetEnded(matches, inbox) } },
          request,
          { ...how, onPosition },
        );
      }
      const limit = before.left ?? request.limit;
      // A position belongs to the request that it is kept with.
      if ("messages" in request)
        await runMessageJob(inbox, { ...request, limit }, run as JobRun<MessagePosition>);
      else await runEventJob(inbox, { ...request, limit }, run as JobRun<JobPosition>);
    }

    async function untilEnd(): Promise<void> {
      try {
        await work();
        if (abort.signal.reason !== CLOSING) state = abort.signal.aborted ? "stopped" : "done";
      } catch (cause) {
        if (abort.signal.reason !== CLOSING) {
          state = "failed";
          const code = cause instanceof HookonceError ? cause.code : "internal";
          error = { code, message: messageOf(cause) };
        }
      }
      if (state !== "running") {
        endedAt = inbox.clock();
        kept = log.progress();
      } else {
        kept = { ...kept, ...log.progress(), done: [...done] };
        isExact = true;
      }
      // A full disk is reported by the job's own error. Then the job goes on at the next start.
      await recordEnd().catch(() => {});
      // The log still contains its text.
      if (request.action === "forget" && state !== "running" && state !== "done") await inbox.wipe?.();
      onEnd?.(view());
    }

    // One replay at a time: an event remembers only the last replay that ran it.
    const ended =
      request.action === "replay" && !request.dryRun
        ? afterAbort(replayed, abort.signal).then(untilEnd)
        : untilEnd();
    if (request.action === "replay" && !request.dryRun)
      replayed = Promise.all([replayed, ended]).then(() => {});
    jobs.set(id, { view, abort, ended });
    if (isResumed) onResume?.(view());
  }

  async function resume(): Promise<void> {
    const inbox = await open();
    for (const { id, actor, startedAt, request, progress, isTaken } of await inbox.reader.unendedJobs()) {
      if (isTaken === true) continue;
      const job = { id, actor, startedAt, request: JSON.parse(request) as JobRequest };
      const { kept, isEnd } = goOn(job.request, JSON.parse(progress) as Kept);
      const entries = [{ entry: "take job", id }, entryOf(job, isEnd ? inbox.clock() : null, kept)] as const;
      try {
        await inbox.queue.write({ kind: "record", entries });
      } catch (error) {
        // Another node was faster.
        if (error instanceof HookonceError && error.code === "job_running") continue;
        throw error;
      }
      if (!isEnd) run(inbox, job, kept, true);
    }
  }

  return {
    async start(request, actor) {
      const inbox = await open();
      if (request.action === "forget") await refuseForget(request);
      await resuming.catch(() => {});
      const job = { id: crypto.randomUUID(), request, actor, startedAt: inbox.clock() };
      // Recorded before it begins, so that it never takes events that arrive after an interruption.
      const position = request.action === "import" ? undefined : await firstOf(inbox, request);
      // Reading its request is most of an import's work, so it is recorded whatever it finds.
      const isAudited = request.action === "import";
      const nothing = { error: null, imported: null, groups: [], failures: [] };
      const before: Kept = { state: "running", ...nothing, position, isAudited };
      if (!request.dryRun) {
        const audit = isAudited ? [auditOf(job)] : [];
        await inbox.queue.write({ kind: "record", entries: [entryOf(job, null, before), ...audit] });
      }
      run(inbox, job, before, false);
      return job.id;
    },
    async view(id) {
      const running = find(id);
      if (running !== undefined) return running.view();
      const kept = await (await open()).reader.job(id);
      if (kept === undefined) throw unknown(id);
      return viewOfKept(kept);
    },
    async list(limit) {
      const { reader } = await open();
      const kept = [...(await reader.unendedJobs()), ...(await reader.jobs(limit))].map(viewOfKept);
      // What is in memory is newer.
      const all = [...kept, ...[...jobs.values()].map(({ view }) => view())];
      return [...new Map(all.map((view) => [view.id, view])).values()]
        .sort((a, b) => Number(b.endedAt === null) - Number(a.endedAt === null) || b.startedAt - a.startedAt)
        .slice(0, limit);
    },
    async stop(id, by) {
      const job = find(id);
      if (job !== undefined) job.abort.abort({ by } satisfies Stop);
      else if ((await (await open()).reader.job(id)) === undefined) throw unknown(id);
    },
    resume: () => (resuming = resume()),
    async close() {
      closing = true;
      setTimeout(() => closed.abort(), MAX_CLOSE_MS).unref();
      for (const { abort, view } of jobs.values()) if (view().state === "running") abort.abort(CLOSING);
      await Promise.all([...jobs.values()].map(({ ended }) => ended));
    },
  };
}

/** Where a job begins if it is ordered now. */
async function firstOf(inbox: BackgroundInbox, request: JobRequest): Promise<Position> {
  if ("messages" in request) return firstPosition(inbox);
  const position = await beginningOf(inbox);
  return request.action === "forget" ? beginning(position) : position;
}

/** Resolves when a job has ended, or when the signal is aborted. */
function afterAbort(ended: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const aborted = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => aborted.resolve(), { once: true });
  return Promise.race([ended, aborted.promise]);
}

function unknown(id: string): HookonceError {
  return new HookonceError("unknown_job", `There is no job "${id}".`);
}
