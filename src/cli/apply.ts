import { existsSync } from "node:fs";
import { join } from "node:path";
import { openAdmin, type Admin } from "../app/apply.ts";
import type { StatusJson } from "../http/admin/shapes.ts";
import type { JobView } from "../inbox/background-jobs.ts";
import { NOTHING, type JobGroup } from "../inbox/job-progress.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { warnOfChangedHandlers } from "./changed-handlers.ts";
import { columns, terminalWidth } from "./columns.ts";
import { triedJson, triedLines } from "./dry-run-report.ts";
import { EXIT } from "./exit.ts";
import { failureJson, failureLines } from "./failure-lines.ts";
import { discardedLines } from "./retention-lines.ts";
import { openingOf, runJob, stopOnSignal, waitForServe } from "./run-job.ts";
import { complain, progress, say, sayJson, sayTable } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface ApplyFlags {
  /** The inbox folder. */
  folder: string;
  database?: string;
  source?: string;
  type?: string;
  outcome?: "unhandled" | "failed";
  /** Unix milliseconds. */
  since?: number;
  until?: number;
  search?: string;
  limit?: number | undefined;
  /** For an event that was discarded. */
  reason?: string;
  dryRun?: boolean;
  stop?: boolean;
  json?: boolean;
}

/** Filters for all owed events. With event ids, only the source may be given. */
const FILTERS = ["type", "outcome", "since", "until", "search", "limit"] as const;

/**
 * `hookonce apply`: runs what is owed and can run now. Exits with 1 if an event failed or the job did not
 * end.
 */
export async function runApply(given: readonly string[], flags: ApplyFlags): Promise<number> {
  const ids = [...new Set(given)];
  const folder = ids.find((id) => existsSync(join(id, "hookonce.toml")));
  if (folder !== undefined) {
    throw new UsageError(`${folder} is an inbox folder, not an event id: write --folder ${folder}`);
  }
  const ignored = ids.length === 0 ? [] : FILTERS.filter((name) => flags[name] !== undefined);
  if (ignored.length > 0) {
    const options = ignored.map((name) => `--${name}`).join(", ");
    throw new UsageError(`${options} cannot be used with event ids: leave out the ids or ${options}`);
  }
  using stop = stopOnSignal();
  const options = openingOf({
    folder: flags.folder,
    database: flags.database,
    readOnly: flags.dryRun === true,
  });
  const views: JobView[] = [];
  let ofServe = false;
  let discarded: readonly string[] = [];
  let admin = await openAdmin(options);
  if (flags.dryRun !== true) await warnOfChangedHandlers(admin, flags.folder);
  for (;;) {
    const limit = flags.limit === undefined ? undefined : flags.limit - processedIn(views);
    const { view, yielded } = await applyOnce(admin, ids, { ...flags, limit }, stop.signal);
    if (!yielded && ids.length === 0 && flags.json !== true && flags.dryRun !== true)
      discarded = await discardedOf(admin);
    await admin[Symbol.asyncDispose]();
    views.push(view);
    ofServe = admin.ofServe;
    if (!yielded) break;
    complain("hookonce serve is starting. The rest runs there.");
    admin = await waitForServe(options, "hookonce apply");
  }
  const code = printResult(views, flags, ofServe);
  for (const line of discarded) say(line);
  return code;
}

/** What retention has given up cannot be applied any more. */
async function discardedOf({ client }: Admin): Promise<string[]> {
  const { retention, now } = await answerOf<StatusJson>(await client.api.status.$get());
  return discardedLines(retention, now);
}

async function applyOnce(
  admin: Admin,
  ids: readonly string[],
  flags: ApplyFlags,
  stop: AbortSignal,
): Promise<{ view: JobView; yielded: boolean }> {
  const { source, type, outcome, since, until, search, limit, reason, dryRun = false } = flags;
  const given = Object.entries({ source, type, outcome, since, until, search, limit });
  const filter = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  const ended = await runJob(
    admin,
    {
      action: "apply",
      filter,
      dry_run: dryRun,
      ...(ids.length === 0 ? {} : { ids: [...ids] }),
      ...(reason === undefined ? {} : { reason }),
    },
    stop,
    (view) => (flags.json === true || dryRun ? undefined : progress(progressOf(view))),
  );
  progress("");
  return ended;
}

function progressOf({ groups }: JobView): string {
  const { processed, failed } = totalOf(groups);
  return `${processed} applied${failed === 0 ? "" : `, ${failed} failed`} `;
}

type Totals = typeof NOTHING;

function totalOf(groups: readonly JobGroup[]): Totals {
  const total = { ...NOTHING };
  for (const group of groups) {
    for (const name of Object.keys(total) as (keyof Totals)[]) total[name] += group[name];
  }
  return total;
}

function processedIn(views: readonly JobView[]): number {
  return totalOf(views.flatMap(({ groups }) => groups)).processed;
}

function printResult(views: readonly JobView[], flags: ApplyFlags, ofServe: boolean): number {
  const { json, dryRun } = flags;
  const last = views.at(-1) as JobView;
  const all = merged(views);
  const groups = all.filter((group) => !isDone(group));
  const { failures } = last;
  const total = totalOf(all);
  if (json === true) {
    for (const group of all) sayJson(JSON.stringify(asJson(group, dryRun === true)));
    for (const line of failureJson(failures)) sayJson(line);
    for (const line of triedJson(last)) sayJson(line);
  } else {
    if (groups.length > 0) sayTable(tableOf(groups, dryRun === true));
    for (const line of failureLines(failures, dryRun === true)) say(line);
    for (const line of triedLines(last)) say(line);
    if (last.state !== "failed" || all.length > 0)
      for (const line of summaryOf(total, last, flags, { ofServe, resumed: resumedBy(all) })) say(line);
  }
  if (last.error !== null) complain(`hookonce: ${visible(last.error.message)} [${last.error.code}]`);
  return last.state === "done" && total.failed + total.unfit === 0 ? EXIT.done : EXIT.failed;
}

/**
 * Merges the views of a job that continued in another process. The second process looked again at everything
 * that the first one had not applied, so only the applied events are added up.
 */
function merged(views: readonly JobView[]): JobGroup[] {
  const last = views.length - 1;
  const all = views.flatMap(({ groups }, at) =>
    groups.map((group) =>
      at === last
        ? group
        : { ...group, failed: 0, quarantined: 0, noHandler: 0, held: 0, alreadyDone: 0, unfit: 0 },
    ),
  );
  const byKey = Map.groupBy(all, ({ source, type, outcome }) => JSON.stringify([source, type, outcome]));
  return [...byKey.values()].map((same) => Object.assign({}, same.at(-1), totalOf(same)));
}

/** Whether nothing ran in the group and nothing in it is owed, because all of it was done already. */
function isDone({ wouldRun, processed, failed, stale, quarantined, noHandler, held }: JobGroup): boolean {
  return wouldRun + processed + failed + stale + quarantined + noHandler + held === 0;
}

function asJson(group: JobGroup, dryRun: boolean): object {
  const { source, type, outcome, handler, wouldRun, processed, failed } = group;
  const { stale, quarantined, noHandler, alreadyDone, unfit, held } = group;
  return {
    source,
    type,
    outcome,
    handler,
    ...(dryRun ? { would_run: wouldRun } : { processed, failed }),
    ...(stale > 0 ? { stale } : {}),
    ...(quarantined > 0 ? { quarantined } : {}),
    ...(held > 0 ? { held } : {}),
    no_handler: noHandler,
    already_done: alreadyDone,
    ...(unfit > 0 ? { unfit } : {}),
  };
}

function tableOf(groups: readonly JobGroup[], dryRun: boolean): string[] {
  const counts = dryRun ? (["would run"] as const) : (["applied", "failed"] as const);
  const head = ["source", "type", "outcome", ...counts, "no handler", "handler"];
  const rows = groups.map(({ source, type, outcome, handler, wouldRun, processed, failed, noHandler }) => [
    source,
    type || "(none)",
    outcome,
    ...(dryRun ? [wouldRun] : [processed, failed]).map(String),
    String(noHandler),
    handler?.replace(/^handlers\//, "") ?? "none",
  ]);
  const flexible = [0, 1, head.length - 1];
  return [...columns(head, rows, { width: terminalWidth(), flexible }), ""];
}

/** The paused source; NAME if there are several. */
function resumedBy(groups: readonly JobGroup[]): string {
  const [name, ...others] = new Set(groups.filter(({ held }) => held > 0).map(({ source }) => source));
  return name === undefined || others.length > 0 ? "NAME" : visible(name);
}

/** One sentence that says what happened, and one that says what to do next. */
function summaryOf(
  total: Totals,
  { state }: JobView,
  flags: ApplyFlags,
  { ofServe, resumed }: { readonly ofServe: boolean; readonly resumed: string },
): string[] {
  const { wouldRun, processed, failed, stale, quarantined, noHandler, alreadyDone, unfit, forced, held } =
    total;
  const found = wouldRun + processed + failed + stale + quarantined + noHandler + unfit + held;
  if (state === "done" && found === 0) {
    if (alreadyDone > 0) return [`Nothing to apply: ${counted(alreadyDone, "event")} already done.`];
    return [isFiltered(flags) ? "Nothing that matches is owed." : "Nothing is owed."];
  }
  const parts =
    flags.dryRun === true
      ? [
          `${counted(wouldRun, "event")} would run${forced === 0 ? "" : ` (for ${forced} of them, the handler had hung or ended hookonce)`}`,
        ]
      : [`${counted(processed, "event")} applied`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (stale > 0) parts.push(`${stale} stale, because newer ones were applied`);
  if (quarantined + unfit > 0) parts.push(`${quarantined + unfit} skipped`);
  if (noHandler > 0) parts.push(`${noHandler} without a handler`);
  if (held > 0) parts.push(`${held} held until hookonce resume ${resumed}`);
  if (alreadyDone > 0) parts.push(`${alreadyDone} already done`);
  const sentence = `${parts.join(", ")}.`;
  if (state === "stopped") return [`Stopped. ${sentence} Run hookonce apply again to continue.`];
  const wrong = failed + quarantined;
  if (wrong + noHandler === 0) return [sentence];
  const verbs = [...(noHandler > 0 ? ["Add"] : []), ...(wrong > 0 ? ["correct"] : [])].join(" or ");
  const handlers = wrong + noHandler === 1 ? "the handler" : "the handlers";
  // A serve keeps the handlers that it has loaded, so a change to a file is not enough.
  const restart = `${ofServe ? "run hookonce reload, " : ""}${held > 0 ? `run hookonce resume ${resumed}, ` : ""}`;
  return [
    sentence,
    `${verbs.charAt(0).toUpperCase()}${verbs.slice(1)} ${handlers}, ${restart}then run hookonce apply again.`,
  ];
}

function isFiltered(flags: ApplyFlags): boolean {
  return flags.source !== undefined || FILTERS.some((name) => name !== "limit" && flags[name] !== undefined);
}
