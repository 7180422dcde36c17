import type { FailingHandler, FailingReader } from "../../failing.ts";
import { sql } from "../sql.ts";
import type { Ask } from "./ask.ts";
import { SUMMARY } from "./listed-events.ts";
import { isOpen } from "./outcomes.ts";

/** In one query: nothing else waits for the server meanwhile. */
export function failingReads(ask: Ask): FailingReader {
  return {
    async failingHandlers(cap) {
      const rows = await ask<FailingHandler & { readonly isMore: boolean }>(sql`
        with newest as (
          select f.source, f.handler, f.first_at, f.last_at, left(f.error, ${SUMMARY}) as error,
            row_number() over (order by f.first_at desc, f.id desc) as number
          from hookonce.failures f where ${isOpen}
          order by f.first_at desc, f.id desc limit ${cap + 1})
        select source, handler, count(*) as count, min(first_at) as "firstAt", max(last_at) as "lastAt",
          (array_agg(error order by last_at desc, number))[1] as error,
          (select count(*) from newest) > ${cap} as "isMore"
        from newest where number <= ${cap} group by source, handler
        order by count(*) desc, max(last_at) desc`);
      return {
        handlers: rows.map(({ isMore: _isMore, ...handler }) => handler),
        capped: rows[0]?.isMore === true,
      };
    },
  };
}
