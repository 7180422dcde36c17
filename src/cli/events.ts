import type { AdminClient } from "../http/admin/socket.ts";
import type { EventJson, EventList } from "../http/admin/shapes.ts";
import { HookonceError } from "../errors.ts";
import { answerOf } from "./answer.ts";
import { terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { openLooking } from "./open-looking.ts";
import { filterQuery, isFiltered, type LookFlags } from "./look-flags.ts";
import { unknownSource } from "./unknown-source.ts";
import { eventLine, eventsTable } from "./look-reports.ts";
import { shortTime } from "./moments.ts";
import { complain, progress, say, sayJson, sayTable } from "./terminal.ts";

export interface EventsFlags extends LookFlags {
  follow?: boolean;
}

const DEFAULT_LIMIT = 50;

/** In milliseconds. A stream sends a heartbeat every 5 s, and a handler can keep the process busy for 30 s. */
const MAX_SILENCE_MS = 40_000;

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
  const response = await client.api.stream.$get({ query: filterQuery(flags) }, { init: { signal: stop } });
  if (!response.ok) await answerOf(response);
  const reader = response.body?.getReader();
  const end = (): void => void reader?.cancel().catch(() => {});
  // Ends the read at once. Without a serve, nothing else would.
  stop.addEventListener("abort", end);
  let isSilent = false;
  const silence = setTimeout(() => {
    isSilent = true;
    end();
  }, MAX_SILENCE_MS);
  try {
    for await (const { event, data } of messagesIn(reader, () => silence.refresh())) {
      if (event === "more") complain("note: more events arrive than can be shown.");
      if (event !== "event") continue;
      if (flags.json === true) sayJson(data);
      else sayTable([eventLine(JSON.parse(data) as EventJson, display())]);
    }
  } catch (error) {
    // The connection of a process that was killed is reset.
    if (error instanceof HookonceError) throw error;
  } finally {
    clearTimeout(silence);
  }
  if (stop.aborted) return EXIT.done;
  complain(
    isSilent
      ? `hookonce serve has sent nothing for ${MAX_SILENCE_MS / 1000} s. The process is stopped (SIGSTOP) or busy.`
      : "hookonce serve stopped.",
  );
  return EXIT.failed;
}

/**
 * The messages of a stream of server-sent events, each with one line of data.
 *
 * @param onSign called whenever something arrives, heartbeats included
 */
async function* messagesIn(
  reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> } | undefined,
  onSign: () => void,
): AsyncGenerator<{ readonly event: string; readonly data: string }> {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done = true, value } = (await reader?.read()) ?? {};
    if (done) return;
    onSign();
    rest += decoder.decode(value, { stream: true });
    const messages = rest.split("\n\n");
    rest = messages.pop() ?? "";
    for (const message of messages) {
      const event = /^event: (.*)$/m.exec(message)?.[1] ?? "";
      const data = /^data: (.*)$/m.exec(message)?.[1] ?? "";
      if (event !== "") yield { event, data };
    }
  }
}

function display() {
  return { width: terminalWidth(), now: Date.now() };
}
