import type { List, MessageDetail, MessageJson, MessageState } from "../http/admin/shapes.ts";
import type { AdminClient } from "../http/admin/socket.ts";
import { answerOf } from "./answer.ts";
import { terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { messageReport, messagesTable } from "./message-reports.ts";
import { openLooking } from "./open-looking.ts";
import { say, sayJson, sayTable } from "./terminal.ts";
import { lookForDestination } from "./unknown-destination.ts";
import { UsageError } from "./usage-error.ts";

export interface MessagesFlags {
  destination?: string;
  state?: MessageState;
  source?: string;
  type?: string;
  /** Unix milliseconds. */
  since?: number;
  until?: number;
  limit?: number;
  json?: boolean;
  database?: string;
}

const DEFAULT_LIMIT = 50;

/** The most messages that the API gives at once. */
const PAGE = 500;

/** `hookonce messages`: what was sent on, and what was not; or one message with its attempts. */
export async function runMessages(
  id: string | undefined,
  folder: string,
  flags: MessagesFlags,
): Promise<number> {
  const { destination, json } = flags;
  if (id !== undefined) {
    const others = (["state", "source", "type", "since", "until", "limit"] as const)
      .filter((name) => flags[name] !== undefined)
      .map((name) => `--${name}`);
    if (others.length > 0) throw new UsageError(`${others.join(", ")} cannot be used with a message id`);
  }
  await using admin = await openLooking(folder, flags);
  const { client } = admin;
  const display = { width: terminalWidth(), now: Date.now() };
  if (id !== undefined) {
    const query = destination === undefined ? {} : { destination };
    const response = await client.api.messages[":id"].$get({ param: { id }, query });
    const message = await answerOf<MessageDetail>(response);
    if (json === true) sayJson(JSON.stringify(message));
    else say(messageReport(message, display));
    return EXIT.done;
  }
  const found = await listed(client, flags);
  if (json === true) for (const message of found) sayJson(JSON.stringify(message));
  else if (found.length > 0) sayTable(messagesTable(found, display));
  else {
    const isFiltered = Object.keys(filterOf(flags)).length > 0;
    const { unknown = "" } = destination === undefined ? {} : await lookForDestination(client, destination);
    say(`${isFiltered ? "No message matches." : "No messages yet."} ${unknown}`.trimEnd());
  }
  return EXIT.done;
}

function filterOf({ destination, state, source, type, since, until }: MessagesFlags) {
  return {
    ...(destination === undefined ? {} : { destination }),
    ...(state === undefined ? {} : { state }),
    ...(source === undefined ? {} : { source }),
    ...(type === undefined ? {} : { type }),
    ...(since === undefined ? {} : { since: String(since) }),
    ...(until === undefined ? {} : { until: String(until) }),
  };
}

/** Reads pages until there are enough. A page looks at a limited number of rows. */
async function listed({ api }: AdminClient, flags: MessagesFlags): Promise<MessageJson[]> {
  const { limit = DEFAULT_LIMIT } = flags;
  const found: MessageJson[] = [];
  let cursor: string | undefined;
  do {
    const query = {
      ...filterOf(flags),
      limit: String(Math.min(limit - found.length, PAGE)),
      ...(cursor === undefined ? {} : { cursor }),
    };
    const page = await answerOf<List<MessageJson>>(await api.messages.$get({ query }));
    found.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined && found.length < limit);
  return found;
}
