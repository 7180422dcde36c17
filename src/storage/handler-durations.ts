import type { Database } from "bun:sqlite";
import { tableExists } from "./migrations.ts";

/** Of each source's latest events: enough for a p99, and soon read however many there are. */
const SAMPLE = 10_000;

/** How long the slowest hundredth of each source's handlers took at least, in microseconds. Sources that never ran one are left out. */
export function slowestHandlers(connection: Database): ReadonlyMap<string, number> {
  const slowest = new Map<string, number>();
  if (!tableExists(connection, "hookonce_events")) return slowest;
  const rows = connection
    .prepare(
      `select source, duration_us from (select id, source, duration_us from hookonce_events where handler is not null order by id desc limit ${SAMPLE})
       order by source, duration_us desc`,
    )
    .values() as [string, number][];
  const bySource = Map.groupBy(rows, ([source]) => source);
  for (const [source, durations] of bySource) {
    const [, p99] = durations[Math.trunc(durations.length / 100)] ?? ["", 0];
    slowest.set(source, p99);
  }
  return slowest;
}
