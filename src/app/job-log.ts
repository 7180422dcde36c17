import type { Logger } from "pino";
import type { JobView } from "../inbox/background-jobs.ts";

/** What the log says about jobs. Only the command or the page gets their results. */

export function logResume(log: Logger, view: JobView): void {
  const { action } = view;
  log.info(lineOf(view), `${action} goes on after a restart`);
}

export function logEnd(log: Logger, view: JobView): void {
  const { action, dryRun, state, error } = view;
  const what = dryRun ? `a dry run of ${action}` : action;
  if (error !== null) {
    log.error({ ...lineOf(view), code: error.code, cause: error.message }, `${what} failed`);
    return;
  }
  const goesOn = dryRun || action === "import" ? "" : " and goes on at the next start";
  const how = {
    running: `was interrupted${goesOn}`,
    done: "ended",
    stopped: "was stopped",
    failed: "failed",
  };
  log.info(lineOf(view), `${what} ${how[state]}`);
}

function lineOf(view: JobView): object {
  const { id, action, target, state, atLeast } = view;
  const least = atLeast === true ? { at_least: true } : {};
  return { job: id, action, target, state, ...countsOf(view), ...least };
}

function countsOf({ action, dryRun, groups, imported }: JobView): Readonly<Record<string, number>> {
  const sum = (
    name: "wouldRun" | "processed" | "discarded" | "resent" | "failed" | "forgotten" | "left",
  ): number => groups.reduce((total, group) => total + group[name], 0);
  if (dryRun) return { would_run: sum("wouldRun") };
  if (action === "forget") return { forgotten: sum("forgotten"), left: sum("left") };
  if (action === "discard") return { discarded: sum("discarded") };
  if (action === "resend") return { resent: sum("resent") };
  if (action === "import")
    return { new: imported?.fresh ?? 0, known: imported?.known ?? 0, owed: imported?.owed ?? 0 };
  return { processed: sum("processed"), failed: sum("failed") };
}
