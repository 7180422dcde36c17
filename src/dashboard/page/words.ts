import type { DeliveryOutcome, EventDetail, RetentionJson } from "../../http/admin/shapes.ts";

/** How an outcome looks. The mark says the same as the colour. */
export interface Look {
  readonly mark: "✓" | "=" | "○" | "✗";
  readonly tone: "good" | "quiet" | "owed" | "bad";
}

export const LOOKS: Readonly<Record<DeliveryOutcome, Look>> = {
  processed: { mark: "✓", tone: "good" },
  imported: { mark: "✓", tone: "good" },
  duplicate: { mark: "=", tone: "quiet" },
  ignored: { mark: "=", tone: "quiet" },
  stale: { mark: "=", tone: "quiet" },
  discarded: { mark: "=", tone: "quiet" },
  unhandled: { mark: "○", tone: "owed" },
  held: { mark: "○", tone: "owed" },
  failed: { mark: "✗", tone: "bad" },
  refused: { mark: "✗", tone: "bad" },
};

const whole = new Intl.NumberFormat("en-US");

export const count = (value: number): string => whole.format(value);

/** `1 event`, `2,000 events`. */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

interface Owed {
  readonly count: number;
  /** Whether there may be more. */
  readonly capped: boolean;
}

/** The sum of counts: `13,003`, or `13,003+` if there may be more. */
export const sumOf = (owed: readonly Owed[]): string =>
  `${count(owed.reduce((sum, one) => sum + one.count, 0))}${owed.some(({ capped }) => capped) ? "+" : ""}`;

const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** `12:04:11` for today, else `26 Nov 12:04:11`. */
export function timeText(at: number, now = Date.now()): string {
  const then = new Date(at);
  const today = new Date(now);
  if (then.toDateString() === today.toDateString()) return clock.format(then);
  const date = then.getFullYear() === today.getFullYear() ? day : dayOfYear;
  return `${date.format(then)} ${clock.format(then)}`;
}

export function ago(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  if (hours < 48) return `${hours} h ago`;
  return `${Math.round(hours / 24)} days ago`;
}

/** Microseconds as `400 µs`, `1.4 ms`, `12 ms` or `1.2 s`. */
export function duration(us: number): string {
  if (us < 1000) return `${us} µs`;
  if (us < 10_000) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1000)} ms`;
  return `${(us / 1_000_000).toFixed(1)} s`;
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = -1;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/**
 * Characters that do not show, or that change the order of others, are written as escapes: a payload must not
 * look like something else. The commands do the same.
 */
export function visible(text: string): string {
  return text.replaceAll(/(?![\t\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });
}

/** What a dry run found, in sentences. */
export function forecastOf(
  { wouldRun, noHandler, quarantined, held, alreadyDone, unfit, forced }: Totals,
  action: "apply" | "replay" | "discard" | "resend",
  noun: "event" | "message" = "event",
  to?: string,
): string[] {
  const resend = to === undefined ? "be sent again" : `be sent to ${to}`;
  const what = { apply: "run", replay: "run", discard: "be discarded", resend }[action];
  return [
    `${counted(wouldRun, noun)} would ${what}.`,
    ...(forced > 0
      ? [
          `The handler of ${counted(forced, "one", "of them")} hung or ended hookonce before. Chosen by id, ${forced === 1 ? "it runs" : "they run"} all the same.`,
        ]
      : []),
    ...(noHandler > 0
      ? [`${counted(noHandler, "has no handler and stays", "have no handler and stay")} owed.`]
      : []),
    ...(quarantined > 0
      ? [
          `${counted(quarantined, "is skipped, because its", "are skipped, because their")} handler hung or died.`,
        ]
      : []),
    ...(held > 0 ? [`${counted(held, "is", "are")} left alone, because the source is paused.`] : []),
    ...(alreadyDone > 0 ? [`${counted(alreadyDone, "is", "are")} already done.`] : []),
    ...(unfit > 0
      ? [
          `${counted(unfit, "is", "are")} skipped, because ${noun === "message" ? UNFIT_MESSAGE : UNFIT[action]}.`,
        ]
      : []),
  ];
}

const UNFIT = {
  apply: "a discarded event needs a reason",
  replay: "only a processed event can be replayed",
  discard: "only an owed event can be discarded",
  resend: "only an event that is done can be sent again",
} as const;

const UNFIT_MESSAGE = "it is delivered or being sent";

type Totals = Readonly<
  Record<"wouldRun" | "noHandler" | "quarantined" | "held" | "alreadyDone" | "unfit" | "forced", number>
>;

const times = (value: number): string =>
  value === 1 ? "once" : value === 2 ? "twice" : `${count(value)} times`;

/**
 * How many copies were stopped: those that came after the event was done. A delivery that failed, or found no
 * handler, was not stopped.
 */
function stoppedOf({ deliveries, timeline }: EventDetail): string {
  if (timeline.length === 0) return "";
  const last = timeline.findLastIndex(({ outcome }) => outcome !== "duplicate");
  const before = timeline[last]?.number ?? 0;
  const next = timeline[last + 1]?.number ?? before + 1;
  // Of many deliveries, those in the middle are not kept. They may have failed, unless the event was done before.
  const isAtLeast = next > before + 1 && /^(?:failed|unhandled)$/.test(timeline[last]?.outcome ?? "");
  const copies = deliveries - (isAtLeast ? next - 1 : before);
  if (copies <= 0) return "";
  if (isAtLeast) return ` At least ${counted(copies, "later copy was", "later copies were")} stopped.`;
  return copies === 1 ? " A later copy was stopped." : ` ${count(copies)} later copies were stopped.`;
}

/** Why no body is shown. */
export function missingBody({
  payload_removed: isRemoved,
  forgotten,
}: Pick<EventDetail, "payload_removed" | "forgotten">): string {
  if (forgotten !== null) return `The payload was forgotten: ${visible(forgotten)}`;
  return isRemoved ? "The payload was removed by retention." : "The payload is not kept.";
}

/** What retention removes, and what it has given up. */
export function retentionText({
  payloads_ms: ms,
  max_bytes: max,
  used_bytes: used,
  discarded,
}: RetentionJson): string {
  const limit = max === null ? "" : ` if more than ${bytesText(max)} is in use (now ${bytesText(used)})`;
  const what =
    ms !== null
      ? `Payloads are removed after ${spanText(ms)}${max === null ? "" : `, and the oldest ones${limit}`}.`
      : max !== null
        ? `The oldest payloads are removed${limit}.`
        : "Payloads are kept for ever.";
  const lost = counted(discarded, "unhandled event was", "unhandled events were");
  return discarded === 0 ? what : `${what} ${lost} discarded.`;
}

function spanText(ms: number): string {
  const units = [
    [DAY, "day"],
    [HOUR, "hour"],
  ] as const;
  const [size, unit] = units.find(([one]) => ms % one === 0) ?? [60_000, "minute"];
  return counted(Math.round(ms / size), unit);
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** What became of an event, in one sentence or two. */
export function storyOf(event: EventDetail): string {
  const { outcome, handler, rows_changed: rows, failure } = event;
  const at = timeText(event.received_at);
  const later = stoppedOf(event);
  const why = event.reason === null ? "" : ` Reason: ${visible(event.reason)}`;
  switch (outcome) {
    case "processed": {
      const by = handler === null ? "" : ` by ${handler}`;
      const changed = rows === null ? "" : `, changed ${counted(rows, "row")}`;
      if (event.replays > 0)
        return `Applied${by} and replayed ${times(event.replays)}. The last run${changed.slice(1)}. Received at ${at}.${later}${why}`;
      return `Applied once${by}${changed}. Received at ${at}.${later}${why}`;
    }
    case "imported":
      return `Imported as applied elsewhere. No handler ran here.${later}`;
    case "ignored":
      return event.same_as === null
        ? `Received at ${at} and ignored, ${event.reason === null ? "as the config says" : `because ${visible(event.reason)} (test_events)`}.${event.bytes === null ? " Its payload is not kept." : ""}`
        : `Received at ${at}. It has the same body as the event ${visible(event.same_as)} (same_body), so it never runs.`;
    case "stale":
      return `Received at ${at}, but a newer event had been applied. Nothing was changed.${event.reason === null ? "" : ` ${visible(event.reason)}`}${later}`;
    case "discarded":
      return `Given up. Nothing was changed, and it never runs by itself.${why}`;
    case "unhandled":
      return `Stored at ${at}, but no handler matched its type. Nothing was changed, and the event is owed.`;
    case "held":
      return `Stored at ${at} while its source was paused. It runs when the source resumes.`;
    case "failed":
      return failure === null
        ? `Received at ${at}. Its handler failed, nothing was changed, and the event is owed.`
        : `Failed ${failure.attempts === 1 ? "once" : `${count(failure.attempts)} times`}, the last time at ${timeText(failure.last_at)}${failure.handler === null ? "" : ` in ${failure.handler}`}. Everything was rolled back, and the event is owed.`;
  }
}

/** As in logging/error-pattern.ts: what is alike in the messages of a group of failures. */
export const patternOf = (error: string): string => error.replaceAll(/[\w-]*\d(?:[\w.,:-]*\w)?/g, "…");
