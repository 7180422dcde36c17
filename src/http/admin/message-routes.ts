import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import type { ListedMessage, MessageFilter } from "../../engines/outbox.ts";
import type { Reader } from "../../engines/reader.ts";
import { HookonceError } from "../../errors.ts";
import { oneMessage } from "../../inbox/message-jobs.ts";
import { readNumber } from "./cursors.ts";
import type { AdminInbox } from "./inbox.ts";
import { messageDetailJson, messageJson } from "./message-json.ts";
import type { MessageJson } from "./message-shapes.ts";
import { destinationState, messageQuery, messagesQuery } from "./requests.ts";
import { needs, refuseRequest, type AdminEnv } from "./routing.ts";
import type { List } from "./shapes.ts";

/** At most this many messages of a destination are being sent at a time. */
const MAX_SENDING = 512;

/** What is sent on: messages, and the states of destinations. */
export function createMessageRoutes(inbox: AdminInbox) {
  const { outbox } = inbox;
  return new Hono<AdminEnv>()
    .get("/api/messages", needs("read"), zValidator("query", messagesQuery, refuseRequest), async (c) => {
      const { limit, cursor, event_id: eventId, ...rest } = c.req.valid("query");
      const filter: MessageFilter = { ...rest, eventId };
      const before = readNumber(cursor);
      const reader = await inbox.reader();
      const { items, next } =
        filter.state === "sending"
          ? await sendingNow(inbox, reader, filter, before, limit)
          : await reader.messages(filter, before, limit);
      const shown = items
        .map((message) => messageJson(message, outbox))
        .filter(({ state }) => filter.state === undefined || state === filter.state);
      return c.json({
        items: shown,
        next: next === undefined ? null : String(next),
      } satisfies List<MessageJson>);
    })
    .get("/api/messages/:id", needs("read"), zValidator("query", messageQuery, refuseRequest), async (c) => {
      const id = c.req.param("id");
      const found = await (await inbox.reader()).messageDetails(id);
      return c.json(messageDetailJson(oneMessage(id, c.req.valid("query").destination, found), inbox));
    })
    .put(
      "/api/destinations/:name/state",
      needs("steer"),
      zValidator("json", destinationState, refuseRequest),
      async (c) => {
        const name = c.req.param("name");
        const { state, reason = null } = c.req.valid("json");
        if (outbox === null) throw notServing();
        if (state === "paused") await outbox.pause(name, reason, c.get("actor").name);
        else await outbox.resume(name, c.get("actor").name);
        return c.json({ name, state });
      },
    );
}

/** Messages that are being sent to a URL are stored as waiting, and are among those that are longest due. */
async function sendingNow(
  { outbox, clock }: AdminInbox,
  reader: Reader,
  filter: MessageFilter,
  before: number | undefined,
  limit: number,
): Promise<{ readonly items: readonly ListedMessage[]; readonly next: number | undefined }> {
  const rows: number[] = [];
  for (const { name } of outbox?.destinations() ?? []) {
    if (filter.destination !== undefined && filter.destination !== name) continue;
    const due = await reader.dueMessages(name, clock(), MAX_SENDING);
    for (const { row } of due) if (outbox?.isSending(row) === true) rows.push(row);
  }
  const live = (await reader.listed(rows)).filter((message) => isMatch(filter, message));
  const stored = await reader.messages(filter, undefined, MAX_SENDING);
  const items = [...live, ...stored.items]
    .filter(({ row }) => before === undefined || row < before)
    .sort((a, b) => b.row - a.row);
  const page = items.slice(0, limit);
  return { items: page, next: page.length < items.length ? page.at(-1)?.row : undefined };
}

function isMatch(
  { source, eventId, type, since = 0, until = Infinity }: MessageFilter,
  message: ListedMessage,
): boolean {
  const { createdAt } = message;
  return (
    (source === undefined || source === message.source) &&
    (eventId === undefined || eventId === message.eventId) &&
    (type === undefined || isOfType(type, message.type)) &&
    createdAt >= since &&
    createdAt < until
  );
}

function isOfType(pattern: string, type: string): boolean {
  if (pattern.endsWith("\\*")) return type === `${pattern.slice(0, -2)}*`;
  return pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

function notServing(): HookonceError {
  return new HookonceError(
    "not_serving",
    "hookonce serve is not running, and only it sends messages. Start it first.",
  );
}
