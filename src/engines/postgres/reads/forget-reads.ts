import {
  hashed,
  TEXTS,
  type ForgetReader,
  type ForgettableEvent,
  type StoredText,
  type StoredTexts,
} from "../../forget.ts";
import { tableOf } from "../forget.ts";
import { sql, type Sql } from "../sql.ts";
import { askOne, type Ask } from "./ask.ts";
import { isItsFailure } from "./outcomes.ts";

/** How many rows and bytes one page takes at most, about. */
const MAX_ROWS = 256;
const MAX_BYTES = 1024 * 1024;

/** An event has failed if it has an open failure, whatever its row says. */
const EVENT = sql`e.id as row, e.source, e.event_id as "eventId", e.type,
  case when e.outcome = 'unhandled' and exists (
    select from hookonce.failures f where ${isItsFailure}) then 'failed' else e.outcome end as outcome`;

const plain = (text: string): Sql => ({ texts: [text], values: [] });

export function forgetReads(ask: Ask): ForgetReader {
  const eventsWhere = (condition: Sql): Promise<ForgettableEvent[]> =>
    ask(sql`select ${EVENT} from hookonce.events e where ${condition} order by e.id`);

  /** The events of a body: see the column `body` of hookonce.results. */
  const ofBody = (body: number): Promise<ForgettableEvent[]> =>
    eventsWhere(sql`e.id in (
      select event from hookonce.results where event = ${body} and body = ${body}
      union all
      select event from hookonce.results where body = ${body} and body <> event)`);

  async function eventsNamed(source: string, eventId: string): Promise<ForgettableEvent[]> {
    const events = await ask<ForgettableEvent & { era: number }>(sql`
      select ${EVENT}, e.era from hookonce.events e
      where e.source = ${source} and e.event_id = ${eventId} order by e.era`);
    const failure = await askOne<{ type: string }>(
      ask,
      sql`select type from hookonce.failures
        where source = ${source} and event_id = ${eventId} and settled_at is null`,
    );
    const isRecorded = events.some(({ era }) => era === 0);
    const alone: ForgettableEvent[] =
      failure === undefined || isRecorded
        ? []
        : [{ row: null, source, eventId, type: failure.type, outcome: "failed" }];
    return [...alone, ...events.map(({ era: _era, ...event }) => event)];
  }

  return {
    async texts(place, after) {
      const [table, row] = tableOf(place);
      const names = TEXTS[place];
      const sizes = names.map((name) => `coalesce(octet_length(${name}), 0)`).join(" + ");
      // Rows up to some bytes, and one at least, whatever it takes.
      const rows = await ask<Readonly<Record<string, StoredText>> & { row: number; isLast: boolean }>(sql`
        select ${plain(`${row} as row, ${names.join(", ")}, before = 0 as "isFirst"`)} from (
          select *, sum(${plain(sizes)}) over (order by ${plain(row)}) - (${plain(sizes)}) as before from (
            select * from ${plain(table)} where ${plain(row)} > ${after} order by ${plain(row)} limit ${MAX_ROWS}
          ) few) sized
        where before < ${MAX_BYTES} order by ${plain(row)}`);
      const found = rows.map((one): StoredTexts => ({
        row: one.row,
        values: names.map((name) => one[name] ?? null),
      }));
      const last = found.at(-1)?.row ?? after;
      const next = await ask(sql`select from ${plain(table)} where ${plain(row)} > ${last} limit 1`);
      return { rows: found, last, isEnd: next.length === 0 };
    },
    async eventsAt(place, row) {
      if (place === "bodies") return ofBody(row);
      if (place !== "failures") return eventsWhere(sql`e.id = ${row}`);
      const found = await askOne<{ source: string; eventId: string }>(
        ask,
        sql`select source, event_id as "eventId" from hookonce.failures where id = ${row}`,
      );
      return found === undefined ? [] : (await eventsNamed(found.source, found.eventId)).slice(0, 1);
    },
    /** An id that was replaced by its hash is found by both. */
    async eventsWithId(source, eventId) {
      const found = await eventsNamed(source, eventId);
      return found.length > 0 ? found : eventsNamed(source, hashed(eventId));
    },
    jobAt: (row) =>
      askOne(ask, sql`select id, action, ended_at as "endedAt" from hookonce.jobs where seq = ${row}`),
    async sharedBody(event) {
      const found = await askOne<{ row: number; headers: string; bytes: Uint8Array }>(
        ask,
        sql`select b.id as row, b.headers, b.bytes from hookonce.results r join hookonce.bodies b on b.id = r.body
          where r.event = ${event}`,
      );
      if (found === undefined) return undefined;
      const events = await ofBody(found.row);
      return events.length < 2 ? undefined : { ...found, events };
    },
  };
}
