import { hashed } from "../../forget.ts";
import type { ListedMessage, MessageFilter, OutboxReader } from "../../outbox.ts";
import { all, arrayOf, sql, type Sql } from "../sql.ts";
import { askOne, type Ask } from "./ask.ts";
import { ofType } from "./filters.ts";

/** How many rows one page of a list looks at. Otherwise a filter that matches nothing would read the whole table. */
const MAX_LOOKED_AT = 10_000;

/** What a list shows of `m`, a row of hookonce.messages. */
export const LISTED = sql`m.id as row, m.message_id as id, m.destination, m.source, m.event_id as "eventId", m.type, m.state,
  m.attempts, m.created_at as "createdAt", m.next_at as "nextAt", m.settled_at as "settledAt",
  m.last_status as "lastStatus", m.last_error as "lastError", m.reason`;

type Lists = Pick<OutboxReader, "messages" | "messagesWritten" | "listed" | "lastMessage">;

/** Lists of messages, a page at a time. */
export function messageLists(ask: Ask): Lists {
  async function pageOf(
    filter: MessageFilter,
    beyond: Sql,
    order: Sql,
    limit: number,
  ): Promise<{ items: readonly ListedMessage[]; next: number | undefined }> {
    // Those in a rare state have their own index, by which a page looks at no others.
    const state = filter.state === undefined ? sql`true` : sql`m.state = ${filter.state}`;
    const rows = await ask<ListedMessage & { end: number | null }>(sql`
      with keys as materialized (
        select m.id from hookonce.messages m where ${beyond} and ${state} order by m.id ${order} limit ${MAX_LOOKED_AT}),
      found as (
        select ${LISTED} from keys k join hookonce.messages m on m.id = k.id
        where ${conditionsOf(filter)} order by m.id ${order} limit ${limit})
      select found.*, case when (select count(*) from keys) = ${MAX_LOOKED_AT}
        then (select id from keys order by id ${order} limit 1 offset ${MAX_LOOKED_AT - 1}) end as "end"
      from (values (1)) one left join found on true order by row ${order}`);
    const items = rows.filter(({ row }) => row !== null).map(({ end: _end, ...row }) => shown(row));
    return { items, next: items.length === limit ? items.at(-1)?.row : (rows[0]?.end ?? undefined) };
  }

  return {
    messages: (filter, before, limit) =>
      pageOf(filter, before === undefined ? sql`true` : sql`m.id < ${before}`, sql`desc`, limit),
    messagesWritten: (filter, { after, until }, limit) =>
      pageOf(filter, sql`m.id > ${after} and m.id <= ${until}`, sql`asc`, limit),
    async listed(rows) {
      const found = await ask<ListedMessage>(
        sql`select ${LISTED} from hookonce.messages m where m.id = any(${arrayOf(rows)}::bigint[]) order by m.id desc`,
      );
      return found.map(shown);
    },
    async lastMessage() {
      const last = await askOne<{ id: number | null }>(ask, sql`select max(id) as id from hookonce.messages`);
      return last?.id ?? 0;
    },
  };
}

function conditionsOf({ destination, source, eventId, type, since, until }: MessageFilter): Sql {
  return all(
    destination === undefined ? undefined : sql`m.destination = ${destination}`,
    source === undefined ? undefined : sql`m.source = ${source}`,
    // An id that contained a forgotten text was replaced by its hash.
    eventId === undefined ? undefined : sql`m.event_id in (${eventId}, ${hashed(eventId)})`,
    type === undefined ? undefined : ofType(sql`m.type`, type),
    since === undefined ? undefined : sql`m.created_at >= ${since}`,
    until === undefined ? undefined : sql`m.created_at < ${until}`,
  );
}

/** A message that is settled is not sent any more. */
export function shown<Row extends ListedMessage>(message: Row): Row {
  const isWaiting = message.state === "waiting" || message.state === "interrupted";
  return isWaiting ? message : { ...message, nextAt: null };
}
