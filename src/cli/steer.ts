import { connectAdmin, openAdmin, type Admin } from "../app/apply.ts";
import { HookonceError } from "../errors.ts";
import type { JobView } from "../inbox/background-jobs.ts";
import type { JobGroup } from "../inbox/job-progress.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { columns, terminalWidth } from "./columns.ts";
import { triedJson, triedLines } from "./dry-run-report.ts";
import { EXIT } from "./exit.ts";
import { failureJson, failureLines } from "./failure-lines.ts";
import { openingOf, runJob, stopOnSignal, waitForServe } from "./run-job.ts";
import { complain, say, sayJson, sayTable } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface SteerFlags {
  database?: string;
  source?: string;
  type?: string;
  outcome?: "unhandled" | "failed";
  /** Unix milliseconds. */
  since?: number;
  until?: number;
  search?: string;
  limit?: number;
  reason?: string;
  evenStale?: boolean;
  yes?: boolean;
  dryRun?: boolean;
  stop?: boolean;
  json?: boolean;
}

type Action = "replay" | "discard";

/** Filters. With event ids, only the source may be given. */
const FILTERS = ["type", "outcome", "since", "until", "search", "limit"] as const;

const DONE = { replay: "replayed", discard: "discarded" } as const;

/**
 * `hookonce replay` and `hookonce discard`. If more than one event would be changed, asks on a terminal.
 * Elsewhere, `--yes` is required.
 */
export async function runSteer(
  action: Action,
  given: readonly string[],
  folder: string,
  flags: SteerFlags,
): Promise<number> {
  const ids = [...new Set(given)];
  const { reason, dryRun = false } = flags;
  const filters = FILTERS.filter((name) => flags[name] !== undefined);
  if (ids.length === 0 && filters.length === 0 && flags.source === undefined)
    throw new UsageError(`name the events: give ids, or a filter such as --type 'invoice.*'`);
  if (ids.length > 0 && filters.length > 0) {
    const options = filters.map((name) => `--${name}`).join(", ");
    throw new UsageError(`${options} cannot be used with event ids: leave out the ids or ${options}`);
  }
  if (reason === undefined && !dryRun)
    throw new UsageError(`say why: add --reason TEXT, which is kept with the event and in the audit list`);
  using stop = stopOnSignal();
  const options = openingOf({ folder, database: flags.database, readOnly: dryRun });
  let admin =
    action === "replay" && !dryRun ? await connectToReplay(folder, flags) : await openAdmin(options);
  try {
    if (!dryRun && ids.length !== 1 && flags.yes !== true) {
      const { view } = await runJob(admin, jsonOf(action, ids, flags, true), stop.signal, () => {});
      if (view.error !== null) return printResult(action, view, flags);
      const count = totalOf(view.groups).wouldRun;
      if (count > 1 && !(await isWanted(action, count, view))) {
        say("Nothing was changed.");
        return EXIT.failed;
      }
    }
    let ended = await runJob(admin, jsonOf(action, ids, flags, dryRun), stop.signal, () => {});
    if (ended.yielded) {
      await admin[Symbol.asyncDispose]();
      complain("hookonce serve is starting. The rest runs there.");
      admin = await waitForServe(options, `hookonce ${action}`);
      ended = await runJob(admin, jsonOf(action, ids, flags, dryRun), stop.signal, () => {});
    }
    return printResult(action, ended.view, flags);
  } finally {
    await admin[Symbol.asyncDispose]();
  }
}

async function connectToReplay(folder: string, { database }: SteerFlags): Promise<Admin> {
  const admin = await connectAdmin({ folder, database });
  if (admin !== undefined) return admin;
  throw new HookonceError(
    "not_serving",
    `No hookonce serve is running on ${folder}, and replay needs one. Start it: hookonce serve --folder ${folder}`,
  );
}

function jsonOf(action: Action, ids: readonly string[], flags: SteerFlags, dryRun: boolean) {
  const { source, type, outcome, since, until, search, limit, reason, evenStale } = flags;
  const given = Object.entries({ source, type, outcome, since, until, search, limit });
  return {
    action,
    filter: Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    dry_run: dryRun,
    ...(ids.length === 0 ? {} : { ids: [...ids] }),
    ...(reason === undefined ? {} : { reason }),
    ...(evenStale === true ? { even_stale: true } : {}),
  };
}

async function isWanted(action: Action, count: number, view: JobView): Promise<boolean> {
  const what = `${counted(count, "event")} would be ${DONE[action]}`;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError(`${what}. To do it without being asked, add --yes`);
  const risk = action === "replay" ? " Their handlers' changes are made a second time." : "";
  for (const line of triedLines(view)) complain(line);
  process.stderr.write(`${what}.${risk} Continue? [y/N] `);
  for await (const line of console) return /^y(?:es)?$/i.test(line.trim());
  return false;
}

type Totals = Pick<
  JobGroup,
  "wouldRun" | "processed" | "failed" | "discarded" | "noHandler" | "alreadyDone" | "unfit"
>;

function totalOf(groups: readonly JobGroup[]): Totals {
  const total = {
    wouldRun: 0,
    processed: 0,
    failed: 0,
    discarded: 0,
    noHandler: 0,
    alreadyDone: 0,
    unfit: 0,
  };
  for (const group of groups)
    for (const name of Object.keys(total) as (keyof Totals)[]) total[name] += group[name];
  return total;
}

function printResult(action: Action, view: JobView, { dryRun = false, json }: SteerFlags): number {
  const { groups, failures, error, state } = view;
  const done = (group: Totals): number =>
    dryRun ? group.wouldRun : action === "replay" ? group.processed : group.discarded;
  const total = totalOf(groups);
  const shown = groups.filter((group) => done(group) + group.failed + group.noHandler > 0);
  if (json === true) {
    for (const group of groups) {
      const { source, type, outcome, failed, noHandler, alreadyDone, unfit } = group;
      const what = dryRun ? "would_run" : DONE[action];
      const counts = { [what]: done(group), failed, no_handler: noHandler, already_done: alreadyDone, unfit };
      sayJson(JSON.stringify({ source, type, outcome, ...counts }));
    }
    for (const line of failureJson(failures)) sayJson(line);
    for (const line of triedJson(view)) sayJson(line);
  } else {
    if (shown.length > 0) {
      const head = ["source", "type", "outcome", dryRun ? "would be" : DONE[action], "failed", "no handler"];
      const rows = shown.map((group) => [
        group.source,
        group.type || "(none)",
        group.outcome,
        String(done(group)),
        String(group.failed),
        String(group.noHandler),
      ]);
      const table = columns(head, rows, { width: terminalWidth(), flexible: [0, 1] });
      sayTable([...table, ""]);
    }
    for (const line of failureLines(failures, dryRun)) say(line);
    for (const line of triedLines(view)) say(line);
    if (error === null) say(summaryOf(action, total, done(total), { dryRun, stopped: state === "stopped" }));
  }
  if (error !== null) complain(`hookonce: ${visible(error.message)} [${error.code}]`);
  return state === "done" && total.failed + total.noHandler + total.unfit === 0 ? EXIT.done : EXIT.failed;
}

function summaryOf(
  action: Action,
  total: Totals,
  count: number,
  { dryRun, stopped }: { readonly dryRun: boolean; readonly stopped: boolean },
): string {
  const { failed, noHandler, alreadyDone, unfit } = total;
  if (!stopped && count + failed + noHandler + unfit === 0) {
    if (alreadyDone > 0) return `Nothing to do: ${counted(alreadyDone, "event is", "events are")} done.`;
    return action === "replay" ? "No processed event matches." : "Nothing that matches is owed.";
  }
  const parts = [`${counted(count, "event")} ${dryRun ? "would be " : ""}${DONE[action]}`];
  if (failed > 0)
    parts.push(`${failed} failed, and the changes of ${failed === 1 ? "its" : "their"} first run stay`);
  if (noHandler > 0) parts.push(`${noHandler} without a handler`);
  if (alreadyDone > 0) parts.push(`${alreadyDone} already done`);
  if (unfit > 0) parts.push(`${unfit} skipped`);
  return `${stopped ? "Stopped. " : ""}${parts.join(", ")}.`;
}
