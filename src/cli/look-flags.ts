import type { EventOutcome } from "../http/admin/shapes.ts";

/** What the commands that look can be given, beside the folder. */
export interface LookFlags {
  source?: string;
  type?: string;
  outcome?: EventOutcome;
  /** Unix milliseconds. */
  since?: number;
  until?: number;
  search?: string;
  limit?: number;
  json?: boolean;
  database?: string;
}

/** The filter as the API takes it in its query. */
export function filterQuery({ source, type, outcome, since, until, search }: LookFlags) {
  return {
    ...(source === undefined ? {} : { source }),
    ...(type === undefined ? {} : { type }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(since === undefined ? {} : { since: String(since) }),
    ...(until === undefined ? {} : { until: String(until) }),
    ...(search === undefined ? {} : { search }),
  };
}

/** Whether any filter was given. */
export function isFiltered(flags: LookFlags): boolean {
  return Object.keys(filterQuery(flags)).length > 0;
}
