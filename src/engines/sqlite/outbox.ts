import type { Database } from "bun:sqlite";
import { HookonceError, messageOf } from "../../errors.ts";
import type { EngineOptions, EventSource, HandlerInput } from "../engine.ts";
import { hashed } from "../forget.ts";
import { createConditions } from "./bindings.ts";
import { enqueues } from "./gate.ts";
import { createHiddenIds } from "./hidden-ids.ts";
import {
  ADOPTED_AT_ONCE,
  ADOPTED_BYTES,
  headersOf,
  JSON_HEADERS,
  problemOf,
  type Enqueued,
  type Sending,
} from "../enqueued.ts";
import { idProblem, messageIdOf } from "../message-ids.ts";

/** Writes messages, inside the open transaction. */
export interface Outbox {
  /**
   * The destinations that get this event.
   *
   * @throws HookonceError `where_failed`
   */
  destinationsOf(source: EventSource, input: HandlerInput): readonly string[];
  /** Looks for rows that other processes have inserted into `hookonce_outbox`. Call it when a transaction begins. */
  begin(): void;
  /**
   * Writes a message for each destination, and makes messages of what the handler has inserted into the view.
   *
   * @throws HookonceError `unknown_destination`, `enqueue_refused`, `message_invalid`
   */
  write(
    source: EventSource,
    input: Pick<HandlerInput, "id" | "type" | "receivedAt">,
    destinations: readonly string[],
    sending: Sending,
    /** Whether a handler has run. */
    ran: boolean,
  ): void;
  /**
   * Writes a message of hookonce itself.
   *
   * @param body JSON
   * @throws HookonceError `unknown_destination`, `enqueue_refused`
   */
  writeAlert(destination: string, id: string, body: string, at: number): void;
  /** Makes messages of what other processes have inserted into the view. */
  adopt(at: number): void;
  /** A message to this destination is to be sent again. */
  sendsAgain(destination: string): void;
  /** Returns the destinations for which messages were written, or are to be sent again, since the last call. */
  takeWritten(): ReadonlySet<string>;
}

/** @param enqueueProblem why nothing can be enqueued to a destination */
export function createOutbox(
  db: Database,
  enqueueProblem: NonNullable<EngineOptions["enqueueProblem"]> = () => undefined,
): Outbox {
  const insert = db.query(
    `insert into hookonce_messages
       (message_id, destination, event, source, event_id, type, created_at, next_at, since, headers, body,
        state, last_error, settled_at)
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7, ?8, ?9,
        iif(?10 is null, 'waiting', 'dead'), ?10, iif(?10 is null, null, ?7))
     on conflict (destination, message_id) do nothing`,
  );
  const findMessage = db.query("select 1 from hookonce_messages where destination = ?1 and message_id = ?2");
  const lastEnqueued = db.query("select max(id) from hookonce_enqueued");
  // As text and bytes, whatever was inserted: SQLite itself writes a number digit for digit.
  const enqueuedAfter = db.query(
    `select id, cast(destination as text), cast(body as blob), typeof(body), cast(message_id as text),
       cast(headers as text)
     from hookonce_enqueued where id > ?1 order by id limit ?2`,
  );
  const sizesEnqueued = db.query("select octet_length(body) from hookonce_enqueued order by id limit ?");
  const dropEnqueued = db.query("delete from hookonce_enqueued where id > ?1 and id <= ?2");
  const isTrue = createConditions(db);
  const hidden = createHiddenIds(db);
  let written = new Set<string>();
  /** The last row that another process has inserted. */
  let foreign = 0;

  /** A handler may give a message an id that was replaced by its hash. Then the message is there already. */
  const idWithin = (destination: string, given: string): string => {
    const [found] = hidden.any ? findMessage.values(destination, hashed(given)) : [];
    return found === undefined ? given : hashed(given);
  };

  const rowsAfter = (row: number, limit: number): Enqueued[] =>
    enqueuedAfter.values(row, limit).map(enqueuedOf);

  return {
    destinationsOf(source, input) {
      const { forwards = [] } = source;
      const taking = forwards.filter(({ takes, where, destination }) => {
        if (!takes(input.type)) return false;
        if (where === undefined) return true;
        try {
          return isTrue(where, input);
        } catch (cause) {
          throw new HookonceError(
            "where_failed",
            `The where for the destination "${destination}" failed: ${messageOf(cause)}. Correct it in forward of the source "${source.name}".`,
            { cause },
          );
        }
      });
      return [...new Set(taking.map(({ destination }) => destination))];
    },

    begin() {
      foreign = (lastEnqueued.values()[0]?.[0] ?? 0) as number;
    },

    write(source, input, destinations, { event, at, run }, ran) {
      const { name, dedupWindowMs } = source;
      const about = [event, name, input.id, input.type, at] as const;
      // Once its window is over, the same id is another event.
      const extra = [run, dedupWindowMs === undefined ? undefined : input.receivedAt];
      const idOf = (destination: string, number: number): string =>
        messageIdOf([name, input.id, destination, number, ...extra.filter((one) => one !== undefined)]);
      for (const destination of destinations) {
        insert.run(idOf(destination, 0), destination, ...about, null, null, null);
        written.add(destination);
      }
      const rows = ran && enqueues(db) ? rowsAfter(foreign, -1) : [];
      const last = rows.at(-1);
      if (last === undefined) return;
      const counts = new Map<string, number>();
      for (const row of rows) {
        const { destination, messageId, body } = row;
        const problem = enqueueProblem(destination) ?? problemOf(row);
        if (problem !== undefined) throw problem;
        const number = (counts.get(destination) ?? 0) + 1;
        counts.set(destination, number);
        const id = messageId === null ? idOf(destination, number) : idWithin(destination, messageId);
        insert.run(id, destination, ...about, headersOf(row), body, null);
        written.add(destination);
      }
      dropEnqueued.run(foreign, last.id);
    },

    writeAlert(destination, id, body, at) {
      const problem = enqueueProblem(destination);
      if (problem !== undefined) throw problem;
      const bytes = Buffer.from(body);
      insert.run(id, destination, null, "", "", "", at, JSON_HEADERS, bytes, null);
      written.add(destination);
    },

    adopt(at) {
      let bytes = 0;
      const sizes = sizesEnqueued.values(ADOPTED_AT_ONCE) as [number][];
      const fitting = sizes.findIndex(([size]) => (bytes += size) > ADOPTED_BYTES);
      // One at least.
      const rows = rowsAfter(0, fitting === -1 ? sizes.length : Math.max(fitting, 1));
      const last = rows.at(-1);
      if (last === undefined) return;
      for (const row of rows) {
        const { destination, messageId, body } = row;
        const refused = enqueueProblem(destination);
        // A destination may be added to the config later. Nobody would hear of another problem, so the message is
        // kept as a dead one.
        const problem =
          refused?.code === "unknown_destination" ? problemOf(row) : (refused ?? problemOf(row));
        const id =
          messageId === null || idProblem(messageId) !== undefined
            ? newId()
            : idWithin(destination, messageId);
        insert.run(id, destination, null, "", "", "", at, headersOf(row), body, problem?.message ?? null);
        written.add(destination);
      }
      dropEnqueued.run(0, last.id);
    },

    sendsAgain: (destination) => void written.add(destination),

    takeWritten() {
      const taken = written;
      if (taken.size > 0) written = new Set();
      return taken;
    },
  };
}

const newId = (): string => messageIdOf([crypto.randomUUID()]);

function enqueuedOf(row: unknown[]): Enqueued {
  const [id, destination, body, type, messageId, headers] = row as [
    number,
    string,
    Uint8Array,
    string,
    string | null,
    string | null,
  ];
  return { id, destination, body, isBytes: type === "blob", messageId, headers };
}
