import type { Database } from "bun:sqlite";
import { tableExists } from "./migrations.ts";

/** Of each handler's latest events: enough for a p99. */
const SAMPLE = 1000;

/** How far back they are looked for, in events of all sources: read in less than a second however many there are. */
const LATEST = 500_000;

export interface HandlerDuration {
  readonly source: string;
  readonly handler: string;
  /** What the slowest hundredth took at least, in microseconds. */
  readonly slowestUs: number;
}

/** Each handler by itself: one that is slow and seldom run is not to hide behind another of its source, nor behind a busier source. */
export function handlerDurations(connection: Database): HandlerDuration[] {
  if (!tableExists(connection, "hookonce_events")) return [];
  const rows = connection
    .query(
      `select source, handler, duration_us from (
         select source, handler, duration_us, row_number() over (partition by source, handler order by id desc) as latest
         from (select id, source, handler, duration_us from hookonce_events where handler is not null order by id desc limit ${LATEST})
       ) where latest <= ${SAMPLE} order by source, handler, duration_us desc`,
    )
    .values() as [string, string, number][];
  const byHandler = Map.groupBy(rows, ([source, handler]) => `${source}\n${handler}`);
  return [...byHandler.values()].map((sample) => {
    const [source, handler, slowestUs] = sample[Math.trunc(sample.length / 100)] as [string, string, number];
    return { source, handler, slowestUs };
  });
}
