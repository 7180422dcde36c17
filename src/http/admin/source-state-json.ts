import type { PausedSource } from "../../engines/source-states.ts";
import { holdWarnings } from "../../inbox/hold-warnings.ts";
import type { SourceStateJson } from "./shapes.ts";

export function sourceStateJson(source: PausedSource, now: number): SourceStateJson {
  const { name, state, since, until, reason, stopOnFailure, held, isCapped, oldestAt } = source;
  return {
    name,
    state,
    since,
    until,
    reason,
    stop_on_failure: stopOnFailure,
    held: { count: held, capped: isCapped },
    oldest_at: oldestAt,
    warnings: holdWarnings([source], now).map(({ message }) => message),
  };
}

/** A source that is not paused. */
export function openStateJson(name: string): SourceStateJson {
  return {
    name,
    state: "open",
    since: null,
    until: null,
    reason: null,
    stop_on_failure: false,
    held: { count: 0, capped: false },
    oldest_at: null,
    warnings: [],
  };
}
