import type { Database } from "bun:sqlite";
import type { DiscardedByRetention, RetentionReader } from "../retention.ts";
import { readMeta } from "./meta.ts";
import { readPragma } from "./open.ts";
import { DISCARDED } from "./retention.ts";

/** auto_vacuum = incremental */
const INCREMENTAL = 2;

/** What retention and the pages about it ask. */
export function retentionReads(connection: Database): RetentionReader {
  const number = (pragma: string): number => Number(readPragma(connection, pragma));
  return {
    space() {
      const pageSize = number("page_size");
      const free = number("freelist_count");
      return {
        usedBytes: (number("page_count") - free) * pageSize,
        freeBytes: free * pageSize,
        // In an application's own database, it decides.
        isCounted: false,
        canShrink: number("auto_vacuum") === INCREMENTAL && readMeta(connection, "created_by") === "hookonce",
      };
    },
    discardedByRetention() {
      const kept = readMeta(connection, DISCARDED);
      return kept === undefined ? { count: 0, lastAt: null } : (JSON.parse(kept) as DiscardedByRetention);
    },
    storedBytes: () =>
      connection
        .query("select source, bytes from hookonce_stored_bytes order by bytes desc, source")
        .values()
        .map(([source, bytes]) => ({ source: String(source), bytes: Number(bytes) })),
    hasPayload: (source, eventId) =>
      connection
        .query(
          `select exists (select 1 from hookonce_bodies where id = (select body from hookonce_results where event =
             (select id from hookonce_events where source = ?1 and event_id = ?2 and era = 0)))
           or exists (select 1 from hookonce_failures
             where source = ?1 and event_id = ?2 and settled_at is null)`,
        )
        .values(source, eventId)[0]?.[0] === 1,
  };
}
