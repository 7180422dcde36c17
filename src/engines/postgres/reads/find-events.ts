import { hashed } from "../../forget.ts";
import type { FoundEvent, Reader } from "../../reader.ts";
import { arrayOf, sql } from "../sql.ts";
import type { Ask } from "./ask.ts";
import { isOnlyFailed, outcomeNow } from "./outcomes.ts";

export function findReads(ask: Ask): Pick<Reader, "find"> {
  const named = (eventId: string, sources: readonly string[]): Promise<FoundEvent[]> =>
    ask(sql`
      select e.source, e.type, ${outcomeNow} as outcome from hookonce.events e
      where e.source = any(${arrayOf(sources)}::text[]) and e.event_id = ${eventId} and e.era = 0
      union all
      select f.source, f.type, 'failed' from hookonce.failures f
      where f.source = any(${arrayOf(sources)}::text[]) and f.event_id = ${eventId} and ${isOnlyFailed}`);

  return {
    async find(eventId, sources) {
      const found = await named(eventId, sources);
      // An id that contained a forgotten text was replaced by its hash.
      return found.length > 0 ? found : named(hashed(eventId), sources);
    },
  };
}
