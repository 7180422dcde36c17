import type { JobView } from "../inbox/background-jobs.ts";
import type { JobGroup } from "../inbox/job-progress.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { columns, terminalWidth } from "./columns.ts";
import { triedJson, triedLines } from "./dry-run-report.ts";
import { EXIT } from "./exit.ts";
import { failureJson, failureLines } from "./failure-lines.ts";
import { complain, say, sayJson, sayTable } from "./terminal.ts";

/** What replay, discard and resend print when their job has ended. */

export type SteerAction = "replay" | "discard" | "resend";

/** What is done, and to what. */
export interface Steered {
  readonly action: SteerAction;
  readonly ofMessages: boolean;
  /** The state or the outcome that the command asks for. */
  readonly asked?: string | undefined;
}

export const DONE = { replay: "replayed", discard: "discarded", resend: "sent again" } as const;

/** Events are sent to a destination, messages are sent again. */
const doneOf = ({ action, ofMessages }: Steered): string =>
  action === "resend" && !ofMessages ? "sent on" : DONE[action];

type Totals = Pick<
  JobGroup,
  | "wouldRun"
  | "processed"
  | "failed"
  | "discarded"
  | "resent"
  | "noHandler"
  | "held"
  | "alreadyDone"
  | "unfit"
>;

export function totalOf(groups: readonly JobGroup[]): Totals {
  const total = {
    wouldRun: 0,
    processed: 0,
    failed: 0,
    discarded: 0,
    resent: 0,
    noHandler: 0,
    held: 0,
    alreadyDone: 0,
    unfit: 0,
  };
  for (const group of groups)
    for (const name of Object.keys(total) as (keyof Totals)[]) total[name] += group[name];
  return total;
}

interface Printed {
  readonly dryRun: boolean;
  readonly json?: boolean | undefined;
}

const COUNT = { replay: "processed", discard: "discarded", resend: "resent" } as const;

/** @returns the exit code */
export function printSteered(what: Steered, view: JobView, { dryRun, json }: Printed): number {
  const { action } = what;
  const { groups, failures, error, state } = view;
  const done = (group: Totals): number => (dryRun ? group.wouldRun : group[COUNT[action]]);
  const total = totalOf(groups);
  if (json === true) {
    for (const group of groups) sayJson(JSON.stringify(groupJson(what, group, done(group), dryRun)));
    for (const line of failureJson(failures)) sayJson(line);
    for (const line of triedJson(view)) sayJson(line);
  } else {
    const shown = groups.filter((group) => done(group) + group.failed + group.noHandler > 0);
    if (shown.length > 0) sayTable([...tableOf(what, shown, done, dryRun), ""]);
    for (const line of failureLines(failures, dryRun)) say(line);
    for (const line of triedLines(view)) say(line);
    if (error === null) say(summaryOf(what, total, done(total), { dryRun, stopped: state === "stopped" }));
  }
  if (error !== null) complain(`hookonce: ${visible(error.message)} [${error.code}]`);
  return state === "done" && total.failed + total.noHandler + total.held + total.unfit === 0
    ? EXIT.done
    : EXIT.failed;
}

function groupJson({ action, ofMessages }: Steered, group: JobGroup, count: number, dryRun: boolean): object {
  const { destination, source, type, outcome, failed, noHandler, held, alreadyDone, unfit } = group;
  const name = dryRun ? "would_run" : action === "resend" ? "resent" : DONE[action];
  if (ofMessages)
    return { destination, source, type, state: outcome, [name]: count, already_done: alreadyDone, unfit };
  const counts = { [name]: count, failed, no_handler: noHandler, already_done: alreadyDone, unfit };
  return { source, type, outcome, ...counts, ...(held > 0 ? { held } : {}) };
}

function tableOf(
  what: Steered,
  groups: readonly JobGroup[],
  done: (group: JobGroup) => number,
  dryRun: boolean,
): string[] {
  const width = terminalWidth();
  const count = dryRun ? "would be" : doneOf(what);
  if (what.ofMessages) {
    const rows = groups.map((group) => [
      group.destination ?? "",
      group.source,
      group.type || "(none)",
      group.outcome,
      String(done(group)),
    ]);
    return columns(["destination", "source", "type", "state", count], rows, { width, flexible: [0, 1, 2] });
  }
  const head = ["source", "type", "outcome", count, "failed", "no handler"];
  const rows = groups.map((group) => [
    group.source,
    group.type || "(none)",
    group.outcome,
    String(done(group)),
    String(group.failed),
    String(group.noHandler),
  ]);
  // No handler runs for events that are only sent on.
  const end = what.action === "resend" ? -2 : undefined;
  return columns(
    head.slice(0, end),
    rows.map((row) => row.slice(0, end)),
    { width, flexible: [0, 1] },
  );
}

function summaryOf(
  what: Steered,
  total: Totals,
  count: number,
  { dryRun, stopped }: { readonly dryRun: boolean; readonly stopped: boolean },
): string {
  const { action, ofMessages, asked } = what;
  const { failed, noHandler, held, alreadyDone, unfit } = total;
  if (!stopped && count + failed + noHandler + held + unfit === 0) {
    if (alreadyDone > 0) {
      const [one, many] = ofMessages ? ["message is", "messages are"] : ["event is", "events are"];
      return `Nothing to do: ${counted(alreadyDone, one, many)} done.`;
    }
    if (action === "discard")
      return ofMessages ? "No unsent message matches." : "Nothing that matches is owed.";
    return ofMessages
      ? `No ${asked ?? "dead"} message matches.`
      : `No ${asked ?? "processed"} event matches.`;
  }
  const noun = ofMessages ? "message" : "event";
  const parts = [`${counted(count, noun)} ${dryRun ? "would be " : ""}${doneOf(what)}`];
  if (failed > 0)
    parts.push(`${failed} failed, and the changes of ${failed === 1 ? "its" : "their"} first run stay`);
  if (noHandler > 0)
    parts.push(
      action === "resend"
        ? `${noHandler} of a source that is not in the config`
        : `${noHandler} without a handler`,
    );
  if (held > 0) parts.push(`${held} not ${DONE[action]}, because the source is paused`);
  if (alreadyDone > 0) parts.push(`${alreadyDone} already done`);
  if (unfit > 0) parts.push(`${unfit} skipped`);
  return `${stopped ? "Stopped. " : ""}${parts.join(", ")}.`;
}
