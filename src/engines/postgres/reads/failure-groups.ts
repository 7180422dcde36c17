import { groupFailures, SLICE } from "../../grouped-failures.ts";
import type { ListedFailure, Reader } from "../../reader.ts";
import { sql } from "../sql.ts";
import type { Ask } from "./ask.ts";
import { failureColumns } from "./listed-events.ts";
import { isOpen } from "./outcomes.ts";

/** Groups the newest failures. Each slice reads a new snapshot. */
export function groupReads(ask: Ask): Pick<Reader, "failureGroups"> {
  return {
    async failureGroups({ source }, cap) {
      const ofSource = source === undefined ? sql`true` : sql`f.source = ${source}`;
      const groups = groupFailures();
      for (let before = sql`true`; ;) {
        const rows = await ask<ListedFailure & { readonly id: number }>(sql`
          select ${failureColumns}, f.id from hookonce.failures f where ${isOpen} and ${ofSource} and ${before}
          order by f.first_at desc, f.id desc limit ${SLICE}`);
        for (const row of rows) {
          if (groups.count === cap) return { groups: groups.sorted(), capped: true };
          groups.add(row);
        }
        const last = rows.at(-1);
        if (last === undefined || rows.length < SLICE) return { groups: groups.sorted(), capped: false };
        before = sql`(f.first_at, f.id) < (${last.firstAt}::bigint, ${last.id}::bigint)`;
      }
    },
  };
}
