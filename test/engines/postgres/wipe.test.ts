import { beforeAll, expect, test } from "bun:test";
import { createServer } from "../../../src/engines/postgres/server.ts";
import { prepareDatabase } from "../../../src/engines/postgres/start.ts";
import { createWipe } from "../../../src/engines/postgres/wipe.ts";
import { describeUnless } from "../../crash/requirements.ts";
import { connect, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;

describeUnless(missing, "a wipe of PostgreSQL", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);

  test(
    "removes what was erased from the tables' files, unless a transaction may still read it",
    async () => {
      const target = await (await sharedCluster()).database();
      const server = createServer(target);
      const plan = { convertToWal: false, rules: [], acceptIdChange: false, migrations: [], now: 1 };
      await prepareDatabase(server, plan, { debug() {}, info() {}, warn() {}, error() {} });
      await using connection = { ...(await connect(target)), [Symbol.asyncDispose]: () => connection.drop() };
      const deadRows = async (): Promise<unknown> => {
        await connection.send("select pg_stat_force_next_flush()");
        const { rows } = await connection.send(
          "select n_dead_tup::int from pg_stat_all_tables where relid = 'hookonce.bodies'::regclass",
        );
        return rows[0]?.[0];
      };
      await connection.send("select set_config('hookonce.own', 'on', false)");
      await connection.send(
        "insert into hookonce.bodies (id, received_at, headers, bytes, sha256) values (1, 1, '', 'a name', '')",
      );
      const reading = await connect(target);
      await reading.send("begin isolation level repeatable read");
      await reading.send("select * from hookonce.bodies");
      await connection.send("delete from hookonce.bodies");
      expect(await createWipe(server, 100)()).toBe(false);
      expect(await deadRows()).not.toBe(0);
      const wiped = createWipe(server, 60_000)();
      await reading.send("rollback");
      expect(await wiped).toBe(true);
      expect(await deadRows()).toBe(0);
      await reading.drop();
    },
    STARTS_WITHIN_MS,
  );
});
