import type { EventDetail, EventJson, FailureGroup, FailureJson } from "../http/admin/shapes.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { columns, cutEnd, oneLine, type Display } from "./columns.ts";
import { messageLines } from "./message-reports.ts";
import { ago, listTime, shortTime, tookText } from "./moments.ts";

/** What the commands that look print for people. Everything from outside is made visible. */

const EVENT_HEAD = ["time", "outcome", "source", "type", "copies", "rows", "took", "id"] as const;

const EVENT_LAYOUT = { flexible: [2, 3], optional: [6, 5, 4], endsWithId: true } as const;

export function eventsTable(events: readonly EventJson[], { width, now }: Display): string[] {
  const rows = events.map((event) => eventCells(event, now, width));
  return columns(EVENT_HEAD, rows, { ...EVENT_LAYOUT, width });
}

/** One event without a heading, for `--follow`. It does not depend on other events. */
export function eventLine(event: EventJson, { width, now }: Display): string {
  const cells = eventCells(event, now, width);
  const [time = "", outcome = "", source = "", type = "", copies = "", rows = "", took = "", id = ""] = cells;
  const words = [
    time,
    outcome.padEnd(10),
    source,
    type,
    copies === "" ? "" : `${event.deliveries} copies`,
    rows === "" ? "" : rows === "1" ? "1 row" : `${rows} rows`,
    took,
    id,
  ];
  const [, line = ""] = columns(
    words.map(() => ""),
    [words],
    { ...EVENT_LAYOUT, width },
  );
  return line;
}

/** On a terminal, the times of today have no day. */
function eventCells(event: EventJson, now: number, width: number | undefined): string[] {
  const { received_at: at, outcome, source, type, event_id: id, deliveries } = event;
  const { rows_changed: rows, duration_us: took, handler } = event;
  return [
    width === undefined ? shortTime(at, now) : listTime(at, now),
    outcome,
    source,
    type || "(none)",
    deliveries === 1 ? "" : `×${deliveries}`,
    rows === null || handler === null ? "" : String(rows),
    took === null || handler === null ? "" : tookText(took),
    id,
  ];
}

export function failureGroupsText(groups: readonly FailureGroup[], { now }: Display): string {
  return groups
    .map(({ source, handler, code, error, at, count, types, first_at: first, last_at: last }) =>
      [
        `${counted(count, "event")} of ${visible(source)}: ${handler === null ? "no handler ran" : visible(handler)}`,
        `  ${code}: ${cut(oneLine(error), MAX_LINE)}`,
        ...(at === null ? [] : [`  at ${visible(at)}`]),
        `  types ${types.map((type) => oneLine(type) || "(none)").join(", ")}`,
        `  first ${shortTime(first, now)}, last ${shortTime(last, now)}`,
      ].join("\n"),
    )
    .join("\n\n");
}

export function failuresTable(failures: readonly FailureJson[], { width, now }: Display): string[] {
  const cells = failures.map(({ last_at: last, source, type, event_id: id, attempts }) => [
    width === undefined ? shortTime(last, now) : listTime(last, now),
    source,
    type || "(none)",
    String(attempts),
    id,
  ]);
  const errors = failures.map(({ code, error, at }) => `${at === null ? "" : `${at} `}${code}: ${error}`);
  const head = ["last", "source", "type", "tries", "id"];
  if (width === undefined) {
    const rows = cells.map((row, at) => [...row, errors[at] ?? ""]);
    return columns([...head, "error"], rows, { width, flexible: [] });
  }
  const [first = "", ...rows] = columns(head, cells, { width, flexible: [1, 2], endsWithId: true });
  return [first, ...rows.flatMap((row, at) => [row, `    ${cutEnd(oneLine(errors[at] ?? ""), width - 4)}`])];
}

/** Longer payloads are cut on a terminal. `--json` prints all of it. */
const MAX_LINES = 200;
const MAX_LINE = 2000;
const MAX_FRAMES = 5;

export function eventReport(event: EventDetail, { now, width }: Display, isPaused = false): string {
  const { source, event_id: id, type, headers, payload, bytes, timeline, failure, changed } = event;
  const lines = [
    `${visible(id)}  source ${visible(source)}  type ${visible(type) || "(none)"}`,
    sentenceOf(event, now, isPaused),
    ...(event.type_missing_at === null
      ? []
      : [`It has no type: its source looks for the type at ${event.type_missing_at}, but nothing is there.`]),
    ...(event.reason === null || SAY_WHY.has(event.outcome) ? [] : [`Reason: ${visible(event.reason)}`]),
  ];
  if (failure !== null) {
    const { code, error, stack, attempts, first_at: first, last_at: last } = failure;
    const { next_at: next, accepted_at: accepted } = failure;
    lines.push(
      "",
      `Failed ${counted(attempts, "time")}, first ${shortTime(first, now)}, last ${shortTime(last, now)}`,
      `  ${code}: ${visible(error)}`,
      ...framesIn(stack).map((line) => `    ${visible(line)}`),
      ...(accepted === null
        ? []
        : [`  A delivery of it was answered 200 at ${shortTime(accepted, now)}, so it may not come again`]),
      ...(next === null ? [] : [`  hookonce runs it again at ${shortTime(next, now)}`]),
    );
  }
  lines.push("", "Deliveries");
  const { settled } = event;
  const settledLine =
    settled === null
      ? []
      : [
          `        ${shortTime(settled.at, now)}  ${settled.outcome === "processed" ? "applied" : settled.outcome}${settled.actor === null ? "" : `, ordered by ${visible(settled.actor)}`}`,
        ];
  const after = timeline.filter((entry) => entry.at <= (settled?.at ?? 0)).length;
  for (const [at, entry] of timeline.entries()) {
    if (at === after) lines.push(...settledLine);
    const before = timeline[at - 1];
    if (before !== undefined && entry.number > before.number + 1) lines.push("     …");
    const body = entry.changed_body ? ", with another body" : "";
    lines.push(`  ${String(entry.number).padStart(4)}  ${shortTime(entry.at, now)}  ${entry.outcome}${body}`);
  }
  if (after === timeline.length) lines.push(...settledLine);
  lines.push(...messageLines(event.messages, now));
  if (changed !== null)
    lines.push(
      "",
      `A later body differs (${shortTime(changed.received_at, now)}, ${counted(changed.bytes, "byte")}).`,
    );
  if (event.earlier.length > 0)
    lines.push("", "Earlier events with this id, each applied once because dedup_window had ended");
  for (const { received_at: at, deliveries } of event.earlier)
    lines.push(`  ${shortTime(at, now)}  ${counted(deliveries, "delivery", "deliveries")}`);
  const names = Object.keys(headers);
  if (names.length > 0) lines.push("", "Headers");
  const widest = Math.min(32, Math.max(0, ...names.map((name) => name.length)));
  for (const [name, value] of Object.entries(headers)) {
    const [label, text] = [`  ${visible(name).padEnd(widest)}`, cut(oneLine(value), MAX_LINE)];
    // A signature has no blank at which it could be wrapped.
    const isBelow =
      width !== undefined && Bun.stringWidth(`${label}  ${text}`) > width && !text.includes(" ");
    lines.push(...(isBelow ? [label.trimEnd(), `    ${text}`] : [`${label}  ${text}`]));
  }
  lines.push(
    "",
    bytes === null ? missingBody(event) : `Payload, ${counted(bytes, "byte")}${redactedText(event)}`,
  );
  if (bytes !== null && payload !== null) lines.push(...payloadLines(payload));
  else if (bytes !== null) lines.push("  The body is neither JSON nor a form, or too large to show.");
  return lines.join("\n");
}

function redactedText({ values_redacted: count }: EventDetail): string {
  return count === 0 ? "" : `, ${counted(count, "value")} redacted`;
}

function missingBody({ payload_removed: isRemoved, forgotten }: EventDetail): string {
  if (forgotten !== null) return `Its payload was forgotten: ${visible(forgotten)}`;
  return isRemoved ? "Its payload was removed by retention." : "The body is not stored.";
}

/** The lines of a stack that are in the inbox folder. The others do not help to correct a handler. */
function framesIn(stack: string | null): string[] {
  const lines = (stack ?? "").split("\n").map((line) => line.trim());
  return lines.filter((line) => /^at .*\bhandlers\//.test(line)).slice(0, MAX_FRAMES);
}

/** What became of it, in one sentence. */
function sentenceOf(event: EventDetail, now: number, isPaused: boolean): string {
  const { outcome, received_at: at, handler, rows_changed: rows, duration_us: took, deliveries } = event;
  const by = handler === null ? "" : ` by ${visible(handler)}`;
  const changed = handler === null || rows === null ? "" : `, changed ${counted(rows, "row")}`;
  const ms = handler === null || took === null ? "" : ` in ${tookText(took)}`;
  const copies = deliveries === 1 ? "" : ` It was delivered ${counted(deliveries, "time")}.`;
  const words =
    outcome === "processed"
      ? event.replays === 0
        ? `Applied once${by}${changed}${ms}.`
        : `Applied${by} and replayed ${times(event.replays)}. The last run${changed.slice(1)}${ms}.`
      : outcome === "stale" && event.reason !== null
        ? `Stale, so no handler ran. ${visible(event.reason)}`
        : event.same_as === null
          ? outcome === "ignored" && event.reason !== null
            ? `Ignored, because ${visible(event.reason)} (test_events). Only its id, type and time are kept.`
            : ((isPaused ? whilePaused(event) : undefined) ?? SENTENCES[outcome])
          : `Ignored: it has the same body as the event ${visible(event.same_as)} (same_body).`;
  return `Received ${shortTime(at, now)} (${ago(at, now)}). ${words}${copies}`;
}

/** Outcomes whose sentence has the reason. */
const SAY_WHY: ReadonlySet<EventJson["outcome"]> = new Set(["stale", "ignored"]);

const times = (value: number): string => (value === 1 ? "once" : value === 2 ? "twice" : `${value} times`);

const SENTENCES: Readonly<Record<Exclude<EventJson["outcome"], "processed">, string>> = {
  imported: "Imported: it was applied elsewhere.",
  ignored: "Ignored: only its id, type and time are kept.",
  stale: "Stale: a newer one was applied before it.",
  discarded: "Discarded: it does not run by itself.",
  unhandled:
    "Owed: there was no handler for its type. To run it, add one, run hookonce reload if serve runs, and run hookonce apply.",
  failed:
    "Owed: its handler failed. To run it again, correct the handler, run hookonce reload if serve runs, and run hookonce apply.",
  held: "Owed: its source is paused. It runs when the source resumes.",
};

/** Nothing of a paused source runs before it resumes. */
function whilePaused({ outcome, source }: EventDetail): string | undefined {
  const resume = `hookonce resume ${visible(source)}`;
  if (outcome === "unhandled")
    return `Owed: there was no handler for its type, and its source is paused. To run it, add one, run hookonce reload if serve runs, ${resume}, and then hookonce apply.`;
  if (outcome === "failed")
    return `Owed: its handler failed, and its source is paused. It runs again with the resume: correct the handler, run hookonce reload if serve runs, and run ${resume}.`;
  return outcome === "held" ? `${SENTENCES.held} To resume it, run ${resume}.` : undefined;
}

function payloadLines(payload: unknown): string[] {
  const all = JSON.stringify(payload, null, 2).split("\n");
  const shown = all.slice(0, MAX_LINES).map((line) => `  ${cut(visible(line), MAX_LINE)}`);
  if (all.length <= MAX_LINES) return shown;
  return [...shown, `  … ${counted(all.length - MAX_LINES, "more line")}: --json prints all`];
}

function cut(text: string, max: number | undefined): string {
  if (max === undefined || text.length <= max) return text;
  return `${text.slice(0, max).replace(/[\uD800-\uDBFF]$/, "")}… (${counted(text.length - max, "more character")})`;
}
