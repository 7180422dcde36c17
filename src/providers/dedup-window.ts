import { HookonceError } from "../errors.ts";
import type { Provider } from "./provider.ts";
import { isOnlyScheme } from "./provider.ts";
import { HASH_OF_BODY, type Selector } from "./body/selector.ts";
import { kindOf, type Scheme } from "./schemes.ts";

const DAY = 86_400_000;

/** In milliseconds. Longer than most providers retry. */
const DEFAULT = 7 * DAY;

interface Windowed {
  readonly provider: Provider;
  readonly eventId?: Selector | undefined;
  readonly sameBody?: "duplicate" | undefined;
  /** In milliseconds. */
  readonly dedupWindow?: number | undefined;
}

/**
 * How long an id that is made from the body still means the same event. By default that is for ever, except if a
 * signed time keeps a captured delivery from being sent again after the window.
 *
 * @returns in milliseconds; undefined: for ever
 * @throws HookonceError `config_invalid`
 */
export function dedupWindowOf(source: Windowed, scheme: Scheme): number | undefined {
  const { provider, dedupWindow: window, sameBody } = source;
  const eventId = source.eventId ?? provider.eventId;
  if (window === undefined) {
    const isDefault =
      isMadeFromBody(eventId) &&
      sameBody === undefined &&
      provider.retryWindowMs < DEFAULT &&
      isProtected(scheme, DEFAULT);
    return isDefault ? DEFAULT : undefined;
  }
  if (!isMadeFromBody(eventId))
    refuse(
      "has no effect: the event id is not made from the body alone, so no two events have the same id. Remove it",
    );
  if (sameBody !== undefined)
    refuse(
      'contradicts same_body = "duplicate", which treats equal bodies as one event for ever. Remove one of them',
    );
  if (!isOnlyScheme(provider) && window <= provider.retryWindowMs)
    refuse(
      `is too short: ${provider.title} may deliver an event again for ${daysOf(provider.retryWindowMs)}, and a retry after the window would be applied again. Write a longer time`,
    );
  if (window === 0) refuse("is 0s, so every retry would be applied again. Write a longer time");
  return window;
}

function refuse(why: string): never {
  throw new HookonceError("config_invalid", `dedup_window ${why}`, { key: "dedup_window" });
}

/** Whether a captured delivery is refused once the window is over, because of its signed time. */
export function isProtected(scheme: Scheme, window: number): boolean {
  const tolerance = kindOf(scheme).tolerance(scheme);
  return tolerance !== undefined && tolerance * 1000 < window;
}

/** Whether equal bodies have the same id, and no other deliveries have. */
function isMadeFromBody(selector: Selector): boolean {
  if (typeof selector === "string") return selector === HASH_OF_BODY;
  if (Array.isArray(selector)) return (selector as readonly Selector[]).every(isMadeFromBody);
  return "hash_without" in selector;
}

function daysOf(ms: number): string {
  return ms % DAY === 0 ? `${ms / DAY} ${ms === DAY ? "day" : "days"}` : `${Math.ceil(ms / 3_600_000)} hours`;
}
