import { resolve } from "node:path";
import { check } from "../app/check.ts";
import { reachServe, reachServeOf } from "../app/reach-serve.ts";
import { locationOfFlag } from "../config/location.ts";
import { HookonceError, type Problem } from "../errors.ts";
import type { ProblemJson, ReloadedJson, ReloadRefusedJson } from "../http/admin/shapes.ts";
import { counted } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { EXIT } from "./exit.ts";
import { formatProblem } from "./refusal.ts";
import { startCommand } from "./start-command.ts";
import { complain, say, sayJson } from "./terminal.ts";
import { tryHandlers } from "./try-handlers.ts";

export interface ReloadFlags {
  dropSource?: string[];
  all?: boolean;
  json?: boolean;
  database?: string;
}

/** `hookonce reload`: returns when the next delivery sees what was loaded. */
export async function runReload(folder: string, flags: ReloadFlags): Promise<number> {
  const { dropSource = [], all = false, json, database } = flags;
  const location = locationOfFlag(folder, database);
  const client = await (location === undefined ? reachServeOf(resolve(folder)) : reachServe(location));
  if (client === undefined)
    throw new HookonceError(
      "not_serving",
      `No hookonce serve is running on ${resolve(folder)}, and reload needs one. If you have changed database in hookonce.toml, restart the serve that runs. Otherwise start it: ${startCommand(folder)}`,
    );
  const response = await client.api.reload.$post({ json: { drop_sources: dropSource, all } });
  if (response.status === 409) {
    const { error } = (await response.json()) as ReloadRefusedJson;
    if (error.code === "reload_refused") return refused(error, folder, json === true);
  }
  const loaded = await answerOf<ReloadedJson>(response);
  if (json === true) {
    sayJson(JSON.stringify(loaded));
    return codeOf(loaded);
  }
  for (const warning of loaded.warnings) complain(`warning: ${formatProblem(problemOf(warning))}`);
  const { sources, handlers, destinations } = loaded;
  const loadedNow = [
    counted(sources.length, "source"),
    counted(handlers.length, "handler"),
    ...(destinations.length === 0 ? [] : [counted(destinations.length, "destination")]),
  ];
  say(`Reloaded: ${loadedNow.join(", ")}.`);
  for (const { name, problem } of loaded.nodes)
    if (problem === null) say(`Reloaded: ${visible(name)}.`);
    else complain(`${visible(name)} still uses what it had loaded before: ${visible(problem)}`);
  // This takes longer than the reload.
  for (const warning of await trialWarnings(resolve(folder), database))
    complain(`warning: ${visible(warning)}`);
  return codeOf(loaded);
}

const codeOf = ({ nodes }: ReloadedJson): number =>
  nodes.some(({ problem }) => problem !== null) ? EXIT.failed : EXIT.done;

/** What `hookonce check` warns of besides: handlers that fail on a made-up event of their provider. */
async function trialWarnings(folder: string, database: string | undefined): Promise<readonly string[]> {
  const checked = await check(folder, {
    environment: process.env,
    clock: Date.now,
    database: locationOfFlag(folder, database),
  });
  return (await tryHandlers(folder, checked)).warnings;
}

function refused(error: ReloadRefusedJson["error"], folder: string, json: boolean): number {
  const { message, problems, warnings } = error;
  if (json) {
    sayJson(JSON.stringify({ error }));
    return EXIT.failed;
  }
  for (const warning of warnings) complain(`warning: ${formatProblem(problemOf(warning))}`);
  const label = process.stderr.isTTY ? "error: " : "";
  for (const problem of problems) complain(label + formatProblem(problemOf(problem)));
  complain(`\n${counted(problems.length, "problem")} in ${visible(resolve(folder))}. ${message}`);
  return EXIT.failed;
}

const problemOf = ({ file, line, message }: ProblemJson): Problem => ({
  file: file ?? undefined,
  line: line ?? undefined,
  message,
});
