import type { OwedCount, Reader } from "../../reader.ts";
import { sql, type Sql } from "../sql.ts";
import type { Ask } from "./ask.ts";
import { hasFailed, isOpen } from "./outcomes.ts";

/** How many types of each outcome are counted. */
const MAX_TYPES = 1000;

/** How many events of a type are looked at, as a multiple of the cap: some may count elsewhere. */
const MAX_LOOKED_AT = 10;

/** Counts what is owed type by type, so that a type with many events hides no other. */
export function owedCounts(ask: Ask): Pick<Reader, "owedByType"> {
  return {
    async owedByType(cap) {
      const most = cap + 1;
      const unhandled = sql`
        select count(*) filter (where not failed) as count, count(*) as looked from (
          select ${hasFailed} as failed from hookonce.events e
          where e.outcome = 'unhandled' and e.source = types.source and e.type = types.type
          limit ${MAX_LOOKED_AT * most}) few`;
      const failed = sql`
        select count(*) as count, 0 as looked from (
          select from hookonce.failures f
          where ${isOpen} and f.source = types.source and f.type = types.type limit ${most}) few`;
      const rows = await ask<{
        source: string;
        type: string;
        outcome: OwedCount["outcome"];
        count: number;
        looked: number;
      }>(sql`
        ${counts("unhandled", unhandled, typesIn(sql`hookonce.events`, sql`outcome = 'unhandled'`))}
        union all
        ${counts("failed", failed, typesIn(sql`hookonce.failures`, sql`settled_at is null`))}`);
      const found = rows.map(({ source, type, outcome, count, looked }): OwedCount => ({
        source,
        type,
        outcome,
        count: Math.min(count, cap),
        capped: count > cap || looked === MAX_LOOKED_AT * most,
      }));
      return [...found, ...(await heldCounts(cap))];
    },
  };

  async function heldCounts(cap: number): Promise<OwedCount[]> {
    const most = MAX_LOOKED_AT * (cap + 1);
    const rows = await ask<{ source: string; type: string; count: number; looked: number }>(sql`
      with recursive sources (source) as (
        select min(source) from hookonce.events where outcome = 'held'
        union all
        select (select min(e.source) from hookonce.events e where e.outcome = 'held' and e.source > sources.source)
        from sources where source is not null)
      select sources.source, held.type, held.count, sum(held.count) over (partition by sources.source)::int8 as looked
      from sources
      cross join lateral (
        select type, count(*) as count from (
          select e.type from hookonce.events e
          where e.outcome = 'held' and e.source = sources.source order by e.id limit ${most}) few
        group by type order by type limit ${MAX_TYPES}) held
      where sources.source is not null order by 1, 2`);
    return rows.map(({ source, type, count, looked }) => ({
      source,
      type,
      outcome: "held",
      count: Math.min(count, cap),
      capped: count > cap || looked >= most,
    }));
  }
}

/** Counts the rows of each of these types. */
const counts = (outcome: OwedCount["outcome"], rows: Sql, types: Sql): Sql => sql`
  select types.source, types.type, ${outcome}::text as outcome, counted.count, counted.looked
  from (${types}) types
  cross join lateral (${rows}) counted where counted.count > 0`;

/** The types in an index, found by one look-up each. */
const typesIn = (table: Sql, isOwed: Sql): Sql => sql`
  with recursive types (source, type) as (
    (select source, type from ${table} where ${isOwed} order by source, type limit 1)
    union all
    select next.source, next.type from types
    cross join lateral (
      select source, type from ${table}
      where ${isOwed} and (source, type) > (types.source, types.type) order by source, type limit 1) next
  )
  select source, type from types limit ${MAX_TYPES}`;
