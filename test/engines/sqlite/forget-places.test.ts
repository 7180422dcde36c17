import { expect, test } from "bun:test";
import { TEXT_PLACES, TEXTS } from "../../../src/engines/forget.ts";
import { tableOf } from "../../../src/engines/sqlite/forget.ts";
import { testInbox } from "../../support/test-inbox.ts";

/** Columns that no delivery, no handler and no receiver can put a text into. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  hookonce_alerts: ["key"],
  hookonce_audit: ["actor", "action", "job"],
  hookonce_bodies: ["sha256"],
  hookonce_changed_bodies: [],
  hookonce_deliveries: ["source", "event_id", "outcome"],
  hookonce_destinations: ["name", "state"],
  hookonce_enqueued: ["destination"],
  hookonce_events: ["source", "outcome", "handler", "body_sha256"],
  hookonce_failures: ["source", "handler", "handler_hash", "code"],
  hookonce_interrupted_runs: ["source", "handler_hash", "code"],
  hookonce_jobs: ["id", "action", "actor"],
  // The event of a message is renamed with its messages.
  hookonce_messages: ["destination", "source", "event_id", "type", "state", "run"],
  hookonce_meta: ["key", "value"],
  hookonce_migrations: ["name", "sha256"],
  hookonce_positions: ["source", "rule", "version"],
  hookonce_failing_sources: ["name"],
  hookonce_results: ["handler_hash", "replayed_by"],
  hookonce_rollups: ["span", "source"],
  hookonce_secrets: ["source", "secret"],
  hookonce_source_states: ["name", "state"],
  hookonce_sources: ["name", "provider", "event_id_rule"],
  hookonce_stored_bytes: ["source"],
  hookonce_tokens: ["name", "hash", "scopes"],
};

test("forget looks through every column that may hold what a delivery brought", async () => {
  await using inbox = await testInbox();
  const columns = inbox.rows(`
    select t.name as "table", c.name as "column" from pragma_table_list t join pragma_table_xinfo(t.name) c
    where t.type = 'table' and t.name glob 'hookonce_*' and c.type in ('TEXT', 'BLOB', '') and c.hidden = 0
    order by 1, 2`) as { table: string; column: string }[];
  const looked = new Set(
    TEXT_PLACES.flatMap((place) => TEXTS[place].map((column) => `${tableOf(place)}.${column}`)),
  );
  const all = columns.map(({ table, column }) => `${table}.${column}`);
  const named = Object.entries(OTHERS).flatMap(([table, names]) => names.map((name) => `${table}.${name}`));
  expect(all.filter((one) => !looked.has(one) && !named.includes(one))).toEqual([]);
  expect([...looked, ...named].filter((one) => !all.includes(one))).toEqual([]);
});
