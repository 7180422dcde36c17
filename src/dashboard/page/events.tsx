import { useEffect, useState } from "hono/jsx/dom";
import type { EventJson, StatusJson } from "../../http/admin/shapes.ts";
import { BulkBar } from "./bulk-bar.tsx";
import { Drawer } from "./drawer.tsx";
import { rowOf, useKeys } from "./event-keys.ts";
import { EventRow } from "./event-row.tsx";
import type { Act } from "./jobs.ts";
import { idOf, keyOf, useLiveList, type LiveList } from "./live.ts";
import { go, Link } from "./location.tsx";
import { eventsPath, filterOf, lineOf, parseLine, toApi, type Filter } from "./query.ts";
import { QueryLine } from "./query-line.tsx";
import { messagesPath } from "./message-acts.ts";
import { Code, Empty, Failed, Loading } from "./ui.tsx";
import { count, timeText } from "./words.ts";

interface EventsProps {
  readonly status: StatusJson;
  readonly params: URLSearchParams;
  readonly act: (act: Act) => void;
  /** Grows when a job has ended. */
  readonly settled: number;
}

const QUICK: readonly { readonly name: string; readonly outcome: string | undefined }[] = [
  { name: "All", outcome: undefined },
  { name: "✓ processed", outcome: "processed" },
  { name: "○ unhandled", outcome: "unhandled" },
  { name: "✗ failed", outcome: "failed" },
  { name: "○ held", outcome: "held" },
];

export function Events({ status, params, act, settled }: EventsProps) {
  const filter = filterOf(params);
  const line = lineOf(filter);
  // A relative time counts from when it was chosen, so that the pages of a list have the same limits.
  const [since, setSince] = useState({ line, now: Date.now() });
  if (since.line !== line) setSince({ line, now: Date.now() });
  const asked = toApi(filter, since.now);
  return (
    <div class="events">
      <h1 class="unseen">Events</h1>
      <QueryLine
        line={line}
        known={{
          sources: status.sources.map(({ name }) => name),
          types: [...new Set(status.owed.map(({ type }) => type))].filter((type) => type !== ""),
        }}
        onSubmit={(text) => go(eventsPath(parseLine(text)))}
      />
      <p class="quick">
        {QUICK.map(({ name, outcome }) => (
          <Link to={eventsPath(withOutcome(filter, outcome))} current={filter.outcome === outcome}>
            {name}
          </Link>
        ))}
      </p>
      {typeof asked === "string" ? (
        <Failed error={asked} />
      ) : (
        <EventPane
          filter={filter}
          asked={asked}
          params={params}
          status={status}
          act={act}
          settled={settled}
        />
      )}
    </div>
  );
}

function withOutcome(filter: Filter, outcome: string | undefined): Filter {
  const { outcome: _, ...rest } = filter;
  return outcome === undefined ? rest : { ...rest, outcome };
}

interface PaneProps extends EventsProps {
  readonly filter: Filter;
  readonly asked: Exclude<ReturnType<typeof toApi>, string>;
}

function EventPane({ filter, asked, params, status, act, settled }: PaneProps) {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [focused, setFocused] = useState<string | undefined>(undefined);
  const open = openOf(params);
  const list = useLiveList(
    asked,
    settled,
    () => selected.size > 0 || scrollY > 80 || !document.hasFocus() || hasTextSelection(),
  );
  const { items } = list;
  useEffect(() => setSelected(new Set()), [JSON.stringify(asked), settled]);
  const show = (event: EventJson | undefined): void => {
    const path = eventsPath(filter);
    if (event === undefined) return go(path);
    setFocused(keyOf(event));
    const query = new URLSearchParams({ open: `${event.source}/${event.event_id}` }).toString();
    return go(`${path}${path.includes("?") ? "&" : "?"}${query}`);
  };
  const close = (): void => {
    show(undefined);
    rowOf(focused)?.focus();
  };
  const mayAct = status.actor.scopes.includes("steer");
  useKeys({ items, focused, setFocused, show, close, isOpen: open !== undefined, mayAct, act });
  const toggle = (key: string): void => {
    const next = new Set(selected);
    if (!next.delete(key)) next.add(key);
    setSelected(next);
  };
  return (
    <div class={open === undefined ? "list-and-drawer" : "list-and-drawer open"}>
      <div class="list">
        <div class="list-head">
          <LiveState list={list} />
        </div>
        {list.error === undefined ? null : <Failed error={list.error} again={list.again} />}
        {items.length === 0 && !list.loading && list.error === undefined ? (
          <NoEvents filter={filter} status={status} />
        ) : (
          <EventTable
            items={items}
            selected={selected}
            focused={focused}
            openId={open === undefined ? undefined : idOf(open)}
            mayAct={mayAct}
            show={show}
            toggle={toggle}
            toggleAll={() =>
              setSelected(selected.size === items.length ? new Set() : new Set(items.map(keyOf)))
            }
          />
        )}
        <Older list={list} isSearch={filter.search !== undefined} />
        {items.length === 0 ? null : (
          <p class="keys">
            <kbd>j</kbd> <kbd>k</kbd> move · <kbd>Enter</kbd> open · <kbd>r</kbd> apply or replay ·{" "}
            <kbd>/</kbd> filter
          </p>
        )}
      </div>
      {open === undefined ? null : (
        <Drawer
          key={idOf(open)}
          source={open.source}
          eventId={open.event_id}
          mayAct={mayAct}
          // What is no longer in the config has no kind, and gets nothing.
          destinations={status.destinations.filter(({ kind }) => kind !== null).map(({ name }) => name)}
          settled={settled}
          act={act}
          onClose={close}
        />
      )}
      {selected.size === 0 ? null : (
        <BulkBar
          events={items.filter((one) => selected.has(keyOf(one)))}
          all={list.next === null && selected.size === items.length ? undefined : asked}
          line={lineOf(filter)}
          act={act}
          onClear={() => setSelected(new Set())}
        />
      )}
    </div>
  );
}

/** `?open=stripe/evt_1`. A source's name has no slash, and an id may. */
function openOf(params: URLSearchParams): { readonly source: string; readonly event_id: string } | undefined {
  const [, source, id] = /^([^/]+)\/(.+)$/s.exec(params.get("open") ?? "") ?? [];
  return source === undefined || id === undefined ? undefined : { source, event_id: id };
}

function hasTextSelection(): boolean {
  return getSelection()?.isCollapsed === false;
}

function EventTable(props: {
  readonly items: readonly EventJson[];
  readonly selected: ReadonlySet<string>;
  readonly focused: string | undefined;
  readonly openId: string | undefined;
  readonly mayAct: boolean;
  readonly show: (event: EventJson) => void;
  readonly toggle: (key: string) => void;
  readonly toggleAll: () => void;
}) {
  const { items, selected, mayAct } = props;
  return (
    <table class="event-table" role="table">
      <thead role="rowgroup">
        <tr role="row">
          {mayAct ? (
            <th role="columnheader" class="pick">
              <input
                type="checkbox"
                aria-label="Select all events in the list"
                checked={items.length > 0 && selected.size === items.length}
                onChange={props.toggleAll}
              />
            </th>
          ) : null}
          <th role="columnheader">Time</th>
          <th role="columnheader">Source</th>
          <th role="columnheader">Type</th>
          <th role="columnheader">Event</th>
          <th role="columnheader">Outcome</th>
          <th role="columnheader" class="number">
            Rows
          </th>
          <th role="columnheader" class="number">
            Copies
          </th>
          <th role="columnheader" class="number">
            Handler
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {items.map((event) => {
          const key = keyOf(event);
          return (
            <EventRow
              key={key}
              event={event}
              isSelected={selected.has(key)}
              isOpen={idOf(event) === props.openId}
              mayAct={mayAct}
              onShow={() => props.show(event)}
              onToggle={() => props.toggle(key)}
            />
          );
        })}
      </tbody>
    </table>
  );
}

function LiveState({ list }: { readonly list: LiveList }) {
  return (
    <p class="live" role="status">
      {list.waiting > 0 ? (
        <button
          type="button"
          class="primary small"
          onClick={() => {
            list.show();
            scrollTo({ top: 0 });
          }}
        >
          {count(list.waiting)} new ↑
        </button>
      ) : (
        <span class={list.connected ? "outcome good" : "outcome quiet"}>
          <span aria-hidden="true">{list.connected ? "● " : "○ "}</span>
          {list.connected ? "Live" : "Connecting…"}
        </span>
      )}
    </p>
  );
}

function Older({ list, isSearch }: { readonly list: LiveList; readonly isSearch: boolean }) {
  if (list.loading) {
    if (!isSearch) return list.items.length === 0 ? <Loading what="events" /> : null;
    return (
      <p class="loading" role="status">
        Searching
        {list.searchedBackTo === null ? "" : `, back to ${timeText(list.searchedBackTo)}`}…{" "}
        <button type="button" class="small" onClick={list.stop}>
          Stop
        </button>
      </p>
    );
  }
  if (list.next === null) return null;
  return (
    <p class="older">
      <button type="button" onClick={list.older}>
        {isSearch ? "Search further back" : "Show older events"}
      </button>
    </p>
  );
}

function NoEvents({ filter, status }: { readonly filter: Filter; readonly status: StatusJson }) {
  if (Object.keys(filter).length > 0)
    return (
      <Empty title="No event matches">
        {filter.search?.startsWith("msg_") === true ? (
          <p>
            <Link to={messagesPath({ id: filter.search })}>Find a message with this id</Link>
          </p>
        ) : null}
        <p>
          <Link to="/events">Show all events</Link>
        </p>
      </Empty>
    );
  const [source] = status.sources;
  return (
    <Empty title="Waiting for the first event…">
      {source === undefined ? (
        <Code text="hookonce add stripe" />
      ) : (
        <>
          <p>Give this address to {source.title}:</p>
          <Code text={source.url} />
          <p>Or send a made-up event, signed as {source.title} signs:</p>
          <Code text={`hookonce send ${source.name}`} />
        </>
      )}
    </Empty>
  );
}
