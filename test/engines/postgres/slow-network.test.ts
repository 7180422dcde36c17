import { beforeAll, expect } from "bun:test";
import type { PostgresTarget } from "../../../src/config/postgres.ts";
import { deliver } from "../../conformance/jobs.ts";
import { openEngine } from "../../conformance/open-engine.ts";
import { createStoreOn, harness } from "../../conformance/postgres.ts";
import { onlyInFullRun, testUnless } from "../../crash/requirements.ts";
import { slowNetwork } from "../../support/slow-network.ts";
import { overNetwork, postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "./cluster.ts";

const why = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();
if (why === undefined) beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);

testUnless(
  why,
  "on a slow network, as many events share a transaction as wait for it, also after events that came alone",
  async () => {
    await using store = await createStoreOn(await sharedCluster());
    const target = overNetwork(JSON.parse(store.location) as PostgresTarget);
    using network = slowNetwork(target.servers[0]?.port ?? 0, 5);
    const servers = [{ host: "127.0.0.1", port: network.port }];
    await using it = await openEngine(harness, harness.at(JSON.stringify({ ...target, servers })));
    const handlers = it.bind();
    // Each takes longer than a batch may take of a handler's time.
    for (let n = 0; n < 8; n++)
      await (
        await it.engine.commit([deliver(`alone_${n}`)], { workMs: 20, handlers })
      ).results;
    const jobs = Array.from({ length: 64 }, (_, n) => deliver(`evt_${n}`));
    const batch = await it.engine.commit(jobs, { workMs: 20, handlers });
    expect(batch.begun).toBe(64);
    await batch.results;
  },
  STARTS_WITHIN_MS,
);
