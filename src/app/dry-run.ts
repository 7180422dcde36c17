import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChangedTable } from "../engines/store.ts";
import { messageOf } from "../errors.ts";
import type { EventToTry, TryEvents } from "../inbox/dry-run.ts";
import type { DryRunOrder, RanEvent } from "./dry-run-child.ts";
import type { TrialPlace } from "./trial.ts";
import { MAX_TRIAL_MS, ownCommand, runTrial } from "./trial-process.ts";

export interface DryRunOptions {
  readonly inboxFolder: string;
  /** Absolute. */
  readonly database: string;
  /** Only tests change these. */
  readonly command?: readonly string[] | undefined;
  readonly maxMs?: number;
}

/**
 * Runs the handlers of events in a child process and rolls back. It begins in the real database, which each run
 * locks for at most 15 ms, and goes on in a copy if that is not enough. Ends within 30 s, whatever a handler
 * does.
 */
export function createDryRun({
  inboxFolder: folder,
  database,
  command = ownCommand(),
  maxMs = MAX_TRIAL_MS,
}: DryRunOptions): TryEvents {
  return async ({ action, events }, onFailure, signal) => {
    const until = performance.now() + maxMs;
    const tables = new Map<string, ChangedTable>();
    let tried = 0;
    let failed = 0;
    const fail = (one: EventToTry | undefined, failure: NonNullable<RanEvent["failure"]>): void => {
      failed++;
      if (one !== undefined)
        onFailure({ source: one.source, eventId: one.eventId, type: one.type, ...failure });
    };
    const onRan = ({ tables: changed, failure }: RanEvent): void => {
      const event = events[tried++];
      if (failure !== undefined) fail(event, failure);
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
    const result = (why: string | null) => ({
      events: tried,
      failed,
      tables: [...tables.values()].sort((a, b) => (a.table < b.table ? -1 : 1)),
      why,
    });
    let temporary: string | undefined;
    let place: TrialPlace = "live";
    try {
      while (tried < events.length && !signal.aborted) {
        // Only its owner can read it. A copy is removed even if the child is killed.
        temporary ??= mkdtempSync(join(tmpdir(), "hookonce-dry-run-"));
        const order: DryRunOrder = {
          folder,
          database,
          place,
          copy: join(temporary, `${crypto.randomUUID()}.db`),
          token: crypto.randomUUID(),
          action,
          events: events.slice(tried),
        };
        const end = await runTrial<EventToTry>(
          command,
          order,
          until,
          (ran) => onRan(ran as RanEvent),
          signal,
        );
        if (end.is === "refused") return result(end.why);
        if (end.is === "copy") place = "copy";
        if (end.is !== "ended" || signal.aborted) continue;
        const isLate = performance.now() >= until;
        const error = isLate ? `it did not return within ${maxMs / 1000} s` : "it ended the process";
        if (end.running !== undefined)
          onRan({ failure: { code: isLate ? "handler_timeout" : "handler_died", error } });
        if (isLate) return result(`the time for it, ${maxMs / 1000} s, is over`);
        if (end.running === undefined) return result(`the process that tries them ended: ${end.said}`);
      }
      return result(signal.aborted ? "it was stopped" : null);
    } catch (error) {
      return result(messageOf(error));
    } finally {
      if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
    }
  };
}
