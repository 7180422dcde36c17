import { useEffect, useRef, useState } from "hono/jsx/dom";
import type { EventJson } from "../../http/admin/shapes.ts";
import { api, ApiError } from "./api.ts";
import type { ApiFilter } from "./query.ts";
import { LOGGED_OUT } from "./ui.tsx";

/** The most events that the list holds. */
const MAX_ROWS = 2000;

export const idOf = ({ source, event_id: id }: Pick<EventJson, "source" | "event_id">): string =>
  `${source}\n${id}`;

/** The key of a row. With `dedup_window`, several events of a list may have one id. */
export const keyOf = (event: Pick<EventJson, "source" | "event_id" | "received_at">): string =>
  `${idOf(event)}\n${event.received_at}`;

export interface LiveList {
  readonly items: readonly EventJson[];
  /** Events that arrived while the list was paused. */
  readonly waiting: number;
  readonly loading: boolean;
  readonly error: unknown;
  /** Null if there are no older ones. */
  readonly next: string | null;
  readonly searchedBackTo: number | null;
  readonly connected: boolean;
  readonly older: () => void;
  readonly stop: () => void;
  readonly again: () => void;
  /** Shows what has waited. */
  readonly show: () => void;
}

interface State {
  readonly items: readonly EventJson[];
  readonly next: string | null;
  readonly searchedBackTo: number | null;
  readonly loading: boolean;
  readonly error: unknown;
}

const NOTHING: State = { items: [], next: null, searchedBackTo: null, loading: true, error: undefined };

/** The events that match, the newest first, and new ones as they arrive unless `isPaused`. */
export function useLiveList(filter: ApiFilter, settled: number, isPaused: () => boolean): LiveList {
  const key = JSON.stringify(filter);
  const [state, setState] = useState<State>(NOTHING);
  const [waiting, setWaiting] = useState<readonly EventJson[]>([]);
  const [connected, setConnected] = useState(false);
  const [turn, setTurn] = useState(0);
  const loading = useRef<AbortController | null>(null);

  /** A search looks at a limited number of rows for each page, so a page may be empty: go on until it is not. */
  const load = async (from: string | null, items: readonly EventJson[]): Promise<void> => {
    loading.current?.abort();
    const abort = new AbortController();
    loading.current = abort;
    let cursor = from;
    let all = items;
    setState((old) => ({ ...old, loading: true, error: undefined }));
    try {
      do {
        const page = await api.events(filter, cursor, abort.signal);
        if (abort.signal.aborted) return;
        const known = new Set(all.map(keyOf));
        all = all.concat(page.items.filter((one) => !known.has(keyOf(one))));
        cursor = page.next;
        const isFull = cursor === null || all.length - items.length >= 50;
        setState({
          items: all,
          next: cursor,
          searchedBackTo: page.searched_back_to,
          loading: !isFull,
          error: undefined,
        });
      } while (cursor !== null && all.length - items.length < 50);
    } catch (error) {
      if (abort.signal.aborted) return;
      if (error instanceof ApiError && error.status === 401) dispatchEvent(new Event(LOGGED_OUT));
      setState((old) => ({ ...old, loading: false, error }));
    }
  };

  useEffect(() => {
    setWaiting([]);
    if (turn === 0 && settled === 0) setState(NOTHING);
    void load(null, []);
    return () => loading.current?.abort();
  }, [key, turn, settled]);

  const paused = useRef(isPaused);
  paused.current = isPaused;
  const listed = useRef(state.items);
  listed.current = state.items;
  useEffect(() => {
    let stream: EventSource | null = null;
    let wasHidden = false;
    const open = (): void => {
      stream = new EventSource(api.streamPath(filter));
      stream.addEventListener("open", () => setConnected(true));
      stream.addEventListener("error", () => setConnected(false));
      stream.addEventListener("event", ({ data }: MessageEvent<string>) => {
        const event = JSON.parse(data) as EventJson;
        const isNew = !(listed.current ?? []).some((one) => keyOf(one) === keyOf(event));
        if (isNew && (paused.current?.() ?? false)) setWaiting((old) => withEvent(old, event, false));
        else setState((old) => ({ ...old, items: withEvent(old.items, event, old.next !== null) }));
      });
      // It stays where it is until the list is read again, so that nobody clicks on another row.
      stream.addEventListener("changed", ({ data }: MessageEvent<string>) => {
        const event = JSON.parse(data) as EventJson;
        setWaiting((old) => replaced(old, event));
        setState((old) => ({ ...old, items: replaced(old.items, event) }));
      });
    };
    const close = (): void => {
      stream?.close();
      stream = null;
    };
    // A browser opens six connections to a server in all. A page that nobody sees must not hold one, and the
    // one before it in the history is only hidden.
    const follow = (): void => {
      if (document.hidden) {
        wasHidden = true;
        close();
      } else if (stream === null) {
        open();
        // What came meanwhile.
        if (wasHidden) setTurn((old) => old + 1);
      }
    };
    follow();
    document.addEventListener("visibilitychange", follow);
    addEventListener("pagehide", close);
    addEventListener("pageshow", follow);
    return () => {
      document.removeEventListener("visibilitychange", follow);
      removeEventListener("pagehide", close);
      removeEventListener("pageshow", follow);
      close();
    };
  }, [key]);

  return {
    ...state,
    waiting: waiting.length,
    connected,
    older: () => void load(state.next, state.items),
    stop: () => {
      loading.current?.abort();
      setState((old) => ({ ...old, loading: false }));
    },
    again: () => setTurn((old) => old + 1),
    show: () => {
      setState((old) => ({
        ...old,
        items: waiting.reduceRight((items, one) => withEvent(items, one, old.next !== null), old.items),
      }));
      setWaiting([]);
    },
  };
}

/**
 * An event that is in the list is replaced where it is. Another one is put where its time is, unless that is
 * after the last row and older events are not loaded yet.
 */
function withEvent(items: readonly EventJson[], event: EventJson, hasOlder: boolean): readonly EventJson[] {
  if (items.some((one) => keyOf(one) === keyOf(event))) return replaced(items, event);
  const index = items.findIndex((one) => one.received_at <= event.received_at);
  if (index !== -1) return items.toSpliced(index, 0, event).slice(0, MAX_ROWS);
  return hasOlder ? items : [...items, event].slice(0, MAX_ROWS);
}

function replaced(items: readonly EventJson[], event: EventJson): readonly EventJson[] {
  const index = items.findIndex((one) => keyOf(one) === keyOf(event));
  return index === -1 ? items : items.with(index, event);
}
