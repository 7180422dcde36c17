import type { SSEStreamingApi } from "hono/streaming";
import type { ReceivedUpTo } from "../../engines/arrivals.ts";
import type { ListFilter } from "../../engines/reader.ts";
import { HookonceError } from "../../errors.ts";
import { readPlace, writePlace } from "./cursors.ts";
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

/**
 * A stream with a cursor ends after so many events, and the client goes on with the next one. Otherwise what a slow
 * client has not read yet would fill the memory.
 */
const MAX_ARRIVALS = 1000;

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
export async function followEvents(stream: SSEStreamingApi, following: Following): Promise<void> {
  const { inbox, filter } = following;
  let followed = await (await inbox.reader()).followed();
  await stream.writeSSE({ event: "open", data: "{}" });
  await poll(stream, following, POLL_MS, async () => {
    const { items, isCut, ...seen } = await (await inbox.reader()).changes(filter, followed, MAX_AT_ONCE);
    followed = seen.followed;
    if (isCut) await stream.writeSSE({ event: "more", data: "{}" });
    for (const event of items) {
      const isWanted = filter.outcome === undefined || filter.outcome === event.outcome;
      const data = JSON.stringify(eventJson(event));
      await stream.writeSSE({ event: isWanted ? "event" : "changed", data });
    }
    return items.length > 0 ? "sent" : "nothing";
  });
}

/**
 * Where a stream with a cursor begins.
 *
 * @throws HookonceError `invalid_cursor`
 */
export async function placeOf(inbox: AdminInbox, cursor: string, filter: ListFilter): Promise<ReceivedUpTo> {
  const reader = await inbox.reader();
  if (cursor === "last") return await reader.lastPlace();
  if (cursor === "first") return await reader.placeBefore(filter.since ?? 0);
  const place = readPlace(cursor);
  if (await reader.hasPlace(place)) return place;
  throw new HookonceError(
    "invalid_cursor",
    "The cursor belongs to another database: this one is new, or was restored from a backup. Begin again with a time.",
  );
}

/**
 * Sends each event once, in the order received, from a place on, and goes on with those that arrive.
 *
 * `event: event` carries an event as the lists have it, and its id is the cursor after it. `event: place` carries
 * only a cursor: the filter has left out what was before it.
 */
export async function streamArrivals(
  stream: SSEStreamingApi,
  following: Following,
  from: ReceivedUpTo,
): Promise<void> {
  const { inbox, filter } = following;
  let place = from;
  let sent = 0;
  await stream.writeSSE({ event: "open", data: "{}", id: writePlace(place) });
  await poll(stream, following, 0, async () => {
    const { items, upTo, isMore } = await (await inbox.reader()).arrivals(filter, place, MAX_AT_ONCE);
    for (const { event, upTo: after } of items) {
      if (stream.aborted) return "end";
      await stream.writeSSE({
        event: "event",
        data: JSON.stringify(eventJson(event)),
        id: writePlace(after),
      });
    }
    const isFurther = upTo.position !== place.position || upTo.failure !== place.failure;
    place = upTo;
    sent += items.length;
    if (isFurther && items.length === 0)
      await stream.writeSSE({ event: "place", data: "{}", id: writePlace(place) });
    if (sent >= MAX_ARRIVALS) return "end";
    return isMore ? "more" : isFurther ? "sent" : "nothing";
  });
}

/**
 * Looks again and again, until the client goes away or the look says that it ends.
 *
 * @param firstMs before the first look
 */
async function poll(
  stream: SSEStreamingApi,
  { inbox, stillAllowed }: Following,
  firstMs: number,
  look: () => Promise<"sent" | "nothing" | "more" | "end">,
): Promise<void> {
  let quiet = 0;
  for (let pause = firstMs; ;) {
    await stream.sleep(pause);
    // The database may be closed by now.
    if (stream.aborted || inbox.stopping.aborted) return;
    try {
      await stillAllowed();
    } catch {
      return;
    }
    const seen = await look();
    if (seen === "end") return;
    pause = seen === "more" ? 0 : POLL_MS;
    quiet = seen === "nothing" ? quiet + POLL_MS : 0;
    if (quiet >= HEARTBEAT_MS) {
      await stream.write(": heartbeat\n\n");
      quiet = 0;
    }
  }
}
