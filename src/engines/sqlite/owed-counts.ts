import { sql, type SQL } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { OwedCount, Reader } from "../reader.ts";
import { hasFailed, isHeld, isOpen, isUnhandled } from "./outcomes.ts";
import { events, failures } from "./schema.ts";
import { createTurn } from "./turns.ts";

/** How many types of each outcome are counted. */
const MAX_TYPES = 1000;

/** How many unhandled events are checked at once for later failures. */
const SLICE = 500;

/** How many held events are counted at once, in 0.5 ms. */
const HELD_SLICE = 5000;

/** How many of them are checked in all, as a multiple of the cap. */
const MAX_ASKED = 10;

interface OfType {
  readonly source: string;
  readonly type: string;
}

/** Where the owed events of one kind are, by source, type and id. */
interface Owed {
  readonly from: SQL;
  readonly where: SQL | undefined;
}

const UNHANDLED: Owed = {
  from: sql`${events} indexed by hookonce_events_owed_types`,
  where: isUnhandled,
};
const HELD = sql`${events} indexed by hookonce_events_held`;
const FAILED: Owed = { from: sql`${failures} indexed by hookonce_failures_owed_types`, where: isOpen };

/** Counts what is owed type by type, so that a type with many events hides no other. */
export function owedCounts(db: BunSQLiteDatabase, isClosed: () => boolean): Pick<Reader, "owedByType"> {
  /** The first type of the index, or the next one. */
  function typeAfter({ from, where }: Owed, after: OfType | undefined): OfType | undefined {
    const first = (condition: SQL): OfType | undefined =>
      db.all<OfType>(
        sql`select source, type from ${from} where ${where} ${condition} order by source, type limit 1`,
      )[0];
    if (after === undefined) return first(sql``);
    // With (source, type) > (?, ?), SQLite reads all events of the type: 130 ms for 1,000,000.
    const { source, type } = after;
    return first(sql`and source = ${source} and type > ${type}`) ?? first(sql`and source > ${source}`);
  }

  function countOf({ from, where }: Owed, one: OfType, cap: number): number {
    const ofType = sql`source = ${one.source} and type = ${one.type}`;
    const rows = sql`select 1 from ${from} where ${where} and ${ofType} limit ${cap + 1}`;
    return db.all<{ count: number }>(sql`select count(*) as count from (${rows})`)[0]?.count ?? 0;
  }

  /** Some events of a type that were unhandled, after an id, and whether they have failed since. */
  function sliceOf(one: OfType, after: string) {
    const { from, where } = UNHANDLED;
    const rows = sql`select ${events.eventId} as id, ${hasFailed} as failed from ${from}
      where ${where} and ${events.source} = ${one.source} and ${events.type} = ${one.type}
        and ${events.eventId} > ${after} order by ${events.eventId} limit ${SLICE}`;
    return db.all<{ failed: 0 | 1; id: string }>(rows);
  }

  /** The first source that has held events, or the next one. */
  function heldSourceAfter(after: string): string | undefined {
    const next = sql`select source from ${HELD} where ${isHeld} and source > ${after} order by source limit 1`;
    return db.all<{ source: string }>(next)[0]?.source;
  }

  /** The rows of some held events of a source, after a row, and their types. */
  function heldSlice(source: string, after: number): readonly [id: number, type: string][] {
    return db.values<[number, string]>(
      sql`select id, type from ${HELD} where ${isHeld} and source = ${source} and id > ${after}
        order by id limit ${HELD_SLICE}`,
    );
  }

  return {
    async owedByType(cap) {
      const turn = createTurn();
      const counts: OwedCount[] = [];
      const add = (one: OfType, outcome: OwedCount["outcome"], count: number, isCut = false): void => {
        const capped = isCut || count > cap;
        if (count > 0) counts.push({ ...one, outcome, count: Math.min(count, cap), capped });
      };

      async function addUnhandled(one: OfType): Promise<void> {
        // Most often none has failed since, and the index says it all.
        if (countOf(FAILED, one, 0) === 0) return add(one, "unhandled", countOf(UNHANDLED, one, cap));
        let count = 0;
        let last = "";
        for (let looked = 0; looked < MAX_ASKED * cap && count <= cap;) {
          const slice = sliceOf(one, last);
          count += slice.filter(({ failed }) => failed === 0).length;
          if (slice.length < SLICE) return add(one, "unhandled", count);
          looked += slice.length;
          last = slice.at(-1)?.id ?? last;
          await turn();
          if (isClosed()) return;
        }
        return add(one, "unhandled", count, true);
      }

      async function addHeld(source: string): Promise<void> {
        const types = new Map<string, number>();
        let isCut = false;
        let last = 0;
        for (let looked = 0; looked < MAX_ASKED * cap;) {
          const rows = heldSlice(source, last);
          for (const [, type] of rows) types.set(type, (types.get(type) ?? 0) + 1);
          looked += HELD_SLICE;
          last = rows.at(-1)?.[0] ?? last;
          isCut = rows.length === HELD_SLICE;
          if (!isCut) break;
          await turn();
          if (isClosed()) return;
        }
        for (const [type, count] of [...types].slice(0, MAX_TYPES))
          add({ source, type }, "held", count, isCut);
      }

      for (const owed of [UNHANDLED, FAILED]) {
        if (isClosed()) return counts;
        let one = typeAfter(owed, undefined);
        for (let types = 0; one !== undefined && types < MAX_TYPES; types++) {
          if (owed === FAILED) add(one, "failed", countOf(FAILED, one, cap));
          else await addUnhandled(one);
          await turn();
          if (isClosed()) return counts;
          one = typeAfter(owed, one);
        }
      }
      for (let source = heldSourceAfter(""); source !== undefined; source = heldSourceAfter(source)) {
        await addHeld(source);
        if (isClosed()) return counts;
      }
      return counts;
    },
  };
}
