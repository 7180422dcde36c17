import { beforeAll } from "bun:test";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "../engines/postgres/cluster.ts";
import { createHistoryTests } from "./histories.ts";
import { harness } from "./postgres.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();

// The other groups of suite.ts follow with the reader and the probe of this engine.
describeUnless(missing, "on a real server", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);
  createHistoryTests("PostgreSQL", harness);
});
