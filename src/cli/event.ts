import type { EventDetail } from "../http/admin/shapes.ts";
import { answerOf } from "./answer.ts";
import { terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { openLooking } from "./open-looking.ts";
import type { LookFlags } from "./look-flags.ts";
import { eventReport } from "./look-reports.ts";
import { say, sayJson } from "./terminal.ts";

export type EventFlags = Pick<LookFlags, "source" | "json" | "database">;

/** `hookonce event ID`: everything that is known of one event. */
export async function runEvent(id: string, folder: string, flags: EventFlags): Promise<number> {
  await using admin = await openLooking(folder, flags);
  const query = { event_id: id, ...(flags.source === undefined ? {} : { source: flags.source }) };
  const response = await admin.client.api.event.$get({ query });
  // The text as it came: parsing would round long numbers in the payload.
  if (flags.json === true && response.ok) sayJson(await response.text());
  else {
    const event = await answerOf<EventDetail>(response);
    const state = await admin.client.api.sources[":name"].state.$get({ param: { name: event.source } });
    // A source that is gone from the config has none, unless it was paused.
    const isPaused = state.ok && (await state.json()).state !== "open";
    say(eventReport(event, { width: terminalWidth(), now: Date.now() }, isPaused));
  }
  return EXIT.done;
}
