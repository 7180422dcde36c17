import { locationOfFlag } from "../config/location.ts";
import { usableSettings } from "../config/usable-settings.ts";
import { openAdmin } from "../app/apply.ts";
import type { EVENT_OUTCOMES } from "../http/admin/event-outcomes.ts";
import { openingOf, connectToServe, runJob, stopOnSignal } from "./run-job.ts";
import { EXIT } from "./exit.ts";
import { printForgotten, wouldForget } from "./forget-report.ts";
import { complain, progress, say } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface ForgetFlags {
  database?: string;
  /** `-`: read from standard input. */
  match?: string;
  source?: string;
  type?: string;
  outcome?: (typeof EVENT_OUTCOMES)[number];
  /** Unix milliseconds. */
  since?: number;
  until?: number;
  owed?: boolean;
  reason?: string;
  yes?: boolean;
  dryRun?: boolean;
  stop?: boolean;
  json?: boolean;
}

const FILTERS = ["type", "outcome", "since", "until"] as const;

/** `hookonce forget`. Asks on a terminal if it would erase more than one thing. Elsewhere, `--yes` is required. */
export async function runForget(
  given: readonly string[],
  folder: string,
  flags: ForgetFlags,
): Promise<number> {
  const ids = [...new Set(given)];
  const { dryRun = false, json } = flags;
  refuseUsage(ids, flags);
  const match = flags.match === "-" ? await readText() : flags.match;
  using stop = stopOnSignal();
  const database = { folder, database: flags.database };
  await using admin = await (dryRun
    ? openAdmin(openingOf({ ...database, readOnly: true }))
    : connectToServe("forget", database));
  const { kind } = locationOfFlag(folder, flags.database) ??
    usableSettings(folder).database ?? { kind: "file" };
  const request = { ...jsonOf(ids, flags), ...(match === undefined ? {} : { match }) };
  if (!dryRun && flags.yes !== true && ids.length !== 1) {
    const { view } = await runJob(admin, { ...request, dry_run: true }, stop.signal, () => {});
    if (view.error !== null) return printForgotten(view, { dryRun, json, kind });
    const { count, what } = wouldForget(view);
    if (count > 1 && !(await isWanted(what))) {
      say("Nothing was changed.");
      return EXIT.failed;
    }
  }
  const { view } = await runJob(admin, { ...request, dry_run: dryRun }, stop.signal, ({ erased }) => {
    if (erased !== undefined) progress(`${erased.rows} rows looked through`);
  });
  progress("");
  return printForgotten(view, { dryRun, json, kind });
}

function refuseUsage(ids: readonly string[], flags: ForgetFlags): void {
  const filters = FILTERS.filter((name) => flags[name] !== undefined);
  const options = filters.map((name) => `--${name}`).join(", ");
  if (flags.match !== undefined && (ids.length > 0 || filters.length > 0 || flags.source !== undefined))
    throw new UsageError("--match looks through everything: leave out ids, --source and other filters");
  if (flags.match === undefined && ids.length + filters.length === 0 && flags.source === undefined)
    throw new UsageError(
      "say what to forget: --match TEXT, the ids of events, or a filter such as --type 'invoice.*'",
    );
  if (ids.length > 0 && filters.length > 0)
    throw new UsageError(`${options} cannot be used with event ids: leave out the ids or ${options}`);
  if (flags.reason === undefined && flags.dryRun !== true)
    throw new UsageError("say why: add --reason TEXT, which is kept with the events and in the audit list");
}

function jsonOf(ids: readonly string[], flags: ForgetFlags) {
  const { source, type, outcome, since, until, owed = false, reason } = flags;
  const given = Object.entries({ source, type, outcome, since, until });
  return {
    action: "forget" as const,
    filter: Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    owed,
    ...(ids.length === 0 ? {} : { ids: [...ids] }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** What the shell does not see is not in its history. */
async function readText(): Promise<string> {
  const text = process.stdin.isTTY ? await ask("The text to forget: ") : await Bun.stdin.text();
  const line = text.replace(/\r?\n$/, "");
  if (line === "") throw new UsageError("--match - reads the text from standard input, and there is none");
  return line;
}

async function isWanted(what: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError(`${what}. To do it without being asked, add --yes`);
  complain(`${what}. This cannot be undone.`);
  return /^y(?:es)?$/i.test((await ask("Continue? [y/N] ")).trim());
}

async function ask(question: string): Promise<string> {
  process.stderr.write(question);
  for await (const line of console) return line;
  return "";
}
