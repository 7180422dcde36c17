import { beforeAll } from "bun:test";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { postgresPrograms, sharedCluster, STARTS_WITHIN_MS } from "../engines/postgres/cluster.ts";
import { harness } from "./postgres.ts";
import { engineConformance } from "./suite.ts";

const missing = postgresPrograms() === undefined ? "no PostgreSQL server is installed" : onlyInFullRun();

describeUnless(missing, "on a real server", () => {
  beforeAll(() => sharedCluster(), STARTS_WITHIN_MS);
  engineConformance("PostgreSQL", harness);
});
