import { expect, test } from "bun:test";
import { TEXT_PLACES, TEXTS } from "../../../src/engines/forget.ts";
import { tableOf } from "../../../src/engines/sqlite/forget.ts";
import { testInbox } from "../../support/test-inbox.ts";

/** Why forget does not look through the other columns: nothing that a delivery brought can be in them. */
const NAMED = "a name that hookonce.toml, a file or the owner of the inbox gives";
const WORD = "one of a few words or codes of hookonce";
const HASH = "a hash, which is kept so that a retry is recognized";
const RENAMED = "replaced with the id and the type of its event";

const OTHERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  hookonce_alerts: { key: NAMED },
  hookonce_audit: { actor: NAMED, action: WORD, job: "a random id" },
  hookonce_bodies: { sha256: HASH },
  hookonce_deliveries: { source: NAMED, event_id: RENAMED, outcome: WORD },
  hookonce_destinations: { name: NAMED, state: WORD },
  hookonce_enqueued: { destination: NAMED },
  hookonce_events: { source: NAMED, outcome: WORD, handler: NAMED, body_sha256: HASH },
  hookonce_failing_sources: { name: NAMED },
  hookonce_failures: { source: NAMED, handler: NAMED, handler_hash: "of a file", code: WORD },
  hookonce_interrupted_runs: { source: NAMED, handler_hash: "of a file", code: WORD },
  hookonce_jobs: { id: "a random id", action: WORD, actor: NAMED },
  hookonce_messages: {
    destination: NAMED,
    source: NAMED,
    event_id: RENAMED,
    type: RENAMED,
    state: WORD,
    run: "numbers of a process",
  },
  hookonce_meta: { key: WORD, value: "numbers and words of hookonce" },
  hookonce_migrations: { name: NAMED, sha256: "of a file" },
  hookonce_positions: {
    source: NAMED,
    rule: NAMED,
    version: "a number or a time, without which an older event would be applied after a newer one",
  },
  hookonce_results: { handler_hash: "of a file", replayed_by: "a random id" },
  hookonce_rollups: { span: WORD, source: NAMED },
  hookonce_secrets: { source: NAMED, secret: NAMED },
  hookonce_source_states: { name: NAMED, state: WORD },
  hookonce_sources: { name: NAMED, provider: NAMED, event_id_rule: NAMED },
  hookonce_stored_bytes: { source: NAMED },
  hookonce_tokens: { name: NAMED, hash: "of a random token", scopes: WORD },
  hookonce_user_migrations: { name: NAMED, sha256: "of a file" },
};

test("forget looks through every column that may hold what a delivery brought", async () => {
  await using inbox = await testInbox({ files: { "migrations/0001_mine.sql": "create table mine (a);" } });
  const columns = inbox.rows(`
    select t.name as "table", c.name as "column" from pragma_table_list t join pragma_table_xinfo(t.name) c
    where t.type = 'table' and t.name glob 'hookonce_*' and c.type <> 'INTEGER' and c.hidden = 0
    order by 1, 2`) as { table: string; column: string }[];
  const looked = TEXT_PLACES.flatMap((place) => TEXTS[place].map((column) => `${tableOf(place)}.${column}`));
  const others = Object.entries(OTHERS).flatMap(([table, reasons]) =>
    Object.keys(reasons).map((column) => `${table}.${column}`),
  );
  expect([...looked, ...others].sort()).toEqual(
    columns.map(({ table, column }) => `${table}.${column}`).sort(),
  );
});
