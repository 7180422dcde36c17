import { openToLook } from "../app/look.ts";
import type { AdminClient } from "../http/admin/socket.ts";
import type { FailureGroupList, FailureJson, List } from "../http/admin/shapes.ts";
import { answerOf } from "./answer.ts";
import { terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { filterQuery, type LookFlags } from "./look-flags.ts";
import { failureGroupsText, failuresTable } from "./look-reports.ts";
import { say, sayJson, sayTable } from "./terminal.ts";

export type FailuresFlags = Omit<LookFlags, "outcome">;

const DEFAULT_LIMIT = 50;
const PAGE = 500;

/** Filters for single failures. Without them, failures are grouped. */
const SINGLE = ["type", "since", "until", "search"] as const;

/** `hookonce failures`: what fails, grouped by handler and error. */
export async function runFailures(folder: string, flags: FailuresFlags): Promise<number> {
  await using admin = await openToLook({ folder, database: flags.database });
  const { client } = admin;
  const display = { width: terminalWidth(), now: Date.now() };
  if (flags.json !== true && SINGLE.every((name) => flags[name] === undefined)) {
    const query = {
      ...filterQuery(flags),
      group: "handler" as const,
      limit: String(flags.limit ?? DEFAULT_LIMIT),
    };
    const { items, capped } = await answerOf<FailureGroupList>(await client.api.failures.$get({ query }));
    if (items.length === 0) say("No failed event is owed.");
    else say(failureGroupsText(items, display));
    if (capped) say("Only the newest 10,000 failures were counted.");
    return EXIT.done;
  }
  const failures = await list(client, flags);
  if (flags.json === true) for (const failure of failures) sayJson(JSON.stringify(failure));
  else if (failures.length === 0) say("No failure matches.");
  else sayTable(failuresTable(failures, display));
  return EXIT.done;
}

async function list(client: AdminClient, flags: FailuresFlags): Promise<FailureJson[]> {
  const found: FailureJson[] = [];
  const limit = flags.limit ?? DEFAULT_LIMIT;
  let cursor: string | undefined;
  do {
    const { source, type, since, until, search } = filterQuery(flags);
    const given = Object.entries({ source, type, since, until, search, cursor });
    const query = {
      ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
      group: "none" as const,
      limit: String(Math.min(limit - found.length, PAGE)),
    };
    const page = await answerOf<List<FailureJson>>(await client.api.failures.$get({ query }));
    found.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined && found.length < limit);
  return found;
}
