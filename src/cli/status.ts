import { openToLook } from "../app/look.ts";
import type { Counts, StatusJson } from "../http/admin/shapes.ts";
import { counted, sumOf } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { nameFor, terminalWidth } from "./columns.ts";
import { conditionLines } from "./condition-lines.ts";
import { EXIT } from "./exit.ts";
import { shellWord } from "./init.ts";
import { shortTime } from "./moments.ts";
import { owedLines } from "./owed-steps.ts";
import { discardedLines, retentionLine, roundSize } from "./retention-lines.ts";
import { sourceLines } from "./source-lines.ts";
import { destinationLines } from "./destination-lines.ts";
import { nodeLines } from "./node-lines.ts";
import { runningJobs, runningLines } from "./stop-jobs.ts";
import { complain, say, sayJson } from "./terminal.ts";

export interface StatusFlags {
  json?: boolean;
  database?: string;
}

/**
 * `hookonce status`: whether deliveries are received, what is owed, and the disk. Exits with 1 if a running
 * `serve` cannot store a delivery, or cannot be reached.
 */
export async function runStatus(folder: string, flags: StatusFlags): Promise<number> {
  await using admin = await openToLook({ folder, database: flags.database });
  const status = await answerOf<StatusJson>(await admin.client.api.status.$get());
  if (flags.json === true && admin.unreachable !== null) complain(`note: ${admin.unreachable}`);
  if (flags.json === true) sayJson(JSON.stringify(status));
  else {
    say(statusReport(status, terminalWidth(), folder, admin.unreachable));
    const running = admin.ofServe ? await runningJobs(admin) : [];
    for (const line of runningLines(running)) say(line);
  }
  return status.serving?.ready === false || admin.unreachable !== null ? EXIT.failed : EXIT.done;
}

/**
 * @param width of the terminal; undefined if the output goes elsewhere
 * @param folder as the user named it
 * @param unreachable why the `serve` that runs cannot be reached
 */
export function statusReport(
  status: StatusJson,
  width: number | undefined,
  folder = ".",
  unreachable: string | null = null,
): string {
  const inFolder = folder === "." ? "" : ` --folder ${shellWord(folder)}`;
  return [
    ...servingLines(status, unreachable),
    answersLine(status),
    ...conditionLines(status, width, inFolder),
    "",
    ...sourceLines(status, width, inFolder),
    "",
    ...destinationLines(status, width, inFolder),
    ...owedReport(status, width, inFolder),
    "",
    ...nodeLines(status),
    diskLine(status),
    retentionLine(status.retention),
    ...discardedLines(status.retention, status.now),
  ].join("\n");
}

function servingLines({ version, serving, now }: StatusJson, unreachable: string | null): string[] {
  if (unreachable !== null) return [`hookonce ${version}. ${visible(unreachable)}`];
  if (serving === null)
    return [`hookonce ${version}. No hookonce serve is running, so no webhooks are received.`];
  const { url, started_at: startedAt, ready, error, warnings } = serving;
  return [
    `hookonce ${version} has served ${url} since ${shortTime(startedAt, now)}.`,
    ready
      ? "Ready: deliveries can be stored."
      : `Not ready: ${visible(error?.message ?? "")} [${error?.code}]`,
    ...warnings.map(({ code, message }) => `Warning: ${visible(message)} [${code}]`),
  ];
}

/** What deliveries were answered. An event that runs later, or again, is not counted once more. */
function answersLine({ today }: StatusJson): string {
  const named = (outcome: keyof Counts): string => counted(today[outcome], outcome, outcome);
  const rare = (["unhandled", "held", "ignored", "stale"] as const).filter((outcome) => today[outcome] > 0);
  const parts = [...(["processed", "duplicate"] as const), ...rare, "failed" as const, "refused" as const];
  return `Answers in 24 hours: ${parts.map(named).join(", ")}.`;
}

function owedReport(
  { owed, paused, destinations }: StatusJson,
  width: number | undefined,
  inFolder: string,
): string[] {
  const total = owed.reduce((sum, { count }) => sum + count, 0);
  // Messages may wait. They are not owed, because their events are done.
  if (total === 0) return [destinations.length === 0 ? "Nothing is owed." : "No event is owed."];
  return [
    `${sumOf(owed)} ${total === 1 ? "event is" : "events are"} owed:`,
    ...owed.map(
      (one) =>
        `  ${sumOf([one])} ${one.outcome}, source ${nameFor(one.source, width)}, type ${nameFor(one.type, width) || "(none)"}`,
    ),
    ...owedLines(
      owed,
      paused.map(({ name }) => name),
      inFolder,
    ),
  ];
}

function diskLine({ disk }: StatusJson): string {
  if (disk.database_bytes === 0) return `Database ${visible(disk.database)}: not created yet`;
  const log = disk.log_bytes === null ? "" : `, log ${roundSize(disk.log_bytes)}`;
  const free = disk.free_bytes === null ? "" : `, ${roundSize(disk.free_bytes)} free on its disk`;
  return `Database ${visible(disk.database)}: ${roundSize(disk.database_bytes)}${log}${free}`;
}
