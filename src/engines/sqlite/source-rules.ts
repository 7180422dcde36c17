import type { Database } from "bun:sqlite";
import { HookonceError, type Problem } from "../../errors.ts";
import { tableExists } from "./migrations.ts";
import type { sources } from "./schema.ts";
import { atomically } from "./transaction.ts";

export interface SourceRule {
  readonly name: string;
  readonly provider: string;
  /** Where the event id stands, in a form that is equal exactly when the rule is. */
  readonly eventIdRule: string;
  /** How long after an event its provider may still retry it, in milliseconds. */
  readonly retryWindowMs: number;
  /** The name this source had before. */
  readonly previous?: string | undefined;
}

export interface ReconcileOptions {
  /** Unix milliseconds. */
  readonly now: number;
  readonly acceptIdChange: boolean;
}

/**
 * Compares the sources with those the database has events of. A renamed source, or one whose ids are found elsewhere, would meet
 * retries of events it has already applied with an empty guest list.
 *
 * @throws HookonceError `event_id_rule_changed`, with every source that is concerned
 */
export function reconcileSources(
  connection: Database,
  rules: readonly SourceRule[],
  options: ReconcileOptions,
): void {
  atomically(connection, () => {
    refuseChanges(connection, rules, options);
    if (areStored(connection, rules, options)) {
      // As mostly. No row is written, so the commit waits for no disk; but a database that cannot be written is found out.
      connection.run("delete from hookonce_sources where false");
      return;
    }
    for (const { name, previous } of rules) {
      if (previous !== undefined) renameSource(connection, previous, name);
    }
    if (options.acceptIdChange) connection.run("delete from hookonce_sources");
    const store = connection.query(
      "insert or replace into hookonce_sources (name, provider, event_id_rule, retry_window_ms) values (?, ?, ?, ?)",
    );
    for (const { name, provider, eventIdRule, retryWindowMs } of rules)
      store.run(name, provider, eventIdRule, retryWindowMs);
  });
}

/** Throws what {@link reconcileSources} would, and only reads. */
export function refuseChanges(
  connection: Database,
  rules: readonly SourceRule[],
  { now, acceptIdChange }: ReconcileOptions,
): void {
  if (acceptIdChange || !tableExists(connection, "hookonce_sources")) return;
  const problems: Problem[] = [];
  for (const stored of storedRules(connection)) {
    const rule =
      rules.find(({ previous }) => previous === stored.name) ??
      rules.find(({ name }) => name === stored.name);
    if (rule?.eventIdRule === stored.eventIdRule) continue;
    // Of a source that is gone only what may still be retried is of interest; a changed rule forgets all that is on the list, for good.
    const since = rule === undefined ? now - stored.retryWindowMs : 0;
    if (!hasEvents(connection, stored.name, since)) continue;
    problems.push({
      message:
        rule === undefined
          ? `source "${stored.name}" is gone from the config, and its provider may still retry events it has delivered. If it was renamed, put previous = "${stored.name}" under its new name; if it is meant to go, start once with --accept-id-change.`
          : `source "${rule.name}": the event id now comes from ${rule.eventIdRule} instead of ${stored.eventIdRule}. Events already applied would be applied again when they are retried. To do it all the same, start once with --accept-id-change.`,
    });
  }
  if (problems.length > 0) {
    throw new HookonceError("event_id_rule_changed", "The guest list would not fit the config any more.", {
      problems,
    });
  }
}

function storedRules(connection: Database): (typeof sources.$inferSelect)[] {
  return connection
    .query(
      'select name, provider, event_id_rule "eventIdRule", retry_window_ms "retryWindowMs" from hookonce_sources',
    )
    .all() as (typeof sources.$inferSelect)[];
}

/** Whether there is nothing to write. */
function areStored(
  connection: Database,
  rules: readonly SourceRule[],
  { acceptIdChange }: ReconcileOptions,
): boolean {
  const stored = new Map(storedRules(connection).map((row) => [row.name, row]));
  if (acceptIdChange && stored.size > rules.length) return false;
  return rules.every(({ name, provider, eventIdRule, retryWindowMs, previous }) => {
    const row = stored.get(name);
    return (
      row?.provider === provider &&
      row.eventIdRule === eventIdRule &&
      row.retryWindowMs === retryWindowMs &&
      (previous === undefined || !stored.has(previous))
    );
  });
}

function renameSource(connection: Database, from: string, to: string): void {
  if (!storedRules(connection).some(({ name }) => name === from)) return;
  // OR IGNORE: an event that both names have seen is on the list already.
  connection.query("update or ignore hookonce_events set source = ? where source = ?").run(to, from);
  connection.query("update or ignore hookonce_failures set source = ? where source = ?").run(to, from);
  connection.query("delete from hookonce_failures where source = ?").run(from);
  connection.query("delete from hookonce_sources where name = ?").run(from);
}

/** @param since Unix milliseconds, of the last delivery */
function hasEvents(connection: Database, source: string, since: number): boolean {
  const one = connection.query(
    "select 1 from hookonce_events where source = ? and last_delivery_at >= ? limit 1",
  );
  return one.values(source, since).length > 0;
}
