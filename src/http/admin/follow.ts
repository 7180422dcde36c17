import type { SSEStreamingApi } from "hono/streaming";
import type { ListFilter } from "../../engines/reader.ts";
import { eventJson } from "./event-json.ts";
import type { AdminInbox } from "./inbox.ts";

/** How often new events are looked for, in milliseconds. */
const POLL_MS = 500;

/**
 * A comment is sent after this time without an event, so that proxies keep the connection. In milliseconds. Bun
 * closes a connection of the unix socket after 10 s.
 */
const HEARTBEAT_MS = 5000;

/** At most this many events of a kind are sent at a time. Of a faster stream, the newest are shown. */
const MAX_AT_ONCE = 200;

interface Following {
  readonly inbox: AdminInbox;
  readonly filter: ListFilter;
  /** Rejects once the client may not read any more. */
  readonly stillAllowed: () => Promise<unknown>;
}

/**
 * Sends each event that is recorded or fails from now on, and each whose outcome changes, until the client goes
 * away.
 *
 * `event: event` carries an event as the lists have it. `event: changed` carries one that has another outcome
 * now than the filter asks for. `event: more` says that some were left out.
 */
export async function followEvents(
  stream: SSEStreamingApi,
  { inbox, filter, stillAllowed }: Following,
): Promise<void> {
  let followed = await (await inbox.reader()).followed();
  let quiet = 0;
  await stream.writeSSE({ event: "open", data: "{}" });
  for (;;) {
    await stream.sleep(POLL_MS);
    // The database may be closed by now.
    if (stream.aborted || inbox.stopping.aborted) return;
    try {
      await stillAllowed();
    } catch {
      return;
    }
    const { items, isCut, ...seen } = await (await inbox.reader()).changes(filter, followed, MAX_AT_ONCE);
    followed = seen.followed;
    if (isCut) await stream.writeSSE({ event: "more", data: "{}" });
    for (const event of items) {
      const isWanted = filter.outcome === undefined || filter.outcome === event.outcome;
      const data = JSON.stringify(eventJson(event));
      await stream.writeSSE({ event: isWanted ? "event" : "changed", data });
    }
    quiet = items.length > 0 ? 0 : quiet + POLL_MS;
    if (quiet >= HEARTBEAT_MS) {
      await stream.write(": heartbeat\n\n");
      quiet = 0;
    }
  }
}
