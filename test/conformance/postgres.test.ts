import { beforeAll, setDefaultTimeout } from "bun:test";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "../engines/postgres/cluster.ts";
import { createHistoryTests, createRandomHistories } from "./histories.ts";
import { harness } from "./postgres.ts";
import { engineConformance } from "./suite.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : undefined;
const isFullRun = onlyInFullRun() === undefined;

setDefaultTimeout(60_000);

// test/long/postgres-engine.test.ts has what takes minutes.
describeUnless(missing, "on a real server", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);
  if (isFullRun) engineConformance("PostgreSQL", harness);
  else createHistoryTests("PostgreSQL", harness, ["together"]);
  createRandomHistories("PostgreSQL", harness, isFullRun ? 20 : 2);
});
