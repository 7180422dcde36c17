import { useEffect, useRef, useState } from "hono/jsx/dom";
import type { EventDetail } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { actFor, actOn } from "./event-acts.ts";
import { FixtureDialog } from "./fixture-dialog.tsx";
import type { Act } from "./jobs.ts";
import { JsonTree } from "./json-tree.tsx";
import { Stack } from "./stack.tsx";
import { starterOf } from "./paths.ts";
import { SentOn } from "./sent-on.tsx";
import { Timeline } from "./timeline.tsx";
import { Try } from "./try.tsx";
import { Code, Copy, Failed, Loading, Name, Outcome, Time, useLoaded } from "./ui.tsx";
import { bytesText, counted, duration, missingBody, storyOf, timeText, visible } from "./words.ts";

interface DrawerProps {
  readonly source: string;
  readonly eventId: string;
  readonly mayAct: boolean;
  /** The names of the destinations. */
  readonly destinations: readonly string[];
  readonly settled: number;
  readonly act: (act: Act) => void;
  readonly onClose: () => void;
}

/** One event, beside the list. */
export function Drawer({ source, eventId, mayAct, destinations, settled, act, onClose }: DrawerProps) {
  const title = useRef<HTMLHeadingElement>(null);
  const loaded = useLoaded<EventDetail>(`${source}/${eventId}/${settled}`, () => api.event(source, eventId));
  useEffect(() => title.current?.focus({ preventScroll: true }), []);
  const { value: event } = loaded;
  return (
    <aside class="drawer" aria-labelledby="event-title">
      <div class="drawer-head">
        <h2 id="event-title" ref={title} tabIndex={-1}>
          {visible(eventId)}
        </h2>
        <Copy text={eventId} label="Copy id" />
        <button type="button" class="close" aria-label="Close the event" onClick={onClose}>
          ✕
        </button>
      </div>
      {event === undefined ? (
        loaded.error === undefined ? (
          <Loading what="the event" />
        ) : (
          <Failed error={loaded.error} again={loaded.again} />
        )
      ) : (
        <Detail event={event} mayAct={mayAct} destinations={destinations} act={act} />
      )}
    </aside>
  );
}

function Detail(props: {
  readonly event: EventDetail;
  readonly mayAct: boolean;
  readonly destinations: readonly string[];
  readonly act: (act: Act) => void;
}) {
  const { event, mayAct, destinations, act } = props;
  const isWhole = !event.payload_removed && event.values_redacted === 0;
  const action = isWhole ? actOn(event.outcome) : undefined;
  const [isSaving, setSaving] = useState(false);
  return (
    <>
      <p class="facts">
        <Outcome of={event.outcome} /> <span>{event.source}</span>{" "}
        <span>{event.type === "" ? "no type" : visible(event.type)}</span>
        {event.duration_us === null ? null : <span> {duration(event.duration_us)}</span>}
      </p>
      <p class="story">
        <Name text={storyOf(event)} />
      </p>
      {event.type_missing_at === null ? null : (
        <p class="warn">
          ○ It has no type: its source looks for the type at <code>{event.type_missing_at}</code>, but nothing
          is there.
        </p>
      )}
      {event.outcome === "processed" && event.rows_changed === 0 && event.handler !== null ? (
        <p class="warn">○ Its handler changed no row. Is that intended?</p>
      ) : null}
      {event.values_redacted === 0 ? null : (
        <p class="quiet">
          {counted(event.values_redacted, "value")} in its payload or headers{" "}
          {event.values_redacted === 1 ? "was" : "were"} replaced once it was done, so it can neither be run
          nor sent again.
        </p>
      )}
      {mayAct && (action !== undefined || event.payload !== null) ? (
        <div class="buttons">
          {action === undefined ? null : (
            <button
              type="button"
              class={action === "apply" ? "primary" : undefined}
              onClick={() => act(actFor(action, event))}
            >
              {action === "apply" ? "Apply" : "Replay…"}
            </button>
          )}
          {event.outcome === "failed" || event.outcome === "unhandled" || event.outcome === "held" ? (
            <button type="button" onClick={() => act(actFor("discard", event))}>
              Discard…
            </button>
          ) : null}
          {event.payload === null ? null : (
            <button type="button" onClick={() => setSaving(true)}>
              Save as fixture…
            </button>
          )}
        </div>
      ) : null}
      {isSaving ? <FixtureDialog event={event} onClose={() => setSaving(false)} /> : null}
      <Why event={event} />
      {mayAct && event.bytes !== null ? <Try event={event} /> : null}
      <Timeline event={event} />
      <SentOn
        event={event}
        destinations={mayAct && event.values_redacted === 0 ? destinations : []}
        act={act}
      />
      <Tabs event={event} />
    </>
  );
}

function Why({ event }: { readonly event: EventDetail }) {
  const { failure } = event;
  if (failure !== null)
    return (
      <section class="why" aria-label="Why it failed">
        <p class="wrong">
          <strong>{failure.code}</strong> {visible(failure.error).slice(0, 2000)}
        </p>
        {failure.stack === null ? null : <Stack text={failure.stack} />}
        {failure.accepted_at === null ? null : (
          <p class="quiet">
            A delivery of it was answered 200 at {timeText(failure.accepted_at)}, so it may not come again.
          </p>
        )}
        {failure.next_at === null ? null : (
          <p class="quiet">hookonce runs it again at {timeText(failure.next_at)}.</p>
        )}
      </section>
    );
  if (event.outcome !== "unhandled" || event.payload === null) return null;
  const { file, text } = starterOf(event.source, event.type, event.payload);
  return (
    <section class="why" aria-label="A first handler">
      <p>
        Save this as <code>{file}</code>, change it, run <code>hookonce reload</code>, and apply:
      </p>
      <Code text={text} label="Copy" />
    </section>
  );
}

type Tab = "payload" | "raw" | "headers" | "changed";

const NAMES: Readonly<Record<Tab, string>> = {
  payload: "Payload",
  raw: "Raw",
  headers: "Headers",
  changed: "Another body",
};

function Tabs({ event }: { readonly event: EventDetail }) {
  const [tab, setTab] = useState<Tab>("payload");
  const tabs: readonly Tab[] =
    event.changed === null ? ["payload", "raw", "headers"] : ["payload", "raw", "headers", "changed"];
  const onKeyDown = (pressed: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[pressed.key];
    if (step === undefined) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length] as Tab;
    setTab(next);
    document.querySelector<HTMLElement>(`#tab-${next}`)?.focus();
  };
  return (
    <section class="tabs">
      <div role="tablist" aria-label="The delivery" onKeyDown={onKeyDown}>
        {tabs.map((one) => (
          <button
            type="button"
            role="tab"
            id={`tab-${one}`}
            aria-selected={one === tab ? "true" : "false"}
            aria-controls="tab-panel"
            tabIndex={one === tab ? 0 : -1}
            onClick={() => setTab(one)}
          >
            {NAMES[one]}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`}>
        <Panel event={event} tab={tab} />
      </div>
    </section>
  );
}

function Panel({ event, tab }: { readonly event: EventDetail; readonly tab: Tab }) {
  switch (tab) {
    case "payload":
      return event.payload === null ? (
        <p class="quiet">
          {event.bytes === null
            ? missingBody(event)
            : "The body is neither JSON nor a form, or too large to show as a tree. See Raw."}
        </p>
      ) : (
        <JsonTree value={event.payload} />
      );
    case "raw":
      return <Raw event={event} />;
    case "headers":
      return <Headers headers={event.headers} />;
    case "changed":
      return event.changed === null ? null : <Changed event={event} changed={event.changed} />;
  }
}

/** The most characters of a body that are shown. */
const SHOWN = 100_000;

function Raw({ event }: { readonly event: EventDetail }) {
  const { source, event_id: id, bytes } = event;
  const raw = useLoaded<string>(`raw ${source}/${id}`, () =>
    bytes === null ? Promise.resolve("") : api.raw(source, id),
  );
  if (bytes === null) return <p class="quiet">{missingBody(event)}</p>;
  if (raw.error !== undefined) return <Failed error={raw.error} again={raw.again} />;
  if (raw.value === undefined) return <Loading what="the body" />;
  return (
    <>
      <p class="raw-head">
        {bytesText(bytes)}
        <a class="button" href={api.rawPath(source, id)} download>
          Download
        </a>
        <Copy text={raw.value} label="Copy" />
      </p>
      <pre class="raw" tabIndex={0}>
        {visible(raw.value.slice(0, SHOWN))}
        {raw.value.length > SHOWN ? `\n… Download it to see all of ${bytesText(bytes)}.` : ""}
      </pre>
    </>
  );
}

function Headers({ headers }: { readonly headers: Readonly<Record<string, string>> }) {
  if (Object.keys(headers).length === 0) return <p class="quiet">The headers are not kept.</p>;
  return (
    <dl class="headers">
      {Object.entries(headers).map(([name, value]) => (
        <div key={name}>
          <dt>{visible(name)}</dt>
          <dd>{visible(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Changed({
  event,
  changed,
}: {
  readonly event: EventDetail;
  readonly changed: NonNullable<EventDetail["changed"]>;
}) {
  const lines = differences(event.payload, changed.payload);
  return (
    <>
      <p>
        A later delivery of this event at <Time at={changed.received_at} /> had another body. It was not
        applied.
      </p>
      {lines.length === 0 ? (
        <p class="quiet">The values are the same. The bytes differ.</p>
      ) : (
        <table class="diff">
          <thead>
            <tr>
              <th>Path</th>
              <th>First</th>
              <th>Later</th>
            </tr>
          </thead>
          <tbody>
            {lines.map(({ path, before, after }) => (
              <tr key={path}>
                <td>{visible(path)}</td>
                <td>{visible(before)}</td>
                <td>{visible(after)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <a class="button" href={api.rawPath(event.source, event.event_id, "changed")} download>
        Download the later body
      </a>
    </>
  );
}

interface Difference {
  readonly path: string;
  readonly before: string;
  readonly after: string;
}

/** Where two values differ, at most 100 places. */
function differences(before: unknown, after: unknown, path = "$", depth = 0): Difference[] {
  if (Object.is(before, after)) return [];
  if (depth < 100 && isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys]
      .flatMap((key) => differences(before[key], after[key], `${path}.${key}`, depth + 1))
      .slice(0, 100);
  }
  return [{ path, before: textOf(before), after: textOf(after) }];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function textOf(value: unknown): string {
  if (value === undefined) return "(missing)";
  const text = typeof value === "bigint" ? String(value) : JSON.stringify(value, bigAsText);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

const bigAsText = (_key: string, value: unknown): unknown =>
  typeof value === "bigint" ? String(value) : value;
