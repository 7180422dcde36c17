import type { Headers } from "../../../event.ts";
import {
  LONGEST_WAIT_MS,
  type CommandRun,
  type DueMessage,
  type KeptAttempt,
  type ListedMessage,
  type MessageDetail,
  type MessageState,
  type OutboxReader,
  type StoredMessage,
} from "../../outbox.ts";
import { isClaimed } from "../claims.ts";
import type { Node } from "../nodes.ts";
import { plain, sql, type Sql } from "../sql.ts";
import { askOne, type Ask } from "./ask.ts";
import { LISTED, messageLists, shown } from "./message-lists.ts";

/** The destinations that have messages, found by one look-up each. */
const DESTINATIONS = sql`
  with recursive names (destination) as (
    select min(destination) from hookonce.messages
    union all
    select (select min(m.destination) from hookonce.messages m where m.destination > names.destination)
    from names where names.destination is not null)
  select destination from names where destination is not null`;

const isTaken = plain(isClaimed("message", "m.id"));

/** Waits, and no node sends it now. */
const isFree = sql`m.state in ('waiting', 'interrupted') and not ${isTaken}`;

const isWaiting = sql`m.state in ('waiting', 'interrupted')`;

interface OwnRow {
  readonly ownHeaders: string | null;
  readonly ownBody: Uint8Array | null;
}

interface MessageRow extends OwnRow, Omit<StoredMessage, "receivedAt" | "enqueued" | "delivery"> {
  readonly createdAt: number;
  readonly receivedAt: number | null;
  readonly headers: string | null;
  readonly bytes: Uint8Array | null;
  readonly element: boolean | null;
}

/** What is read of messages. */
export function messageReads(ask: Ask, node?: Pick<Node, "claim" | "release">): OutboxReader {
  const due = (destination: string, time: Sql, limit: number): Promise<DueMessage[]> =>
    ask(sql`
      select m.id as row, m.next_at as "nextAt" from hookonce.messages m
      where m.destination = ${destination} and ${isFree} and m.next_at ${time}
      order by m.next_at, m.id limit ${limit}`);

  async function detailOf({
    ownHeaders,
    ownBody,
    ...listed
  }: ListedMessage & OwnRow): Promise<MessageDetail> {
    const kept = await ask<KeptAttempt>(sql`
      select number, at, ms, status, error, answer from hookonce.attempts
      where message = ${listed.row} order by number`);
    return { ...shown(listed), kept, enqueued: shownOf({ ownHeaders, ownBody }) };
  }

  async function message(row: number): Promise<StoredMessage | undefined> {
    const found = await askOne<MessageRow>(
      ask,
      sql`select m.id as row, m.message_id as id, m.destination, m.source, m.event_id as "eventId", m.type, m.state,
          m.attempts, m.tries, m.since, m.created_at as "createdAt", m.headers as "ownHeaders", m.body as "ownBody",
          e.received_at as "receivedAt", b.headers, b.bytes, r.element
        from hookonce.messages m
        left join hookonce.events e on e.id = m.event
        left join hookonce.results r on r.event = m.event
        left join hookonce.bodies b on b.id = r.body
        where m.id = ${row}`,
    );
    return found === undefined ? undefined : storedOf(found);
  }

  return {
    async dueMessages(destination, now, limit) {
      const found = await due(destination, sql`<= ${now}`, limit);
      if (found.length === limit) return found;
      return [...found, ...(await due(destination, sql`> ${now + LONGEST_WAIT_MS}`, limit - found.length))];
    },
    async nextDue(destination) {
      const next = await askOne<{ at: number | null }>(
        ask,
        sql`select min(m.next_at) as at from hookonce.messages m where m.destination = ${destination} and ${isFree}`,
      );
      return next?.at ?? null;
    },
    async messageBytes(row) {
      const found = await askOne<{ bytes: number | null }>(
        ask,
        sql`select coalesce(octet_length(m.body), (
            select octet_length(b.bytes) from hookonce.results r join hookonce.bodies b on b.id = r.body
            where r.event = m.event)) as bytes
          from hookonce.messages m where m.id = ${row}`,
      );
      return found?.bytes ?? 0;
    },
    message,
    async claim(row, how) {
      const claimed = await node?.claim(row, how);
      return claimed === "claimed" ? message(row) : claimed;
    },
    async release(row) {
      await node?.release(row);
    },
    hasEnqueued: async () => (await ask(sql`select from hookonce.enqueued limit 1`)).length > 0,
    async cutCommands() {
      const rows = await ask<{
        row: number;
        id: string;
        destination: string;
        attempts: number;
        run: string | null;
      }>(
        sql`select m.id as row, m.message_id as id, m.destination, m.attempts, m.run from hookonce.messages m
          where m.state = 'sending' and not ${isTaken} order by m.destination, m.id`,
      );
      return rows.map(({ run, ...rest }) =>
        Object.assign(rest, { run: run === null ? null : (JSON.parse(run) as CommandRun) }),
      );
    },
    ...messageLists(ask),
    async messageDetails(id) {
      const rows = await ask<ListedMessage & OwnRow>(sql`
        select ${LISTED}, m.headers as "ownHeaders", m.body as "ownBody"
        from (${DESTINATIONS}) d join hookonce.messages m on m.destination = d.destination and m.message_id = ${id}`);
      return Promise.all(rows.map(detailOf));
    },
    async messagesOf(source, eventId, limit) {
      const rows = await ask<ListedMessage & OwnRow>(sql`
        select ${LISTED}, m.headers as "ownHeaders", null::bytea as "ownBody"
        from hookonce.events e join hookonce.messages m on m.event = e.id
        where e.source = ${source} and e.event_id = ${eventId} order by m.id limit ${limit}`);
      return Promise.all(rows.map(detailOf));
    },
    async depths(cap) {
      const rows = await ask<{
        destination: string;
        state: MessageState;
        count: number;
        oldestAt: number | null;
      }>(sql`
        select d.destination, counted.* from (${DESTINATIONS}) d
        cross join lateral (
          select 'waiting' as state, count(*) as count, min(created_at) as "oldestAt" from (
            select m.created_at from hookonce.messages m
            where m.destination = d.destination and ${isWaiting} order by m.next_at limit ${cap + 1}) few
          union all
          select rare.state, (
              select count(*) from (
                select from hookonce.messages m
                where m.state = rare.state and m.state in ('sending', 'dead', 'discarded')
                  and m.destination = d.destination limit ${cap + 1}) few),
            (select m.created_at from hookonce.messages m
             where m.state = rare.state and m.state in ('sending', 'dead', 'discarded')
               and m.destination = d.destination order by m.id limit 1)
          from (values ('sending'), ('dead'), ('discarded')) rare (state)) counted
        where counted.count > 0`);
      return rows.map(({ destination, state, count, oldestAt }) => ({
        destination,
        state,
        count: Math.min(count, cap),
        capped: count > cap,
        oldestAt: oldestAt ?? 0,
      }));
    },
    paused: () =>
      ask(sql`
        select name as destination, reason, since from hookonce.destinations where state = 'paused' order by name`),
  };
}

function storedOf(row: MessageRow): StoredMessage {
  const { ownHeaders, ownBody, createdAt, receivedAt, headers, bytes, element, ...rest } = row;
  const enqueued = enqueuedOf({ ownHeaders, ownBody });
  const delivery =
    enqueued !== null || headers === null || bytes === null
      ? null
      : { headers: JSON.parse(headers) as Headers, body: bytes, element: element === true };
  return { ...rest, receivedAt: receivedAt ?? createdAt, enqueued, delivery };
}

function enqueuedOf({ ownHeaders, ownBody }: OwnRow): StoredMessage["enqueued"] {
  if (ownBody === null) return null;
  const headers = ownHeaders === null ? {} : (JSON.parse(ownHeaders) as Headers);
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return { headers: Object.fromEntries(lower) as Headers, body: ownBody };
}

/** A message whose headers cannot be read is dead, and its body is still shown. */
function shownOf({ ownHeaders, ownBody }: OwnRow): StoredMessage["enqueued"] {
  try {
    return enqueuedOf({ ownHeaders, ownBody });
  } catch {
    return enqueuedOf({ ownHeaders: null, ownBody });
  }
}
