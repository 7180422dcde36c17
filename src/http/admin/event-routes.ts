import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Reader, StackedFailure } from "../../engines/reader.ts";
import { payloadRemoved } from "../../engines/retention.ts";
import { HookonceError } from "../../errors.ts";
import { readNewest, readNumber, writeNewest } from "./cursors.ts";
import { detailText, eventJson, failureJson, groupJson } from "./event-json.ts";
import { followEvents, placeOf, streamArrivals } from "./follow.ts";
import type { AdminInbox } from "./inbox.ts";
import { messageDetailJson } from "./message-json.ts";
import { eventQuery, eventsQuery, failuresQuery, rawQuery, streamQuery } from "./requests.ts";
import { needs, refuseRequest, type AdminEnv } from "./routing.ts";
import { createSearchPace } from "./search-pace.ts";
import type { EventList, FailureGroupList, FailureJson, List } from "./shapes.ts";

/** How many of the newest failures are grouped. */
const MAX_GROUPED = 10_000;

/** How many messages of an event are shown with it. */
const MAX_MESSAGES = 50;

/** Events, failures, and the live list. */
export function createEventRoutes(inbox: AdminInbox) {
  const pace = createSearchPace(inbox.received);
  return new Hono<AdminEnv>()
    .get("/api/events", needs("read"), zValidator("query", eventsQuery, refuseRequest), async (c) => {
      const { limit, cursor, ...filter } = c.req.valid("query");
      const reader = await inbox.reader();
      const { items, next } = await pace(filter, () => reader.events(filter, readNewest(cursor), limit));
      return c.json({
        items: items.map(eventJson),
        next: writeNewest(next),
        searched_back_to: next === undefined ? null : next.byId ? inbox.clock() : next.at,
      } satisfies EventList);
    })
    .get("/api/event", needs("read"), zValidator("query", eventQuery, refuseRequest), async (c) => {
      const { source, event_id: id } = c.req.valid("query");
      const { event, reads } = await findEvent(inbox, source, id);
      const described = inbox.described().find(({ name }) => name === event.source);
      const sent = await (await inbox.reader()).messagesOf(event.source, event.eventId, MAX_MESSAGES);
      const messages = sent.map((message) => messageDetailJson(message, inbox));
      return c.body(detailText(event, reads, described?.typePlace ?? null, messages), 200, {
        "content-type": "application/json",
      });
    })
    .get("/api/event/raw", needs("read"), zValidator("query", rawQuery, refuseRequest), async (c) => {
      const { source, event_id: id, which } = c.req.valid("query");
      const { event } = await findEvent(inbox, source, id);
      const body = which === "first" ? event.stored : event.changed;
      if (body === null && event.isRemoved) throw payloadRemoved(id);
      if (body === null)
        throw new HookonceError(
          "event_not_stored",
          "This body is not stored. Of some events only the id is kept.",
        );
      return c.body(new Uint8Array(body.body), 200, {
        // Never the type that the sender names: a browser must not show what a stranger has written.
        "content-type": "application/octet-stream",
        "content-disposition": `attachment; filename="${fileNameOf(id)}"`,
        "x-content-type-options": "nosniff",
      });
    })
    .get("/api/failures", needs("read"), zValidator("query", failuresQuery, refuseRequest), async (c) => {
      const { group, limit, cursor, ...filter } = c.req.valid("query");
      const reader = await inbox.reader();
      if (group === "handler") {
        const from = readNumber(cursor) ?? 0;
        const { groups, capped } = await reader.failureGroups({ source: filter.source }, MAX_GROUPED);
        const to = from + limit;
        const shown = groups.slice(from, to);
        const wholes = await wholesOf(
          reader,
          shown.map(({ source, latestEventId: eventId }) => ({ source, eventId })),
        );
        return c.json({
          items: shown.map((group, at) => groupJson(group, wholes[at])),
          next: to < groups.length ? String(to) : null,
          total: groups.length,
          capped,
        } satisfies FailureGroupList);
      }
      const after = readNewest(cursor);
      const { items, next } = await pace(filter, () => reader.failures(filter, after, limit));
      const wholes = await wholesOf(reader, items);
      return c.json({
        items: items.map((failure, at) => failureJson(failure, wholes[at])),
        next: writeNewest(next),
      } satisfies List<FailureJson>);
    })
    .get("/api/stream", needs("read"), zValidator("query", streamQuery, refuseRequest), async (c) => {
      // Nobody reads the events of a HEAD, and nothing would end their stream.
      if (c.req.method === "HEAD") return c.body(null, 200, { "content-type": "text/event-stream" });
      const { cursor, ...filter } = c.req.valid("query");
      const following = { inbox, filter, stillAllowed: c.get("stillAllowed") };
      if (cursor === undefined) return streamSSE(c, (stream) => followEvents(stream, following));
      const place = await placeOf(inbox, cursor, filter);
      return streamSSE(c, (stream) => streamArrivals(stream, following, place));
    });
}

/** How many stacks are read at once, in 1 ms: each may have 64 KiB. */
const STACKS = 25;

async function wholesOf(
  reader: Reader,
  failures: readonly { readonly source: string; readonly eventId: string }[],
): Promise<(StackedFailure | undefined)[]> {
  const wholes: (StackedFailure | undefined)[] = [];
  for (const { source, eventId } of failures) {
    wholes.push(await reader.failure(source, eventId));
    if (wholes.length % STACKS === 0) await Bun.sleep(0);
  }
  return wholes;
}

/** @throws HookonceError `unknown_event`, or `ambiguous_event` if several sources have it and none is named */
export async function findEvent(inbox: AdminInbox, source: string | undefined, id: string) {
  const reader = await inbox.reader();
  const name = source ?? (await sourceOf(reader, inbox, id));
  const event = await reader.event(name, id);
  if (event === undefined) throw unknown(id, source);
  return { event, reads: inbox.sources.get(name) };
}

async function sourceOf(reader: Reader, inbox: AdminInbox, id: string): Promise<string> {
  const names = new Set([
    ...inbox.sources.keys(),
    ...(await reader.seen(inbox.clock())).map(({ source }) => source),
  ]);
  const [first, ...others] = await reader.find(id, [...names]);
  if (first === undefined) throw unknown(id, undefined);
  if (others.length === 0) return first.source;
  const all = [first, ...others]
    .map((one) => `${one.source} (${one.type || "no type"}, ${one.outcome})`)
    .sort();
  throw new HookonceError(
    "ambiguous_event",
    `Several sources have the event "${id}": ${all.join(", ")}. Add --source NAME.`,
  );
}

function unknown(id: string, source: string | undefined): HookonceError {
  const where = source === undefined ? "" : ` of source "${source}"`;
  return new HookonceError(
    "unknown_event",
    `There is no event "${id}"${where}. To search: hookonce events --search TEXT`,
  );
}

function fileNameOf(id: string): string {
  return `${id.replaceAll(/[^\w.-]/g, "_").slice(0, 100)}.body`;
}
