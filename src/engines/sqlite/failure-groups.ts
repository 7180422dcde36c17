import { and, desc, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { patternOf } from "../../logging/error-pattern.ts";
import type { FailureGroup, ListedFailure, Reader } from "../reader.ts";
import { of } from "./filters.ts";
import { failureColumns } from "./lists.ts";
import { failuresIn, startOf, type Stretch } from "./newest-pages.ts";
import { isOpen } from "./outcomes.ts";
import { failures } from "./schema.ts";

/** How many failures are read at once, in 1 to 2 ms. The deliveries are received between two slices. */
const SLICE = 250;

/** How many types a group names. */
const MAX_TYPES = 100;

type Group = Omit<FailureGroup, "types"> & { readonly types: Set<string> };

/** Groups the newest failures by the pattern of their messages. The messages may all differ. */
export function groupReads(db: BunSQLiteDatabase, isClosed: () => boolean): Pick<Reader, "failureGroups"> {
  function slice(stretch: Stretch) {
    return db
      .select({ at: of(failures.firstAt).as("at"), id: of(failures.id).as("id"), ...failureColumns })
      .from(sql`${failures} indexed by hookonce_failures_newest`)
      .where(and(isOpen, ...failuresIn({}, stretch)))
      .orderBy(desc(failures.firstAt), desc(failures.id))
      .limit(SLICE)
      .all();
  }

  return {
    async failureGroups({ source }, cap) {
      const groups = new Map<string, Group>();
      let counted = 0;
      for (let after = startOf({}); ;) {
        if (isClosed()) return { groups: [], capped: true };
        const rows = slice({ at: "pairs", after, end: undefined });
        for (const row of rows) {
          if (source !== undefined && row.source !== source) continue;
          if (counted === cap) return { groups: sorted(groups), capped: true };
          counted++;
          const key = JSON.stringify([row.source, row.handler, row.code, patternOf(row.error)]);
          groups.set(key, withFailure(groups.get(key), row));
        }
        const last = rows.at(-1);
        if (last === undefined || rows.length < SLICE) return { groups: sorted(groups), capped: false };
        after = { at: last.at, failure: 1, id: last.id };
        await Bun.sleep(0);
      }
    },
  };
}

/** A group with one more failure. */
function withFailure(
  group: Group | undefined,
  { source, handler, code, error, type, eventId, firstAt, lastAt }: ListedFailure,
): Group {
  const types = group?.types ?? new Set();
  if (types.size < MAX_TYPES) types.add(type);
  const isLatest = group === undefined || lastAt > group.lastAt;
  return {
    source,
    handler,
    code,
    error: isLatest ? error : group.error,
    types,
    count: (group?.count ?? 0) + 1,
    firstAt: Math.min(firstAt, group?.firstAt ?? firstAt),
    lastAt: isLatest ? lastAt : group.lastAt,
    latestEventId: isLatest ? eventId : group.latestEventId,
  };
}

function sorted(groups: ReadonlyMap<string, Group>): FailureGroup[] {
  return [...groups.values()]
    .sort((a, b) => b.count - a.count || b.lastAt - a.lastAt)
    .map(({ types, ...group }) => Object.assign(group, { types: [...types] }));
}
