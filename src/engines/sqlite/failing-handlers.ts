import { sql, type SQL } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { FailingHandler, FailingReader } from "../failing.ts";
import { isOpen } from "./outcomes.ts";
import { failures } from "./schema.ts";

/** How many failures are counted at once, in about a millisecond. Deliveries are received between two slices. */
const SLICE = 1000;

/** The last failure of a slice. */
interface Last {
  readonly at: number;
  readonly id: number;
}

/** The newest failures, or those after one. */
const newest = (after: Last | undefined, what: SQL, limit: number, offset = 0): SQL =>
  sql`select ${what} from ${failures} indexed by hookonce_failures_newest
    where ${isOpen} ${after === undefined ? sql`` : sql`and (first_at, id) < (${after.at}, ${after.id})`}
    order by first_at desc, id desc limit ${limit} offset ${offset}`;

/** SQLite counts the failures, in a quarter of the time that reading each of them takes. */
export function failingReads(db: BunSQLiteDatabase, isClosed: () => boolean): FailingReader {
  function countSlice(after: Last | undefined, limit: number): FailingHandler[] {
    const grouped = (columns: SQL, what: SQL): SQL =>
      sql`(select source, handler, ${what} from (${newest(after, sql`source, handler, ${columns}`, limit)})
        group by source, handler)`;
    // Of a query with one max(), the other columns are those of its row: https://sqlite.org/lang_select.html#bareagg
    const latest = grouped(sql`last_at, summary`, sql`count(*) as count, max(last_at) as last_at, summary`);
    const first = grouped(sql`first_at`, sql`min(first_at) as first_at`);
    return db.all<FailingHandler>(
      sql`select latest.source, latest.handler, count, first_at as "firstAt", last_at as "lastAt", summary as error
        from ${latest} as latest
        join ${first} as first on first.source = latest.source and first.handler is latest.handler`,
    );
  }

  return {
    async failingHandlers(cap) {
      const found = new Map<string, FailingHandler>();
      let after: Last | undefined;
      for (let left = cap; left > 0; left -= SLICE) {
        if (isClosed()) return { handlers: [], capped: true };
        const limit = Math.min(SLICE, left);
        for (const one of countSlice(after, limit)) {
          const key = JSON.stringify([one.source, one.handler]);
          const before = found.get(key);
          found.set(key, before === undefined ? one : together(before, one));
        }
        [after] = db.all<Last>(newest(after, sql`first_at as at, id`, 1, limit - 1));
        if (after === undefined) return { handlers: sorted(found), capped: false };
        await Bun.sleep(0);
      }
      if (isClosed()) return { handlers: [], capped: true };
      const [more] = db.all(newest(after, sql`1`, 1));
      return { handlers: sorted(found), capped: more !== undefined };
    },
  };
}

function together(a: FailingHandler, b: FailingHandler): FailingHandler {
  const { lastAt, error } = b.lastAt > a.lastAt ? b : a;
  return { ...a, count: a.count + b.count, firstAt: Math.min(a.firstAt, b.firstAt), lastAt, error };
}

const sorted = (found: ReadonlyMap<string, FailingHandler>): FailingHandler[] =>
  [...found.values()].sort((a, b) => b.count - a.count || b.lastAt - a.lastAt);
