import { expect, test } from "bun:test";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import { createPool } from "../../../src/engines/postgres/pool.ts";
import { createServer } from "../../../src/engines/postgres/server.ts";
import { HookonceError } from "../../../src/errors.ts";
import { deliver, inWords } from "../../conformance/jobs.ts";
import { openEngine } from "../../conformance/open-engine.ts";
import { createStoreOn, harness } from "../../conformance/postgres.ts";
import { onlyInFullRun, describeUnless } from "../../crash/requirements.ts";
import { connect, createCluster, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

/** What the engine does while its server is away, or does not answer. */

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();

const codeOf = (result: unknown): unknown => (result instanceof HookonceError ? result.code : result);

async function codeThrownBy(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work;
  } catch (error) {
    return codeOf(error);
  }
}

describeUnless(missing, "while the server is away", () => {
  test(
    "each delivery and each read is refused, and both go on when it is back",
    async () => {
      await using cluster = await createCluster();
      await using it = await openEngine(harness, await createStoreOn(cluster));
      expect((await it.commit([deliver("before")])).map((one) => inWords(one))).toEqual(["processed"]);
      await cluster.stop("immediate");
      // More than one batch of them.
      const many = Array.from({ length: 200 }, (_, n) => deliver(`evt_${n}`));
      for (let round = 0; round < 3; round++)
        expect(new Set((await it.commit(many)).map(codeOf))).toEqual(new Set(["database_unreachable"]));
      const reader = await it.engine.reader();
      expect(await codeThrownBy(Promise.resolve(reader.sourceStates()))).toBe("database_unreachable");
      expect(await codeThrownBy(Promise.resolve(it.engine.probe(1)))).toBe("database_unreachable");
      await cluster.start();
      let results;
      do {
        await Bun.sleep(50);
        results = await it.commit([deliver("before"), ...many]);
      } while (results.some((one) => codeOf(one) === "database_unreachable"));
      expect(results.map((one) => inWords(one).split(",")[0])).toEqual([
        "duplicate",
        ...many.map(() => "processed"),
      ]);
      const { effects } = await it.contents();
      expect(effects).toHaveLength(201);
    },
    STARTS_WITHIN_MS,
  );

  test(
    "its reason is said once",
    async () => {
      await using cluster = await createCluster();
      const target = await cluster.database();
      await cluster.stop();
      const pool = createPool(createServer(target), 1);
      const error = await pool.use(() => Promise.resolve()).catch((cause: unknown) => cause);
      expect((error as HookonceError).message.match(/cannot be used now/g)).toHaveLength(1);
    },
    STARTS_WITHIN_MS,
  );
});

describeUnless(missing, "a server that does not answer", () => {
  test(
    "refuses a delivery in a limited time if the process of the connection is frozen",
    async () => {
      await using it = await openEngine(harness);
      const target = JSON.parse(it.store.location) as PostgresTarget;
      await it.commit([deliver("before")]);
      const admin = await connect(target);
      const backends = await admin.read<{ pid: number }>(
        "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
      );
      for (const { pid } of backends) process.kill(pid, "SIGSTOP");
      try {
        expect((await it.commit([deliver("frozen")])).map(codeOf)).toEqual(["database_unreachable"]);
        // The next one has a connection of its own.
        expect((await it.commit([deliver("frozen")])).map((one) => inWords(one))).toEqual(["processed"]);
      } finally {
        for (const { pid } of backends) process.kill(pid, "SIGCONT");
        await admin.drop();
      }
    },
    STARTS_WITHIN_MS,
  );

  test(
    "refuses a connection in a limited time if it is frozen as a whole",
    async () => {
      await using cluster = await createCluster();
      const target = { ...(await cluster.database()), connectTimeoutMs: 500 };
      const [postmaster] = (await Bun.file(`${cluster.data}/postmaster.pid`).text()).split("\n");
      process.kill(Number(postmaster), "SIGSTOP");
      try {
        const error = await createServer(target)
          .connect()
          .catch((cause: unknown) => cause);
        expect(codeOf(error)).toBe("database_unreachable");
      } finally {
        process.kill(Number(postmaster), "SIGCONT");
      }
    },
    STARTS_WITHIN_MS,
  );

  test(
    "a call does not wait for ever for a connection that others use",
    async () => {
      const target = await (await sharedCluster()).database();
      const pool = createPool(createServer(target), 1);
      const release = Promise.withResolvers<void>();
      const busy = pool.use(() => release.promise);
      expect(await codeThrownBy(pool.use(() => Promise.resolve("done")))).toBe("overloaded");
      release.resolve();
      await busy;
      expect(await pool.use(() => Promise.resolve("done"))).toBe("done");
      await pool.close();
    },
    STARTS_WITHIN_MS,
  );

  test(
    "ends a query of a reader that takes too long, also on the server",
    async () => {
      const target = await (await sharedCluster()).database();
      const pool = createPool(createServer(target), 1, { statementMs: 100, silenceMs: 5000 });
      const error = await pool
        .use((wire) => wire.read("select pg_sleep($1)", [600]))
        .catch((cause: unknown) => cause);
      expect(error).toMatchObject({ errno: "57014" });
      await pool.close();
    },
    STARTS_WITHIN_MS,
  );
});
