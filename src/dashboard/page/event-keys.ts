import { useEffect, useRef } from "hono/jsx/dom";
import type { EventJson } from "../../http/admin/shapes.ts";
import { actFor, actOn } from "./event-acts.ts";
import type { Act } from "./jobs.ts";
import { keyOf } from "./live.ts";

/** The button of an event in the list. */
export function rowOf(key: string | undefined): HTMLElement | undefined {
  return [...document.querySelectorAll<HTMLElement>("[data-key]")].find((one) => one.dataset["key"] === key);
}

interface KeysOptions {
  readonly items: readonly EventJson[];
  readonly focused: string | undefined;
  readonly setFocused: (key: string) => void;
  readonly show: (event: EventJson) => void;
  readonly close: () => void;
  readonly isOpen: boolean;
  readonly mayAct: boolean;
  readonly act: (act: Act) => void;
}

/** j and k move, Enter opens (a row is a button), r acts, / goes to the filter, Escape closes. */
export function useKeys(options: KeysOptions): void {
  const latest = useRef(options);
  latest.current = options;
  useEffect(() => {
    const onKey = (pressed: KeyboardEvent): void => {
      const { items, focused, setFocused, show, close, isOpen, mayAct, act } = latest.current ?? options;
      const target = pressed.target as HTMLElement;
      if (pressed.ctrlKey || pressed.metaKey || pressed.altKey || document.querySelector("dialog[open]"))
        return;
      if (pressed.key === "Escape" && isOpen) return close();
      if (target.closest("input, textarea, select") !== null) return;
      const index = items.findIndex((one) => keyOf(one) === focused);
      const current = items[index];
      const move = (to: number): void => {
        const event = items[Math.min(Math.max(to, 0), items.length - 1)];
        if (event === undefined) return;
        setFocused(keyOf(event));
        const row = rowOf(keyOf(event));
        row?.focus();
        row?.scrollIntoView({ block: "nearest" });
        if (isOpen) show(event);
      };
      if (pressed.key === "/") {
        pressed.preventDefault();
        document.querySelector<HTMLInputElement>("#query")?.focus();
      } else if (pressed.key === "j") move(index + 1);
      else if (pressed.key === "k") move(index === -1 ? 0 : index - 1);
      else if (pressed.key === "r" && current !== undefined && mayAct) {
        const name = actOn(current.outcome);
        if (name !== undefined) act(actFor(name, current));
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}
