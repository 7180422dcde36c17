import type { Database } from "bun:sqlite";
import { hashed, TEXTS, type ForgetReader, type ForgettableEvent, type StoredTexts } from "../forget.ts";
import { tableOf } from "./forget.ts";

/** How long one page reads, in milliseconds, and how many rows and bytes it takes at most. */
const MAX_MS = 4;
const MAX_ROWS = 64;
const MAX_BYTES = 256 * 1024;

const EVENT = "id, source, event_id, type, outcome";

/** The events of a body: see the column `body` of `hookonce_results`. */
const OF_BODY = `
  select ${EVENT} from hookonce_events where id in (
    select event from hookonce_results where event = ?1 and body = ?1
    union all
    select event from hookonce_results indexed by hookonce_results_body where body = ?1 and body <> event)
  order by id`;

export function forgetReads(connection: Database): ForgetReader {
  /** An event has failed if it has an open failure, whatever its row says. */
  function eventOf([row, source, eventId, type, outcome]: unknown[]): ForgettableEvent {
    const key = [String(source), String(eventId)] as const;
    const failed = connection
      .query("select 1 from hookonce_failures where source = ?1 and event_id = ?2 and settled_at is null")
      .values(...key);
    const isFailed = failed.length > 0 && outcome === "unhandled";
    return {
      row: Number(row),
      source: key[0],
      eventId: key[1],
      type: String(type),
      outcome: isFailed ? "failed" : (outcome as ForgettableEvent["outcome"]),
    };
  }

  /** An id that was replaced by its hash is found by both. */
  function eventsWithId(source: string, eventId: string): ForgettableEvent[] {
    const found = eventsNamed(source, eventId);
    return found.length > 0 ? found : eventsNamed(source, hashed(eventId));
  }

  function eventsNamed(source: string, eventId: string): ForgettableEvent[] {
    const events = connection
      .query(`select ${EVENT}, era from hookonce_events where source = ?1 and event_id = ?2 order by era`)
      .values(source, eventId);
    const [failure] = connection
      .query("select type from hookonce_failures where source = ?1 and event_id = ?2 and settled_at is null")
      .values(source, eventId);
    const isRecorded = events.some((row) => row[5] === 0);
    const alone: ForgettableEvent[] =
      failure === undefined || isRecorded
        ? []
        : [{ row: null, source, eventId, type: String(failure[0]), outcome: "failed" }];
    return [...alone, ...events.map(eventOf)];
  }

  const withRow = (row: number): ForgettableEvent[] =>
    connection.query(`select ${EVENT} from hookonce_events where id = ?1`).values(row).map(eventOf);

  return {
    texts(place, after) {
      const names = TEXTS[place].join(", ");
      const statement = connection.query(
        `select rowid, ${names} from ${tableOf(place)} where rowid > ?1 order by rowid limit ?2`,
      );
      const until = performance.now() + MAX_MS;
      const rows: StoredTexts[] = [];
      let last = after;
      let bytes = 0;
      // A row may take some MiB, so the first query takes one.
      for (let take = 1; ; take = Math.min(2 * take, MAX_ROWS - rows.length)) {
        const found = statement.values(last, take);
        for (const [row, ...values] of found) {
          last = Number(row);
          rows.push({ row: last, values: values as StoredTexts["values"] });
          for (const value of rows.at(-1)?.values ?? []) bytes += value?.length ?? 0;
        }
        if (found.length < take) return { rows, last, isEnd: true };
        if (rows.length >= MAX_ROWS || bytes > MAX_BYTES || performance.now() > until)
          return { rows, last, isEnd: false };
      }
    },
    eventsAt(place, row) {
      if (place === "bodies") return connection.query(OF_BODY).values(row).map(eventOf);
      if (place !== "failures") return withRow(row);
      const [found] = connection
        .query("select source, event_id from hookonce_failures where id = ?1")
        .values(row);
      return found === undefined ? [] : eventsNamed(String(found[0]), String(found[1])).slice(0, 1);
    },
    eventsWithId,
    jobAt(row) {
      const [job] = connection
        .query("select id, action, ended_at from hookonce_jobs where rowid = ?1")
        .values(row);
      if (job === undefined) return undefined;
      return { id: String(job[0]), action: String(job[1]), endedAt: job[2] as number | null };
    },
    sharedBody(event) {
      const [found] = connection
        .query(
          `select id, headers, bytes from hookonce_bodies
           where id = (select body from hookonce_results where event = ?1)`,
        )
        .values(event);
      if (found === undefined) return undefined;
      const row = Number(found[0]);
      const events = connection.query(OF_BODY).values(row).map(eventOf);
      if (events.length < 2) return undefined;
      return { row, headers: String(found[1]), bytes: found[2] as Uint8Array, events };
    },
  };
}
