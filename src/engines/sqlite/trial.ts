import { Database } from "bun:sqlite";
import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { HookonceError } from "../../errors.ts";
import type { Result } from "../engine.ts";
import type { ChangedTable, Trial, TrialOptions } from "../store.ts";
import { countChanges } from "./changed-tables.ts";
import { createEventStore } from "./event-store.ts";
import { createHandlerRuns } from "./handler-runs.ts";
import { createInterruptedRuns } from "./interrupted-runs.ts";
import { createJobs } from "./jobs.ts";
import { migrate, ownSet, pendingMigrations, userSet } from "./migrations.ts";
import { readPragma } from "./open.ts";
import { ownMigrations } from "./own-migrations.ts";
import { handlerModules, loadHandler } from "./sqlite-engine.ts";
import { createTransaction } from "./transaction.ts";

/** A larger database is not copied, in bytes: it would take longer than a check may. */
const MAX_COPIED = 2 * 1024 ** 3;

/**
 * Opens a database to try handlers on. Nothing closes it: closing the last connection would move the log into
 * the real database, and a check changes nothing.
 */
export function openTrial(options: TrialOptions): Trial | "copy" | { readonly why: string } {
  const { place, database, policy } = options;
  let connection: Database;
  if (place === "new") {
    connection = new Database(":memory:", { strict: true });
  } else if (place === "live") {
    connection = new Database(database, { readwrite: true, create: false, strict: true });
    connection.run("pragma wal_autocheckpoint = 0");
    if (!isReady(connection, options)) return "copy";
  } else {
    const why = whyNotCopied(options);
    if (why !== undefined) return { why };
    const real = new Database(database, { readonly: true, strict: true });
    real.run("pragma busy_timeout = 5000");
    real.query("vacuum into ?").run(options.copy);
    real.close(true);
    connection = new Database(options.copy, { readwrite: true, strict: true });
  }
  connection.run("pragma busy_timeout = 0");
  connection.run("pragma foreign_keys = on");
  connection.run("pragma trusted_schema = off");
  if (place !== "live") {
    // Nobody needs it after a crash.
    connection.run("pragma synchronous = off");
    migrate(connection, ownSet(ownMigrations), options.now);
    migrate(connection, userSet(options.migrations), options.now);
  }
  const transaction = createTransaction(connection);
  const interrupted = createInterruptedRuns(connection);
  // Unmarked: the parent of this process watches the run.
  const runs = createHandlerRuns(policy, interrupted, { begin() {}, end() {} });
  let changes: (() => readonly ChangedTable[]) | undefined;
  const jobs = createJobs(connection, createEventStore(connection), policy, runs, interrupted);
  return {
    handlerModules,
    loadHandler: async (code) => loadHandler(connection, code),
    dryRun(job, handlers) {
      changes ??= countChanges(connection);
      if (!transaction.begin()) return undefined;
      try {
        const { outcome } = jobs.run(job, handlers, new Map()) as Result;
        return outcome === "processed" ? { tables: changes() } : {};
      } finally {
        jobs.takeNotes();
        transaction.rollback();
      }
    },
    run(event, handler) {
      if (!transaction.begin()) return undefined;
      try {
        const only = { for: () => handler, files: [] };
        // A made-up event may be older than the real ones.
        const unordered = { ...event, source: { ...event.source, placeOf: undefined } };
        // A delivery results in this.
        return jobs.run({ kind: "delivery", event: unordered }, only, new Map()) as Result;
      } finally {
        jobs.takeNotes();
        transaction.rollback();
      }
    },
  };
}

function isReady(real: Database, { migrations }: TrialOptions): boolean {
  if (readPragma(real, "journal_mode") !== "wal") return false;
  try {
    const pending = [...pendingMigrations(real, ownSet(ownMigrations))];
    return pending.length === 0 && pendingMigrations(real, userSet(migrations)).length === 0;
  } catch (error) {
    // The check has reported it: for example, a newer hookonce made the database.
    if (error instanceof HookonceError) return false;
    throw error;
  }
}

function whyNotCopied({ database, copy }: TrialOptions): string | undefined {
  const size = statSync(database).size + (statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0);
  const mib = Math.ceil(size / 1024 ** 2);
  if (size > MAX_COPIED) return `the database has ${mib} MiB, and they need a copy of it`;
  const folder = dirname(copy);
  const { bavail, bsize } = statfsSync(folder);
  // Half as much again, for what the handlers write.
  if (bavail * bsize < 1.5 * size)
    return `there is no room in ${folder} for a copy of the database (${mib} MiB)`;
  return undefined;
}
