import type { SourceStateJson, StatusJson } from "../http/admin/shapes.ts";
import { counted, sumOf } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { columns, nameFor } from "./columns.ts";
import { ago, shortTime, tookText } from "./moments.ts";

/** A source is paused or refusing. Only an event is held. */
const STATES = { open: "open", held: "paused", refusing: "refusing", resuming: "resuming" } as const;

/** The sources in `hookonce status`. Their states are a column if one of them is not open. */
export function sourceLines(
  { sources, now }: Pick<StatusJson, "sources" | "now">,
  width: number | undefined,
  inFolder: string,
): string[] {
  const withState = sources.some(({ state }) => state !== "open");
  const rows = sources.map((one) => [
    one.name,
    one.title,
    one.url.replace(/^https?:\/\/[^/]+/, ""),
    ...(withState ? [STATES[one.state]] : []),
    one.last_delivery_at === null ? "never" : ago(one.last_delivery_at, now),
    one.last_hour.toLocaleString("en"),
    one.p95_us === null ? "" : tookText(one.p95_us),
  ]);
  const state = withState ? ["state"] : [];
  const head = ["source", "provider", "path", ...state, "last delivery", "last hour", "p95"];
  return sources.length === 0
    ? [`No source yet. To add one: hookonce add stripe${inFolder}`]
    : columns(head, rows, { width, flexible: [0, 1, 2], optional: [1, 2] });
}

interface Shown {
  readonly now: number;
  readonly width: number | undefined;
  readonly inFolder: string;
  /** Whether the config does not have it any more. */
  readonly isGone: boolean;
}

/** What a source that is not open does, and how it goes on. */
export function stateLine(
  { name, state, since, until, reason, held, stop_on_failure: stops }: SourceStateJson,
  { now, width, inFolder, isGone }: Shown,
): string {
  const shown = nameFor(name, width);
  const why = reason === null ? "" : ` (${visible(reason)})`;
  const from = since === null ? "" : ` since ${shortTime(since, now)}`;
  const events = held.capped ? `${sumOf([held])} events` : counted(held.count, "event");
  const [are, run] = held.count === 1 ? ["is", "runs"] : ["are", "run"];
  const resume = `hookonce resume ${visible(name)}${inFolder}`;
  if (isGone)
    return `hookonce.toml no longer has the source ${shown}, which is paused${from}: ${events} ${are} held.`;
  if (state === "resuming")
    return `${shown} is resuming${from}: ${events} ${are} still held, and ${run} in order${stops ? " until one fails" : ""}.`;
  const end = until === null ? "To go on:" : `It resumes at ${shortTime(until, now)}, or with:`;
  return state === "refusing"
    ? `${shown} is refusing its deliveries${from}${why}. ${end} ${resume}`
    : `${shown} is paused${from}${why}: ${events} ${are} held. ${end} ${resume}`;
}
