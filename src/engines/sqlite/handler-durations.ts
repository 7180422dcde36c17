import type { Database } from "bun:sqlite";
import type { HandlerDuration } from "../store.ts";
import { tableExists } from "./open.ts";

/** How many of a handler's latest events are measured. This is enough for a 99th percentile. */
const SAMPLE = 1000;

/**
 * How many of the latest events of all sources are searched for them. Reading this many takes less than a
 * second.
 */
const LATEST = 500_000;

/** Measures each handler separately, so that a slow handler that seldom runs is not hidden by busier ones. */
export function handlerDurations(connection: Database): HandlerDuration[] {
  if (!tableExists(connection, "hookonce_results")) return [];
  const rows = connection
    .query(
      `select source, handler, duration_us from (
         select source, handler, duration_us, row_number() over (partition by source, handler order by id desc) as latest
         from (select id, source, handler from hookonce_events where handler is not null order by id desc limit ${LATEST})
         join hookonce_results on event = id
       ) where latest <= ${SAMPLE} order by source, handler, duration_us desc`,
    )
    .values() as [string, string, number][];
  const byHandler = Map.groupBy(rows, ([source, handler]) => `${source}\n${handler}`);
  return [...byHandler.values()].map((sample) => {
    const [source, handler, slowestUs] = sample[Math.trunc(sample.length / 100)] as [string, string, number];
    return { source, handler, slowestUs };
  });
}
