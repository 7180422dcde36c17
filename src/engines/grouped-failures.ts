import { patternOf } from "../logging/error-pattern.ts";
import type { FailureGroup, ListedFailure } from "./reader.ts";

/** How many failures are read at once. */
export const SLICE = 250;

/** How many types a group names. */
const MAX_TYPES = 100;

type Group = Omit<FailureGroup, "types"> & { readonly types: Set<string> };

/** Failures that are grouped as they are read, the newest first. */
export interface GroupedFailures {
  /** How many are in the groups. */
  readonly count: number;
  add(failure: ListedFailure): void;
  sorted(): FailureGroup[];
}

/**
 * Groups failures by the pattern of their messages. These may all differ, so neither the time nor the memory depends on
 * that.
 */
export function groupFailures(): GroupedFailures {
  const groups = new Map<string, Group>();
  let count = 0;
  return {
    get count() {
      return count;
    },
    add(failure) {
      const { source, handler, code, error } = failure;
      const key = JSON.stringify([source, handler, code, patternOf(error)]);
      groups.set(key, withFailure(groups.get(key), failure));
      count++;
    },
    sorted: () =>
      [...groups.values()]
        .sort((a, b) => b.count - a.count || b.lastAt - a.lastAt)
        .map(({ types, ...group }) => Object.assign(group, { types: [...types] })),
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
