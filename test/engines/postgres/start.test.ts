import { describe, expect, test } from "bun:test";
import { ownMigrations } from "../../../src/engines/postgres/own-migrations.ts";
import { createServer } from "../../../src/engines/postgres/server.ts";
import { prepareDatabase } from "../../../src/engines/postgres/start.ts";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import type { Migration, SourceRule, StartLog } from "../../../src/engines/store.ts";
import { HookonceError } from "../../../src/errors.ts";
import { testInFullRun } from "../../crash/requirements.ts";
import { connect, createCluster, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const NOW = 1_790_000_000_000;

interface StartOptions {
  readonly migrations?: Readonly<Record<string, string>>;
  readonly rules?: readonly SourceRule[];
  readonly acceptIdChange?: boolean;
}

const rule = (name: string, more: Partial<SourceRule> = {}): SourceRule => ({
  name,
  provider: "stripe",
  eventIdRule: "body:$.id",
  earlierRules: [],
  retryWindowMs: 1000,
  ...more,
});

/** Starts on a database, and returns the lines of its log. */
async function start(
  target: PostgresTarget,
  { migrations = {}, ...options }: StartOptions = {},
): Promise<string[]> {
  const lines: string[] = [];
  const say = (fields: object, message: string): void =>
    void lines.push([message, ...Object.values(fields)].join(" "));
  const log: StartLog = { debug() {}, info: say, warn: say, error: say };
  await prepareDatabase(
    createServer(target),
    {
      convertToWal: false,
      rules: [],
      acceptIdChange: false,
      now: NOW,
      ...options,
      migrations: Object.entries(migrations).map(([name, sql]): Migration => ({
        name,
        sql,
        file: `migrations/${name}`,
      })),
    },
    log,
  );
  return lines;
}

async function refusalOf(work: Promise<unknown>): Promise<HookonceError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof HookonceError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

async function rows(target: PostgresTarget, text: string): Promise<object[]> {
  const connection = await connect(target);
  try {
    return await connection.read(text);
  } finally {
    await connection.drop();
  }
}

async function run(target: PostgresTarget, script: string): Promise<void> {
  const connection = await connect(target);
  try {
    await connection.script(script);
  } finally {
    await connection.drop();
  }
}

const newDatabase = async (): Promise<PostgresTarget> => (await sharedCluster()).database();

describe.skipIf(postgresPrograms() === undefined)("a start on PostgreSQL", () => {
  test(
    "makes hookonce's tables, applies the user's migrations and says what is promised",
    async () => {
      const target = await newDatabase();
      const migrations = { "0001.sql": "create table credits (customer text);" };
      const lines = await start(target, { migrations, rules: [rule("stripe")] });
      expect(lines).toEqual([
        "An answered 200 survives a power cut. It does not survive the loss of the primary's disk: there is no synchronous standby (synchronous_standby_names is empty).",
        "migrated 0001.sql",
      ]);
      expect(await rows(target, "select name from hookonce.migrations")).toEqual(
        ownMigrations.map(({ name }) => ({ name })),
      );
      expect(await rows(target, "select * from hookonce.sources")).toEqual([
        { name: "stripe", provider: "stripe", event_id_rule: "body:$.id", retry_window_ms: 1000 },
      ]);
      // The next one has nothing to do.
      expect(await start(target, { migrations, rules: [rule("stripe")] })).toHaveLength(1);
    },
    STARTS_WITHIN_MS,
  );

  test("has no limit for its statements, also if the database sets one", async () => {
    const target = await (await sharedCluster()).database();
    await run(target, `alter database ${target.database} set statement_timeout = '20ms'`);
    expect(await start(target, { migrations: { "0001.sql": "select pg_sleep(0.1);" } })).not.toEqual([]);
  });

  test("guards every table of hookonce", async () => {
    const target = await newDatabase();
    await start(target);
    const unguarded = `
      select relname from pg_class where relnamespace = 'hookonce'::regnamespace and relkind = 'r' and not exists (
        select 1 from pg_trigger where tgrelid = pg_class.oid and tgname = 'guard')`;
    expect(await rows(target, unguarded)).toEqual([]);
    for (const change of ["delete from", "truncate"]) {
      const refused = run(target, `${change} hookonce.events`);
      expect(refused).rejects.toThrow("hookonce.events can only be read here");
      await refused.catch(() => {});
    }
  });

  test("of eight nodes at once applies each migration once", async () => {
    const target = await newDatabase();
    const migrations = { "0001.sql": "create table once (id int); insert into once values (1);" };
    const starts = Array.from({ length: 8 }, () => start(target, { migrations, rules: [rule("stripe")] }));
    const lines = (await Promise.all(starts)).flat().filter((line) => line === "migrated 0001.sql");
    expect(lines).toHaveLength(1);
    expect(await rows(target, "select id from once")).toEqual([{ id: 1 }]);
  });

  test("refuses a migration that fails, and applies nothing of it", async () => {
    const target = await newDatabase();
    const migrations = {
      "0001.sql": "create table first (id int);",
      "0002.sql": "create table second (id int);\n\ninsert into second\nvalues ('x');",
      "0003.sql": "create table third (id int);",
    };
    const refusal = await refusalOf(start(target, { migrations }));
    expect(refusal.code).toBe("migration_failed");
    expect(refusal.problems).toEqual([
      {
        file: "migrations/0002.sql",
        line: 4,
        message: 'the migration fails, so none of it is applied: invalid input syntax for type integer: "x"',
      },
    ]);
    const tables = "select relname from pg_class where relname in ('first', 'second', 'third')";
    expect(await rows(target, tables)).toEqual([{ relname: "first" }]);
  });

  test.each([
    ["a row", "insert into hookonce.meta values ('a', 'b');", "hookonce.meta can only be read here"],
    ["a column", "alter table hookonce.events add column mine int;", "it belongs to hookonce"],
    ["a name", "create table hookonce.mine (id int);", "it belongs to hookonce"],
    ["a trigger", "drop trigger guard on hookonce.events;", "it belongs to hookonce"],
    [
      "a function",
      "create or replace function hookonce.guard() returns trigger language plpgsql as 'begin return null; end';",
      "it belongs to hookonce",
    ],
  ])("refuses a migration that changes what is hookonce's: %s", async (_, sql, why) => {
    const target = await newDatabase();
    await start(target);
    const refusal = await refusalOf(start(target, { migrations: { "0001.sql": `select 1;\n${sql}` } }));
    expect(refusal).toMatchObject({ code: "migration_failed", problems: [{ line: 2 }] });
    expect(refusal.message).toContain(why);
    expect(await rows(target, "select * from hookonce.user_migrations")).toEqual([]);
  });

  test("refuses a temporary table that a migration leaves", async () => {
    const target = await newDatabase();
    const refusal = await refusalOf(
      start(target, { migrations: { "0001.sql": "create temp table mine (id int);" } }),
    );
    expect(refusal.message).toContain("the temporary object mine would be gone after the start");
  });

  test("runs a migration without a transaction that says so", async () => {
    const target = await newDatabase();
    const concurrently = "create index concurrently credits_customer on credits (customer);";
    const first = { "0001.sql": "create table credits (customer text);" };
    const refusal = await refusalOf(start(target, { migrations: { ...first, "0002.sql": concurrently } }));
    expect(refusal.message).toContain('begin the file with the line "-- hookonce: no transaction"');
    const migrations = { ...first, "0002.sql": `-- hookonce: no transaction\n${concurrently}` };
    expect(await start(target, { migrations })).toContain("migrated 0002.sql");
    expect(
      await rows(target, "select indisvalid from pg_index where indexrelid = 'credits_customer'::regclass"),
    ).toEqual([{ indisvalid: true }]);
  });

  testInFullRun(
    "waits for a table that another transaction uses, and tries again",
    async () => {
      const target = await newDatabase();
      const first = { "0001.sql": "create table credits (customer text);" };
      await start(target, { migrations: first });
      const other = await connect(target);
      await other.send("begin");
      await other.send("select * from credits");
      const migrations = { ...first, "0002.sql": "alter table credits add column cents bigint;" };
      const started = start(target, { migrations });
      const waiting =
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
      while ((await rows(target, waiting)).length === 0) await Bun.sleep(20);
      while ((await rows(target, waiting)).length > 0) await Bun.sleep(20);
      await other.send("commit");
      await other.drop();
      const lines = await started;
      expect(lines).toContain(
        "a migration waits for a table that another transaction uses, and is tried again",
      );
      expect(lines).toContain("migrated 0002.sql");
    },
    STARTS_WITHIN_MS,
  );

  test("refuses a rule for event ids that has changed, before anything is changed", async () => {
    const target = await newDatabase();
    await start(target, { rules: [rule("stripe")] });
    await run(
      target,
      `begin; set local hookonce.own = on;
       insert into hookonce.events (source, event_id, type, received_at, outcome, last_delivery_at)
       values ('stripe', 'evt_1', 'paid', ${NOW}, 'processed', ${NOW}); commit`,
    );
    const changed = [rule("stripe", { eventIdRule: "header:id" })];
    const migrations = { "0001.sql": "create table mine (id int);" };
    const refusal = await refusalOf(start(target, { rules: changed, migrations }));
    expect(refusal.code).toBe("event_id_rule_changed");
    expect(await rows(target, "select 1 from pg_class where relname = 'mine'")).toEqual([]);
    const gone = await refusalOf(start(target, { rules: [] }));
    expect(gone.problems[0]?.message).toContain('source "stripe" is gone from the config');
    await start(target, { rules: changed, acceptIdChange: true });
    expect(await rows(target, "select event_id_rule from hookonce.sources")).toEqual([
      { event_id_rule: "header:id" },
    ]);
  });

  test("renames a source with everything that is stored of it", async () => {
    const target = await newDatabase();
    await start(target, { rules: [rule("old")] });
    await run(
      target,
      `begin; set local hookonce.own = on;
       insert into hookonce.events (source, event_id, type, received_at, outcome, last_delivery_at)
       values ('old', 'evt_1', '', ${NOW}, 'processed', ${NOW}), ('new', 'evt_2', '', ${NOW}, 'processed', ${NOW}),
         ('old', 'evt_2', '', ${NOW}, 'processed', ${NOW});
       insert into hookonce.deliveries (source, event_id, number, at, outcome) values ('old', 'evt_1', 1, 0, 'processed');
       insert into hookonce.positions (source, rule, key, version, event_id) values ('old', 'r', 'k', '1', 'evt_1');
       insert into hookonce.source_states (name, state, since) values ('old', 'held', 0);
       insert into hookonce.stored_bytes (source, bytes) values ('old', 1), ('new', 2);
       insert into hookonce.messages (message_id, destination, source, state, created_at, next_at, since)
       values ('msg', 'app', 'old', 'waiting', 0, 0, 0); commit`,
    );
    await start(target, { rules: [rule("new", { renamedFrom: "old" })] });
    expect(await rows(target, "select source, event_id from hookonce.events order by id")).toEqual([
      { source: "new", event_id: "evt_1" },
      { source: "new", event_id: "evt_2" },
      // It is recorded under the new name already.
      { source: "old", event_id: "evt_2" },
    ]);
    for (const table of ["deliveries", "positions", "messages", "stored_bytes"])
      expect(await rows(target, `select distinct source from hookonce.${table}`)).toEqual([
        { source: "new" },
      ]);
    expect(await rows(target, "select bytes from hookonce.stored_bytes")).toEqual([{ bytes: 3 }]);
    expect(await rows(target, "select name from hookonce.source_states")).toEqual([{ name: "new" }]);
    expect(await rows(target, "select name from hookonce.sources")).toEqual([{ name: "new" }]);
  });

  test("refuses a database of a newer hookonce, and one in another encoding", async () => {
    const target = await newDatabase();
    await start(target);
    await run(
      target,
      "begin; set local hookonce.own = on; insert into hookonce.migrations values ('9999_later.sql', '', 0); commit",
    );
    expect((await refusalOf(start(target))).code).toBe("database_newer");
    await run(target, "create database latin encoding 'LATIN1' locale 'C' template template0");
    const latin = await refusalOf(start({ ...target, database: "latin" }));
    expect(latin).toMatchObject({ code: "database_unusable" });
    expect(latin.message).toContain("encoding LATIN1");
  });

  testInFullRun(
    "refuses a server that does not wait for its disk, and names a synchronous standby",
    async () => {
      await using cluster = await createCluster({
        settings: ["synchronous_standby_names = 'FIRST 1 (other)'", "synchronous_commit = local"],
      });
      const lines = await start(await cluster.database());
      expect(lines[0]).toContain(
        "each commit waits for a standby (synchronous_standby_names = 'FIRST 1 (other)')",
      );
      await run(cluster.target, "alter system set fsync = off; ");
      await run(cluster.target, "select pg_reload_conf()");
      while (((await rows(cluster.target, "show fsync")) as { fsync: string }[])[0]?.fsync !== "off")
        await Bun.sleep(20);
      const refusal = await refusalOf(start(await cluster.database()));
      expect(refusal.message).toContain("fsync = off");
    },
    STARTS_WITHIN_MS,
  );
});
