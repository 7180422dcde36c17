import type { AdminClient } from "../http/admin/socket.ts";
import type { FailureGroupList, FailureJson, List, StatusJson } from "../http/admin/shapes.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { openLooking } from "./open-looking.ts";
import { filterQuery, type LookFlags } from "./look-flags.ts";
import { failureGroupsText, failuresTable } from "./look-reports.ts";
import { unknownSource } from "./unknown-source.ts";
import { say, sayJson, sayTable } from "./terminal.ts";

export type FailuresFlags = Omit<LookFlags, "outcome">;

const DEFAULT_LIMIT = 50;
const PAGE = 500;

/** Filters for single failures. Without them, failures are grouped. */
const SINGLE = ["type", "since", "until", "search"] as const;

/** `hookonce failures`: what fails, grouped by handler and error. */
export async function runFailures(folder: string, flags: FailuresFlags): Promise<number> {
  await using admin = await openLooking(folder, flags);
  const { client } = admin;
  const display = { width: terminalWidth(), now: Date.now() };
  if (flags.json !== true && SINGLE.every((name) => flags[name] === undefined)) {
    const { items, total, capped } = await listGroups(client, flags);
    if (items.length === 0) say(`No failed event is owed.${await unknownSource(client, flags)}`);
    else say(failureGroupsText(items, display));
    if (items.length > 0)
      say(
        `\nTo see one: hookonce event ID; to list them: hookonce events --outcome failed; after a fix: ${await afterFix(client, items)}`,
      );
    if (items.length < total)
      say(`\n${items.length} of ${total}${capped ? "+" : ""} groups are shown. --limit shows more.`);
    if (capped) say("Only the newest 10,000 failures were counted.");
    return EXIT.done;
  }
  const failures = await list(client, flags);
  if (flags.json === true) for (const failure of failures) sayJson(JSON.stringify(failure));
  else if (failures.length === 0) say(`No failure matches.${await unknownSource(client, flags)}`);
  else sayTable(failuresTable(failures, display));
  return EXIT.done;
}

/** Nothing of a paused source runs before it resumes, and then its failures run, too. */
async function afterFix(client: AdminClient, groups: FailureGroupList["items"]): Promise<string> {
  const { paused } = await answerOf<StatusJson>(await client.api.status.$get());
  const isPaused = (name: string): boolean => paused.some((one) => one.name === name);
  const sources = [...new Set(groups.map(({ source }) => source))];
  const resume = sources.filter(isPaused).map((name) => `hookonce resume ${visible(name)}`);
  return [...(sources.every(isPaused) ? [] : ["hookonce apply"]), ...resume].join(", ");
}

function listGroups(client: AdminClient, flags: FailuresFlags): Promise<FailureGroupList> {
  return pagesOf(flags, async (page) => {
    const query = { ...filterQuery(flags), ...page, group: "handler" as const };
    return answerOf<FailureGroupList>(await client.api.failures.$get({ query }));
  });
}

async function list(client: AdminClient, flags: FailuresFlags): Promise<readonly FailureJson[]> {
  const { source, type, since, until, search } = filterQuery(flags);
  const given = Object.entries({ source, type, since, until, search });
  const filter = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  const { items } = await pagesOf(flags, async (page) => {
    const query = { ...filter, ...page, group: "none" as const };
    return answerOf<List<FailureJson>>(await client.api.failures.$get({ query }));
  });
  return items;
}

/** Reads pages until there are enough items. Returns the last page, with the items of all. */
async function pagesOf<Item, Page extends List<Item>>(
  { limit = DEFAULT_LIMIT }: FailuresFlags,
  read: (page: { readonly limit: string; readonly cursor?: string }) => Promise<Page & List<Item>>,
): Promise<Page> {
  const items: Item[] = [];
  let cursor: string | undefined;
  for (;;) {
    const rest = String(Math.min(limit - items.length, PAGE));
    const page = await read({ limit: rest, ...(cursor === undefined ? {} : { cursor }) });
    items.push(...page.items);
    if (page.next === null || items.length >= limit) return { ...page, items };
    cursor = page.next;
  }
}
