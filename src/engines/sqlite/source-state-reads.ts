import type { Database } from "bun:sqlite";
import {
  MAX_HELD_COUNTED,
  type PausedSource,
  type SourceState,
  type SourceStateReader,
} from "../source-states.ts";

const HELD = "from hookonce_events indexed by hookonce_events_held where source = ?1 and outcome = 'held'";

export function sourceStateReads(connection: Database): SourceStateReader {
  return {
    sourceStates() {
      const paused = connection
        .query(
          "select name, state, since, until, reason, stop_on_failure from hookonce_source_states order by name",
        )
        .values() as [string, SourceState, number, number | null, string | null, number][];
      const counted = connection.query(
        `select count(*) from (select 1 ${HELD} limit ${MAX_HELD_COUNTED + 1})`,
      );
      const oldest = connection.query(`select received_at ${HELD} order by id limit 1`);
      return paused.map(([name, state, since, until, reason, stopOnFailure]): PausedSource => {
        const count = Number(counted.values(name)[0]?.[0]);
        return {
          name,
          state,
          since,
          until,
          reason,
          stopOnFailure: stopOnFailure === 1,
          held: Math.min(count, MAX_HELD_COUNTED),
          isCapped: count > MAX_HELD_COUNTED,
          oldestAt: (oldest.values(name)[0]?.[0] ?? null) as number | null,
        };
      });
    },
  };
}
