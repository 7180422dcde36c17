import type { Database } from "bun:sqlite";
import type { Headers } from "../../event.ts";
import {
  LONGEST_WAIT_MS,
  type CommandRun,
  type DestinationDepth,
  type KeptAttempt,
  type ListedMessage,
  type MessageDetail,
  type MessageState,
  type OutboxReader,
  type StoredMessage,
} from "../outbox.ts";
import { LISTED, messageLists, RARE, shown } from "./message-lists.ts";
import { createTurn } from "./turns.ts";

/** The destinations that have messages, by one look-up each: DISTINCT would read the whole index. */
const DESTINATIONS = `
  with recursive names (destination) as (
    select min(destination) from hookonce_messages
    union all
    select (select min(m.destination) from hookonce_messages m where m.destination > names.destination)
    from names where names.destination is not null)
  select destination from names where destination is not null`;

/**
 * What is read of messages. As plain SQL, because some statements name their index: SQLite uses a partial index only
 * if it sees that the condition implies it.
 */
export function messageReads(connection: Database, isClosed: () => boolean): OutboxReader {
  // Prepared on first use. bun:sqlite keeps them by their text.
  const due = () =>
    connection.query<{ row: number; nextAt: number }, [string, number, number]>(
      `select id as row, next_at as nextAt from hookonce_messages indexed by hookonce_messages_due
       where destination = ?1 and next_at <= ?2 and state in ('waiting', 'interrupted')
       order by next_at, id limit ?3`,
    );
  // A separate search: with `or`, SQLite would read all that wait, which can be 100,000.
  const farAhead = () =>
    connection.query<{ row: number; nextAt: number }, [string, number, number]>(
      `select id as row, next_at as nextAt from hookonce_messages indexed by hookonce_messages_due
       where destination = ?1 and next_at > ?2 and state in ('waiting', 'interrupted')
       order by next_at, id limit ?3`,
    );
  const one = () =>
    connection.query<MessageRow, [number]>(
      `select m.id as row, m.message_id as id, m.destination, m.source, m.event_id as eventId, m.type, m.state,
         m.attempts, m.tries, m.since, m.created_at as createdAt, m.headers as ownHeaders, m.body as ownBody,
         m.event, e.received_at as receivedAt, b.headers, b.bytes, r.element
       from hookonce_messages m
       left join hookonce_events e on e.id = m.event
       left join hookonce_results r on r.event = m.event
       left join hookonce_bodies b on b.id = r.body
       where m.id = ?1`,
    );
  // SQLite knows the size without the pages that hold the body.
  const bytes = () =>
    connection.query<unknown, [number]>(
      `select coalesce(octet_length(m.body),
         (select octet_length(bytes) from hookonce_bodies
          where id = (select body from hookonce_results where event = m.event)))
       from hookonce_messages m where m.id = ?1`,
    );
  const attemptsOf = () =>
    connection.query<KeptAttempt, [number]>(
      "select number, at, ms, status, error, answer from hookonce_attempts where message = ?1 order by number",
    );

  function detailOf({ ownHeaders, ownBody, ...listed }: ListedMessage & OwnRow): MessageDetail {
    return {
      ...shown(listed),
      kept: attemptsOf().all(listed.row),
      enqueued: shownOf({ ownHeaders, ownBody }),
    };
  }

  function message(row: number): StoredMessage | undefined {
    const found = one().get(row);
    return found === null ? undefined : storedOf(found);
  }

  return {
    dueMessages(destination, now, limit) {
      const found = due().all(destination, now, limit);
      if (found.length === limit) return found;
      return [...found, ...farAhead().all(destination, now + LONGEST_WAIT_MS, limit - found.length)];
    },
    nextDue: (destination) =>
      (connection
        .query(
          `select min(next_at) from hookonce_messages indexed by hookonce_messages_due
           where destination = ?1 and state in ('waiting', 'interrupted')`,
        )
        .values(destination)[0]?.[0] ?? null) as number | null,
    messageBytes: (row) => Number(bytes().values(row)[0]?.[0] ?? 0),
    message,
    // No other process sends.
    claim: message,
    release() {},
    hasEnqueued: () => connection.query("select 1 from hookonce_enqueued limit 1").values().length > 0,
    cutCommands: () =>
      connection
        .query<{ row: number; id: string; destination: string; attempts: number; run: string | null }, []>(
          `select id as row, message_id as id, destination, attempts, run
           from hookonce_messages indexed by hookonce_messages_state where state = 'sending'
           and state in ('sending', 'dead', 'discarded') order by destination, row`,
        )
        .all()
        .map(({ run, ...rest }) =>
          Object.assign(rest, { run: run === null ? null : (JSON.parse(run) as CommandRun) }),
        ),
    ...messageLists(connection),
    messageDetails: (id) =>
      connection
        .query<ListedMessage & OwnRow, [string]>(
          `select ${LISTED}, m.headers as ownHeaders, m.body as ownBody
           from (${DESTINATIONS}) d join hookonce_messages m on m.destination = d.destination and m.message_id = ?1`,
        )
        .all(id)
        .map(detailOf),
    messagesOf: (source, eventId, limit) =>
      connection
        .query<ListedMessage & OwnRow, [string, string, number]>(
          `select ${LISTED}, m.headers as ownHeaders, null as ownBody
           from hookonce_events e join hookonce_messages m on m.event = e.id
           where e.source = ?1 and e.event_id = ?2 order by m.id limit ?3`,
        )
        .all(source, eventId, limit)
        .map(detailOf),
    depths: (cap) => depthsOf(connection, cap, isClosed),
    paused: () =>
      connection
        .query<{ destination: string; reason: string | null; since: number }, []>(
          "select name as destination, reason, since from hookonce_destinations where state = 'paused' order by name",
        )
        .all(),
  };
}

interface OwnRow {
  readonly ownHeaders: string | null;
  readonly ownBody: Uint8Array | string | null;
}

interface MessageRow extends OwnRow {
  readonly row: number;
  readonly id: string;
  readonly destination: string;
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly state: MessageState;
  readonly attempts: number;
  readonly tries: number;
  readonly since: number;
  readonly createdAt: number;
  readonly event: number | null;
  readonly receivedAt: number | null;
  readonly headers: string | null;
  readonly bytes: Uint8Array | null;
  readonly element: number | null;
}

function storedOf(row: MessageRow): StoredMessage {
  const { ownHeaders, ownBody, createdAt, event: _event, receivedAt, headers, bytes, element, ...rest } = row;
  const enqueued = enqueuedOf({ ownHeaders, ownBody });
  const delivery =
    enqueued !== null || headers === null || bytes === null
      ? null
      : { headers: JSON.parse(headers) as Headers, body: bytes, element: element === 1 };
  return { ...rest, receivedAt: receivedAt ?? createdAt, enqueued, delivery };
}

function enqueuedOf({ ownHeaders, ownBody }: OwnRow): StoredMessage["enqueued"] {
  if (ownBody === null) return null;
  const headers = ownHeaders === null ? {} : (JSON.parse(ownHeaders) as Headers);
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return {
    headers: Object.fromEntries(lower) as Headers,
    body: typeof ownBody === "string" ? Buffer.from(ownBody) : ownBody,
  };
}

/** A message whose headers cannot be read is dead, and its body is still shown. */
function shownOf({ ownHeaders, ownBody }: OwnRow): StoredMessage["enqueued"] {
  try {
    return enqueuedOf({ ownHeaders, ownBody });
  } catch {
    return enqueuedOf({ ownHeaders: null, ownBody });
  }
}

/** Counts from the indexes, without reading a row, and one destination and state at a time. */
async function depthsOf(
  connection: Database,
  cap: number,
  isClosed: () => boolean,
): Promise<DestinationDepth[]> {
  const turn = createTurn();
  const names = connection
    .query(DESTINATIONS)
    .values()
    .map(([name]) => name as string);
  const waiting = connection.query<{ count: number; oldestAt: number | null }, [string, number]>(
    `select count(*) as count, min(created_at) as oldestAt from (
       select created_at from hookonce_messages indexed by hookonce_messages_due
       where destination = ?1 and state in ('waiting', 'interrupted') order by next_at limit ?2)`,
  );
  const rare = connection.query<{ count: number; oldest: number | null }, [string, string, number]>(
    `select count(*) as count, min(id) as oldest from (
       select id from hookonce_messages indexed by hookonce_messages_state
       where state = ?2 and destination = ?1 and state in ('sending', 'dead', 'discarded') order by id limit ?3)`,
  );
  const written = connection.query("select created_at from hookonce_messages where id = ?1");
  const depths: DestinationDepth[] = [];
  const add = (destination: string, state: MessageState, count: number, oldestAt: number): void => {
    if (count === 0) return;
    depths.push({ destination, state, oldestAt, count: Math.min(count, cap), capped: count > cap });
  };
  for (const destination of names) {
    const { count, oldestAt } = waiting.get(destination, cap + 1) ?? { count: 0, oldestAt: null };
    add(destination, "waiting", count, oldestAt ?? 0);
    for (const state of RARE) {
      await turn();
      if (isClosed()) return depths;
      const found = rare.get(destination, state, cap + 1);
      const oldest = found?.oldest ?? null;
      // Retention may have removed it since.
      const [at = 0] = oldest === null ? [] : (written.values(oldest)[0] ?? []);
      add(destination, state, found?.count ?? 0, at as number);
    }
    await turn();
    if (isClosed()) return depths;
  }
  return depths;
}
