import { HookonceError, messageOf, type ErrorCode } from "../errors.ts";
import {
  applyOwed,
  createProgressLog,
  type ApplyInbox,
  type ApplyProgress,
  type ApplyRequest,
} from "./apply.ts";

/** A command that runs for a while, as its caller sees it. */
export interface JobView extends ApplyProgress {
  readonly id: string;
  readonly action: "apply";
  readonly dryRun: boolean;
  /** `stopped`: a caller ended it. `failed`: it could not continue, and `error` says why. */
  readonly state: "running" | "done" | "stopped" | "failed";
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
}

export interface BackgroundJobs {
  /** Begins a job. @returns its id */
  start(request: ApplyRequest): string;
  /** @throws HookonceError `unknown_job` */
  view(id: string): JobView;
  /** Ends a job after the events that have begun. @throws HookonceError `unknown_job` */
  stop(id: string): void;
  /** Ends all of them, and resolves when they have ended. */
  close(): Promise<void>;
}

/** How many ended jobs can still be looked at. */
const MAX_ENDED = 100;

interface Running {
  readonly view: () => JobView;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** @param onEnd called when a job has ended */
export function createBackgroundJobs(
  open: () => Promise<ApplyInbox>,
  onEnd?: (view: JobView) => void,
): BackgroundJobs {
  const jobs = new Map<string, Running>();

  function find(id: string): Running {
    const job = jobs.get(id);
    if (job !== undefined) return job;
    throw new HookonceError("unknown_job", `There is no job "${id}". Jobs are kept until hookonce stops.`);
  }

  function forgetOldest(): void {
    if (jobs.size < MAX_ENDED) return;
    for (const [id, { view }] of jobs) {
      if (view().state === "running") continue;
      jobs.delete(id);
      return;
    }
  }

  return {
    start(request) {
      forgetOldest();
      const id = crypto.randomUUID();
      const abort = new AbortController();
      const log = createProgressLog();
      let state: JobView["state"] = "running";
      let error: JobView["error"] = null;
      const run = async (): Promise<void> => {
        try {
          await applyOwed(await open(), request, log, abort.signal);
          state = abort.signal.aborted ? "stopped" : "done";
        } catch (cause) {
          state = "failed";
          const code = cause instanceof HookonceError ? cause.code : "internal";
          error = { code, message: messageOf(cause) };
        }
        onEnd?.(view());
      };
      const view = (): JobView => ({
        id,
        action: "apply",
        dryRun: request.dryRun,
        state,
        error,
        ...log.progress(),
      });
      jobs.set(id, { view, abort, ended: run() });
      return id;
    },
    view: (id) => find(id).view(),
    stop: (id) => find(id).abort.abort(),
    async close() {
      for (const { abort } of jobs.values()) abort.abort();
      await Promise.all([...jobs.values()].map(({ ended }) => ended));
    },
  };
}
