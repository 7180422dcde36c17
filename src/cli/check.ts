import { resolve } from "node:path";
import { check, type Checked } from "../app/check.ts";
import { byStoredName } from "../app/source-rules.ts";
import { locationOfFlag } from "../config/location.ts";
import type { Config } from "../config/load.ts";
import type { Problem } from "../errors.ts";
import { counted, sumOf } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { whatRuns } from "../logging/what-runs.ts";
import { EXIT } from "./exit.ts";
import { shellWord } from "./init.ts";
import { owedLines } from "./owed-steps.ts";
import { formatProblem } from "./refusal.ts";
import { complain, say } from "./terminal.ts";
import { tryHandlers } from "./try-handlers.ts";

const asProblem = (message: string): Problem => ({ message });

/** One object a line, for scripts. */
function sayFound(kind: "problem" | "warning" | "note", found: readonly Problem[]): void {
  for (const { file = null, line = null, message } of found)
    say(JSON.stringify({ kind, file, line, message }));
}

export interface CheckFlags {
  database?: string;
  json?: boolean;
  /** On how many of its newest stored events each handler is tried. */
  events?: number;
}

/** `hookonce check`: prints every problem and warning it finds. Exits with 1 if there is a problem. */
export async function runCheck(folder: string, options: CheckFlags): Promise<number> {
  const inboxFolder = resolve(folder);
  const checked = await check(inboxFolder, {
    environment: process.env,
    clock: Date.now,
    database: locationOfFlag(inboxFolder, options.database),
  });
  const { config, sources, handlers, table, owed, paused, pending, unchecked } = checked;
  const warnings = [...checked.warnings, ...(await wherePaths(config, sources))];
  const report = await tryHandlers(inboxFolder, checked, options.events);
  const problems = [...checked.problems, ...checked.failing, ...report.problems];
  const warned = [...warnings.map(formatProblem), ...report.warnings.map(visible)];
  const notes = [...report.notes, ...checked.notes, ...whatRedactPrevents(config)];
  if (options.json === true) {
    sayFound("problem", problems);
    sayFound("warning", [...warnings, ...report.warnings.map(asProblem)]);
    sayFound("note", [...unchecked.map((what) => `not checked: ${what}`), ...notes].map(asProblem));
    return problems.length > 0 ? EXIT.failed : EXIT.done;
  }
  for (const warning of warned) complain(`warning: ${warning}`);
  // Elsewhere each line begins with the file, which editors turn into a link.
  const label = process.stderr.isTTY ? "error: " : "";
  for (const problem of problems) complain(label + formatProblem(problem));
  if (problems.length > 0) {
    for (const what of unchecked) complain(`not checked: ${what}`);
    for (const note of notes) complain(`note: ${visible(note)}`);
    complain(`\n${counted(problems.length, "problem")} in ${inboxFolder}`);
    return EXIT.failed;
  }
  for (const { name, provider, handlersOf, forwards } of sources.values()) {
    const files = handlers.files.filter(({ source }) => source === handlersOf).map(({ file }) => file);
    const destinations = [...new Set(forwards.map(({ destination }) => destination))];
    say(`source ${name} (${provider.title}): ${visible(whatRuns(files, destinations))}`);
  }
  if (report.lines.length > 0) say("tried, and rolled back:");
  for (const line of report.lines) say(`  ${visible(line)}`);
  for (const note of notes) say(`note: ${visible(note)}`);
  if (pending.length > 0) say(`migrations to apply at the next start: ${visible(pending.join(", "))}`);
  const stored = config === null ? sources : byStoredName(sources, config);
  for (const one of owed) {
    const { source, type, outcome } = one;
    const handler = table.for(stored.get(source)?.handlersOf ?? source, type)?.file ?? "no handler";
    say(
      `owed: ${sumOf([one])} ${outcome}, source ${source}, type ${visible(type) || "(none)"} (${visible(handler)})`,
    );
  }
  const steps = owedLines(owed, paused, folder === "." ? "" : ` --folder ${shellWord(folder)}`);
  if (steps.length > 0) {
    for (const line of steps) say(line);
    say(
      "If a serve runs, it uses the handlers that it has loaded: run hookonce reload first if you changed one.",
    );
  }
  const { length } = warned;
  say(length === 0 ? "no problems found" : `no problems found, ${counted(length, "warning")}`);
  return EXIT.done;
}

function whatRedactPrevents(config: Config | null): string[] {
  const redacting = config?.sources.filter(({ redact }) => redact !== undefined) ?? [];
  return redacting.map(
    ({ name }) => `sources.${name}.redact: replay and resend refuse events whose values were replaced`,
  );
}

async function wherePaths(config: Config | null, sources: Checked["sources"]): Promise<Problem[]> {
  const hasWhere = config?.sources.some(({ forward = [] }) =>
    forward.some(({ where }) => where !== undefined),
  );
  if (config === null || hasWhere !== true) return [];
  // Loaded only here, because it contains the examples of all providers.
  const { warnOfWherePaths } = await import("../simulator/where-paths.ts");
  return warnOfWherePaths(config.sources, sources);
}
