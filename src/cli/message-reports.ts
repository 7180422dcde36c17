import type { AttemptJson, MessageDetail, MessageJson } from "../http/admin/shapes.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { columns, cutEnd, oneLine, type Display } from "./columns.ts";
import { listTime, shortTime, tookText, until } from "./moments.ts";

/** What the commands print of messages for people. Everything from outside is made visible. */

const HEAD = ["written", "state", "destination", "type", "tries", "status", "next", "id"] as const;

export function messagesTable(messages: readonly MessageJson[], { width, now }: Display): string[] {
  const rows = messages.map((one) => [
    width === undefined ? shortTime(one.created_at, now) : listTime(one.created_at, now),
    one.state,
    one.destination,
    one.type || "(none)",
    one.attempts === 0 ? "" : String(one.attempts),
    one.last_status === null ? "" : String(one.last_status),
    one.next_at === null ? "" : until(one.next_at, now),
    one.id,
  ]);
  const errors = messages.map(({ last_error: error, state }) =>
    error === null || state === "delivered" ? "" : oneLine(error),
  );
  if (width === undefined) {
    const withErrors = rows.map((row, at) => [...row, errors[at] ?? ""]);
    return columns([...HEAD, "error"], withErrors, { width, flexible: [] });
  }
  const layout = { width, flexible: [2, 3], optional: [], endsWithId: true } as const;
  const [first = "", ...lines] = columns([...HEAD], rows, layout);
  return [
    first,
    ...lines.flatMap((line, at) => {
      const error = errors[at] ?? "";
      return error === "" ? [line] : [line, `    ${cutEnd(error, width - 4)}`];
    }),
  ];
}

export function messageReport(message: MessageDetail, { now }: Display): string {
  const { id, destination, source, event_id: event, type, created_at: written } = message;
  const about =
    event === ""
      ? "enqueued by another process"
      : `event ${visible(event)}  source ${visible(source)}  type ${visible(type) || "(none)"}`;
  return [
    visible(id),
    `to ${visible(destination)}, written ${shortTime(written, now)}: ${stateText(message, now)}`,
    about,
    ...(message.reason === null ? [] : [`Reason: ${visible(message.reason)}`]),
    ...attemptLines(message, now),
  ].join("\n");
}

/** The messages of an event. */
export function messageLines(messages: readonly MessageDetail[], now: number): string[] {
  if (messages.length === 0) return [];
  return [
    "",
    "Messages",
    ...messages.flatMap((message) => {
      const last = message.timeline.at(-1);
      return [
        `  ${visible(message.destination)}  ${stateText(message, now)}`,
        `    ${visible(message.id)}`,
        ...(last === undefined ? [] : attemptLinesOf(last, message.kind, now).map((line) => `  ${line}`)),
      ];
    }),
  ];
}

function stateText({ state, attempts, next_at: next, timeline, kind }: MessageDetail, now: number): string {
  const last = timeline.at(-1);
  // Every command that was delivered has ended with 0.
  const status = last === undefined || last.status === null || kind === "command" ? "" : `, ${last.status}`;
  const took = last === undefined ? "" : ` in ${tookText(last.ms * 1000)}`;
  const tries = attempts < 2 ? "" : ` at attempt ${attempts}`;
  switch (state) {
    case "delivered":
      return `delivered${status}${took}${tries}`;
    case "dead":
      return `dead after ${counted(attempts, "attempt")}. To send it again: hookonce resend ID`;
    case "discarded":
      return "discarded";
    case "sending":
      return "being sent now";
    case "waiting":
    case "interrupted":
      if (attempts === 0) return "waiting to be sent";
      return `${state} after ${counted(attempts, "attempt")}${next === null ? "" : `, next ${shortTime(next, now)}`}`;
  }
}

function attemptLines({ timeline, attempts, kind }: MessageDetail, now: number): string[] {
  if (timeline.length === 0) return [];
  const left = attempts - timeline.length;
  return [
    "",
    left > 0 ? `Attempts, the latest ${timeline.length} of ${attempts}` : "Attempts",
    ...timeline.flatMap((attempt) => attemptLinesOf(attempt, kind, now)),
  ];
}

/** An answer has at most 4 kB, but it may have that many lines. */
const MAX_LINES = 40;

function attemptLinesOf(
  { number, at, ms, status, error, answer }: AttemptJson,
  kind: MessageDetail["kind"],
  now: number,
): string[] {
  const took = tookText(ms * 1000);
  const result =
    kind === "command"
      ? `${status === null ? "no exit code" : `exit ${status}`} after ${took}`
      : `${status === null ? "no answer" : status} in ${took}`;
  const lines = answer === "" ? [] : answer.trimEnd().split("\n");
  const more = lines.length - MAX_LINES;
  return [
    `  ${String(number).padStart(4)}  ${shortTime(at, now)}  ${result}`,
    ...(error === null ? [] : [`        ${visible(error)}`]),
    ...lines.slice(0, MAX_LINES).map((line) => `        | ${visible(line)}`),
    ...(more > 0 ? [`        … ${counted(more, "more line")}: --json prints all`] : []),
  ];
}
