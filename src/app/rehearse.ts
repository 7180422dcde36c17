import { existsSync } from "node:fs";
import { dirname, relative } from "node:path";
import { CONFIG_FILE, readConfig, type ReadConfig } from "../config/load.ts";
import type { DatabaseLocation } from "../config/location.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import type { Rehearsed, StartPlan } from "../engines/store.ts";
import type { Source } from "../providers/source.ts";
import { pathProblems } from "./path-problems.ts";
import { rulesOf } from "./source-rules.ts";
import { createSources, secretNeeds } from "./sources.ts";
import { storeOf } from "./store.ts";

/**
 * Tries a start on the schema of the database.
 *
 * @param location null if it is not known which database is meant. With another database, every handler would
 *   look wrong
 */
export async function rehearse(
  location: DatabaseLocation | null,
  inboxFolder: string,
  read: ReadConfig | null,
  { problems, refusals }: { readonly problems: Problem[]; readonly refusals: HookonceError[] },
  plan: StartPlan & { readonly durations: boolean },
): Promise<Rehearsed | null> {
  if (location === null) return null;
  const message = misspelled(location, inboxFolder);
  if (message !== undefined) {
    problems.push({ file: CONFIG_FILE, line: read?.databaseLine, message });
    return null;
  }
  const unusable: Problem[] = [];
  const store = await attempt(unusable, () => storeOf(location), refusals);
  const line = read?.databaseLine;
  problems.push(...unusable.map(({ message }) => ({ file: CONFIG_FILE, line, message })));
  return store === null ? null : attempt(problems, () => store.rehearse(plan, plan), refusals);
}

/**
 * A start makes a missing folder inside the inbox folder, such as data/. Anywhere else, the path is probably
 * misspelled.
 */
function misspelled(location: DatabaseLocation, inboxFolder: string): string | undefined {
  if (location.kind !== "file") return undefined;
  const folder = dirname(location.path);
  if (!relative(inboxFolder, folder).startsWith("..") || existsSync(folder)) return undefined;
  return `database: the folder ${folder} does not exist. Correct the path, or make the folder`;
}

/**
 * Returns what the database stores about the sources.
 *
 * @returns null unless all of them can be created, because a source that cannot be created would look as if
 *   it were gone
 */
export function rulesIn(
  inboxFolder: string,
  read: ReadConfig,
  sources: ReadonlyMap<string, Source>,
  clock: () => number,
): StartPlan["rules"] {
  if (sources.size === read.written.length) return rulesOf(read, sources);
  // A source whose secret is missing can still be compared.
  const withoutSecrets = readConfig(inboxFolder, secretNeeds, null);
  const paths = pathProblems(withoutSecrets);
  const readable = withoutSecrets.sources.filter(({ name }) => paths.get(name)?.length === 0);
  const created = createSources(readable, clock, undefined, false).sources;
  return created.size === read.written.length ? rulesOf(withoutSecrets, created) : null;
}

/** Runs `work`. If it throws a refusal, adds it and its problems to the lists and returns null. */
export async function attempt<Result>(
  problems: Problem[],
  work: () => Result | Promise<Result>,
  refusals: HookonceError[] = [],
): Promise<Result | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    refusals.push(error);
    problems.push(...(error.problems.length > 0 ? error.problems : [{ message: messageOf(error) }]));
    return null;
  }
}
