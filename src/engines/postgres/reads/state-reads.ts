import type { AlertReader } from "../../alerts.ts";
import { MAX_HELD_COUNTED, type PausedSource, type SourceStateReader } from "../../source-states.ts";
import { sql } from "../sql.ts";
import type { Ask } from "./ask.ts";

export function sourceStateReads(ask: Ask): SourceStateReader {
  return {
    async sourceStates() {
      const rows = await ask<Omit<PausedSource, "isCapped">>(sql`
        select s.name, s.state, s.since, s.until, s.reason, s.stop_on_failure as "stopOnFailure",
          (select count(*) from (
            select from hookonce.events e where e.source = s.name and e.outcome = 'held'
            limit ${MAX_HELD_COUNTED + 1}) few) as held,
          (select e.received_at from hookonce.events e where e.source = s.name and e.outcome = 'held'
           order by e.id limit 1) as "oldestAt"
        from hookonce.source_states s order by s.name`);
      return rows.map((row) =>
        Object.assign(row, {
          held: Math.min(row.held, MAX_HELD_COUNTED),
          isCapped: row.held > MAX_HELD_COUNTED,
        }),
      );
    },
  };
}

export function alertReads(ask: Ask): AlertReader {
  return {
    alerts: () =>
      ask(sql`
        select key, since, seen_at as "seenAt", began_at as "beganAt", gone_at as "goneAt"
        from hookonce.alerts order by key`),
  };
}
