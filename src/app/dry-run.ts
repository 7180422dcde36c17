import type { DatabaseLocation } from "../config/location.ts";
import type { ChangedTable } from "../engines/trial.ts";
import type { EventToTry, TryEvents } from "../inbox/dry-run.ts";
import type { RanEvent } from "./dry-run-child.ts";
import { runTrials } from "./trial-process.ts";

export interface DryRunOptions {
  readonly inboxFolder: string;
  readonly database: DatabaseLocation;
  /** Only tests change these. */
  readonly command?: readonly string[] | undefined;
  readonly maxMs?: number | undefined;
}

/** Runs the handlers of events and rolls back. */
export function createDryRun({ inboxFolder: folder, database, command, maxMs }: DryRunOptions): TryEvents {
  return async ({ action, events }, onFailure, signal) => {
    const tables = new Map<string, ChangedTable>();
    let tried = 0;
    let failed = 0;
    const onRan = ({ tables: changed, failure }: RanEvent): void => {
      const event = events[tried++];
      if (failure !== undefined) {
        failed++;
        if (event !== undefined)
          onFailure({ source: event.source, eventId: event.eventId, type: event.type, ...failure });
      }
      for (const { table, inserted, updated, deleted } of changed ?? []) {
        const sum = tables.get(table) ?? { inserted: 0, updated: 0, deleted: 0 };
        tables.set(table, {
          table,
          inserted: sum.inserted + inserted,
          updated: sum.updated + updated,
          deleted: sum.deleted + deleted,
        });
      }
    };
    const why = await runTrials<EventToTry>({
      folder,
      database,
      place: "live",
      left: () => (tried < events.length ? { action, events: events.slice(tried) } : undefined),
      onEnded: (ran) => onRan(ran as RanEvent),
      onDied: (_running, failure) => onRan({ failure }),
      signal,
      command,
      maxMs,
    });
    return {
      events: tried,
      failed,
      tables: [...tables.values()].sort((a, b) => (a.table < b.table ? -1 : 1)),
      why: why ?? null,
    };
  };
}
