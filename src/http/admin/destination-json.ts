import type { ConfiguredDestination } from "../../config/destinations.ts";
import type { DestinationDepth, ListedMessage, MessageState } from "../../engines/outbox.ts";
import type { DestinationActivity } from "../../outbox/view.ts";
import type { AdminInbox } from "./inbox.ts";
import type { CappedCount, DestinationJson, FailedAttempt } from "./message-shapes.ts";

/** Destinations, as the API answers them. */

/** A count stops here: no page counts all rows. */
const CAP = 10_000;

/** How many of the newest messages of a destination are looked at, for what was delivered last. */
const NEWEST = 500;

const MINUTE = 60_000;

const NONE: CappedCount = { count: 0, capped: false };

/** Those of the config, in its order, and then those of which only messages are left. */
export async function destinationsJson(inbox: AdminInbox): Promise<readonly DestinationJson[]> {
  const reader = await inbox.reader();
  const [depths, paused] = await Promise.all([reader.depths(CAP), reader.paused()]);
  const activities = inbox.outbox?.destinations() ?? [];
  const configured = inbox.destinations;
  const removed = depths.map(({ destination }) => destination);
  const names = new Set([...configured.map(({ name }) => name), ...removed]);
  const now = inbox.clock();
  const all: DestinationJson[] = [];
  for (const name of names) {
    const newest = await reader.messages({ destination: name }, undefined, NEWEST);
    all.push(
      destinationJson(name, {
        config: configured.find((one) => one.name === name),
        depths: depths.filter(({ destination }) => destination === name),
        paused: paused.find(({ destination }) => destination === name),
        activity: activities.find((one) => one.name === name),
        newest: newest.items,
        now,
      }),
    );
  }
  return all;
}

interface Known {
  readonly config: ConfiguredDestination | undefined;
  readonly depths: readonly DestinationDepth[];
  readonly paused: { readonly reason: string | null; readonly since: number } | undefined;
  readonly activity: DestinationActivity | undefined;
  /** The newest messages. */
  readonly newest: readonly ListedMessage[];
  readonly now: number;
}

function destinationJson(name: string, known: Known): DestinationJson {
  const { config, depths, activity, newest, now } = known;
  const paused = known.paused ?? activity?.paused;
  const depth = (state: MessageState): DestinationDepth | undefined =>
    depths.find((one) => one.state === state);
  const waiting = depth("waiting");
  const sending = countOf(depth("sending"));
  const delivered = newest.flatMap(({ state, settledAt }) =>
    state === "delivered" && settledAt !== null ? [settledAt] : [],
  );
  const lastMinute = delivered.filter((at) => at > now - MINUTE).length;
  return {
    name,
    kind: config?.kind ?? null,
    target: config === undefined ? null : targetOf(config),
    state:
      paused !== undefined && paused !== null ? "paused" : activity?.isProbing === true ? "failing" : "open",
    reason: paused?.reason ?? null,
    paused_since: paused?.since ?? null,
    waiting: countOf(waiting),
    sending: { ...sending, count: Math.max(sending.count, activity?.sending ?? 0) },
    dead: countOf(depth("dead")),
    oldest_at: waiting?.oldestAt ?? null,
    last_minute: { count: lastMinute, capped: lastMinute === NEWEST },
    last_delivered_at: latest([...delivered, activity?.lastDeliveredAt ?? null]),
    last_failure: lastFailureOf(activity, newest),
  };
}

const countOf = (depth: DestinationDepth | undefined): CappedCount =>
  depth === undefined ? NONE : { count: depth.count, capped: depth.capped };

/** Without a `serve`, the newest messages show what failed last. */
function lastFailureOf(
  activity: DestinationActivity | undefined,
  newest: readonly ListedMessage[],
): FailedAttempt | null {
  if (activity?.lastFailure !== null && activity?.lastFailure !== undefined) return activity.lastFailure;
  const failed = newest.find(({ lastError, state }) => lastError !== null && state !== "delivered");
  if (failed?.lastError === undefined || failed.lastError === null) return null;
  return { at: failed.settledAt ?? failed.createdAt, status: failed.lastStatus, error: failed.lastError };
}

function latest(times: readonly (number | null)[]): number | null {
  const known = times.filter((at) => at !== null);
  return known.length === 0 ? null : Math.max(...known);
}

/** Never a path, a query or an argument: they may contain a secret. */
function targetOf(config: ConfiguredDestination): string {
  if (config.kind === "command") return config.command[0] ?? "";
  return /^[a-z]+:\/\/([^/?#]+)/i.exec(config.url)?.[1] ?? "";
}
