import type { FailureGroup, Reader } from "../../reader.ts";
import { sql } from "../sql.ts";
import type { Ask } from "./ask.ts";
import { failureColumns } from "./listed-events.ts";
import { isOpen } from "./outcomes.ts";

/** How many types a group names. */
const MAX_TYPES = 100;

/** Groups the newest failures. */
export function groupReads(ask: Ask): Pick<Reader, "failureGroups"> {
  return {
    async failureGroups({ source }, cap) {
      const ofSource = source === undefined ? sql`true` : sql`f.source = ${source}`;
      const rows = await ask<FailureGroup & { total: number }>(sql`
        with newest as (
          select ${failureColumns}, f.id, row_number() over (order by f.first_at desc, f.id desc) as number
          from hookonce.failures f where ${isOpen} and ${ofSource}
          order by f.first_at desc, f.id desc limit ${cap + 1})
        select source, handler, code, error, count(*) as count, min("firstAt") as "firstAt", max("lastAt") as "lastAt",
          (array_agg("eventId" order by "lastAt" desc, number))[1] as "latestEventId",
          (array_agg(distinct type))[:${MAX_TYPES}] as types,
          (select count(*) from newest) as total
        from newest where number <= ${cap}
        group by source, handler, code, error
        order by count(*) desc, max("lastAt") desc, min(number)`);
      return {
        groups: rows.map(({ total: _total, ...group }) => group),
        capped: (rows[0]?.total ?? 0) > cap,
      };
    },
  };
}
