import { HookonceError, messageOf } from "../../errors.ts";
import type { EngineOptions, EventSource, HandlerInput } from "../engine.ts";
import {
  ADOPTED_AT_ONCE,
  ADOPTED_BYTES,
  headersOf,
  JSON_HEADERS,
  problemOf,
  type Enqueued,
  type Sending,
} from "../enqueued.ts";
import { hashed } from "../forget.ts";
import { idProblem, messageIdOf } from "../message-ids.ts";
import { createConditions } from "./conditions.ts";
import type { Tx } from "./tx.ts";

/** Writes messages, inside the open transaction. */
export interface Outbox {
  /**
   * The destinations that get this event.
   *
   * @throws HookonceError `where_failed`
   */
  destinationsOf(source: EventSource, input: HandlerInput): Promise<readonly string[]>;
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
  ): Promise<void>;
  /**
   * Writes a message of hookonce itself.
   *
   * @param body JSON
   * @throws HookonceError `unknown_destination`, `enqueue_refused`
   */
  writeAlert(destination: string, id: string, body: string, at: number): void;
  /** Makes messages of what other processes have inserted into the view. */
  adopt(at: number): Promise<void>;
  /** A message to this destination is to be sent again. */
  sendsAgain(destination: string): void;
  /** Returns the destinations for which messages were written, or are to be sent again, since the last call. */
  takeWritten(): ReadonlySet<string>;
}

const ROW = "id, destination, body, is_bytes, message_id, headers";

/** What a handler of the open transaction has inserted into the view. */
export const ENQUEUED_HERE = "written_in = pg_current_xact_id()";

/** @param enqueueProblem why nothing can be enqueued to a destination */
export function createOutbox(
  tx: Tx,
  enqueueProblem: NonNullable<EngineOptions["enqueueProblem"]> = () => undefined,
): Outbox {
  const insert = tx.query(
    `insert into hookonce.messages
       (message_id, destination, event, source, event_id, type, created_at, next_at, since, headers, body,
        state, last_error, settled_at)
     values ($1, $2, $3, $4, $5, $6, $7, $7, $7, $8, $9,
        case when $10::text is null then 'waiting' else 'dead' end, $10,
        case when $10::text is null then null else $7 end)
     on conflict (destination, message_id) do nothing`,
  );
  const findMessage = tx.query("select 1 from hookonce.messages where destination = $1 and message_id = $2");
  const enqueuedHere = tx.query(`select ${ROW} from hookonce.enqueued where ${ENQUEUED_HERE} order by id`);
  const dropEnqueuedHere = tx.query(`delete from hookonce.enqueued where ${ENQUEUED_HERE}`);
  const sizesEnqueued = tx.query("select octet_length(body) from hookonce.enqueued order by id limit $1");
  const firstEnqueued = tx.query(`select ${ROW} from hookonce.enqueued order by id limit $1`);
  const dropEnqueued = tx.query("delete from hookonce.enqueued where id = any ($1::bigint[])");
  const isTrue = createConditions(tx);
  let written = new Set<string>();

  /** A handler may give a message an id that was replaced by its hash. Then the message is there already. */
  async function idWithin(destination: string, given: string): Promise<string> {
    if (!tx.facts.hidden) return given;
    const found = await findMessage.row(destination, hashed(given));
    return found === undefined ? given : hashed(given);
  }

  async function takes(
    source: EventSource,
    { where, destination }: NonNullable<EventSource["forwards"]>[number],
    input: HandlerInput,
  ): Promise<boolean> {
    if (where === undefined) return true;
    try {
      return await isTrue(where, input);
    } catch (cause) {
      throw new HookonceError(
        "where_failed",
        `The where for the destination "${destination}" failed: ${messageOf(cause)}. Correct it in forward of the source "${source.name}".`,
        { cause },
      );
    }
  }

  return {
    async destinationsOf(source, input) {
      const taking = new Set<string>();
      for (const forward of source.forwards ?? [])
        if (forward.takes(input.type) && (await takes(source, forward, input)))
          taking.add(forward.destination);
      return [...taking];
    },

    async write(source, input, destinations, { event, at, run }, ran) {
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
      const rows = ran ? (await enqueuedHere.values()).map(enqueuedOf) : [];
      if (rows.length === 0) return;
      const counts = new Map<string, number>();
      for (const row of rows) {
        const { destination, messageId, body } = row;
        const problem = enqueueProblem(destination) ?? problemOf(row);
        if (problem !== undefined) throw problem;
        const number = (counts.get(destination) ?? 0) + 1;
        counts.set(destination, number);
        const id = messageId === null ? idOf(destination, number) : await idWithin(destination, messageId);
        insert.run(id, destination, ...about, headersOf(row), body, null);
        written.add(destination);
      }
      dropEnqueuedHere.run();
    },

    writeAlert(destination, id, body, at) {
      const problem = enqueueProblem(destination);
      if (problem !== undefined) throw problem;
      insert.run(id, destination, null, "", "", "", at, JSON_HEADERS, Buffer.from(body), null);
      written.add(destination);
    },

    async adopt(at) {
      let bytes = 0;
      const sizes = (await sizesEnqueued.values(ADOPTED_AT_ONCE)) as [number][];
      const fitting = sizes.findIndex(([size]) => (bytes += size) > ADOPTED_BYTES);
      // One at least.
      const count = fitting === -1 ? sizes.length : Math.max(fitting, 1);
      if (count === 0) return;
      const rows = (await firstEnqueued.values(count)).map(enqueuedOf);
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
            : await idWithin(destination, messageId);
        insert.run(id, destination, null, "", "", "", at, headersOf(row), body, problem?.message ?? null);
        written.add(destination);
      }
      // Another process may insert a row with a lower id meanwhile.
      dropEnqueued.run(`{${rows.map(({ id }) => id).join(",")}}`);
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

function enqueuedOf(row: readonly unknown[]): Enqueued {
  const [id, destination, body, isBytes, messageId, headers] = row as [
    number,
    string,
    Uint8Array,
    boolean,
    string | null,
    string | null,
  ];
  return { id, destination, body, isBytes, messageId, headers };
}
