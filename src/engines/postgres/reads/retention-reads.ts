import type { DiscardedByRetention, RetentionReader } from "../../retention.ts";
import { DISCARDED } from "../retention.ts";
import { sql } from "../sql.ts";
import { askOne, type Ask } from "./ask.ts";

/** What retention and the pages about it ask. */
export function retentionReads(ask: Ask): RetentionReader {
  return {
    // Not the size of the tables: what is removed is used again, and they seldom become smaller. By their size, every
    // payload would be removed.
    async space() {
      const found = await askOne<{ usedBytes: number }>(
        ask,
        sql`select coalesce(sum(bytes), 0)::bigint as "usedBytes" from hookonce.stored_bytes`,
      );
      return { usedBytes: found?.usedBytes ?? 0, isCounted: true, freeBytes: 0, canShrink: false };
    },
    async discardedByRetention() {
      const kept = await askOne<{ value: string }>(
        ask,
        sql`select value from hookonce.meta where key = ${DISCARDED}`,
      );
      return kept === undefined
        ? { count: 0, lastAt: null }
        : (JSON.parse(kept.value) as DiscardedByRetention);
    },
    storedBytes: () => ask(sql`select source, bytes from hookonce.stored_bytes order by bytes desc, source`),
    async hasPayload(source, eventId) {
      const found = await askOne<{ has: boolean }>(
        ask,
        sql`select exists (
            select from hookonce.events e join hookonce.results r on r.event = e.id
            join hookonce.bodies b on b.id = r.body
            where e.source = ${source} and e.event_id = ${eventId} and e.era = 0)
          or exists (
            select from hookonce.failures
            where source = ${source} and event_id = ${eventId} and settled_at is null) as has`,
      );
      return found?.has === true;
    },
  };
}
