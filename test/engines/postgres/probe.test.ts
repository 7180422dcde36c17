import { describe, expect, test } from "bun:test";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import { createPool } from "../../../src/engines/postgres/pool.ts";
import { createProbe } from "../../../src/engines/postgres/probe.ts";
import { createServer } from "../../../src/engines/postgres/server.ts";
import { prepareDatabase } from "../../../src/engines/postgres/start.ts";
import type { Health } from "../../../src/engines/engine.ts";
import { HookonceError } from "../../../src/errors.ts";
import { testInFullRun } from "../../crash/requirements.ts";
import { connect, createCluster, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const NOW = 1_790_000_000_000;

async function prepared(target: PostgresTarget) {
  const server = createServer(target);
  const plan = { convertToWal: false, rules: [], acceptIdChange: false, migrations: [], now: NOW };
  await prepareDatabase(server, plan, { debug() {}, info() {}, warn() {}, error() {} });
  const pool = createPool(server, 1);
  return { probe: createProbe(pool), [Symbol.asyncDispose]: () => pool.close() };
}

async function run(target: PostgresTarget, script: string): Promise<void> {
  const connection = await connect(target);
  await connection.script(script);
  await connection.drop();
}

async function codeOf(probe: Health | Promise<Health>): Promise<unknown> {
  try {
    await probe;
    return undefined;
  } catch (error) {
    return error instanceof HookonceError ? error.code : error;
  }
}

describe.skipIf(postgresPrograms() === undefined)("a probe of PostgreSQL", () => {
  test(
    "commits a row, and leaves none of a delivery",
    async () => {
      const target = await (await sharedCluster()).database();
      await using it = await prepared(target);
      expect(await it.probe(NOW + 1)).toEqual({ warnings: [] });
      const connection = await connect(target);
      const tables = ["events", "bodies", "results", "failures", "deliveries", "rollups", "messages"];
      for (const table of tables)
        expect(await connection.read(`select from hookonce.${table}`)).toHaveLength(0);
      expect(await connection.read("select value from hookonce.meta where key = 'probed_at'")).toEqual([
        { value: String(NOW + 1) },
      ]);
      await connection.drop();
    },
    STARTS_WITHIN_MS,
  );

  test("fails if a table is gone, and then a start is refused", async () => {
    const target = await (await sharedCluster()).database();
    await using it = await prepared(target);
    await run(target, "drop table hookonce.results");
    expect(await codeOf(it.probe(NOW))).toBe("storage_failed");
    expect(prepared(target)).rejects.toThrow("hookonce's own tables are damaged");
  });

  testInFullRun(
    "fails while the server is away, restarts or accepts no writes, and not any more when it is back",
    async () => {
      await using cluster = await createCluster();
      const target = await cluster.database();
      await using it = await prepared(target);
      await cluster.stop("immediate");
      expect(await codeOf(it.probe(NOW))).toBe("database_unreachable");
      await cluster.start();
      while ((await codeOf(it.probe(NOW))) !== undefined) await Bun.sleep(50);
      await run(cluster.target, `alter database ${target.database} set default_transaction_read_only = on`);
      await cluster.stop();
      await cluster.start();
      let code: unknown;
      do {
        await Bun.sleep(50);
        code = await codeOf(it.probe(NOW));
      } while (code === undefined);
      expect(code).toBe("database_unreachable");
    },
    STARTS_WITHIN_MS,
  );
});
