import { and, desc, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { groupFailures, SLICE } from "../grouped-failures.ts";
import type { Reader } from "../reader.ts";
import { of } from "./filters.ts";
import { failureColumns } from "./lists.ts";
import { failuresIn, startOf, type Stretch } from "./newest-pages.ts";
import { isOpen } from "./outcomes.ts";
import { failures } from "./schema.ts";

/** Groups the newest failures. A slice takes 1 to 2 ms, and deliveries are received between two of them. */
export function groupReads(db: BunSQLiteDatabase, isClosed: () => boolean): Pick<Reader, "failureGroups"> {
  function slice(stretch: Stretch) {
    return db
      .select({ at: of(failures.firstAt).as("at"), id: of(failures.id).as("id"), ...failureColumns })
      .from(sql`${failures} indexed by hookonce_failures_newest`)
      .where(and(isOpen, ...failuresIn({}, stretch)))
      .orderBy(desc(failures.firstAt), desc(failures.id))
      .limit(SLICE)
      .all();
  }

  return {
    async failureGroups({ source }, cap) {
      const groups = groupFailures();
      for (let after = startOf({}); ;) {
        if (isClosed()) return { groups: [], capped: true };
        const rows = slice({ at: "pairs", after, end: undefined });
        for (const row of rows) {
          if (source !== undefined && row.source !== source) continue;
          if (groups.count === cap) return { groups: groups.sorted(), capped: true };
          groups.add(row);
        }
        const last = rows.at(-1);
        if (last === undefined || rows.length < SLICE) return { groups: groups.sorted(), capped: false };
        after = { at: last.at, failure: 1, id: last.id };
        await Bun.sleep(0);
      }
    },
  };
}
