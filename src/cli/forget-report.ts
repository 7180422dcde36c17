import type { ErasedCounts, JobGroup } from "../inbox/job-progress.ts";
import type { JobView } from "../inbox/background-jobs.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { columns, terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { failureJson, failureLines } from "./failure-lines.ts";
import { complain, say, sayJson, sayTable } from "./terminal.ts";

/** What `hookonce forget` prints when its job has ended. */

const NOT_REACHED = {
  file: "your own tables, fixtures, copies named before-…, backups, and what other programs have logged",
  postgres:
    "your own tables, fixtures, the server's write-ahead log and its archive, standbys, backups, and what other programs have logged",
} as const;

const NO_COUNTS: ErasedCounts = { rows: 0, messages: 0, texts: 0, requests: 0, log: null };

const sumOf = (
  groups: readonly JobGroup[],
  name: "wouldRun" | "forgotten" | "left" | "alreadyDone",
): number => groups.reduce((sum, group) => sum + group[name], 0);

/** What a dry run has counted, and the same in words. */
export function wouldForget({ groups, erased = NO_COUNTS }: JobView): {
  readonly count: number;
  readonly what: string;
} {
  const { messages, texts } = erased;
  const events = sumOf(groups, "wouldRun");
  return { count: events + messages + texts, what: inWords(events, erased, "would be forgotten") };
}

function inWords(events: number, { messages, texts, requests }: ErasedCounts, did: string): string {
  const others = [
    messages > 0 ? counted(messages, "message") : "",
    texts > 0 ? counted(texts, "other text") : "",
    requests > 0 ? counted(requests, "refused delivery", "refused deliveries") : "",
  ].filter((part) => part !== "");
  return [`${counted(events, "event")} ${did}`, ...others].join(", ");
}

/** @returns the exit code: 1 if something was left */
export function printForgotten(
  view: JobView,
  {
    dryRun,
    json,
    kind,
  }: {
    readonly dryRun: boolean;
    readonly json?: boolean | undefined;
    /** Of the database. */
    readonly kind: keyof typeof NOT_REACHED;
  },
): number {
  const { groups, failures, erased = NO_COUNTS, error, state } = view;
  const did = dryRun ? "wouldRun" : "forgotten";
  const left = sumOf(groups, "left");
  if (json === true) {
    for (const { source, type, outcome, ...group } of groups) {
      const counts = { [dryRun ? "would_forget" : "forgotten"]: group[did], left: group.left };
      sayJson(JSON.stringify({ source, type, outcome, ...counts, already_done: group.alreadyDone }));
    }
    for (const line of failureJson(failures)) sayJson(line);
    sayJson(JSON.stringify({ erased }));
  } else {
    const shown = groups.filter((group) => group[did] + group.left > 0);
    if (shown.length > 0) sayTable([...tableOf(shown, did), ""]);
    for (const line of failureLines(failures, dryRun)) say(line);
    if (error === null) {
      const words = inWords(sumOf(groups, did), erased, dryRun ? "would be forgotten" : "forgotten");
      const done = sumOf(groups, "alreadyDone");
      const rest = [left > 0 ? `${left} left` : "", done > 0 ? `${done} had nothing stored` : ""];
      const stopped = state === "stopped" ? "Stopped. " : "";
      const { messages, texts, requests } = erased;
      const found = sumOf(groups, did) + left + done + messages + texts + requests;
      if (state === "done" && found === 0) say("Nothing that is stored matches.");
      else say(`${stopped}${[words, ...rest.filter((part) => part !== "")].join(", ")}.`);
      if (!dryRun) say(`Not reached: ${NOT_REACHED[kind]}.`);
    }
  }
  if (erased.log === "held")
    complain(
      "warning: a reader keeps the files of the database from being wiped, so they still contain what was forgotten. End long reads of other programs, such as a SQL shell. The files are wiped as soon as no reader needs them.",
    );
  if (error !== null) complain(`hookonce: ${visible(error.message)} [${error.code}]`);
  const isWhole = left === 0 && failures.length === 0 && erased.log !== "held";
  return state === "done" && isWhole ? EXIT.done : EXIT.failed;
}

function tableOf(groups: readonly JobGroup[], did: "wouldRun" | "forgotten"): string[] {
  const rows = groups.map((group) => [
    group.source,
    group.type || "(none)",
    group.outcome,
    String(group[did]),
    String(group.left),
  ]);
  const head = ["source", "type", "outcome", did === "wouldRun" ? "would be" : "forgotten", "left"];
  return columns(head, rows, { width: terminalWidth(), flexible: [0, 1] });
}
