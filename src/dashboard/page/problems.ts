import type {
  ConditionJson,
  DestinationJson,
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
export function problemsOf(status: StatusJson): readonly Problem[] {
  const { now, owed, today, serving } = status;
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
  for (const { code, message } of serving?.warnings ?? []) {
    problems.push({
      key: `warning ${code}`,
      tone: "owed",
      title: "A warning",
      detail: visible(message),
      button,
    });
  }
  problems.push(...status.conditions.flatMap((one) => conditionCard(one, status)));
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

/** The server decides what needs attention. Here it gets what is known besides, and its button. */
function conditionCard(one: ConditionJson, status: StatusJson): readonly Problem[] {
  const { alert, source, handler, destination, since, title, more, error } = one;
  const card = { key: `${alert} ${source} ${handler} ${destination}`, title: visible(title) };
  switch (alert) {
    case "disk_low": {
      const detail = `${more} The database takes ${bytesText(status.disk.database_bytes)}.`;
      return [{ ...card, tone: "bad", detail, button: { text: "Show the disk", to: "/sources#machine" } }];
    }
    case "handler_failing": {
      const detail = `First ${ago(since, status.now)}. The last error: ${visible(error ?? "").slice(0, 160)}`;
      return [{ ...card, tone: "bad", detail, button: { text: "Why?", to: "/failures" } }];
    }
    case "source_silent": {
      const button = { text: "Show it", to: "/sources" };
      return [{ ...card, tone: "owed", detail: more, button }];
    }
    case "source_paused":
      return status.paused
        .filter(({ name }) => name === source)
        .map((paused) => pausedSource(card.key, paused, status.now));
    case "dead_messages":
      return status.destinations
        .filter(({ name }) => name === destination)
        .map((dead) => deadMessages(card.key, dead));
    // It is on the card of the paused source.
    case "old_hold":
      return [];
  }
}

/** A source that somebody, or hold_after, has paused. */
function pausedSource(key: string, one: SourceStateJson, now: number): Problem {
  const { name, state, until, reason, held, oldest_at: oldest, warnings } = one;
  const what = {
    held: "is paused",
    refusing: "refuses its deliveries",
    resuming: "is resuming",
    open: "is open",
  };
  const from = oldest === null ? "" : `, the oldest from ${ago(oldest, now)}`;
  const events = `${sumOf([held])} ${held.count === 1 ? "event is" : "events are"} held${from}.`;
  const end = until === null ? "" : ` It resumes by itself at ${timeText(until)}.`;
  return {
    key,
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
  };
}

function deadMessages(key: string, one: DestinationJson): Problem {
  const { name, dead } = one;
  const [noun, have, them] = dead.count === 1 ? ["message", "has", "it"] : ["messages", "have", "them"];
  return {
    key,
    tone: "bad",
    title: `${sumOf([dead])} ${noun} to ${visible(name)} ${have} not arrived`,
    detail: `hookonce has given up on ${them}.${lastErrorOf(one)}`,
    button: { text: `Send ${sumOf([dead])} again`, act: resendDead(one) },
  };
}

const lastErrorOf = ({ last_failure: failure }: DestinationJson): string =>
  failure === null ? "" : ` The last error: ${visible(failure.error).slice(0, 160)}`;

/** A destination that is gone, that fails, or that is paused. */
function problemsWith(one: DestinationJson, now: number): readonly Problem[] {
  const { name, kind, state, reason, waiting, oldest_at: oldest } = one;
  const shown = visible(name);
  const wait =
    waiting.count === 0
      ? "Nothing waits."
      : `${sumOf([waiting])} ${waiting.count === 1 ? "message waits" : "messages wait"}${oldest === null ? "" : `, the oldest from ${ago(oldest, now)}`}.`;
  const found: Problem[] = [];
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
      detail: `${wait}${lastErrorOf(one)}`,
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
