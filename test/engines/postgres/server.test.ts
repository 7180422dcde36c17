import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPool } from "../../../src/engines/postgres/pool.ts";
import { createServer } from "../../../src/engines/postgres/server.ts";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import { within } from "../../../src/engines/postgres/deadline.ts";
import { ownFailure } from "../../../src/engines/postgres/trouble.ts";
import { HookonceError } from "../../../src/errors.ts";
import { connect, createCluster, postgresPrograms, STARTS_WITHIN_MS, type Cluster } from "./cluster.ts";

const errorOf = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error;
  }
};

const answeringPort = async (pool: ReturnType<typeof createPool>): Promise<string> =>
  pool.use(async (wire) => {
    const [row] = await wire.read<{ port: string }>("select current_setting('port') as port");
    return row?.port ?? "";
  });

const portOf = ({ target }: Cluster): string => String(target.servers[0]?.port);

describe.skipIf(postgresPrograms() === undefined)("the servers of a target", () => {
  let primary: Cluster;
  let standby: Cluster;
  const both = (): PostgresTarget => ({
    ...primary.target,
    // Nothing listens on the first one.
    servers: [{ host: "127.0.0.1", port: 1 }, ...standby.target.servers, ...primary.target.servers],
  });
  beforeAll(async () => {
    primary = await createCluster();
    standby = await createCluster({ standbyOf: primary });
  }, STARTS_WITHIN_MS);
  afterAll(async () => {
    await standby[Symbol.asyncDispose]();
    await primary[Symbol.asyncDispose]();
  });

  test("are asked which one is the primary", async () => {
    const pool = createPool(createServer(both()), 1);
    expect(await answeringPort(pool)).toBe(portOf(primary));
    await pool.close();
  });

  test("that are standbys are named as such", async () => {
    const error = await errorOf(createServer(standby.target).connect());
    expect(error).toMatchObject({ code: "database_unreachable" });
    expect((error as HookonceError).message).toContain("is a standby");
  });

  test("a connection that the server has ended is replaced by the next call", async () => {
    const pool = createPool(createServer(both()), 1);
    await answeringPort(pool);
    const admin = await connect(primary.target);
    await admin.read(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'hookonce' and pid <> pg_backend_pid()",
    );
    await admin.drop();
    // The pool may not have heard of it yet. Then this call fails as if the server were away.
    const first = await errorOf(answeringPort(pool));
    if (first !== undefined) expect(ownFailure(first)).toMatchObject({ code: "database_unreachable" });
    expect(await answeringPort(pool)).toBe(portOf(primary));
    await pool.close();
  });

  test("never have more connections open than the pool's size", async () => {
    const pool = createPool(createServer(both()), 2);
    await Promise.all(Array.from({ length: 10 }, () => answeringPort(pool)));
    const admin = await connect(primary.target);
    const [open] = await admin.read<{ count: number }>(
      "select count(*) from pg_stat_activity where application_name = 'hookonce' and pid <> pg_backend_pid()",
    );
    await admin.drop();
    expect(open?.count).toBe(2);
    await pool.close();
  });

  test("that do not answer within a deadline are given up", async () => {
    const pool = createPool(createServer(both()), 1);
    const error = await errorOf(
      pool.use((wire) => within(wire, 50, () => wire.read("select pg_sleep($1)", [600]))),
    );
    expect(ownFailure(error)).toMatchObject({ code: "database_unreachable" });
    expect(await answeringPort(pool)).toBe(portOf(primary));
    await pool.close();
  });

  test("a call fails at once while the server is known to be away, and works when it is back", async () => {
    let now = 0;
    const away: PostgresTarget = { ...primary.target, servers: [{ host: "127.0.0.1", port: 1 }] };
    const server = createServer(away, () => now);
    const first = await errorOf(server.connect());
    expect(first).toMatchObject({ code: "database_unreachable" });
    expect(await errorOf(server.connect())).toBe(first);
    now += 100;
    const second = await errorOf(server.connect());
    expect(second).not.toBe(first);
    // The pause is twice as long now.
    now += 199;
    expect(await errorOf(server.connect())).toBe(second);
    now += 1;
    expect(await errorOf(server.connect())).not.toBe(second);
  });

  test(
    "the one of the highest timeline is the primary after a promotion, also when the old one is back",
    async () => {
      const server = createServer(both());
      await (await server.connect()).drop();
      await primary.stop("immediate");
      await standby.promote();
      const promoted = await server.connect();
      expect(await promoted.read("select current_setting('port') as port")).toEqual([
        { port: portOf(standby) },
      ]);
      await promoted.drop();
      await primary.start();
      const again = await server.connect();
      expect(await again.read("select current_setting('port') as port")).toEqual([{ port: portOf(standby) }]);
      await again.drop();
      // Nor is it used while the new one is away.
      await standby.stop("immediate");
      const error = await errorOf(server.connect());
      expect((error as HookonceError).message).toContain("is an old primary, of timeline 1 and not 2");
    },
    STARTS_WITHIN_MS,
  );
});
