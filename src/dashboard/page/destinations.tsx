import { useState } from "hono/jsx/dom";
import type { CappedCount, DestinationJson, StatusJson } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import type { Act } from "./jobs.ts";
import { go, Link } from "./location.tsx";
import { messagesPath, resendDead } from "./message-acts.ts";
import { Messages, OneMessage } from "./message-list.tsx";
import { Code, Empty, Failed, Name } from "./ui.tsx";
import { ago, sumOf, timeText, visible } from "./words.ts";

interface DestinationsProps {
  readonly status: StatusJson;
  readonly params: URLSearchParams;
  readonly settled: number;
  readonly act: (act: Act) => void;
  /** Reads the status again. */
  readonly again: () => void;
}

/** A destination in the config, as the first one may look. */
const EXAMPLE = `[sources.stripe]
forward = ["app"]

[destinations.app]
url = "http://127.0.0.1:3000/webhooks/{source}"`;

export function Destinations({ status, params, settled, act, again }: DestinationsProps) {
  const { destinations, now } = status;
  const mayAct = status.actor.scopes.includes("steer");
  const value = (name: string): string | undefined => params.get(name) || undefined;
  const id = value("id");
  const filter = Object.fromEntries(
    ["destination", "state", "source", "event_id"].flatMap((name) => {
      const given = value(name);
      return given === undefined ? [] : [[name, given]];
    }),
  );
  if (destinations.length === 0) return <NoDestination />;
  return (
    <div class="destinations">
      <h1>Destinations</h1>
      <ul class="groups">
        {destinations.map((one) => (
          <Destination key={one.name} one={one} now={now} mayAct={mayAct} act={act} again={again} />
        ))}
      </ul>
      <section aria-labelledby="messages-title">
        <h2 id="messages-title">
          {filter["destination"] === undefined ? "Messages" : `Messages to ${visible(filter["destination"])}`}
        </h2>
        <Find id={id ?? ""} />
        {id === undefined ? (
          <Messages
            key={JSON.stringify(filter)}
            filter={filter}
            mayAct={mayAct}
            settled={settled}
            act={act}
          />
        ) : (
          <div class="card">
            <OneMessage
              key={id}
              id={id}
              destination={value("destination")}
              mayAct={mayAct}
              settled={settled}
              act={act}
            />
            <Link to={messagesPath({})}>Show all messages</Link>
          </div>
        )}
      </section>
    </div>
  );
}

function NoDestination() {
  return (
    <>
      <h1>Destinations</h1>
      <Empty title="No destination yet">
        <p>
          hookonce can send events on: to a command, or to your application. It keeps them until they have
          arrived.
        </p>
        <p>Run a script for each push:</p>
        <Code text="hookonce add github push --run ./deploy.sh" />
        <p>
          Or send a source's events to a URL, in <code>hookonce.toml</code>:
        </p>
        <Code text={EXAMPLE} />
        <p class="quiet">Then run hookonce reload.</p>
      </Empty>
    </>
  );
}

function Find({ id }: { readonly id: string }) {
  const [text, setText] = useState(id);
  return (
    <form
      class="find"
      onSubmit={(event: Event) => {
        event.preventDefault();
        go(messagesPath({ id: text.trim() }));
      }}
    >
      <label>
        <span class="unseen">Message id</span>
        <input
          type="search"
          value={text}
          placeholder="msg_…"
          onInput={(event: Event) => setText((event.target as HTMLInputElement).value)}
        />
      </label>
      <button>Find</button>
    </form>
  );
}

const LOOK = {
  open: { tone: "good", text: "✓ open" },
  paused: { tone: "owed", text: "○ paused" },
  failing: { tone: "bad", text: "✗ failing" },
} as const;

function Destination(props: {
  readonly one: DestinationJson;
  readonly now: number;
  readonly mayAct: boolean;
  readonly act: (act: Act) => void;
  readonly again: () => void;
}) {
  const { one, now, mayAct, act, again } = props;
  const [error, setError] = useState<unknown>(undefined);
  const { name, kind, target, state, reason, paused_since: since, last_failure: failure } = one;
  const { tone, text } = LOOK[state];
  const change = (to: "open" | "paused"): void => {
    setError(undefined);
    api.setDestination(name, to).then(again, (cause: unknown) => setError(cause));
  };
  return (
    <li class="card group">
      <div class="group-head">
        <div>
          <h2>
            <Link to={messagesPath({ destination: name })}>{visible(name)}</Link>{" "}
            <span class="quiet">
              {target === null ? "not in hookonce.toml any more" : <Name text={target} />}
            </span>
          </h2>
          <p>
            <span class={`outcome ${tone}`}>{text}</span>
            {since === null ? null : <span class="quiet"> since {timeText(since)}</span>}
            {reason === null ? null : <span class="quiet">: {visible(reason)}</span>}
            {state === "failing" ? (
              <span class="quiet">: it gets one message at a time until one arrives</span>
            ) : null}
          </p>
        </div>
        {mayAct ? (
          <div class="buttons">
            {one.dead.count > 0 ? (
              <button type="button" class="primary" onClick={() => act(resendDead(one))}>
                Send {sumOf([one.dead])} again
              </button>
            ) : null}
            {kind === null ? null : state === "paused" ? (
              <button type="button" onClick={() => change("open")}>
                Resume
              </button>
            ) : (
              <button type="button" onClick={() => change("paused")}>
                Pause
              </button>
            )}
          </div>
        ) : null}
      </div>
      {error === undefined ? null : <Failed error={error} />}
      <dl class="numbers">
        <Number of={one.waiting} name="Waiting" />
        <div>
          <dt>Oldest</dt>
          <dd>{one.oldest_at === null ? "–" : ago(one.oldest_at, now)}</dd>
        </div>
        <Number of={one.sending} name="Being sent" />
        <Number of={one.last_minute} name="Last minute" />
        <div>
          <dt>Last arrived</dt>
          <dd>{one.last_delivered_at === null ? "–" : ago(one.last_delivered_at, now)}</dd>
        </div>
        <Number of={one.dead} name="Dead" tone="bad" />
      </dl>
      {failure === null || (state === "open" && one.dead.count === 0) ? null : (
        <p class="message">
          <span class="quiet">Last error, {ago(failure.at, now)}:</span>{" "}
          {visible(failure.error).slice(0, 400)}
        </p>
      )}
    </li>
  );
}

function Number({
  of,
  name,
  tone,
}: {
  readonly of: CappedCount;
  readonly name: string;
  readonly tone?: string;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{of.count > 0 && tone !== undefined ? <span class={tone}>✗ {sumOf([of])}</span> : sumOf([of])}</dd>
    </div>
  );
}
