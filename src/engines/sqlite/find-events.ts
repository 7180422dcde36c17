import { and, eq, inArray, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { hashed } from "../forget.ts";
import type { FoundEvent, Reader } from "../reader.ts";
import { isOnlyFailed, outcomeNow } from "./outcomes.ts";
import { events, failures } from "./schema.ts";

export function findReads(db: BunSQLiteDatabase): Pick<Reader, "find"> {
  function named(eventId: string, sources: readonly string[]): FoundEvent[] {
    const recorded = db
      .select({ source: events.source, type: events.type, outcome: outcomeNow })
      .from(events)
      .where(and(inArray(events.source, [...sources]), eq(events.eventId, eventId), eq(events.era, 0)));
    const failed = db
      .select({ source: failures.source, type: failures.type, outcome: sql<"failed">`'failed'` })
      .from(failures)
      .where(and(inArray(failures.source, [...sources]), eq(failures.eventId, eventId), isOnlyFailed));
    return [...recorded.all(), ...failed.all()];
  }

  return {
    find(eventId, sources) {
      const found = named(eventId, sources);
      // An id that contained a forgotten text was replaced by its hash.
      return found.length > 0 ? found : named(hashed(eventId), sources);
    },
  };
}
