import type { Database } from "bun:sqlite";
import { hashed } from "../forget.ts";
import type { ListedMessage, MessageFilter, MessageState, OutboxReader } from "../outbox.ts";

/** How many rows one page of a list looks at: 5 ms. */
const MAX_LOOKED_AT = 10_000;

/** Rare states. Their messages have their own index. */
export const RARE: readonly MessageState[] = ["sending", "dead", "discarded"];

/** What SQLite must see to use that index. */
const IS_RARE = "m.state in ('sending', 'dead', 'discarded')";

export const LISTED = `m.id as row, m.message_id as id, m.destination, m.source, m.event_id as eventId, m.type, m.state,
  m.attempts, m.created_at as createdAt, m.next_at as nextAt, m.settled_at as settledAt,
  m.last_status as lastStatus, m.last_error as lastError, m.reason`;

/** How many rows in a rare state are read at once. */
const READ_AT_ONCE = 500;

type Direction = "desc" | "asc";

interface Range {
  readonly after: number;
  readonly until: number;
}

const BEYOND: Readonly<Record<Direction, string>> = {
  desc: "m.id < ?1 and m.id >= ?2",
  asc: "m.id > ?1 and m.id <= ?2",
};

/** Lists of messages, a page at a time. */
export function messageLists(
  connection: Database,
): Pick<OutboxReader, "messages" | "messagesWritten" | "listed" | "lastMessage"> {
  /** @param direction of the rows: the newest first, or in the order written */
  function pageOf(
    filter: MessageFilter,
    range: Range,
    direction: Direction,
    limit: number,
  ): { items: readonly ListedMessage[]; next: number | undefined } {
    if (filter.state !== undefined && RARE.includes(filter.state))
      return rarePage(filter, range, direction, limit);
    const { after, until } = range;
    const beyond = BEYOND[direction];
    const { conditions, values } = conditionsOf(filter);
    // Only so many rows are looked at. Otherwise a filter that matches nothing would read the whole table.
    const end = connection
      .query(
        `select m.id from hookonce_messages m where ${beyond} order by m.id ${direction} limit 1 offset ?3`,
      )
      .values(after, until, MAX_LOOKED_AT)[0]?.[0] as number | undefined;
    // The row at the end belongs to the next page.
    const last = end === undefined ? until : direction === "desc" ? end + 1 : end - 1;
    const items = connection
      .query<ListedMessage, (string | number)[]>(
        `select ${LISTED} from hookonce_messages m not indexed
         where ${[beyond, ...conditions].join(" and ")} order by m.id ${direction} limit ${limit}`,
      )
      .all(after, last, ...values)
      .map(shown);
    const next = items.length === limit ? items.at(-1)?.row : end === undefined ? undefined : last;
    return { items, next };
  }

  /**
   * Finds the rows in the index of what is rare, and reads them in its order until there are enough. Sorting whole
   * rows took 350 ms for 30,000 dead messages.
   */
  function rarePage(
    filter: MessageFilter,
    { after, until }: Range,
    direction: Direction,
    limit: number,
  ): { items: readonly ListedMessage[]; next: number | undefined } {
    const { state = "", destination } = filter;
    const rows = connection
      .query(
        `select m.id from hookonce_messages m indexed by hookonce_messages_state
         where m.state = ?3 and ${IS_RARE} and ${BEYOND[direction]} and (?4 is null or m.destination = ?4)
         order by m.id ${direction} limit ${MAX_LOOKED_AT + 1}`,
      )
      .values(after, until, state, destination ?? null)
      .map(([id]) => id as number);
    const looked = rows.slice(0, MAX_LOOKED_AT);
    const { conditions, values } = conditionsOf(filter);
    const items: ListedMessage[] = [];
    for (let at = 0; at < looked.length && items.length < limit; at += READ_AT_ONCE) {
      const some = connection
        .query<ListedMessage, (string | number)[]>(
          `select ${LISTED} from json_each(?1) j join hookonce_messages m on m.id = j.value
           where ${conditions.join(" and ")} order by m.id ${direction} limit ?2`,
        )
        .all(JSON.stringify(looked.slice(at, at + READ_AT_ONCE)), limit - items.length, ...values);
      items.push(...some.map(shown));
    }
    const next =
      items.length === limit ? items.at(-1)?.row : rows.length > looked.length ? looked.at(-1) : undefined;
    return { items, next };
  }

  return {
    messages: (filter, before, limit) =>
      pageOf(filter, { after: before ?? Number.MAX_SAFE_INTEGER, until: 0 }, "desc", limit),
    messagesWritten: (filter, range, limit) => pageOf(filter, range, "asc", limit),
    listed: (rows) =>
      connection
        .query<ListedMessage, [string]>(
          `select ${LISTED} from json_each(?1) j join hookonce_messages m on m.id = j.value order by m.id desc`,
        )
        .all(JSON.stringify(rows))
        .map(shown),
    lastMessage: () =>
      (connection.query("select max(id) from hookonce_messages").values()[0]?.[0] ?? 0) as number,
  };
}

/** The values begin with the third parameter. */
function conditionsOf({ destination, state, source, eventId, type, since, until }: MessageFilter): {
  conditions: string[];
  values: (string | number)[];
} {
  const conditions: string[] = [];
  const values: (string | number)[] = [];
  const add = (condition: string, value: string | number | undefined): void => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition.replaceAll("?", `?${values.length + 2}`));
  };
  add("m.destination = ?", destination);
  add("m.state = ?", state);
  add("m.source = ?", source);
  // An id that contained a forgotten text was replaced by its hash.
  if (eventId !== undefined) {
    values.push(eventId, hashed(eventId));
    conditions.push(`m.event_id in (?${values.length + 1}, ?${values.length + 2})`);
  }
  if (type?.endsWith("\\*") === true) add("m.type = ?", `${type.slice(0, -2)}*`);
  else if (type?.endsWith("*") === true) add("substr(m.type, 1, length(?)) = ?", type.slice(0, -1));
  else add("m.type = ?", type);
  add("m.created_at >= ?", since);
  add("m.created_at < ?", until);
  return { conditions, values };
}

/** A message that is settled is not sent any more. */
export function shown(message: ListedMessage): ListedMessage {
  const isWaiting = message.state === "waiting" || message.state === "interrupted";
  return isWaiting ? message : { ...message, nextAt: null };
}
