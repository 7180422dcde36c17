import { formatDuration } from "../config/duration.ts";
import type { FailingHandler } from "../engines/failing.ts";
import type { Reader } from "../engines/reader.ts";
import type { PausedSource } from "../engines/source-states.ts";
import { counted } from "../logging/counted.ts";
import type { Condition, Subject } from "./condition.ts";
import { holdWarnings } from "./hold-warnings.ts";
import { LEAST_SILENCE_MS, SILENCE_LOOK_BACK_MS, silentAfterMs } from "./silence.ts";

/**
 * What needs attention. This is decided here only: alerts, `/api/status`, and so `hookonce status` and the page, all
 * read {@link conditionsOf}.
 */

export type * from "./condition.ts";

/** The same in one text. */
export const textOf = ({ title, more }: Condition): string => (more === "" ? title : `${title} ${more}`);

export interface Conditions {
  readonly found: readonly Condition[];
  /** Whether it is not known if a subject has a condition. */
  readonly isUnknown: (subject: Subject) => boolean;
}

export interface ConditionOptions {
  readonly reader: Reader;
  /** The sources of the config. Only they can be silent. */
  readonly sources: readonly string[];
  /** Free space on the database's disk, in bytes; null if the system does not say. */
  readonly freeBytes: number | null;
  /** Unix milliseconds. */
  readonly now: number;
  /** When this `serve` started. */
  readonly startedAt: number;
}

/** With less free space, in bytes, the disk may soon be full. */
const LOW_DISK = 1024 ** 3;

/** Of failures and dead messages. */
const MAX_COUNTED = 10_000;

/** After a start, a source may still be reached again by providers that have waited. */
const GRACE_MS = 3_600_000;

/** The worst first. */
export async function conditionsOf(options: ConditionOptions): Promise<Conditions> {
  const { reader, freeBytes, now } = options;
  const { handlers, capped } = await reader.failingHandlers(MAX_COUNTED);
  const paused = await reader.sourceStates();
  return {
    found: [
      ...lowDisk(freeBytes, now),
      ...handlers.map(failing),
      ...(await dead(reader)),
      ...paused.map(pausedCondition),
      ...holds(paused, now),
      ...(await silentSources(options)),
    ],
    isUnknown: ({ alert }) =>
      (alert === "source_silent" && isFresh(options)) || (alert === "handler_failing" && capped),
  };
}

const isFresh = ({ now, startedAt }: Pick<ConditionOptions, "now" | "startedAt">): boolean =>
  now - startedAt < GRACE_MS;

function lowDisk(freeBytes: number | null, now: number): Condition[] {
  if (freeBytes === null || freeBytes >= LOW_DISK) return [];
  const title = `Only ${Math.floor(freeBytes / 1024 ** 2)} MiB are free on the disk of the database.`;
  const more = "Without space, deliveries are answered 503.";
  return [{ subject: { alert: "disk_low" }, since: now, title, more, error: null }];
}

const DOES = {
  held: "holds its events",
  refusing: "refuses its deliveries",
  resuming: "runs what it has held",
};

function pausedCondition({ name: source, state, since }: PausedSource): Condition {
  const title = `The source ${source} is paused, and ${DOES[state]}.`;
  return { subject: { alert: "source_paused", source }, since, title, more: "", error: null };
}

function failing({ source, handler, count, firstAt, error }: FailingHandler): Condition {
  const owed = `${counted(count, "event")} of the source ${source} ${count === 1 ? "is" : "are"} owed`;
  return {
    subject: { alert: "handler_failing", source, ...(handler === null ? {} : { handler }) },
    since: firstAt,
    title: handler === null ? `${owed}, because no handler could run.` : `${handler} fails, and ${owed}.`,
    more: "",
    error,
  };
}

/** The sources that are silent. In the first hour after a start, none is. */
export async function silentSources(
  options: Pick<ConditionOptions, "reader" | "sources" | "now" | "startedAt">,
): Promise<readonly Condition[]> {
  const { reader, now } = options;
  const found: Condition[] = [];
  if (isFresh(options)) return found;
  const refusing = new Set(
    (await reader.sourceStates()).filter(({ state }) => state === "refusing").map(({ name }) => name),
  );
  const sources = new Set(options.sources.filter((name) => !refusing.has(name)));
  for (const { source, lastDeliveryAt: last } of await reader.seen(now)) {
    if (!sources.has(source) || now - last <= LEAST_SILENCE_MS) continue;
    const hours = await reader.rollups("hour", { since: last - SILENCE_LOOK_BACK_MS, until: last, source });
    const received = hours.filter(
      ({ processed, duplicate, unhandled, held, ignored, stale, failed }) =>
        processed + duplicate + unhandled + held + ignored + stale + failed > 0,
    );
    const afterMs = silentAfterMs(received.map(({ at }) => at));
    if (afterMs === null || now - last <= afterMs) continue;
    const usual = formatDuration(Math.max(afterMs / 2, 3_600_000));
    found.push({
      subject: { alert: "source_silent", source },
      since: last,
      title: `The source ${source} has received nothing since ${new Date(last).toISOString()}.`,
      more: `Before that, its longest pause in two weeks was ${usual}.`,
      error: null,
    });
  }
  return found;
}

function holds(paused: Parameters<typeof holdWarnings>[0], now: number): Condition[] {
  const bySource = Map.groupBy(holdWarnings(paused, now), ({ source }) => source);
  return Array.from(bySource, ([source, warnings]): Condition => {
    const { since = now, oldestAt = null } = paused.find(({ name }) => name === source) ?? {};
    const [title = "", ...more] = warnings.map(({ message }) => `${message}.`);
    return {
      subject: { alert: "old_hold", source },
      since: Math.min(since, oldestAt ?? since),
      title,
      more: more.join(" "),
      error: null,
    };
  });
}

async function dead(reader: Reader): Promise<Condition[]> {
  return (await reader.depths(MAX_COUNTED))
    .filter(({ state }) => state === "dead")
    .map(({ destination, count, capped, oldestAt }): Condition => {
      const messages = `${capped ? "more than " : ""}${counted(count, "message")}`;
      return {
        subject: { alert: "dead_messages", destination },
        since: oldestAt,
        title: `hookonce has given up on ${messages} to ${destination}.`,
        more: `To see them: hookonce messages --destination ${destination} --state dead`,
        error: null,
      };
    });
}
