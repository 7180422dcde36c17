import type { Followed, Reader } from "../../reader.ts";
import { all, sql } from "../sql.ts";
import { askOne, type Ask } from "./ask.ts";
import { eventContains, failureContains, matchingEvent, matchingFailure } from "./filters.ts";
import { ofEvent, ofFailure, withoutKey, type ListedRow } from "./listed-events.ts";
import { isOnlyFailed, outcomeNow } from "./outcomes.ts";

/** How many rows of a kind one look reads, and how many of them if it has to read their bodies. */
const MAX_LOOKED_AT = 10_000;
const MAX_SEARCHED = 256;

/** How far the tables have come. */
export const FOLLOWED = sql`
  select coalesce((select max(id) from hookonce.events), 0) as event,
    coalesce((select max(id) from hookonce.failures), 0) as failure,
    coalesce((select max(change) from hookonce.events where change is not null), 0) as change`;

/**
 * What has happened since the last look. A transaction holds the baton while it writes, so row ids and the numbers of
 * changes grow with each commit. A look misses nothing, even if the clock changes or a handler runs for long.
 */
export function changeReads(ask: Ask): Pick<Reader, "followed" | "changes"> {
  const followed = async (): Promise<Followed> =>
    (await askOne<Followed>(ask, FOLLOWED)) ?? { event: 0, failure: 0, change: 0 };

  return {
    followed,
    async changes(filter, after, limit) {
      const { outcome, search } = filter;
      const now = await followed();
      const looked = search === undefined ? MAX_LOOKED_AT : MAX_SEARCHED;
      const firstEvent = Math.max(after.event, now.event - looked);
      const firstFailure = Math.max(after.failure, now.failure - looked);
      const recorded = all(matchingEvent(filter), eventContains(search));
      const arrived = await ask<ListedRow>(sql`
        select ${ofEvent} from hookonce.events e
        where e.id > ${firstEvent} and e.id <= ${now.event}
          -- Those that had failed before are among the changes.
          and e.change is null and ${recorded}
          -- A failed event is in the table of failures, or was unhandled before and is among the changes.
          and ${outcome === "failed" ? sql`false` : sql`true`}
          and ${outcome === undefined ? sql`true` : sql`${outcomeNow} = ${outcome}`}
        order by e.id desc limit ${limit + 1}`);
      const failed = await ask<ListedRow>(sql`
        select ${ofFailure} from hookonce.failures f
        where f.id > ${firstFailure} and f.id <= ${now.failure} and ${isOnlyFailed}
          and ${all(matchingFailure(filter), failureContains(search))}
          and ${outcome === undefined || outcome === "failed" ? sql`true` : sql`false`}
        order by f.id desc limit ${limit + 1}`);
      const others = await ask<ListedRow>(sql`
        select ${ofEvent} from hookonce.events e
        where e.change > ${after.change} and e.change <= ${now.change} and ${recorded}
        order by e.change desc limit ${limit + 1}`);
      const isCut =
        [arrived, failed, others].some((rows) => rows.length > limit) ||
        firstEvent > after.event ||
        firstFailure > after.failure;
      const news = [...arrived.slice(0, limit), ...failed.slice(0, limit)];
      news.sort((a, b) => a.receivedAt - b.receivedAt || a.id - b.id);
      return {
        items: [...news, ...others.slice(0, limit).toReversed()].map(withoutKey),
        isCut,
        followed: now,
      };
    },
  };
}
