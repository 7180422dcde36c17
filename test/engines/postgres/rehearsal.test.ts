import { describe, expect, test } from "bun:test";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import type { HandlerCode } from "../../../src/engines/engine.ts";
import { rehearseStart } from "../../../src/engines/postgres/rehearsal.ts";
import { createServer } from "../../../src/engines/postgres/server.ts";
import { prepareDatabase } from "../../../src/engines/postgres/start.ts";
import type { Migration, StartPlan } from "../../../src/engines/store.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const plan = (files: Readonly<Record<string, string>>): StartPlan => ({
  convertToWal: false,
  rules: [],
  acceptIdChange: false,
  now: 1_790_000_000_000,
  migrations: Object.entries(files).map(([name, sql]): Migration => ({
    name,
    sql,
    file: `migrations/${name}`,
  })),
});

const handler = (text: string): HandlerCode => ({
  language: "sql",
  file: "handlers/shop/paid.sql",
  hash: "hash",
  text,
});

const credits = { "0001.sql": "create table credits (customer text primary key, cents bigint);" };

const newDatabase = async (): Promise<PostgresTarget> => (await sharedCluster()).database();

async function start(target: PostgresTarget, files: Readonly<Record<string, string>>): Promise<void> {
  await prepareDatabase(
    createServer(target),
    { ...plan(files), rules: [] },
    { debug() {}, info() {}, warn() {}, error() {} },
  );
}

async function tablesOf(target: PostgresTarget): Promise<unknown[]> {
  const connection = await connect(target);
  const rows = await connection.read<{ name: string }>(
    "select relname as name from pg_class where relkind = 'r' and relnamespace in ('public'::regnamespace, to_regnamespace('hookonce'))",
  );
  await connection.drop();
  return rows.map(({ name }) => name);
}

describe.skipIf(postgresPrograms() === undefined)("a rehearsal on PostgreSQL", () => {
  test(
    "of a first start checks handlers against its tables, and leaves nothing",
    async () => {
      const target = await newDatabase();
      const rehearsed = await rehearseStart(target, plan(credits), { durations: true });
      expect(rehearsed).toMatchObject({ isNew: true, problems: [], changedRules: [], durations: [] });
      expect(rehearsed.pending.map(({ name }) => name)).toEqual(["0001.sql"]);
      const [good, bad] = await Promise.all([
        rehearsed.loadHandler(handler("insert into credits values (:event_id, 1);")),
        rehearsed.loadHandler(handler("select 1;\nselect missing from credits;")),
      ]);
      expect(good).toMatchObject({ file: "handlers/shop/paid.sql", language: "sql" });
      expect(bad).toMatchObject([{ file: "handlers/shop/paid.sql", line: 2 }]);
      expect(await rehearsed.checkWhere(":payload ->> 'ref' = 'main'")).toBeUndefined();
      expect(await rehearsed.checkWhere("missing = 1")).toContain("missing");
      expect(await rehearsed.checkWhere(":payload ->> '$.ref' = 'main'")).toContain("Write ->> 'ref'.");
      expect(await rehearsed.checkWhere("json_extract(:payload, '$.ref') = 'main'")).toContain("of SQLite");
      expect(rehearsed.doubtsOf(handler("select :payload ->> '$.a';"))).toHaveLength(1);
      rehearsed.close();
      while ((await tablesOf(target)).length > 0) await Bun.sleep(20);
    },
    STARTS_WITHIN_MS,
  );

  test("names every mistake of the pending migrations, and their lines", async () => {
    const target = await newDatabase();
    await start(target, credits);
    const rehearsed = await rehearseStart(
      target,
      plan({
        ...credits,
        "0002.sql":
          "alter table missing add column a int;\nalter table credits add column a int;\nselect a, b from credits;",
        "0003.sql": "begin;",
        "0004.sql": "alter table credits add column c int;",
        "0005.sql": "create table a (id int);\ncreate table b (id int) strict;",
      }),
      { durations: true },
    );
    rehearsed.close();
    expect(rehearsed.isNew).toBe(false);
    expect(rehearsed.problems.map(({ file, line }) => `${file}:${line}`)).toEqual([
      "migrations/0002.sql:1",
      "migrations/0002.sql:3",
      "migrations/0003.sql:1",
      "migrations/0005.sql:2",
    ]);
    expect(rehearsed.problems.at(-1)?.message).toContain("Leave strict out");
    expect(await tablesOf(target)).toContain("credits");
  });

  test("says that a migration cannot be tried while its table is in use", async () => {
    const target = await newDatabase();
    await start(target, credits);
    const other = await connect(target);
    await other.send("begin");
    await other.send("select * from credits");
    const files = { ...credits, "0002.sql": "alter table credits add column a int;" };
    const rehearsed = await rehearseStart(target, plan(files), { durations: false });
    rehearsed.close();
    const { problems } = rehearsed;
    await other.drop();
    expect(problems).toMatchObject([{ file: "migrations/0002.sql", line: 1 }]);
    expect(problems[0]?.message).toContain("another transaction uses its tables");
  });

  test("names a migration that was changed after it was applied", async () => {
    const target = await newDatabase();
    await start(target, credits);
    const files = { "0001.sql": "create table other (id int);" };
    const rehearsed = await rehearseStart(target, plan(files), { durations: false });
    rehearsed.close();
    const { problems } = rehearsed;
    expect(problems[0]?.message).toContain("migrations/0001.sql was changed after it was applied");
  });
});
