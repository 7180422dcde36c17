import { changesOf, refuseRuleChanges, type ReconcileOptions, type StoredRule } from "../rule-changes.ts";
import type { SourceRule } from "../store.ts";
import { rowsOf, sql } from "./sql.ts";
import { writeOwn } from "./transaction.ts";
import type { Wire } from "./wire.ts";

/** Every function here belongs to a transaction that the caller has open. */

/**
 * Compares the configured sources with the stored ones, and then stores them.
 *
 * @throws HookonceError `event_id_rule_changed`, with a problem for every source concerned
 */
export async function storeSources(
  wire: Wire,
  rules: readonly SourceRule[],
  options: ReconcileOptions,
): Promise<void> {
  await refuseChanges(wire, rules, options);
  await writeOwn(wire);
  for (const { name, renamedFrom } of rules)
    if (renamedFrom !== undefined) await renameSource(wire, renamedFrom, name);
  if (options.acceptIdChange) await wire.send("delete from hookonce.sources");
  for (const name of options.dropped ?? [])
    if (rules.every((rule) => rule.name !== name))
      await wire.send("delete from hookonce.sources where name = $1", [name]);
  for (const { name, provider, eventIdRule, retryWindowMs } of rules)
    await wire.send(STORE, [name, provider, eventIdRule, retryWindowMs]);
}

// An unchanged rule writes nothing.
const STORE = `
  insert into hookonce.sources as stored (name, provider, event_id_rule, retry_window_ms) values ($1, $2, $3, $4)
  on conflict (name) do update
  set provider = excluded.provider, event_id_rule = excluded.event_id_rule, retry_window_ms = excluded.retry_window_ms
  where (stored.provider, stored.event_id_rule, stored.retry_window_ms)
    <> (excluded.provider, excluded.event_id_rule, excluded.retry_window_ms)`;

/** Throws the same errors as {@link storeSources}, but only reads. */
export async function refuseChanges(
  wire: Wire,
  rules: readonly SourceRule[],
  options: ReconcileOptions,
): Promise<void> {
  const stored = await rowsOf<StoredRule>(
    wire,
    sql`select name, event_id_rule as "eventIdRule", retry_window_ms as "retryWindowMs" from hookonce.sources`,
  );
  const changes = changesOf(stored, rules, options);
  const mattering = await Promise.all(changes.map(({ source, since }) => hasEvents(wire, source, since)));
  refuseRuleChanges(changes.filter((_, index) => mattering[index]));
}

/** @param since the earliest last delivery that counts, in Unix milliseconds */
async function hasEvents(wire: Wire, source: string, since: number): Promise<boolean> {
  const found = await rowsOf(
    wire,
    sql`select 1 from hookonce.events where source = ${source} and last_delivery_at >= ${since} limit 1`,
  );
  return found.length > 0;
}

async function renameSource(wire: Wire, from: string, to: string): Promise<void> {
  const [known] = await rowsOf(wire, sql`select 1 from hookonce.sources where name = ${from}`);
  if (known === undefined) return;
  // An event recorded under both names is already recorded under the new one.
  const moved = async (table: string, key: readonly string[]): Promise<void> => {
    const same = key.map((column) => `other.${column} = mine.${column}`).join(" and ");
    await wire.send(
      `update hookonce.${table} as mine set source = $1 where source = $2
       and not exists (select 1 from hookonce.${table} as other where other.source = $1 and ${same})`,
      [to, from],
    );
  };
  const dropped = (table: string): Promise<unknown> =>
    wire.send(`delete from hookonce.${table} where source = $1`, [from]);
  await moved("events", ["event_id", "era"]);
  for (const [table, key] of [
    ["failures", ["event_id"]],
    ["deliveries", ["event_id", "era", "number"]],
    ["positions", ["key", "rule"]],
  ] as const) {
    await moved(table, key);
    await dropped(table);
  }
  for (const table of ["source_states", "failing_sources"]) {
    await wire.send(
      `delete from hookonce.${table} where name = $1 and exists (select 1 from hookonce.${table} where name = $2)`,
      [to, from],
    );
    await wire.send(`update hookonce.${table} set name = $1 where name = $2`, [to, from]);
  }
  await wire.send("update hookonce.messages set source = $1 where source = $2", [to, from]);
  await wire.send(
    `insert into hookonce.stored_bytes as stored (source, bytes)
     select $1::text, bytes from hookonce.stored_bytes where source = $2
     on conflict (source) do update set bytes = stored.bytes + excluded.bytes`,
    [to, from],
  );
  await dropped("stored_bytes");
  await wire.send("delete from hookonce.sources where name = $1", [from]);
}
