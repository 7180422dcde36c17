import type { Tx } from "./tx.ts";
import { readMeta, writeMeta } from "./meta.ts";

/** Up to which row the bodies are counted in `hookonce.stored_bytes`. */
const COUNTED = "counted_bodies";

/** What a body takes. Only sizes are read, not the body. */
export const SIZE = "octet_length(bytes) + octet_length(headers)";

/** How many bytes of payloads each source has stored. Every call belongs to the caller's open transaction. */
export interface StoredBytes {
  /** The last row of the table of bodies that has been counted. */
  counted(): Promise<number>;
  countUpTo(row: number): void;
  add(sums: ReadonlyMap<string, number>): void;
  /** A body takes more or fewer bytes now. One that is yet to be counted is left out. */
  change(row: number, source: string, bytes: number): Promise<void>;
}

export function createStoredBytes(tx: Tx): StoredBytes {
  const add = tx.query(
    `insert into hookonce.stored_bytes (source, bytes) values ($1, $2)
     on conflict (source) do update set bytes = stored_bytes.bytes + excluded.bytes`,
  );
  const counted = async (): Promise<number> => Number((await readMeta(tx, COUNTED)) ?? 0);
  return {
    counted,
    countUpTo: (row) => writeMeta(tx, COUNTED, String(row)),
    add(sums) {
      for (const [source, bytes] of sums) add.run(source, bytes);
    },
    async change(row, source, bytes) {
      if (bytes !== 0 && row <= (await counted())) add.run(source, bytes);
    },
  };
}
