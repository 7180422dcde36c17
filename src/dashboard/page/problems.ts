import type {
  DestinationJson,
  FailureGroup,
  OwedJson,
  SourceStateJson,
  StatusJson,
} from "../../http/admin/shapes.ts";
import type { Act } from "./jobs.ts";
import { messagesPath, resendDead } from "./message-acts.ts";
import { handlerFile } from "./paths.ts";
import { eventsPath, exactly } from "./query.ts";
import { ago, bytesText, count, counted, sumOf, timeText, visible } from "./words.ts";

/** Something that needs attention. */
export interface Problem {
  readonly key: string;
  readonly tone: "bad" | "owed";
  readonly title: string;
  readonly detail: string;
  /** The one button. */
  readonly button:
    | { readonly text: string; readonly to: string }
    | { readonly text: string; readonly act: Act }
    /** The source or destination that is to go on. */
    | { readonly text: string; readonly resume: string; readonly of: "source" | "destination" };
}

/** What is wrong, the worst first. */
export function problemsOf(status: StatusJson, failures: readonly FailureGroup[]): readonly Problem[] {
  const { now, owed, disk, today, serving } = status;
  const problems: Problem[] = [];
  const button = { text: "Show the machine", to: "/sources#machine" };
  if (serving !== null && !serving.ready) {
    problems.push({
      key: "not ready",
      tone: "bad",
      title: "Deliveries cannot be stored, and are answered 503",
      detail: visible(serving.error?.message ?? ""),
      button,
    });
  }
  // Those of paused sources are on their cards.
  const ofSources = new Set(status.paused.flatMap(({ warnings }) => warnings));
  for (const { code, message } of serving?.warnings ?? []) {
    if (ofSources.has(message)) continue;
    problems.push({
      key: `warning ${code}`,
      tone: "owed",
      title: "A warning",
      detail: visible(message),
      button,
    });
  }
  if (disk.free_bytes !== null && disk.low) {
    problems.push({
      key: "disk",
      tone: "bad",
      title: `Only ${bytesText(disk.free_bytes)} free on the database's disk`,
      detail: `The database takes ${bytesText(disk.database_bytes)}. Without space, deliveries are answered 503.`,
      button: { text: "Show the disk", to: "/sources#machine" },
    });
  }
  for (const group of failures) {
    problems.push({
      key: `failure ${group.source} ${group.handler} ${group.error}`,
      tone: "bad",
      title: `${group.handler ?? group.source} fails: ${visible(group.error).slice(0, 160)}`,
      detail: `${counted(group.count, "event")} owed. First ${ago(group.first_at, now)}, last ${ago(group.last_at, now)}.`,
      button: { text: "Why?", to: "/failures" },
    });
  }
  problems.push(...status.paused.flatMap((one) => pausedSource(one, now)));
  for (const one of status.destinations) problems.push(...problemsWith(one, now));
  for (const one of owed.filter(({ outcome }) => outcome === "unhandled")) {
    problems.push({
      key: `unhandled ${one.source} ${one.type}`,
      tone: "owed",
      title: `${sumOf([one])} ${one.type === "" ? "" : `${visible(one.type)} `}${one.count === 1 ? "event" : "events"} of ${one.source} ${one.count === 1 ? "is" : "are"} not applied`,
      detail:
        one.handler === null
          ? `No handler matches. Save one as ${handlerFile(one.source, one.type)}, run hookonce reload, then apply.`
          : `No handler matched when ${one.count === 1 ? "it" : "they"} arrived. ${visible(one.handler)} would run ${one.count === 1 ? "it" : "them"} now.`,
      button:
        one.handler === null
          ? {
              text: `Show ${sumOf([one])}`,
              to: eventsPath({ source: one.source, type: exactly(one.type), outcome: one.outcome }),
            }
          : { text: `Apply ${sumOf([one])}`, act: applyOwed(one) },
    });
  }
  if (today.refused > 0) {
    problems.push({
      key: "refused",
      tone: "owed",
      title: `${counted(today.refused, "delivery", "deliveries")} refused in the last 24 hours`,
      detail:
        "A wrong secret, a wrong clock, or a sender that is not the provider. A restart of hookonce serve forgets the requests.",
      button: { text: "Why?", to: "/sources" },
    });
  }
  return problems;
}

/** A source that somebody, or hold_after, has paused. One that resumes is a problem only if that takes long. */
function pausedSource(one: SourceStateJson, now: number): readonly Problem[] {
  const { name, state, until, reason, held, oldest_at: oldest, warnings } = one;
  if (state === "resuming" && warnings.length === 0) return [];
  const what = {
    held: "is paused",
    refusing: "refuses its deliveries",
    resuming: "is resuming",
    open: "is open",
  };
  const from = oldest === null ? "" : `, the oldest from ${ago(oldest, now)}`;
  const events = `${sumOf([held])} ${held.count === 1 ? "event is" : "events are"} held${from}.`;
  const end = until === null ? "" : ` It resumes by itself at ${timeText(until)}.`;
  return [
    {
      key: `paused source ${name}`,
      tone: warnings.length === 0 ? "owed" : "bad",
      title: `${visible(name)} ${what[state]}${reason === null ? "" : `: ${visible(reason)}`}`,
      detail:
        [
          state === "refusing" && held.count === 0 ? "Its deliveries are answered 503." : events,
          ...warnings.map(visible),
        ].join(" ") + end,
      button:
        state === "resuming"
          ? { text: "Show them", to: eventsPath({ source: name, outcome: "held" }) }
          : { text: "Resume", resume: name, of: "source" },
    },
  ];
}

/** Dead messages, a destination that fails, and one that is paused. */
function problemsWith(one: DestinationJson, now: number): readonly Problem[] {
  const { name, kind, dead, state, reason, waiting, oldest_at: oldest, last_failure: failure } = one;
  const shown = visible(name);
  const error = failure === null ? "" : ` The last error: ${visible(failure.error).slice(0, 160)}`;
  const wait =
    waiting.count === 0
      ? "Nothing waits."
      : `${sumOf([waiting])} ${waiting.count === 1 ? "message waits" : "messages wait"}${oldest === null ? "" : `, the oldest from ${ago(oldest, now)}`}.`;
  const found: Problem[] = [];
  if (dead.count > 0)
    found.push({
      key: `dead ${name}`,
      tone: "bad",
      title: `${sumOf([dead])} ${dead.count === 1 ? "message" : "messages"} to ${shown} ${dead.count === 1 ? "has" : "have"} not arrived`,
      detail: `hookonce has given up on ${dead.count === 1 ? "it" : "them"}.${error}`,
      button: { text: `Send ${sumOf([dead])} again`, act: resendDead(one) },
    });
  if (kind === null && waiting.count > 0)
    found.push({
      key: `gone ${name}`,
      tone: "owed",
      title: `${shown} is not in hookonce.toml any more`,
      detail: `${wait} Add it again and run hookonce reload, or discard them.`,
      button: { text: "Show them", to: messagesPath({ destination: name, state: "waiting" }) },
    });
  if (state === "failing")
    found.push({
      key: `failing ${name}`,
      tone: "bad",
      title: `${shown} does not take messages`,
      detail: `${wait}${error}`,
      button: { text: "Why?", to: messagesPath({ destination: name }) },
    });
  if (state === "paused")
    found.push({
      key: `paused ${name}`,
      tone: "owed",
      title: `${shown} is paused${reason === null ? "" : `: ${visible(reason)}`}`,
      detail: wait,
      button: { text: "Resume", resume: name, of: "destination" },
    });
  return found;
}

/** The job selects what the count has counted: events of this source, type and outcome. */
export function applyOwed(one: OwedJson): Act {
  const { source, type, outcome } = one;
  return {
    action: "apply",
    title: `Apply ${sumOf([one])} ${visible(type) || "events without a type"} of ${source}`,
    target: { filter: { source, outcome, type: exactly(type) } },
    resultPath: eventsPath({ source, type: exactly(type) }),
  };
}

/** The whole page in one sentence. */
export function sentenceOf(status: StatusJson, problems: readonly Problem[]): string {
  const { sources, today, owed } = status;
  const { processed, unhandled, ignored, stale, held, failed, duplicate } = today;
  // An event that failed is counted again at each retry, so these are deliveries.
  const deliveries = processed + unhandled + ignored + stale + held + failed + duplicate;
  const fine =
    problems.length > 0
      ? `${counted(problems.length, "problem")}.`
      : sources.length === 1
        ? `${sources[0]?.title ?? ""} is fine.`
        : `All ${count(sources.length)} sources are fine.`;
  const nothing = owed.length === 0 ? "nothing owed" : `${sumOf(owed)} owed`;
  return `${fine} ${counted(deliveries, "delivery", "deliveries")} in 24 hours, ${counted(duplicate, "duplicate")} stopped, ${nothing}.`;
}
