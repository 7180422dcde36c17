import type { Child } from "hono/jsx";
import { useEffect, useRef, useState } from "hono/jsx/dom";
import type { DeliveryOutcome } from "../../http/admin/shapes.ts";
import { ApiError } from "./api.ts";
import { LOOKS, timeText, visible } from "./words.ts";

export function Outcome({ of, short }: { readonly of: DeliveryOutcome; readonly short?: boolean }) {
  const { mark, tone } = LOOKS[of];
  return (
    <span class={`outcome ${tone}`}>
      <span class="mark" aria-hidden="true">
        {mark}
      </span>
      <span class={short === true ? "unseen" : undefined}>{of}</span>
    </span>
  );
}

/** A name that breaks after its dots and the like, before it breaks inside a word. A time does not break. */
export function Name({ text }: { readonly text: string }) {
  const parts = visible(text).split(/(?<=[._/-])|(?<=:)(?!\d)/);
  return (
    <>
      {parts.map((part, index) => (
        <>
          {index === 0 ? null : <wbr />}
          {part}
        </>
      ))}
    </>
  );
}

export function Time({ at }: { readonly at: number }) {
  const iso = new Date(at).toISOString();
  return (
    <time dateTime={iso} title={iso}>
      {timeText(at)}
    </time>
  );
}

export function Copy(props: { readonly text: string; readonly label: string; readonly class?: string }) {
  const [done, setDone] = useState(false);
  const { text, label } = props;
  return (
    <button
      type="button"
      class={props.class ?? "small"}
      onClick={() => {
        void copyText(text).then((copied) => {
          setDone(copied);
          setTimeout(() => setDone(false), 1600);
        });
      }}
    >
      <span aria-live="polite">{done ? "Copied ✓" : label}</span>
    </button>
  );
}

/** The clipboard works only over HTTPS and on loopback. Elsewhere a selection is copied the old way. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

/** Text to type or to paste, with a button that copies it. */
export function Code({ text, label }: { readonly text: string; readonly label?: string }) {
  return (
    <div class="code">
      <pre tabIndex={0}>
        <code>
          <Name text={text} />
        </code>
      </pre>
      <Copy text={text} label={label ?? "Copy"} />
    </div>
  );
}

export function Loading({ what }: { readonly what: string }) {
  return (
    <p class="loading" role="status">
      Loading {what}…
    </p>
  );
}

export function Failed({ error, again }: { readonly error: unknown; readonly again?: () => void }) {
  return (
    <div class="problem bad" role="alert">
      <p>
        <span aria-hidden="true">✗ </span>
        {messageOf(error)}
      </p>
      {again === undefined ? null : (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty(props: { readonly title: string; readonly children?: Child }) {
  return (
    <div class="empty">
      <h2>{props.title}</h2>
      {props.children}
    </div>
  );
}

export function messageOf(error: unknown): string {
  return visible(error instanceof Error ? error.message : String(error));
}

/** Something that is read from the API, and read again on request and every `everyMs`. */
export interface Loaded<T> {
  readonly value: T | undefined;
  readonly error: unknown;
  readonly again: () => void;
}

/**
 * Reads when `key` changes, and every `everyMs` while the tab shows. An older answer never replaces a newer
 * one, and what is shown stays while it is read again.
 */
export function useLoaded<T>(key: string, read: () => Promise<T>, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ key: string; value: T | undefined; error: unknown }>({
    key,
    value: undefined,
    error: undefined,
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef(0);
  useEffect(() => {
    const load = (): void => {
      const mine = (latest.current ?? 0) + 1;
      latest.current = mine;
      read().then(
        (value) => {
          if (latest.current === mine) setState({ key, value, error: undefined });
        },
        (error: unknown) => {
          if (latest.current !== mine) return;
          if (error instanceof ApiError && error.status === 401) dispatchEvent(new Event(LOGGED_OUT));
          setState((old) => ({ key, value: old.key === key ? old.value : undefined, error }));
        },
      );
    };
    load();
    const timer =
      everyMs === undefined
        ? undefined
        : setInterval(() => {
            if (document.visibilityState === "visible") load();
          }, everyMs);
    return () => {
      clearInterval(timer);
      latest.current = (latest.current ?? 0) + 1;
    };
  }, [key, turn, everyMs]);
  const isCurrent = state.key === key;
  return {
    value: isCurrent ? state.value : undefined,
    error: isCurrent ? state.error : undefined,
    again: () => setTurn((old) => old + 1),
  };
}

/** Dispatched on the window when the API answers 401. */
export const LOGGED_OUT = "hookonce:logged-out";
