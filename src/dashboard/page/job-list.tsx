import { useState } from "hono/jsx/dom";
import type { JobJson } from "../../http/admin/job-shapes.ts";
import type { List } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { totalsOf } from "./jobs.ts";
import { Failed, Time, useLoaded } from "./ui.tsx";
import { count, visible } from "./words.ts";

/** How many jobs are shown, beside those that run. */
const SHOWN = 10;

/** The jobs that run, and the last ones. */
export function Jobs({ mayAct }: { readonly mayAct: boolean }) {
  const loaded = useLoaded<List<JobJson>>("jobs", api.jobs, 3000);
  const [error, setError] = useState<unknown>(undefined);
  const items = (loaded.value?.items ?? []).filter((job) => !job.dry_run);
  const running = items.filter(({ state }) => state === "running");
  const shown = items.slice(0, running.length + SHOWN);
  const stop = (id: string): void => {
    setError(undefined);
    api.stopJob(id).then(loaded.again, (cause: unknown) => setError(cause));
  };
  if (shown.length === 0 && loaded.error === undefined) return null;
  return (
    <section class="card" aria-labelledby="jobs-title">
      <h2 id="jobs-title">Jobs</h2>
      {loaded.error === undefined ? null : <Failed error={loaded.error} again={loaded.again} />}
      {error === undefined ? null : <Failed error={error} />}
      <ul class="bare audit">
        {shown.map((job) => (
          <li key={job.id}>
            <Time at={job.started_at} /> <strong>{visible(job.actor)}</strong> {job.action}{" "}
            {visible(job.target)} <State job={job} />{" "}
            {job.state === "running" && mayAct ? (
              <button
                type="button"
                class="small danger"
                aria-label={`Stop ${job.action} ${visible(job.target)}`}
                onClick={() => stop(job.id)}
              >
                Stop
              </button>
            ) : null}
          </li>
        ))}
      </ul>
    </section>
  );
}

const LOOK = {
  running: { tone: "owed", text: "○ running" },
  done: { tone: "good", text: "✓ done" },
  stopped: { tone: "quiet", text: "= stopped" },
  failed: { tone: "bad", text: "✗ could not continue" },
} as const;

function State({ job }: { readonly job: JobJson }) {
  const { tone, text } = LOOK[job.state];
  return (
    <>
      <span class={`outcome ${tone}`}>{text}</span>
      <span class="quiet">
        {job.error === null ? `, ${resultOf(job)}` : `: ${visible(job.error.message)}`}
      </span>
    </>
  );
}

/** What a job has done so far. */
export function resultOf({ action, groups, imported, at_least: atLeast }: JobJson): string {
  if (action === "import") {
    const { fresh, known, owed } = imported ?? { fresh: 0, known: 0, owed: 0 };
    return `${count(fresh + known + owed)} imported`;
  }
  const { processed, discarded, resent, forgotten, failed } = totalsOf({ groups });
  const least = atLeast === true ? "at least " : "";
  const what = {
    apply: `${count(processed)} processed`,
    replay: `${count(processed)} processed`,
    discard: `${count(discarded)} discarded`,
    resend: `${count(resent)} sent again`,
    forget: `${count(forgotten)} forgotten`,
  }[action];
  const did = `${least}${what}`;
  return failed === 0 ? did : `${did}, ${count(failed)} failed`;
}
