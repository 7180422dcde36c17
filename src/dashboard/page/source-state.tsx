import { useState } from "hono/jsx/dom";
import type { SourceStateJson } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { Link } from "./location.tsx";
import { eventsPath } from "./query.ts";
import { PauseDialog } from "./pause-dialog.tsx";
import { Failed } from "./ui.tsx";
import { ago, sumOf, timeText, visible } from "./words.ts";

const LOOK = {
  open: { tone: "good", text: "✓ open" },
  held: { tone: "owed", text: "○ paused" },
  refusing: { tone: "owed", text: "○ refusing" },
  resuming: { tone: "owed", text: "○ resuming" },
} as const;

/** Whether a source runs its events, with what is held, and the button that pauses or resumes it. */
export function SourceState(props: {
  readonly name: string;
  /** Undefined if it is open. */
  readonly paused: SourceStateJson | undefined;
  readonly now: number;
  readonly mayAct: boolean;
  /** Reads the status again. */
  readonly again: () => void;
}) {
  const { name, paused, now, mayAct, again } = props;
  const [error, setError] = useState<unknown>(undefined);
  const [isAsking, setAsking] = useState(false);
  const [stops, setStops] = useState(false);
  const { tone, text } = LOOK[paused?.state ?? "open"];
  const isPaused = paused?.state === "held" || paused?.state === "refusing";
  const resume = (): void => {
    setError(undefined);
    api.resumeSource(name, stops).then(again, (cause: unknown) => setError(cause));
  };
  return (
    <>
      <div class="source-state">
        <p>
          <span class={`outcome ${tone}`}>{text}</span>
          {paused === undefined ? null : <Since paused={paused} />}
        </p>
        {mayAct && isPaused ? (
          <div class="buttons">
            {paused.held.count === 0 ? null : (
              <label class="check">
                <input type="checkbox" checked={stops} onChange={() => setStops(!stops)} /> Stop at the first
                failure
              </label>
            )}
            <button type="button" class="primary" onClick={resume}>
              Resume
            </button>
          </div>
        ) : mayAct ? (
          <button type="button" onClick={() => setAsking(true)}>
            Pause…
          </button>
        ) : null}
      </div>
      {isAsking ? <PauseDialog source={name} onDone={again} onClose={() => setAsking(false)} /> : null}
      {paused === undefined || paused.held.count === 0 ? null : (
        <p>
          <Link to={eventsPath({ source: name, outcome: "held" })}>{sumOf([paused.held])} held</Link>
          {paused.oldest_at === null ? null : (
            <span class="quiet">, the oldest from {ago(paused.oldest_at, now)}</span>
          )}
        </p>
      )}
      {paused?.warnings.map((warning) => (
        <p key={warning} class="wrong">
          ✗ {visible(warning)}
        </p>
      ))}
      {error === undefined ? null : <Failed error={error} />}
    </>
  );
}

/** What follows the state. */
function Since({
  paused: { state, since, until, reason, stop_on_failure: stops },
}: {
  readonly paused: SourceStateJson;
}) {
  return (
    <span class="quiet">
      {since === null ? "" : ` since ${timeText(since)}`}
      {until === null ? "" : `, until ${timeText(until)}`}
      {stops ? ", until an event fails" : ""}
      {reason === null ? "" : `: ${visible(reason)}`}
      {state === "refusing" ? ". Its deliveries are answered 503." : ""}
    </span>
  );
}
