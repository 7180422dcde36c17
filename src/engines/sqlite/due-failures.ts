import type { Database } from "bun:sqlite";
import { LONGEST_RETRY_MS } from "../engine.ts";
import type { Reader } from "../reader.ts";

const dueWhen = (time: string): string =>
  `select ?1, event_id, next_at from hookonce_failures indexed by hookonce_failures_due
  where source = ?1 and next_at is not null and next_at ${time} ?2 order by next_at limit ?3`;

type Due = [source: string, eventId: string, nextAt: number];

/** Which failures hookonce runs again. Those of a paused source are not looked at, however many they are. */
export function dueFailures(connection: Database): Pick<Reader, "due"> {
  return {
    due(now, limit, sources) {
      const isPaused = connection.query("select 1 from hookonce_source_states where name = ?");
      const due = connection.query(dueWhen("<="));
      // A separate search: with `or`, SQLite would read all that wait.
      const farAhead = connection.query(dueWhen(">"));
      const open = sources.filter((name) => isPaused.values(name).length === 0);
      const found = open.flatMap((name) => due.values(name, now, limit) as Due[]);
      found.sort(([, , one], [, , other]) => one - other);
      for (const name of open)
        if (found.length < limit)
          found.push(...(farAhead.values(name, now + LONGEST_RETRY_MS, limit - found.length) as Due[]));
      return found.slice(0, limit).map(([source, eventId]) => ({ source, eventId }));
    },
  };
}
