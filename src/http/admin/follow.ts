import type { SSEStreamingApi } from "hono/streaming";
import type { ListedEvent, ListFilter } from "../../engines/reader.ts";
import { eventJson } from "./event-json.ts";
import type { AdminInbox } from "./inbox.ts";

/** How often new events are looked for, in milliseconds. */
const POLL_MS = 500;

/** A comment is sent after this time without an event, so that proxies keep the connection. In milliseconds. */
const HEARTBEAT_MS = 15_000;

/** At most this many events are sent at a time. Of a faster stream, the newest are shown. */
const MAX_AT_ONCE = 200;

/**
 * How far the times of two events may be in another order than their commits, in milliseconds: a delivery
 * waits at most 5 s for its commit.
 */
const OVERLAP_MS = 10_000;

interface Following {
  readonly inbox: AdminInbox;
  readonly filter: ListFilter;
  /** Rejects once the client may not read any more. */
  readonly stillAllowed: () => Promise<unknown>;
}

/**
 * Sends each event that is recorded or fails from now on, the oldest first, until the client goes away. Each
 * look reads only the last seconds, so it costs the same however many events are stored.
 *
 * `event: event` carries an event as the lists have it. `event: more` says that some were left out.
 */
export async function followEvents(
  stream: SSEStreamingApi,
  { inbox, filter, stillAllowed }: Following,
): Promise<void> {
  const reader = await inbox.reader();
  let seen = new Map<string, number>();
  let quiet = 0;

  const look = async (): Promise<{ fresh: readonly ListedEvent[]; isCut: boolean }> => {
    const from = inbox.clock() - OVERLAP_MS;
    const since = Math.max(from, filter.since ?? 0);
    const { items, next } = await reader.events({ ...filter, since }, undefined, MAX_AT_ONCE);
    const fresh = items.filter((event) => !seen.has(keyOf(event)));
    const last = items.at(-1);
    seen = new Map([...seen].filter(([, at]) => at >= from));
    for (const event of items) seen.set(keyOf(event), event.receivedAt);
    const isCut = next !== undefined && items.length === MAX_AT_ONCE && fresh.includes(last as ListedEvent);
    return { fresh: fresh.toReversed(), isCut };
  };

  await look();
  await stream.writeSSE({ event: "open", data: "{}" });
  while (!stream.aborted && !inbox.stopping.aborted) {
    await stream.sleep(POLL_MS);
    try {
      await stillAllowed();
    } catch {
      return;
    }
    const { fresh, isCut } = await look();
    if (isCut) await stream.writeSSE({ event: "more", data: "{}" });
    for (const event of fresh)
      await stream.writeSSE({ event: "event", data: JSON.stringify(eventJson(event)) });
    quiet = fresh.length > 0 ? 0 : quiet + POLL_MS;
    if (quiet >= HEARTBEAT_MS) {
      await stream.write(": heartbeat\n\n");
      quiet = 0;
    }
  }
}

/** An event is sent again if its outcome changes within the overlap. */
function keyOf({ source, eventId, outcome }: ListedEvent): string {
  return JSON.stringify([source, eventId, outcome]);
}
