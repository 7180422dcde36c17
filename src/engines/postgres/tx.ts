import { storable } from "./sql.ts";
import type { Value, Wire } from "./wire.ts";

/** What a transaction has read when it began, so that each event does without looking it up. */
export interface Facts {
  /** Whether there is an open failure. */
  failures: boolean;
  /** Whether there is an event during whose run the process ended. */
  interrupted: boolean;
  /** Whether ids, types or keys were replaced by their hashes, because they contained a text that was forgotten. */
  hidden: boolean;
}

/** The transaction of a connection, as hookonce's own statements use it. Every call belongs to an open one. */
export interface Tx {
  readonly wire: Wire;
  readonly facts: Facts;
  query(text: string): Query;
  /** Waits for what was sent by `run`. @throws the first error of it */
  settled(): Promise<void>;
}

/** A statement of hookonce itself. */
export interface Query {
  /** The rows, as arrays in the order of the columns. */
  values(...values: readonly Value[]): Promise<unknown[][]>;
  row(...values: readonly Value[]): Promise<unknown[] | undefined>;
  /** @returns how many rows were changed */
  changes(...values: readonly Value[]): Promise<number>;
  /** Sends a write and does not wait for it. An error of it is thrown by {@link Tx.settled}. */
  run(...values: readonly Value[]): void;
}

export function openTx(wire: Wire): Tx {
  let pending: Promise<unknown>[] = [];
  return {
    wire,
    facts: { failures: true, interrupted: true, hidden: true },
    query(text) {
      const send = (values: readonly Value[]) => wire.send(text, values.map(storable));
      const all = async (...values: readonly Value[]): Promise<unknown[][]> =>
        (await send(values)).rows.map((row) => row.map(asNumber));
      return {
        values: all,
        row: async (...values) => (await all(...values))[0],
        changes: async (...values) => (await send(values)).count,
        run(...values) {
          const sent = send(values);
          // `settled` reports it.
          sent.catch(() => {});
          pending.push(sent);
        },
      };
    },
    async settled() {
      const sent = pending;
      pending = [];
      // Those behind the first error fail because of it.
      await Promise.all(sent);
    },
  };
}

/** The integers of hookonce's own tables are far below 2^53. */
const asNumber = (value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value);
