import type { Database } from "bun:sqlite";
import { changesOf, refuseRuleChanges, type ReconcileOptions } from "../rule-changes.ts";
import type { SourceRule } from "../store.ts";
import { tableExists } from "./open.ts";
import type { sources } from "./schema.ts";
import { atomically } from "./transaction.ts";

/**
 * Compares the configured sources with the stored ones, and then stores them. If a source is renamed or its
 * event ids come from another place, retries of recorded events are not recognized and would be applied
 * again.
 *
 * @throws HookonceError `event_id_rule_changed`, with a problem for every source concerned
 */
export function reconcileSources(
  connection: Database,
  rules: readonly SourceRule[],
  options: ReconcileOptions,
): void {
  atomically(connection, () => storeSources(connection, rules, options));
}

/** The same in the transaction of the caller. */
export function storeSources(
  connection: Database,
  rules: readonly SourceRule[],
  options: ReconcileOptions,
): void {
  refuseChanges(connection, rules, options);
  if (areStored(connection, rules, options)) {
    // The usual case. This writes no row, so the commit does not wait for the disk, but it fails if the
    // database cannot be written.
    connection.run("delete from hookonce_sources where false");
    return;
  }
  for (const { name, renamedFrom } of rules) {
    if (renamedFrom !== undefined) renameSource(connection, renamedFrom, name);
  }
  if (options.acceptIdChange) connection.run("delete from hookonce_sources");
  const drop = connection.query("delete from hookonce_sources where name = ?");
  for (const name of options.dropped ?? []) if (rules.every((rule) => rule.name !== name)) drop.run(name);
  const store = connection.query(
    "insert or replace into hookonce_sources (name, provider, event_id_rule, retry_window_ms) values (?, ?, ?, ?)",
  );
  for (const { name, provider, eventIdRule, retryWindowMs } of rules)
    store.run(name, provider, eventIdRule, retryWindowMs);
}

/** Throws the same errors as {@link reconcileSources}, but only reads. */
export function refuseChanges(
  connection: Database,
  rules: readonly SourceRule[],
  options: ReconcileOptions,
): void {
  if (options.acceptIdChange || !tableExists(connection, "hookonce_sources")) return;
  const changes = changesOf(storedRules(connection), rules, options);
  refuseRuleChanges(changes.filter(({ source, since }) => hasEvents(connection, source, since)));
}

function storedRules(connection: Database): (typeof sources.$inferSelect)[] {
  return connection
    .query(
      'select name, provider, event_id_rule "eventIdRule", retry_window_ms "retryWindowMs" from hookonce_sources',
    )
    .all() as (typeof sources.$inferSelect)[];
}

/** Whether the database holds these rules already, so that there is nothing to write. */
function areStored(
  connection: Database,
  rules: readonly SourceRule[],
  { acceptIdChange, dropped = [] }: ReconcileOptions,
): boolean {
  const stored = new Map(storedRules(connection).map((row) => [row.name, row]));
  if (dropped.some((name) => stored.has(name) && rules.every((rule) => rule.name !== name))) return false;
  if (acceptIdChange && stored.size > rules.length) return false;
  return rules.every(({ name, provider, eventIdRule, retryWindowMs, renamedFrom }) => {
    const row = stored.get(name);
    return (
      row?.provider === provider &&
      row.eventIdRule === eventIdRule &&
      row.retryWindowMs === retryWindowMs &&
      (renamedFrom === undefined || !stored.has(renamedFrom))
    );
  });
}

function renameSource(connection: Database, from: string, to: string): void {
  if (!storedRules(connection).some(({ name }) => name === from)) return;
  // OR IGNORE: an event recorded under both names is already recorded under the new one.
  connection.query("update or ignore hookonce_events set source = ? where source = ?").run(to, from);
  connection.query("update or ignore hookonce_failures set source = ? where source = ?").run(to, from);
  connection.query("delete from hookonce_failures where source = ?").run(from);
  connection.query("update or ignore hookonce_deliveries set source = ? where source = ?").run(to, from);
  connection.query("delete from hookonce_deliveries where source = ?").run(from);
  connection.query("update or ignore hookonce_positions set source = ? where source = ?").run(to, from);
  connection.query("delete from hookonce_positions where source = ?").run(from);
  for (const table of ["hookonce_source_states", "hookonce_failing_sources"])
    connection.query(`update or replace ${table} set name = ? where name = ?`).run(to, from);
  // Messages are signed and read with their source. Their ids stay.
  connection.query("update hookonce_messages set source = ? where source = ?").run(to, from);
  connection
    .query(
      `insert into hookonce_stored_bytes (source, bytes)
       select ?1, bytes from hookonce_stored_bytes where source = ?2
       on conflict (source) do update set bytes = bytes + excluded.bytes`,
    )
    .run(to, from);
  connection.query("delete from hookonce_stored_bytes where source = ?").run(from);
  connection.query("delete from hookonce_sources where name = ?").run(from);
}

/** @param since the earliest last delivery that counts, in Unix milliseconds */
function hasEvents(connection: Database, source: string, since: number): boolean {
  const one = connection.query(
    "select 1 from hookonce_events where source = ? and last_delivery_at >= ? limit 1",
  );
  return one.values(source, since).length > 0;
}
