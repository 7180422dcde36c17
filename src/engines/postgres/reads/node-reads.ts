import type { NodeReader, ServingNode } from "../../nodes.ts";
import { sql } from "../sql.ts";
import type { Ask } from "./ask.ts";

/** The processes that use the database. */
export function nodeReads(ask: Ask): NodeReader {
  return {
    nodes: () =>
      ask<ServingNode>(sql`
        select name, version, config_hash as config, handlers_hash as handlers, started_at as "startedAt",
          seen_at as "seenAt", asked, answered,
          greatest(0, (extract(epoch from clock_timestamp()) * 1000)::bigint - seen_at) as "silentMs"
        from hookonce.nodes order by name, started_at`),
  };
}
