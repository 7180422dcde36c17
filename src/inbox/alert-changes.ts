import type { AlertEntry, StoredAlert } from "../engines/alerts.ts";
import { textOf, type AlertName, type Conditions, type Subject } from "./conditions.ts";

/** How long a condition must hold until it is an alert, and be gone until the alert ends, in milliseconds. */
export const HOLD_MS = 5 * 60_000;

export interface AlertChangeOptions {
  /** The destination that is told. */
  readonly to: string;
  /** Where the page is published; null if it is not. */
  readonly url: string | null;
  readonly now: number;
  readonly holdMs: number;
}

/** What a change of an alert is about, to log it. */
export interface Told {
  readonly subject: Subject;
  readonly text: string;
  readonly change: "began" | "ended";
}

/**
 * Compares what is stored of alerts with the conditions that there are now. A condition that flaps within five
 * minutes is one alert, or none. What is stored says how far each alert is, so a restart repeats nothing.
 */
export function changesOf(
  stored: readonly StoredAlert[],
  { found, isUnknown }: Conditions,
  options: AlertChangeOptions,
): { readonly entries: readonly AlertEntry[]; readonly told: readonly Told[] } {
  const { to, now, holdMs } = options;
  const entries: AlertEntry[] = [];
  const told: Told[] = [];
  // If messages to this destination are dead, one more would be dead, too.
  const conditions = new Map(
    found.filter(({ subject }) => subject.destination !== to).map((one) => [keyOf(one.subject), one]),
  );
  // A reload may have made it the one that is told. What has begun there has not ended by that.
  const isToldItself = new Set(
    found.map(({ subject }) => keyOf(subject)).filter((key) => !conditions.has(key)),
  );
  const rows = new Map(stored.map((row) => [row.key, row]));
  // A clock that was set back has held it for long enough.
  const isLong = (since: number): boolean => Math.abs(now - since) >= holdMs;
  const tell = (change: "began" | "ended", key: string, alert: Alert): void => {
    const { subject, text } = alert;
    const body = bodyOf(change, alert, options);
    entries.push({ entry: "alert", key, at: now, change, destination: to, body });
    told.push({ subject, text, change });
  };

  for (const [key, condition] of conditions) {
    const row = rows.get(key);
    if (row === undefined)
      entries.push({ entry: "alert", key, at: now, change: "seen", since: condition.since });
    else if (row.beganAt === null && isLong(row.seenAt))
      tell("began", key, { ...condition, text: textOf(condition) });
    else if (row.goneAt !== null) entries.push({ entry: "alert", key, at: now, change: "back" });
  }
  for (const { key, since, beganAt, goneAt } of stored) {
    const subject = JSON.parse(key) as Subject;
    if (conditions.has(key) || isToldItself.has(key) || isUnknown(subject)) continue;
    if (beganAt === null) entries.push({ entry: "alert", key, at: now, change: "dropped" });
    else if (goneAt === null) entries.push({ entry: "alert", key, at: now, change: "gone" });
    else if (isLong(goneAt)) tell("ended", key, { subject, since, text: endOf(subject) });
  }
  return { entries, told };
}

interface Alert {
  readonly subject: Subject;
  readonly since: number;
  /** What is sent. */
  readonly text: string;
}

/** The parts in a fixed order, so that each subject has one key. */
function keyOf({ alert, source, handler, destination }: Subject): string {
  return JSON.stringify({ alert, source, handler, destination });
}

/** As a Standard Webhook has it. `text` alone is what Slack and its like show. */
function bodyOf(
  change: "began" | "ended",
  { subject, since, text }: Alert,
  { url, now }: AlertChangeOptions,
): string {
  const { alert, source = null, handler = null, destination = null } = subject;
  return JSON.stringify({
    type: `hookonce.alert.${change}`,
    timestamp: new Date(now).toISOString(),
    text,
    data: {
      alert,
      source,
      handler,
      destination,
      since: new Date(since).toISOString(),
      url: url === null ? null : url + PAGES[alert],
    },
  });
}

/** Where the page shows it. */
const PAGES: Readonly<Record<AlertName, string>> = {
  handler_failing: "/failures",
  source_paused: "/sources",
  source_silent: "/sources",
  old_hold: "/sources",
  dead_messages: "/destinations",
  disk_low: "/sources#machine",
};

function endOf({ alert, source = "", handler, destination = "" }: Subject): string {
  switch (alert) {
    case "handler_failing":
      return handler === undefined
        ? `No event of the source ${source} is owed any more for want of a handler.`
        : `No event of the source ${source} is owed any more because of ${handler}.`;
    case "source_paused":
      return `The source ${source} is not paused any more.`;
    case "source_silent":
      return `The source ${source} is not silent any more.`;
    case "old_hold":
      return `The source ${source} holds nothing any more that is old or too much.`;
    case "dead_messages":
      return `No message to ${destination} is dead any more.`;
    case "disk_low":
      return "The disk of the database has enough space again.";
  }
}
