import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { looksAtOwnWrites } from "../../../src/engines/sqlite/own-tables.ts";

const db = new Database(":memory:");
db.run("pragma foreign_keys = on");
db.run("create table hookonce_events (id integer primary key, event_id text unique)");
db.run("create table effects (id integer primary key, event_id text) strict");
db.run("create table owned (event integer references hookonce_events (id))");
db.run("create view seen as select event_id from hookonce_events");
db.run("create virtual table words using fts5 (text, content = 'seen')");

const LOOKS = [
  "select 1 from hookonce_events",
  "select * from Seen",
  "insert into effects (event_id) select event_id from hookonce_events where event_id = :event_id",
  "insert into effects (event_id) values ((select event_id from seen))",
  "insert into owned values (1)",
  "insert into words (words) values ('rebuild')",
  "select * from words where words match 'x'",
  "select * from pragma_table_info('effects')",
  "select value from json_each(:payload)",
  "insert into effects (id) values (last_insert_rowid())",
  "select changes()",
  "select total_changes()",
];

const DOES_NOT = [
  "insert into effects (event_id) values (:event_id)",
  "insert into effects (event_id) values ('hookonce_events, last_insert_rowid(), changes()')",
  "insert into effects (id, event_id) values (1, :payload ->> '$.id') on conflict (id) do update set event_id = excluded.event_id",
  "update effects set event_id = 1 where id in (select id from effects)",
  "delete from effects",
  "with a as (select 1) select * from a, effects",
];

test.each(LOOKS)("may depend on hookonce's own writes: %s", (statement) => {
  expect(looksAtOwnWrites(db, statement)).toBe(true);
});

test.each(DOES_NOT)("does not: %s", (statement) => {
  expect(looksAtOwnWrites(db, statement)).toBe(false);
});
