import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { refusedStart, testInbox, type TestInbox } from "../support/test-inbox.ts";
import { TABLES, ts } from "./sources.ts";

/** Every way to write hookonce's own tables. If one worked, an event could be applied twice. */
const WRITES: Record<string, string> = {
  delete_all: "delete from hookonce_events",
  delete_one: "delete from hookonce_events where event_id = 'x'",
  qualified: "delete from main.hookonce_events",
  quoted: 'delete from "hookonce_events"',
  brackets: "delete from [hookonce_events] where 1",
  backticks: "delete from main . `hookonce_events`",
  capitals: "DELETE FROM Hookonce_Events",
  commented: "delete /* from things */ from -- things\n hookonce_events",
  behind_with: "with x as (select 1) delete from hookonce_events",
  insert:
    "insert into hookonce_sources (name, provider, event_id_rule, retry_window_ms) values ('a', 'b', 'c', 1)",
  insert_nothing: "insert into hookonce_meta (key, value) select 'a', 'b' where 0",
  ignoring: "insert or ignore into hookonce_meta (key, value) values ('a', 'b')",
  upsert:
    "insert into hookonce_meta (key, value) values ('a', 'b') on conflict (key) do update set value = 'c'",
  replace: "replace into hookonce_meta (key, value) values ('a', 'b')",
  update: "update hookonce_events set outcome = 'unhandled'",
  update_or: "update or ignore main.hookonce_failures set settled_at = 1",
  returning: "delete from hookonce_bodies returning id",
  journal: "delete from hookonce_user_migrations",
  by_trigger: "insert into hooked values (1)",
  by_trigger_of_trigger: "update hooked_twice set n = 2",
  by_view: "insert into through values (1)",
};

const READS: Record<string, string> = {
  reads: "select count(*) from hookonce_events",
  reads_behind_with: "with x as (select event_id from hookonce_events) select * from x",
  copies: "insert into effects select event_id, 'seen' from hookonce_events where event_id = 'seen'",
  of_the_name: "insert into effects values ('hookonce_events', 'delete from hookonce_events')",
};

const MIGRATION = `${TABLES}
create table hooked (n integer) strict;
create trigger hooked after insert on hooked begin delete from hookonce_events; end;
create table hooked_twice (n integer) strict;
create trigger hooked_twice after update on hooked_twice begin insert into hooked values (new.n); end;
create view through as select n from things;
create trigger through instead of insert on through begin update hookonce_meta set value = 'x'; end;
`;

describe("hookonce's own tables are read-only", () => {
  test("for SQL handlers: a write refuses the start, with its line", async () => {
    const handlers = Object.entries(WRITES)
      .map(([name, sql]) => [`handlers/default/${name}.sql`, `select 1;\n${sql};`] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const { problems } = await refusedStart({
      files: {
        "migrations/0001.sql": MIGRATION,
        ...Object.fromEntries(handlers),
      },
    });
    expect(problems).toEqual(
      handlers.map(([file]) => ({
        file,
        line: 2,
        message: expect.stringMatching(/^This statement writes hookonce_\w+.*only read/) as string,
      })),
    );
  });

  describe("for TypeScript handlers", () => {
    let inbox: TestInbox;
    beforeAll(async () => {
      inbox = await testInbox({
        files: {
          "migrations/0001.sql": MIGRATION,
          "handlers/default/raw.ts": ts("db.run(sql.raw(event.payload.sql));"),
          "handlers/default/prepare.ts": ts("db.$client.prepare(event.payload.sql);"),
          "handlers/default/swallow.ts": ts(
            'try { db.all(sql.raw(event.payload.sql)); } catch {} effect("in time");',
          ),
          ...Object.fromEntries(
            Object.entries(READS).map(([name, sql]) => [`handlers/default/${name}.sql`, sql]),
          ),
        },
      });
      await inbox.deliver({ event_id: "first", type: "nothing" });
    });
    afterAll(() => inbox[Symbol.asyncDispose]());

    test.each(Object.entries(WRITES))("%s is refused", async (name, sql) => {
      for (const type of ["raw", "prepare"]) {
        const id = `${type}_${name}`;
        expect((await inbox.deliver({ event_id: id, type, sql })).body.status).toBe("failed");
        expect(inbox.value("select code from hookonce_failures where event_id = ?", id)).toBe(
          "statement_refused",
        );
      }
      const swallowed = { event_id: `swallow_${name}`, type: "swallow", sql };
      expect((await inbox.deliver(swallowed)).body.status).toBe("processed");
      expect((await inbox.deliver(swallowed)).body.status).toBe("duplicate");
      expect(inbox.value("select count(*) from hookonce_events where event_id = 'first'")).toBe(1);
    });

    test.each(Object.entries(READS))("%s is accepted", async (name, sql) => {
      for (const type of ["raw", name]) {
        expect((await inbox.deliver({ event_id: `${type}_${name}_read`, type, sql })).body.status).toBe(
          "processed",
        );
      }
    });
  });

  const MIGRATIONS: Record<string, string> = {
    rows: "delete from hookonce_events",
    by_trigger: "insert into hooked values (1)",
    drop: "drop table hookonce_failures",
    rename: "alter table hookonce_events rename to mine",
    column: "alter table hookonce_events add column mine text",
    trigger: "create trigger mine after insert on hookonce_events begin delete from effects; end",
    index: "create index mine on hookonce_events (type)",
    drop_index: "drop index hookonce_events_source_event_id",
    another: "create table hookonce_mine (n integer)",
    temp_table: "create temp table hookonce_events (id integer)",
    temp_table_by_schema: "create table temp.HOOKONCE_EVENTS (id integer)",
    temp_view: "create temporary view hookonce_failures as select 1 as settled_at",
    temp_trigger:
      "create temp trigger mine after insert on main.hookonce_events begin delete from effects; end",
  };
  test.each(Object.entries(MIGRATIONS))("for migrations: %s", async (_, sql) => {
    const { problems } = await refusedStart({
      files: { "migrations/0001.sql": MIGRATION, "migrations/0002.sql": `select 1;\n${sql};` },
    });
    expect(problems).toEqual([
      {
        file: "migrations/0002.sql",
        line: 2,
        message: expect.stringContaining("may only read the hookonce_… tables") as string,
      },
    ]);
  });

  test.each([
    [
      "a trigger that changes them",
      "create temp trigger mine after insert on effects begin delete from hookonce_events; end;",
    ],
    ["a table under the name of the user's", "create temp table effects (event_id text, note text);"],
    ["a view", "create temp view mine as select 1;"],
    ["a table that is renamed", "create temp table mine (n);\nalter table mine rename to yours;"],
  ])("for migrations: a TEMP object that is left is refused: %s", async (_, sql) => {
    const { problems } = await refusedStart({
      files: { "migrations/0001.sql": MIGRATION, "migrations/0002.sql": `select 1;\n${sql}` },
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ file: "migrations/0002.sql", line: expect.any(Number) as number });
    expect(problems[0]?.message).toMatch(/the TEMP object \w+ would be gone after the next start/);
  });

  test("for migrations: a TEMP object cannot be renamed to one of theirs", async () => {
    const { problems } = await refusedStart({
      files: {
        "migrations/0001.sql": "create temp table mine (n);\nalter table mine rename to hookonce_meta;",
      },
    });
    expect(problems.map(({ line, message }) => `${line}: ${message}`)[0]).toMatch(/^2: .*may only read/);
  });

  test("a migration may read them, for example in a view", async () => {
    await using inbox = await testInbox({
      files: { "migrations/0001.sql": "create view seen as select event_id from hookonce_events;" },
    });
    expect(inbox.rows("select * from seen")).toEqual([]);
  });
});
