import type { JobRequest, JobView, Kept } from "./job-records.ts";

/** How jobs end that a crash has interrupted. */

/** What is recorded of an interrupted job before it goes on, and whether it ends instead. */
export function goOn(request: JobRequest, before: Kept): { readonly kept: Kept; readonly isEnd: boolean } {
  const from = before.position ?? null;
  const resumes = Bun.deepEquals(before.resumedFrom, from) ? (before.resumes ?? 1) : 0;
  const end = request.action === "import" ? CUT : resumes < MAX_RESUMES ? null : STUCK;
  const atLeast = before.atLeast === true || isCutShort(request, before);
  const again = { resumedFrom: from, resumes: resumes + 1, isExact: false, atLeast };
  return { kept: { ...before, ...again, ...end }, isEnd: end !== null };
}

/** An import whose events are gone with the process. */
const CUT: Pick<JobView, "state" | "error"> = {
  state: "failed",
  error: {
    code: "shutting_down",
    message:
      "hookonce ended during this import. Import the file again: what was already imported counts as known.",
  },
};

/**
 * A job that is interrupted again and again at the same place ends. A handler that ends the process is
 * quarantined before that: after two ends, or up to five if the process also ends for other reasons.
 */
const MAX_RESUMES = 10;

const STUCK: Pick<JobView, "state" | "error"> = {
  state: "failed",
  error: {
    code: "shutting_down",
    message: `hookonce ended ${MAX_RESUMES + 1} times at the same place in this job. Find the cause in its log, then run the command again.`,
  },
};

/**
 * Whether a crash has lost counts: those after the last position. A replay knows its events again, and so does a
 * job that sends them to a destination. A job that is not audited has changed nothing.
 */
function isCutShort(request: JobRequest, { isExact = false, isAudited }: Kept): boolean {
  const { action } = request;
  const isCounted =
    action === "apply" || action === "discard" || action === "forget" || "messages" in request;
  return isAudited && !isExact && isCounted;
}
