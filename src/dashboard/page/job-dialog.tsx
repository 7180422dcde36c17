import { useEffect, useRef, useState } from "hono/jsx/dom";
import type { JobJson, TriedJson } from "../../http/admin/job-shapes.ts";
import { api } from "./api.ts";
import { VERB } from "./event-acts.ts";
import { totalsOf, type Act } from "./jobs.ts";
import { Link } from "./location.tsx";
import { Failed, messageOf } from "./ui.tsx";
import { count, counted, forecastOf, visible } from "./words.ts";

export function useJobDialog() {
  const [state, setState] = useState<{ act: Act | undefined; turn: number; settled: number }>({
    act: undefined,
    turn: 0,
    settled: 0,
  });
  return {
    act: state.act,
    turn: state.turn,
    /** Grows when a dialog closes, so that lists are read again. */
    settled: state.settled,
    open: (act: Act) => setState((old) => ({ ...old, act, turn: old.turn + 1 })),
    close: () => setState((old) => ({ ...old, act: undefined, settled: old.settled + 1 })),
  };
}

const NEEDS_REASON = { apply: false, replay: true, discard: true, resend: false } as const;

const RISK = {
  apply: "Runs what is still owed, each event once. It is safe to repeat.",
  replay: "Runs handlers again for events that were applied before. Their changes are made twice.",
  discard: "Gives up on these events. They never run again by themselves.",
  resend: "Sends them again with the same ids. A receiver that knows an id ignores what it has done.",
} as const;

export function JobDialog(props: {
  readonly act: Act;
  readonly onSettled: () => void;
  readonly onClose: () => void;
}) {
  const { act, onClose, onSettled } = props;
  const { action, title, target, to, noun = "event" } = act;
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState("");
  const [rate, setRate] = useState("");
  const dry = useJob();
  const real = useJob();
  const start = (dryRun: boolean): Promise<{ readonly id: string }> =>
    api.startJob({
      action,
      target,
      to,
      dryRun,
      rate: dryRun || rate === "" ? undefined : Number(rate),
      // A dry run changes nothing, and is not asked why.
      reason: reason.trim() === "" && dryRun ? "dry run" : reason.trim(),
    });
  useEffect(() => {
    dialog.current?.showModal();
    dry.run(start(true));
  }, []);
  const running = real.job?.state === "running" || real.isStarting;
  const ended = real.job !== undefined && !running;
  useEffect(() => {
    if (ended) onSettled();
  }, [ended]);
  const needsReason = NEEDS_REASON[action] || act.needsReason === true;
  const isReady = !needsReason || reason.trim() !== "";
  return (
    <dialog
      ref={dialog}
      aria-labelledby="job-title"
      onClose={() => {
        dry.stop();
        onClose();
      }}
      onCancel={(event: Event) => {
        // Escape must not hide a job that runs.
        if (running) event.preventDefault();
      }}
    >
      <h2 id="job-title">{title}</h2>
      <p class="quiet">
        {noun === "message" && action === "discard"
          ? "Gives up on what is unsent. It is not sent again by itself."
          : to === undefined
            ? RISK[action]
            : "Sends it as a new message. Its handler does not run."}
      </p>
      {real.job === undefined ? <DryRun of={dry} act={act} /> : <Progress job={real.job} />}
      {real.error === undefined ? null : <Failed error={real.error} />}
      {real.job === undefined && !real.isStarting ? (
        <form
          onSubmit={(event: Event) => {
            event.preventDefault();
            if (!isReady) return;
            // It may still be trying events, for up to 30 s.
            dry.stop();
            real.run(start(false));
          }}
        >
          <label>
            Reason{needsReason ? "" : " (optional)"}
            <input
              value={reason}
              maxLength={500}
              required={needsReason}
              onInput={(event: Event) => setReason((event.target as HTMLInputElement).value)}
            />
          </label>
          <label>
            {noun === "message" ? "Messages" : "Events"} per second, at most (optional)
            <input
              value={rate}
              inputMode="numeric"
              pattern="[1-9][0-9]{0,4}"
              onInput={(event: Event) => setRate((event.target as HTMLInputElement).value)}
            />
          </label>
          <div class="buttons">
            <button type="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button class="primary">{to === undefined ? VERB[action] : "Send"}</button>
          </div>
        </form>
      ) : (
        <div class="buttons">
          {running ? (
            <button type="button" class="danger" onClick={real.stop}>
              Stop
            </button>
          ) : null}
          {ended ? (
            <>
              <Link to={act.resultPath} class="button" onGo={() => dialog.current?.close()}>
                Show the {noun}s
              </Link>
              <button type="button" class="primary" onClick={() => dialog.current?.close()}>
                Close
              </button>
            </>
          ) : null}
        </div>
      )}
    </dialog>
  );
}

interface RunningJob {
  readonly job: JobJson | undefined;
  readonly error: unknown;
  readonly isStarting: boolean;
  readonly run: (started: Promise<{ readonly id: string }>) => void;
  readonly stop: () => void;
}

/** Follows a job until it has ended. */
function useJob(): RunningJob {
  const [job, setJob] = useState<JobJson | undefined>(undefined);
  const [error, setError] = useState<unknown>(undefined);
  const [isStarting, setStarting] = useState(false);
  const [leaving] = useState(() => new AbortController());
  useEffect(() => () => leaving.abort(), []);
  const follow = async (started: Promise<{ readonly id: string }>): Promise<void> => {
    const { id } = await started;
    for (let wait = 50; !leaving.signal.aborted; wait = Math.min(wait * 2, 500)) {
      const seen = await api.job(id);
      if (leaving.signal.aborted) return;
      setJob(seen);
      if (seen.state !== "running") return;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  };
  return {
    job,
    error,
    isStarting,
    run(started) {
      setError(undefined);
      setStarting(true);
      follow(started)
        .catch((cause: unknown) => setError(cause))
        .finally(() => setStarting(false));
    },
    stop() {
      if (job?.state === "running") api.stopJob(job.id).catch((cause: unknown) => setError(cause));
    },
  };
}

function DryRun({ of: { job, error, isStarting }, act }: { readonly of: RunningJob; readonly act: Act }) {
  const { action, to } = act;
  const noun: "event" | "message" = act.noun ?? "event";
  if (error !== undefined) return <p class="wrong">The dry run failed: {messageOf(error)}</p>;
  if (job === undefined || isStarting)
    return (
      <p class="loading" role="status">
        Counting what would run…
      </p>
    );
  const [first, ...others] = forecastOf(totalsOf(job), action, noun, to);
  return (
    <div class="dry-run" role="status">
      <p>
        <strong>{first}</strong> {others.join(" ")}
      </p>
      <ul>
        {job.groups.slice(0, 6).map((group) => (
          <li>
            {count(group.would_run)} {visible(group.type) || `${noun}s without a type`}
            {group.source === "" ? null : ` of ${group.source}`}
            <span class="quiet">
              {" "}
              {group.destination === undefined ? (group.handler ?? "no handler") : `to ${group.destination}`}
            </span>
          </li>
        ))}
      </ul>
      {job.tried === null ? null : <Trial tried={job.tried} failures={job.failures} />}
      {job.error === null ? null : <p class="wrong">{visible(job.error.message)}</p>}
    </div>
  );
}

/** What the events did that the dry run tried. */
function Trial({ tried, failures }: { readonly tried: TriedJson; readonly failures: JobJson["failures"] }) {
  const { events, failed, tables, why } = tried;
  const rows = tables.map(({ table, inserted, updated, deleted }) => {
    const parts = Object.entries({ inserted, updated, deleted })
      .filter(([, rows]) => rows > 0)
      .map(([what, rows]) => `${count(rows)} ${what}`);
    return (
      <li>
        <code>{visible(table)}</code> {parts.join(", ")}
      </li>
    );
  });
  return (
    <>
      {events === 0 ? null : (
        <>
          <p>
            Tried {counted(events, "event")} and rolled back:
            {failed > 0 ? <span class="outcome bad"> ✗ {count(failed)} failed</span> : null}
          </p>
          <ul aria-label="Rows per table">
            {rows.length === 0 && events > failed ? <li>no row of your tables changed</li> : rows}
          </ul>
          {failures.length === 0 ? null : <Errors failures={failures} />}
        </>
      )}
      {why === null ? null : <p class="quiet">Not tried: {visible(why)}.</p>}
    </>
  );
}

function Errors({ failures }: Pick<JobJson, "failures">) {
  return (
    <ul class="errors">
      {failures.slice(0, 5).map((one) => (
        <li>
          <code>{visible(one.message ?? one.event_id)}</code> {visible(one.error).slice(0, 300)}
        </li>
      ))}
    </ul>
  );
}

function Progress({ job }: { readonly job: JobJson }) {
  const { processed, discarded, resent, failed, stale, quarantined, held, noHandler, alreadyDone, unfit } =
    totalsOf(job);
  const state = { running: "Running…", done: "Done.", stopped: "Stopped.", failed: "It could not continue." };
  return (
    <div class="progress">
      {job.state === "running" ? <progress aria-label="Running" /> : null}
      <p role="status">
        <strong>{state[job.state]}</strong>{" "}
        {job.action === "discard" ? (
          <span class="outcome quiet">✓ {count(discarded)} discarded</span>
        ) : job.action === "resend" ? (
          <span class="outcome good">✓ {count(resent)} sent again</span>
        ) : (
          <span class="outcome good">✓ {count(processed)} processed</span>
        )}{" "}
        {job.action === "resend" ? null : <span class="outcome bad">✗ {count(failed)} failed</span>}{" "}
        {stale > 0 ? <span class="outcome quiet">= {count(stale)} stale</span> : null}{" "}
        {alreadyDone > 0 ? <span class="outcome quiet">= {count(alreadyDone)} done already</span> : null}{" "}
        {unfit > 0 ? <span class="outcome quiet">= {count(unfit)} skipped</span> : null}{" "}
        {held > 0 ? <span class="outcome owed">○ {count(held)} held: the source is paused</span> : null}{" "}
        {noHandler + quarantined > 0 ? (
          <span class="outcome owed">○ {count(noHandler + quarantined)} still owed</span>
        ) : null}
      </p>
      {job.at_least === true ? (
        <p class="quiet">hookonce was killed during this job. It did at least this much.</p>
      ) : null}
      {job.error === null ? null : <p class="wrong">{visible(job.error.message)}</p>}
      {job.failures.length === 0 ? null : <Errors failures={job.failures} />}
    </div>
  );
}
