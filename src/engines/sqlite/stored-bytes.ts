import type { Database } from "bun:sqlite";
import { readMeta, writeMeta } from "./meta.ts";

/** Up to which row the bodies are counted in `hookonce_stored_bytes`. */
const COUNTED = "counted_bodies";

/** What a body takes. Only sizes are read, not the body. */
export const SIZE = "octet_length(bytes) + octet_length(headers)";

/** How many bytes of payloads each source has stored. Every call belongs to the caller's open transaction. */
export interface StoredBytes {
  /** The last row of the table of bodies that has been counted. */
  counted(): number;
  countUpTo(row: number): void;
  add(sums: ReadonlyMap<string, number>): void;
  /** A body takes more or fewer bytes now. One that is yet to be counted is left out. */
  change(row: number, source: string, bytes: number): void;
}

export function createStoredBytes(db: Database): StoredBytes {
  const add = db.query(
    `insert into hookonce_stored_bytes (source, bytes) values (?1, ?2)
     on conflict (source) do update set bytes = bytes + excluded.bytes`,
  );
  const counted = (): number => Number(readMeta(db, COUNTED) ?? 0);
  return {
    counted,
    countUpTo: (row) => writeMeta(db, COUNTED, String(row)),
    add(sums) {
      for (const [source, bytes] of sums) add.run(source, bytes);
    },
    change(row, source, bytes) {
      if (bytes !== 0 && row <= counted()) add.run(source, bytes);
    },
  };
}
