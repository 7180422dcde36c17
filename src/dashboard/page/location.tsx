import type { Child } from "hono/jsx";
import { useEffect, useState } from "hono/jsx/dom";

export type View = "home" | "events" | "failures" | "destinations" | "sources";

export interface Place {
  readonly view: View;
  readonly params: URLSearchParams;
}

const CHANGED = "hookonce:navigated";

function here(): Place {
  const name = location.pathname.slice(1);
  const view =
    (["events", "failures", "destinations", "sources"] as const).find((one) => one === name) ?? "home";
  return { view, params: new URLSearchParams(location.search) };
}

/** The page is a function of the URL: every view, filter and open event is a link. */
export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const update = (): void => setPlace(here());
    addEventListener("popstate", update);
    addEventListener(CHANGED, update);
    return () => {
      removeEventListener("popstate", update);
      removeEventListener(CHANGED, update);
    };
  }, []);
  return place;
}

export function go(path: string, how: { readonly replace?: boolean } = {}): void {
  if (path === location.pathname + location.search) return;
  if (how.replace === true) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  dispatchEvent(new Event(CHANGED));
}

export function Link(props: {
  readonly to: string;
  readonly children: Child;
  readonly class?: string;
  readonly current?: boolean;
  readonly label?: string;
  /** Called once the page is there. */
  readonly onGo?: () => void;
}) {
  return (
    <a
      href={props.to}
      class={props.class}
      aria-current={props.current === true ? "page" : undefined}
      aria-label={props.label}
      onClick={(event: MouseEvent) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(props.to);
        props.onGo?.();
      }}
    >
      {props.children}
    </a>
  );
}
