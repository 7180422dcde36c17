import type { AdminClient } from "../http/admin/socket.ts";
import type { EventJson, EventList } from "../http/admin/shapes.ts";
import { answerOf } from "./answer.ts";
import { terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { openLooking } from "./open-looking.ts";
import { filterQuery, isFiltered, type LookFlags } from "./look-flags.ts";
import { unknownSource } from "./unknown-source.ts";
import { eventLine, eventsTable } from "./look-reports.ts";
import { shortTime } from "./moments.ts";
import { streamOf, StreamSilent } from "./stream.ts";
import { complain, progress, say, sayJson, sayTable } from "./terminal.ts";

export interface EventsFlags extends LookFlags {
  follow?: boolean;
}

const DEFAULT_LIMIT = 50;

/** The most events that the API gives at once. */
const PAGE = 500;

/** `hookonce events`: lists events, the newest first. With --follow it goes on until a signal ends it. */
export async function runEvents(folder: string, flags: EventsFlags): Promise<number> {
  await using admin = await openLooking(folder, flags);
  const { client } = admin;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  if (flags.follow === true) {
    const isIdle = !admin.ofServe && admin.unreachable === null;
    return await follow(client, flags, { stop: stop.signal, isIdle });
  }
  const events = await search(client, flags, stop.signal);
  if (flags.json === true) for (const event of events) sayJson(JSON.stringify(event));
  else if (events.length > 0) sayTable(eventsTable(events, display()));
  else
    say(`${isFiltered(flags) ? "No event matches." : "No events yet."}${await unknownSource(client, flags)}`);
  return stop.signal.aborted ? EXIT.failed : EXIT.done;
}

/** Reads pages until there are enough. A page of a search takes a limited time, so that it can be stopped. */
async function search(client: AdminClient, flags: EventsFlags, stop: AbortSignal): Promise<EventJson[]> {
  const found: EventJson[] = [];
  const limit = flags.limit ?? DEFAULT_LIMIT;
  // Shows how far a search has come.
  const show = flags.json === true ? (): void => {} : progress;
  let cursor: string | undefined;
  do {
    const query = {
      ...filterQuery(flags),
      limit: String(Math.min(limit - found.length, PAGE)),
      ...(cursor === undefined ? {} : { cursor }),
    };
    const page = await answerOf<EventList>(await client.api.events.$get({ query }));
    found.push(...page.items);
    cursor = page.next ?? undefined;
    const backTo = page.searched_back_to;
    if (backTo !== null)
      show(`${found.length} found back to ${shortTime(backTo, Date.now())}. Ctrl+C stops.`);
  } while (cursor !== undefined && found.length < limit && !stop.aborted);
  show("");
  return found;
}

/** Prints events as they arrive, and again when their outcome changes. */
async function follow(
  client: AdminClient,
  flags: EventsFlags,
  { stop, isIdle }: { readonly stop: AbortSignal; readonly isIdle: boolean },
): Promise<number> {
  if (isIdle) complain("note: hookonce serve is not running, so nothing arrives until it starts.");
  try {
    for await (const { event, data } of streamOf(client, filterQuery(flags), stop)) {
      if (event === "more") complain("note: more events arrive than can be shown.");
      if (event !== "event") continue;
      if (flags.json === true) sayJson(data);
      else sayTable([eventLine(JSON.parse(data) as EventJson, display())]);
    }
  } catch (error) {
    if (!(error instanceof StreamSilent)) throw error;
    complain(error.message);
    return EXIT.failed;
  }
  if (stop.aborted) return EXIT.done;
  complain("hookonce serve stopped.");
  return EXIT.failed;
}

function display() {
  return { width: terminalWidth(), now: Date.now() };
}
