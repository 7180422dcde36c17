import { useEffect, useRef, useState } from "hono/jsx/dom";
import type { List, RollupJson, SourceJson, StatusJson } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { beatsOf, type Beat } from "./beats.ts";
import { HOUR, hoursOf, minutesSince, type HourOfDay } from "./day.ts";
import type { Act } from "./jobs.ts";
import { Link } from "./location.tsx";
import { problemsOf, sentenceOf, type Problem } from "./problems.ts";
import { Code, Empty, Failed, Loading, messageOf, useLoaded } from "./ui.tsx";
import { ago, count, counted, duration } from "./words.ts";

interface HomeProps {
  readonly status: StatusJson;
  readonly act: (act: Act) => void;
  /** Reads the status again. */
  readonly again: () => void;
}

export function Home({ status, act, again }: HomeProps) {
  const minutes = useLoaded<List<RollupJson>>(
    "minutes",
    () => api.rollups("minute", minutesSince(Date.now())),
    15_000,
  );
  if (status.sources.length === 0) return <NoSource />;
  const problems = problemsOf(status);
  return (
    <div class="home">
      <h1 class={problems.length === 0 ? "sentence good" : "sentence bad"}>
        <span class="mark" aria-hidden="true">
          {problems.length === 0 ? "✓" : "✗"}
        </span>{" "}
        {sentenceOf(status, problems)}
      </h1>
      {problems.length === 0 ? null : (
        <ul class="problems" aria-label="Problems">
          {problems.slice(0, 8).map((one) => (
            <Card
              key={one.key}
              problem={one}
              act={act}
              again={again}
              mayAct={status.actor.scopes.includes("steer")}
            />
          ))}
        </ul>
      )}
      <section aria-labelledby="sources-title">
        <h2 id="sources-title">Sources, last 60 minutes</h2>
        {minutes.error === undefined ? null : <Failed error={minutes.error} again={minutes.again} />}
        <ul class="source-rows">
          {status.sources.map((source) => (
            <SourceRow
              key={source.name}
              source={source}
              now={status.now}
              beats={beatsOf(minutes.value?.items ?? [], source.name, status.now)}
            />
          ))}
        </ul>
      </section>
      <Day minutes={minutes.value?.items} now={status.now} />
    </div>
  );
}

function Card(props: {
  readonly problem: Problem;
  readonly act: (act: Act) => void;
  readonly again: () => void;
  readonly mayAct: boolean;
}) {
  const { tone, title, detail, button } = props.problem;
  const [error, setError] = useState("");
  const press = (): void => {
    if ("act" in button) props.act(button.act);
    if (!("resume" in button)) return;
    setError("");
    const resumed =
      button.of === "source"
        ? api.resumeSource(button.resume, false)
        : api.setDestination(button.resume, "open");
    resumed.then(props.again, (cause: unknown) => setError(messageOf(cause)));
  };
  return (
    <li class={`card problem ${tone}`}>
      <div>
        <h2>
          <span class="mark" aria-hidden="true">
            {tone === "bad" ? "✗" : "○"}
          </span>{" "}
          {title}
        </h2>
        <p>{detail}</p>
        {error === "" ? null : <p class="wrong">✗ {error}</p>}
      </div>
      {"to" in button ? (
        <Link to={button.to} class="button">
          {button.text}
        </Link>
      ) : props.mayAct ? (
        <button type="button" class="primary" onClick={press}>
          {button.text}
        </button>
      ) : null}
    </li>
  );
}

function SourceRow(props: {
  readonly source: SourceJson;
  readonly now: number;
  readonly beats: readonly Beat[];
}) {
  const { source, now, beats } = props;
  const { name, title, state, last_delivery_at: last, last_hour: hour, p95_us: p95 } = source;
  return (
    <li>
      <div class="who">
        <Link to={`/events?source=${encodeURIComponent(name)}`}>{name}</Link>
        <span class="quiet">{title}</span>
        {state === "open" ? null : <span class="outcome owed">○ {state === "held" ? "paused" : state}</span>}
      </div>
      <Beats beats={beats} name={name} />
      <dl>
        <div>
          <dt>Last seen</dt>
          <dd>{last === null ? "waiting…" : ago(last, now)}</dd>
        </div>
        <div>
          <dt>In an hour</dt>
          <dd>{count(hour)}</dd>
        </div>
        <div>
          <dt>Handler p95</dt>
          <dd>{p95 === null ? "–" : duration(p95)}</dd>
        </div>
      </dl>
    </li>
  );
}

/** A bar a minute. Its height and its colour both show the worst outcome. */
function Beats({ beats, name }: { readonly beats: readonly Beat[]; readonly name: string }) {
  const busy = beats.filter(({ worst }) => worst !== "none").length;
  const failed = beats.filter(({ worst }) => worst === "bad").length;
  const label = `${name}: deliveries in ${busy} of the last 60 minutes, failures or refusals in ${failed}`;
  return (
    <svg class="beats" role="img" aria-label={label} viewBox="0 0 360 24" preserveAspectRatio="none">
      {beats.map(({ worst, title }, index) => {
        const height = { none: 3, good: 14, owed: 18, bad: 24 }[worst];
        return (
          <rect class={worst} x={index * 6} y={24 - height} width="4" height={height} rx="1">
            <title>{title}</title>
          </rect>
        );
      })}
    </svg>
  );
}

function Day({
  minutes,
  now,
}: {
  readonly minutes: readonly RollupJson[] | undefined;
  readonly now: number;
}) {
  const hours = useLoaded<List<RollupJson>>(
    "hours",
    () => api.rollups("hour", Date.now() - 24 * HOUR),
    60_000,
  );
  return (
    <section aria-labelledby="day-title">
      <h2 id="day-title">Deliveries, last 24 hours</h2>
      {hours.value === undefined || minutes === undefined ? (
        hours.error === undefined ? (
          <Loading what="the chart" />
        ) : (
          <Failed error={hours.error} again={hours.again} />
        )
      ) : (
        <Chart hours={hoursOf(hours.value.items, minutes, now)} now={now} />
      )}
    </section>
  );
}

/** The library of the chart is loaded here only. */
function Chart({ hours, now }: { readonly hours: readonly HourOfDay[]; readonly now: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<unknown>(undefined);
  useEffect(() => {
    let ended = false;
    let end: (() => void) | undefined;
    import("./chart.ts").then(
      ({ draw }) => {
        if (!ended && box.current !== null) end = draw(box.current, hours);
      },
      (cause: unknown) => setError(cause),
    );
    return () => {
      ended = true;
      end?.();
    };
  }, [JSON.stringify(hours)]);
  if (error !== undefined) return <Failed error={error} />;
  const sum = (key: Exclude<keyof HourOfDay, "at">): number => hours.reduce((all, one) => all + one[key], 0);
  const last = hours.at(-1)?.at ?? now;
  return (
    <figure class="chart">
      <figcaption>
        <span class="key good">✓ {count(sum("processed"))} processed</span>
        <span class="key quiet">= {counted(sum("duplicate"), "duplicate")}</span>
        <span class="key owed">○ {count(sum("held"))} held</span>
        <span class="key bad">✗ {count(sum("failed"))} failed</span>
        <span class="key bad">✗ {count(sum("refused"))} refused</span>
        <span class="quiet">
          The outlined bar is this hour so far: {clock(last)} to {clock(now)}.
        </span>
      </figcaption>
      <div class="plot" ref={box} aria-hidden="true" />
    </figure>
  );
}

const clock = (time: number): string =>
  new Date(time).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

function NoSource() {
  return (
    <Empty title="No source yet">
      <p>
        Add a provider to the inbox folder, then run <code>hookonce reload</code>. This page notices it.
      </p>
      <Code text="hookonce add stripe" />
      <p class="quiet">hookonce providers lists all that it knows.</p>
    </Empty>
  );
}
